"""Feeds, badge, metrics, sitemap and robots: the same facts for other readers. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from builder.record import Row

FEED_ENTRIES = 50
PAGES = ("", "history/", "accuracy/", "method/", "api/", "status/")
TITLE = "On-chain Bitcoin price"


def feeds(snapshots: Mapping[str, Any], public_url: str) -> dict[str, bytes]:
    """Return feed.atom, feed.json, badge.svg, metrics.txt, sitemap.xml and robots.txt by path.

    Args:
        snapshots: the JSON objects of the build by path.
        public_url: where readers reach the site, without a slash at the end.
    """
    latest, days = snapshots["api/latest.json"], snapshots["api/days.json"]["days"]
    entries = _entries(snapshots["api/episodes.json"]["episodes"], days, public_url)
    dates = [row["date"] for row in days]
    made = {
        "feed.atom": _atom(entries, latest, public_url),
        "feed.json": _json_feed(entries, latest, public_url),
        "badge.svg": _badge(latest),
        "metrics.txt": _metrics(latest, snapshots["api/status.json"]),
        "sitemap.xml": _sitemap(dates, public_url),
        "robots.txt": f"User-agent: *\nAllow: /\nSitemap: {public_url}/sitemap.xml\n",
    }
    return {path: text.encode() for path, text in made.items()}


def _title(latest: Row) -> str:
    return f"{TITLE} (simulated)" if latest["is_demo"] else TITLE


def _entries(episodes: Iterable[Row], days: Sequence[Row], url: str) -> list[dict[str, str]]:
    found = [*(_episode(e, url) for e in episodes), *(_day(d, url) for d in days[-FEED_ENTRIES:])]
    return sorted(found, key=lambda entry: (entry["updated"], entry["id"]), reverse=True)[:FEED_ENTRIES]


def _episode(episode: Row, url: str) -> dict[str, str]:
    what = "Large divergence" if episode["kind"] == "divergence" else "Low confidence"
    state = "goes on" if episode["is_ongoing"] else f"over after {episode['duration_seconds'] // 60} min"
    peak = "" if episode["peak_percent"] is None else f", at most {episode['peak_percent']:+.1f}%"
    return {
        "id": f"{url}/status/#{episode['kind']}-{episode['started_at_unix']}",
        "url": f"{url}/status/",
        "title": f"{what} from {episode['started_at']}: {state}{peak}",
        "updated": episode["ended_at"] or episode["started_at"],
    }


def _day(day: Row, url: str) -> dict[str, str]:
    price = "no price" if day["price_usd"] is None else f"${day['price_usd']:,.0f}"
    return {
        "id": f"{url}/days/{day['date']}/",
        "url": f"{url}/days/{day['date']}/",
        "title": f"{day['date']}: {price}" + ("" if day["is_valid"] else " (low confidence)"),
        "updated": f"{day['date']}T23:59:59Z",
    }


def _atom(entries: Sequence[Row], latest: Row, url: str) -> str:
    items = "".join(
        f"<entry><id>{escape(e['id'])}</id><title>{escape(e['title'])}</title><updated>{e['updated']}</updated>"
        f"<link href={quoteattr(e['url'])}/><summary>{escape(e['title'])}</summary></entry>\n"
        for e in entries
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{escape(url)}/</id><title>{escape(_title(latest))}</title><author><name>{TITLE}</name></author>"
        f"<updated>{entries[0]['updated'] if entries else latest['generated_at']}</updated>"
        f'<link rel="self" href={quoteattr(url + "/feed.atom")}/><link href={quoteattr(url + "/")}/>\n'
        f"{items}</feed>\n"
    )


def _json_feed(entries: Sequence[Row], latest: Row, url: str) -> str:
    items = [
        {
            "id": e["id"],
            "url": e["url"],
            "title": e["title"],
            "content_text": e["title"],
            "date_published": e["updated"],
        }
        for e in entries
    ]
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(latest),
        "home_page_url": f"{url}/",
        "feed_url": f"{url}/feed.json",
        "items": items,
    }
    return json.dumps(feed, indent=1) + "\n"


def _badge(latest: Row) -> str:
    spot, percent = latest["spot"] or latest["window"], latest["divergence"]["headline_percent"]
    price = "no price" if not spot or spot["price_usd"] is None else f"${spot['price_usd']:,.0f}"
    text = (
        price
        + ("" if percent is None else f" {percent:+.1f}%")
        + (" low confidence" if spot and not spot["is_valid"] else "")
    )
    label = "simulated BTC" if latest["is_demo"] else "on-chain BTC"
    colour = {"ok": "#1a7f37", "degraded": "#9a6700"}.get(latest["status"], "#6e7781")
    left, right = 7 * len(label) + 12, 7 * len(text) + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{label}: {text}"><rect width="{left}" height="20" fill="#424a53"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{label}</text>'
        f'<text x="{left + right / 2:g}" y="14">{text}</text></g></svg>\n'
    )


def _metrics(latest: Row, status: Row) -> str:
    return "".join(
        f"# HELP oracle_{name} {words}\n# TYPE oracle_{name} gauge\n"
        + "".join(f"oracle_{name}{labels} {value}\n" for labels, value in samples)
        for name, words, samples in _gauges(latest, status)
        if samples
    )


def _gauges(latest: Row, status: Row) -> Iterator[tuple[str, str, list[tuple[str, Any]]]]:
    states = ("ok", "degraded", "stale", "failing")
    yield ("status", "1 at the present status.", [(f'{{status="{s}"}}', int(latest["status"] == s)) for s in states])
    yield "generated_at_seconds", "Time of the build.", [("", latest["generated_at_unix"])]
    yield "next_due_at_seconds", "When the next build is due.", [("", latest["next_due_at_unix"])]
    yield "demo", "1 when the data is simulated.", [("", int(latest["is_demo"]))]
    yield "tip_height", "Newest block.", _known({"": latest["tip"]}, "height")
    yield "tip_time_seconds", "Header time of the newest block.", _known({"": latest["tip"]}, "time_unix")
    prices = {f'{{kind="{kind}"}}': latest[kind] for kind in ("spot", "window", "day")}
    yield "price_usd", "On-chain price.", _known(prices, "price_usd")
    yield "price_confidence", "0 to 1.", _known(prices, "confidence")
    yield "price_valid", "1 when the price can be relied on.", _known(prices, "is_valid")
    yield "exchange_price_usd", "Exchange price.", _known({"": latest["exchange"]}, "price_usd")
    yield (
        "exchange_quoted_at_seconds",
        "Time of the exchange price.",
        _known({"": latest["exchange"]}, "quoted_at_unix"),
    )
    yield "divergence_percent", "Headline difference.", _known({"": latest["divergence"]}, "headline_percent")
    yield "divergence_large", "1 over the threshold.", _known({"": latest["divergence"]}, "is_large")
    sources = {f"{{source={json.dumps(s['source'])}}}": s for s in status["sources"]}
    yield "source_reachable", "1 when the last probe reached it.", _known(sources, "is_reachable")
    yield "source_latency_ms", "Latency of the last probe.", _known(sources, "latency_ms")
    yield "record_gaps", "Ranges of missing blocks.", [("", len(status["gaps"]))]
    yield "last_success_seconds", "End of the last good run.", _known({"": status}, "last_success_at_unix")


def _known(holders: Mapping[str, Row | None], name: str) -> list[tuple[str, Any]]:
    values = {labels: holder[name] for labels, holder in holders.items() if holder and holder[name] is not None}
    return [(labels, int(value) if isinstance(value, bool) else value) for labels, value in values.items()]


def _sitemap(dates: Sequence[str], url: str) -> str:
    places = [*PAGES, *(f"days/{date}/" for date in dates)]
    body = "".join(f"<url><loc>{escape(url)}/{place}</loc></url>\n" for place in places)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{body}</urlset>\n'
