"""Notices: what a reader must know before relying on a number."""

from __future__ import annotations

from typing import NamedTuple

from builder.api.types import Divergence, Latest
from builder.api.types import Notice as PublishedNotice
from builder.pages.filters import duration, limit
from builder.pages.site import Site

LEG_WORDS = {
    "spot": "spot price against the exchange price now",
    "window": "window price against the exchange mean of its blocks",
}
"""What the headline compares, by its leg."""


class Lasting(NamedTuple):
    """Since when something has been so, and for how long."""

    unix: int
    words: str


class DashboardNotice(NamedTuple):
    """A notice as on any page; a large divergence says since when, and what was compared."""

    kind: str
    severity: str
    lead: str
    text: str
    since: Lasting | None = None
    compared: str | None = None

    @property
    def is_info(self) -> bool:
        """Whether this is no warning."""
        return self.severity == "info"


def dashboard_notices(site: Site) -> list[DashboardNotice]:
    """Return the notices of latest.json as the dashboard shows them."""
    return [_dashboard_notice(site.latest, notice, site) for notice in site.latest["notices"]]


def _dashboard_notice(latest: Latest, notice: PublishedNotice, site: Site) -> DashboardNotice:
    divergence = latest["divergence"]
    percent = divergence["headline_percent"]
    leg = divergence["leg"]
    if notice["code"] == "large_divergence" and percent is not None and leg is not None:
        side = "above" if percent > 0 else "below"
        beyond = f"by more than {limit(site.limit)}"
        text = f"The {leg} price lies {side} the exchange price {beyond}"
        lead = divergence["message"] or notice["message"]
        since = _since(divergence, site)
        return DashboardNotice("loud", "error", lead, text, since, LEG_WORDS[leg])
    lead, colon, rest = notice["message"].partition(": ")
    if not colon:
        return DashboardNotice("", notice["severity"], "", notice["message"])
    return DashboardNotice("", notice["severity"], f"{lead}:", rest)


def _since(divergence: Divergence, site: Site) -> Lasting | None:
    since_unix = divergence["since_unix"]
    if not since_unix:
        return None
    return Lasting(since_unix, duration(site.now_unix - since_unix))
