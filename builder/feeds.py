"""Feeds, badge, metrics, sitemap and robots: the same facts for other readers, by templates of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from builder.pages import environment

FEED_ENTRIES = 50
TEMPLATES = ("feed.atom", "feed.json", "badge.svg", "metrics.txt", "sitemap.xml", "robots.txt")
KINDS = {"divergence": "Large divergence", "low_confidence": "Low confidence"}


def feeds(snapshots: Mapping[str, Any], url: str) -> dict[str, bytes]:
    """Return the files by path.

    Args:
        snapshots: the JSON objects of the build by path.
        url: where readers reach the site, without a slash at the end.
    """
    latest, days = snapshots["api/latest.json"], snapshots["api/days.json"]["days"]
    entries = [*_episodes(snapshots["api/episodes.json"]["episodes"], url), *_days(days[-FEED_ENTRIES:], url)]
    facts = {
        "url": url,
        "title": "On-chain Bitcoin price" + (" (simulated)" if latest["is_demo"] else ""),
        "latest": latest,
        "status": snapshots["api/status.json"],
        "days": days,
        "entries": sorted(entries, key=lambda entry: (entry["updated"], entry["id"]), reverse=True)[:FEED_ENTRIES],
    }
    return {name: environment().get_template(name).render(facts).strip().encode() + b"\n" for name in TEMPLATES}


def _episodes(episodes: list[dict[str, Any]], url: str) -> Iterator[dict[str, str]]:
    for one in episodes[:FEED_ENTRIES]:
        state = "goes on" if one["is_ongoing"] else f"over after {one['duration_seconds'] // 60} min"
        peak = "" if one["peak_percent"] is None else f", at most {one['peak_percent']:+.1f}%"
        yield {
            "id": f"{url}/status/#{one['kind']}-{one['started_at_unix']}",
            "url": f"{url}/status/",
            "title": f"{KINDS[one['kind']]} from {one['started_at']}: {state}{peak}",
            "updated": one["ended_at"] or one["started_at"],
        }


def _days(days: list[dict[str, Any]], url: str) -> Iterator[dict[str, str]]:
    for day in days:
        price = "no price" if day["price_usd"] is None else f"${day['price_usd']:,.0f}"
        address = f"{url}/days/{day['date']}/"
        title = f"{day['date']}: {price}" + ("" if day["is_valid"] else " (low confidence)")
        yield {"id": address, "url": address, "title": title, "updated": f"{day['date']}T23:59:59Z"}
