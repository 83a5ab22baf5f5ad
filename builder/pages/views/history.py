"""All days: a chart of them, the newest in a calendar and a table, and the years to look into.

The page stays small however long the record is: each year has a page of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.calendar import Silhouette, Year, calendar, shades, silhouette
from builder.pages.filters import distance, usd, whole
from builder.pages.site import Site
from builder.pages.views.days import (
    DayRow,
    days_figure,
    month_name,
    month_of,
    table_rows,
    year_of,
    year_path,
)
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.parts import Figure, plural

if TYPE_CHECKING:
    from builder.api.types import DayPrice

TITLE = "History · On-chain Bitcoin price"
DESCRIPTION = (
    "The on-chain Bitcoin price of every UTC day: a chart, a calendar, tables to sort, by year."
)
NEWEST_DAYS = 60
"""So many stand in the page's own table; the pages of years have all."""


class MonthLink(NamedTuple):
    """A month of a year: where its days are, and its prices in words."""

    href: str
    name: str
    words: str


class YearFold(NamedTuple):
    """A year as it stands in the list: its days in one picture, and its months."""

    name: str
    href: str
    words: str
    is_newest: bool
    picture: Silhouette
    months: Sequence[MonthLink]


class DaysFigure(NamedTuple):
    """What is shown as soon as there is a day; years and rows newest first."""

    heading: str
    figure: Figure
    first_date: str
    last_date: str
    shades: Sequence[tuple[str, str]]
    newest: Year
    years: Sequence[YearFold]
    rows: Sequence[DayRow]
    are_all: bool


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
        record=_record(site) if site.days else None,
    )


def _record(site: Site) -> DaysFigure:
    days = site.days
    count = len(days)
    newest = year_of(days[-1])
    return DaysFigure(
        heading=f"{whole(count)} {plural(count, 'day')}",
        figure=days_figure(site, days),
        first_date=days[0]["date"],
        last_date=days[-1]["date"],
        shades=shades(site.limit),
        newest=calendar([day for day in days if year_of(day) == newest], site.limit),
        years=_folds(days, site.limit),
        rows=table_rows(days[-NEWEST_DAYS:], site.limit),
        are_all=count <= NEWEST_DAYS,
    )


def _folds(days: Sequence[DayPrice], limit: float) -> list[YearFold]:
    newest = year_of(days[-1])
    folds = [
        YearFold(
            name=year,
            href=year_path(year),
            words=_words(its),
            is_newest=year == newest,
            picture=silhouette(its, limit),
            months=_months(year, its),
        )
        for year, its in ((year, list(its)) for year, its in groupby(days, key=year_of))
    ]
    return folds[::-1]


def _months(year: str, days: Sequence[DayPrice]) -> list[MonthLink]:
    return [
        MonthLink(
            href=f"{year_path(year)}#{month}", name=month_name(month), words=_extremes(list(its))
        )
        for month, its in groupby(days, key=month_of)
    ]


def _words(days: Sequence[DayPrice]) -> str:
    """Say how many days there are, their prices, and how far off they were."""
    count = len(days)
    words = f"{count} {plural(count, 'day')}, {_extremes(days)}"
    percents = [day["divergence_percent"] for day in days]
    apart = [abs(percent) for percent in percents if percent is not None]
    return f"{words}; half within {distance(median(apart))} of the exchange" if apart else words


def _extremes(days: Sequence[DayPrice]) -> str:
    valid = [day["price_usd"] for day in days if day["is_valid"]]
    prices = [price for price in valid if price is not None]
    return f"{usd(min(prices))} to {usd(max(prices))}" if prices else "no valid price"
