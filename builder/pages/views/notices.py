"""Notices: what a reader must know before relying on a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from builder.pages.filters import limit
from builder.pages.site import Site

if TYPE_CHECKING:
    from builder.api.types import Latest
    from builder.api.types import Notice as PublishedNotice

LEG_WORDS = {
    "spot": "spot price against the exchange price of the same moment",
    "window": "window price against the exchange mean of its blocks",
}
"""What the headline compares, by its leg."""


class DashboardNotice(NamedTuple):
    """A notice as on any page; a large divergence says since when, and what was compared."""

    kind: str
    severity: str
    lead: str
    text: str
    since_unix: int | None = None
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
        since_unix = divergence["since_unix"]
        return DashboardNotice("loud", "error", lead, text, since_unix, LEG_WORDS[leg])
    lead, colon, rest = notice["message"].partition(": ")
    if not colon:
        return DashboardNotice("", notice["severity"], "", notice["message"])
    return DashboardNotice("", notice["severity"], f"{lead}:", rest)
