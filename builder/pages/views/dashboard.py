"""The dashboard: the on-chain price beside the exchange price, now and over the last days."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.gauge import Gauge
from builder.pages.filters import utc
from builder.pages.headline import headline_of
from builder.pages.headline import is_old as is_old_already
from builder.pages.site import Site
from builder.pages.views import boxes
from builder.pages.views.changes import ChangeLine, Extremes, change_lines, extremes_of
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.notices import DashboardNotice, dashboard_notices
from builder.pages.views.peers import PeersFact, peers_fact
from builder.pages.views.record import RecordFigure, record_figure

if TYPE_CHECKING:
    from builder.api.types import Latest

NO_PRICE_TITLE = "On-chain Bitcoin price"
DESCRIPTION = (
    "The Bitcoin price in dollars, read from the blocks themselves, beside the exchange price: "
    "with its interval, its confidence and a warning when the two part."
)


class Dashboard(NamedTuple):
    """All that the dashboard says.

    `generated_unix` and `due_unix` are for the clock of a page that stays open.
    """

    frame: Frame
    generated_unix: int
    due_unix: int
    is_old: bool
    as_of: str
    notices: Sequence[DashboardNotice]
    price: boxes.PriceBox
    exchange: boxes.ExchangeBox | None
    difference: boxes.DifferenceBox | None
    gauge: Gauge | None
    other: boxes.OtherPrice
    sureness: boxes.Sureness | None
    tip: boxes.TipFact | None
    changes: Sequence[ChangeLine]
    extremes: Extremes | None
    peers: PeersFact | None
    record: RecordFigure | None


@lru_cache(maxsize=1)
def dashboard_view(site: Site) -> Dashboard:
    """Return the view of the dashboard; worked out once for the two pages that show it."""
    latest = site.latest
    headline = headline_of(site.latest)
    network = f" ({site.test_network})" if site.test_network else ""
    title = (headline.words or NO_PRICE_TITLE) + network
    is_old = is_old_already(latest)
    # Without any price one box says so; three would say it three times.
    has_any = headline.price_usd is not None or latest["exchange"] is not None
    return Dashboard(
        frame=frame_of(site, title=title, description=DESCRIPTION, section="/"),
        generated_unix=latest["generated_at_unix"],
        due_unix=latest["next_due_at_unix"],
        is_old=is_old,
        as_of=_as_of(latest, is_old=is_old),
        notices=dashboard_notices(site),
        price=boxes.price_box(headline),
        exchange=boxes.exchange_box(site, headline) if has_any else None,
        difference=boxes.difference_box(latest, headline) if has_any else None,
        gauge=boxes.gauge_of(headline, site.limit),
        other=boxes.other_price(latest, headline),
        sureness=boxes.sureness_of(site, headline),
        tip=boxes.tip_fact(site),
        changes=change_lines(latest),
        extremes=extremes_of(site),
        peers=peers_fact(site),
        record=record_figure(site),
    )


def _as_of(latest: Latest, *, is_old: bool) -> str:
    """Return of when the numbers are: of the newest block, where they are old already, else of this
    build, whose page may lie open for hours."""
    tip = latest["tip"]
    if is_old and tip is not None:
        return utc(tip["time_unix"], "%b %d, %H:%M")
    return utc(latest["generated_at_unix"], "%H:%M")
