"""All days: a chart, a calendar, a table to sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.calendar import Year, calendar, shades
from builder.pages.charts.prices import days_chart
from builder.pages.filters import usd, whole
from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.parts import Figure, figure, parquet_downloads, plural

if TYPE_CHECKING:
    from builder.api.types import DayPrice

TITLE = "History · On-chain Bitcoin price"
DESCRIPTION = (
    "The on-chain Bitcoin price of every UTC day: a calendar, a chart and a table to sort."
)


class DayRow(NamedTuple):
    """A row of the table; `is_beyond` when the difference is larger than the warning limit."""

    day: DayPrice
    is_beyond: bool


class DaysFigure(NamedTuple):
    """What is shown as soon as there is a day; years and rows newest first."""

    heading: str
    figure: Figure
    shades: Sequence[tuple[str, str]]
    years: Sequence[Year]
    rows: Sequence[DayRow]


class HistoryView(NamedTuple):
    """All that the history page says."""

    frame: Frame
    record: DaysFigure | None


def history_view(site: Site) -> HistoryView:
    """Return the view of the history page."""
    made_unix = site.objects.days["generated_at_unix"]
    return HistoryView(
        frame=frame_of(
            site, title=TITLE, description=DESCRIPTION, section="/history/", made_unix=made_unix
        ),
        record=_days_figure(site) if site.days else None,
    )


def _days_figure(site: Site) -> DaysFigure:
    days = site.days
    count = len(site.days)
    downloads = parquet_downloads(site, "days", table="/data/days", json="/api/days.json")
    return DaysFigure(
        heading=f"{whole(count)} {plural(count, 'day')}",
        figure=figure(days_chart(days), _summary(days), downloads),
        shades=shades(site.limit),
        years=calendar(days, site.limit),
        rows=[_row(day, site.limit) for day in reversed(days)],
    )


def _row(day: DayPrice, limit: float) -> DayRow:
    percent = day["divergence_percent"]
    return DayRow(day, percent is not None and abs(percent) > limit)


def _summary(days: Sequence[DayPrice]) -> str:
    prices = [day["price_usd"] for day in days if day["price_usd"] is not None]
    if not prices:
        return "No day has a price yet."
    return (
        f"{whole(len(days))} days from {days[0]['date']} to {days[-1]['date']}: the price went "
        f"from {usd(prices[0])} to {usd(prices[-1])}, lowest {usd(min(prices))}, highest "
        f"{usd(max(prices))}."
    )
