"""Feeds, badge, metrics, sitemap and robots: the same facts for other readers, by templates of
their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.pages import environment

FEED_ENTRIES = 50
TEMPLATES = ("feed.atom", "feed.json", "badge.svg", "metrics.txt", "sitemap.xml", "robots.txt")


def feeds(snapshots: Mapping[str, Any], url: str) -> dict[str, bytes]:
    """Return the files by path.

    Args:
        snapshots: the JSON objects of the build by path.
        url: where readers reach the site, without a slash at the end.
    """
    latest, days = snapshots["api/latest.json"], snapshots["api/days.json"]["days"]
    entries = [
        {
            "id": f"{url}/status/#{one['kind']}-{one['started_at_unix']}",
            "url": f"{url}/status/",
            "episode": one,
            "updated": one["ended_at"] or one["started_at"],
        }
        for one in snapshots["api/episodes.json"]["episodes"][:FEED_ENTRIES]
    ]
    for day in days[-FEED_ENTRIES:]:
        address = f"{url}/days/{day['date']}/"
        entries.append(
            {"id": address, "url": address, "day": day, "updated": f"{day['date']}T23:59:59Z"}
        )
    facts = {
        "url": url,
        "title": "On-chain Bitcoin price" + (" (simulated)" if latest["is_demo"] else ""),
        "latest": latest,
        "status": snapshots["api/status.json"],
        "days": days,
        "entries": sorted(entries, key=lambda entry: (entry["updated"], entry["id"]), reverse=True)[
            :FEED_ENTRIES
        ],
    }
    return {
        name: environment().get_template(name).render(facts).strip().encode() + b"\n"
        for name in TEMPLATES
    }
