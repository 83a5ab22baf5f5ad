"""The dashboard's chart of the last seven days, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.moments import Moment, history_moments
from builder.pages.charts.prices import history_chart
from builder.pages.charts.scale import DAY_SECONDS
from builder.pages.filters import distance, limit, usd
from builder.pages.site import Site
from builder.pages.views.parts import Figure, figure, parquet_downloads

if TYPE_CHECKING:
    from builder.api.types import History, Leg

TABLE_STEP_SECONDS = 6 * 3600
"""The table has the newest row of each quarter of a day: a week of them fits on two screens."""

SHOWN_SECONDS = 7 * DAY_SECONDS
RANGES = (
    ("24h", "The last 24 hours"),
    ("7d", "The last 7 days"),
    ("30d", "The last 30 days"),
    ("1y", "The last year"),
    ("all", "The whole record"),
)
SHOWN = "7d"


class RangeLink(NamedTuple):
    """A range that the chart can show."""

    key: str
    words: str
    is_current: bool


class RecordRow(NamedTuple):
    """One row of the table; the difference of a window is not that of the prices beside it."""

    time_unix: int
    height: int
    onchain_usd: float | None
    low_usd: float | None
    high_usd: float | None
    exchange_usd: float | None
    percent: float | None
    leg: Leg | None
    confidence: float
    is_valid: bool

    @property
    def is_of_window(self) -> bool:
        """Whether the difference is that of the window price."""
        return self.percent is not None and self.leg == "window"


class RecordFigure(NamedTuple):
    """The chart, what makes it come alive, and the table."""

    figure: Figure
    threshold: float
    ranges: Sequence[RangeLink]
    rows: Sequence[RecordRow]


def record_figure(site: Site) -> RecordFigure | None:
    """Return the chart of the last seven days; None while nothing is recorded."""
    history = site.objects.history("7d")
    moments = history_moments(history)
    if not moments:
        return None
    shown = site.objects.episodes["episodes"]
    chart = history_chart(
        moments,
        [episode for episode in shown if episode["kind"] == "divergence"],
        start_unix=max(site.now_unix - SHOWN_SECONDS, moments[0].time_unix),
        end_unix=site.now_unix,
        limit=site.limit,
    )
    path = f"/api/history/{SHOWN}"
    downloads = parquet_downloads(
        site, "history", table="/data/prices", json=f"{path}.json", csv=f"{path}.csv"
    )
    return RecordFigure(
        figure=figure(chart, _summary(moments, site.limit), downloads),
        threshold=site.limit,
        ranges=[RangeLink(key, words, key == SHOWN) for key, words in RANGES],
        rows=_thinned(_rows(history)),
    )


def _summary(moments: Sequence[Moment], threshold: float) -> str:
    prices = [moment.onchain_usd for moment in moments if moment.onchain_usd is not None]
    if not prices:
        return "There is no on-chain price in this range."
    between = f"between {usd(min(prices))} and {usd(max(prices))}, last at {usd(prices[-1])}"
    apart = [abs(moment.percent) for moment in moments if moment.percent is not None]
    if not apart:
        return f"The on-chain price lay {between}. There was no exchange price."
    beyond = sum(percent > threshold for percent in apart)
    return (
        f"The on-chain price lay {between}. It was at most {distance(max(apart))} from the "
        f"exchange price, beyond {limit(threshold)} in {beyond} of {len(apart)} moments."
    )


def _rows(history: History) -> list[RecordRow]:
    columns = zip(
        history["time_unix"],
        history["height"],
        history["spot_usd"],
        history["spot_low_usd"],
        history["spot_high_usd"],
        history["exchange_usd"],
        history["divergence_percent"],
        history["leg"],
        history["confidence"],
        history["is_valid"],
        strict=True,
    )
    return [RecordRow(*row) for row in columns]


def _thinned(rows: Sequence[RecordRow]) -> list[RecordRow]:
    """The newest row of each step, newest first."""
    newest = {row.time_unix // TABLE_STEP_SECONDS: row for row in rows}
    return list(newest.values())[::-1]
