"""Days as the pages of all days and of a year show them: a chart, a calendar, a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.prices import days_chart
from builder.pages.charts.scale import midnight
from builder.pages.filters import usd, utc, whole
from builder.pages.site import Site
from builder.pages.views.parts import Alive, Figure, figure, parquet_downloads

if TYPE_CHECKING:
    from builder.api.types import DayPrice


class DayRow(NamedTuple):
    """A row of the table: `is_beyond` when the difference is larger than the warning limit;
    `month` where it is the newest of one, for links to lead to."""

    day: DayPrice
    is_beyond: bool
    month: str | None


def month_of(day: DayPrice) -> str:
    """Return the calendar month of a day, as in 2025-10."""
    return day["date"][:7]


def month_name(month: str) -> str:
    """Return the name of a calendar month, as in October."""
    return utc(midnight(f"{month}-01"), "%B")


def year_of(day: DayPrice) -> str:
    """Return the year of a day."""
    return day["date"][:4]


def year_path(year: str) -> str:
    """Return the path of the page of a year."""
    return f"/history/{year}/"


def table_rows(days: Sequence[DayPrice], limit: float) -> list[DayRow]:
    """Return the rows of days, newest first."""
    found: list[DayRow] = []
    for day in reversed(days):
        percent = day["divergence_percent"]
        month = month_of(day)
        is_newest = not found or month_of(found[-1].day) != month
        is_beyond = percent is not None and abs(percent) > limit
        found.append(DayRow(day, is_beyond, month if is_newest else None))
    return found


def days_figure(site: Site, days: Sequence[DayPrice], year: str = "") -> Figure:
    """Return the chart of all days, or of those of a year; at least one."""
    downloads = parquet_downloads(site, "days", table="/data/days", json="/api/days.json")
    alive = Alive("days", year, has_address=True)
    return figure(days_chart(days), _summary(days), downloads, alive)


def _summary(days: Sequence[DayPrice]) -> str:
    prices = [day["price_usd"] for day in days if day["price_usd"] is not None]
    if not prices:
        return "No day has a price yet."
    return (
        f"{whole(len(days))} days from {days[0]['date']} to {days[-1]['date']}: the price went "
        f"from {usd(prices[0])} to {usd(prices[-1])}, lowest {usd(min(prices))}, highest "
        f"{usd(max(prices))}."
    )
