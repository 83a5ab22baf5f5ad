"""Feeds of episodes and final days, as Atom and as JSON.

Entries have permanent names: their addresses where the site has a public one, else UUIDs made of
what they are about, so that a feed reader knows them again wherever the site is reached.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

from builder.pages.environment import render
from builder.pages.site import Site

if TYPE_CHECKING:
    from builder.api.types import DayPrice, Episode

MAX_ENTRIES = 50
MINUTE_SECONDS = 60
JSON_FEED = "https://jsonfeed.org/version/1.1"
NAMESPACE = UUID("5a8b1a0e-6c07-4f0e-9a55-3f3f0f2f4c1d")
"""Of the names of entries; random, and fixed for ever."""

EPISODE_WORDS = {
    "divergence": "Large divergence",
    "low_confidence": "Low confidence",
    "peer_differs": "Another publisher differs",
}


class Entry(NamedTuple):
    """An entry; `updated` is in ISO 8601, `address` is relative without a public address."""

    name: str
    address: str
    title: str
    updated: str


class Feed(NamedTuple):
    """A feed; entries newest first."""

    name: str
    title: str
    home: str
    base: str
    updated: str
    entries: Sequence[Entry]


def feeds(site: Site) -> dict[str, bytes]:
    """Return the feeds by path."""
    feed = feed_of(site)
    atom = render("feed.atom", feed=feed).strip() + b"\n"
    return {"feed.atom": atom, "feed.json": _json_feed(feed)}


def feed_of(site: Site) -> Feed:
    """Return the newest entries."""
    episodes = site.objects.episodes["episodes"][:MAX_ENTRIES]
    entries = [
        *(_episode_entry(site, episode) for episode in episodes),
        *(_day_entry(site, day) for day in site.days[-MAX_ENTRIES:]),
    ]
    entries.sort(key=lambda entry: (entry.updated, entry.name), reverse=True)
    network = f" ({site.test_network})" if site.test_network else ""
    return Feed(
        name=_name(site, "/"),
        title=f"On-chain Bitcoin price{network}",
        home=f"{site.base}/",
        base=site.base,
        updated=entries[0].updated if entries else site.latest["generated_at"],
        entries=entries[:MAX_ENTRIES],
    )


def _episode_entry(site: Site, episode: Episode) -> Entry:
    return Entry(
        name=_name(site, f"/status/#{episode['kind']}-{episode['started_at_unix']}"),
        address=f"{site.base}/status/",
        title=_episode_title(episode),
        updated=episode["ended_at"] or episode["started_at"],
    )


def _episode_title(episode: Episode) -> str:
    minutes = episode["duration_seconds"] // MINUTE_SECONDS
    state = "goes on" if episode["is_ongoing"] else f"over after {minutes} min"
    peak = episode["peak_percent"]
    most = "" if peak is None else f", at most {peak:+.1f}%"
    return f"{EPISODE_WORDS[episode['kind']]} from {episode['started_at']}: {state}{most}"


def _day_entry(site: Site, day: DayPrice) -> Entry:
    path = f"/days/{day['date']}/"
    return Entry(
        name=_name(site, path),
        address=f"{site.base}{path}",
        title=_day_title(day),
        updated=f"{day['date']}T23:59:59Z",
    )


def _day_title(day: DayPrice) -> str:
    price = "no price" if day["price_usd"] is None else f"${day['price_usd']:,.0f}"
    doubt = "" if day["is_valid"] else " (low confidence)"
    return f"{day['date']}: {price}{doubt}"


def _name(site: Site, path: str) -> str:
    """A permanent URI for what lies at a path."""
    if site.base:
        return f"{site.base}{path}"
    return uuid5(NAMESPACE, f"{site.latest['network']}{path}").urn


def _json_feed(feed: Feed) -> bytes:
    made = {
        "version": JSON_FEED,
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": f"{feed.base}/feed.json",
        "items": [_item(entry) for entry in feed.entries],
    }
    return (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()


def _item(entry: Entry) -> dict[str, str]:
    return {
        "id": entry.name,
        "url": entry.address,
        "title": entry.title,
        "content_text": entry.title,
        "date_published": entry.updated,
    }
