"""The days of one year: a chart, a calendar, a table with its months to jump to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from builder.pages.charts.calendar import Year, calendar, shades
from builder.pages.charts.scale import midnight
from builder.pages.site import Site
from builder.pages.views.days import DayRow, days_figure, month_name, table_rows, year_of, year_path
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.parts import Figure


class YearView(NamedTuple):
    """All that the page of a year says; months are (anchor, name), rows newest first."""

    frame: Frame
    name: str
    figure: Figure
    shades: Sequence[tuple[str, str]]
    calendar: Year
    months: Sequence[tuple[str, str]]
    rows: Sequence[DayRow]
    before: str | None
    after: str | None


def year_view(site: Site, year: str) -> YearView:
    """Return the view of a year that has a day."""
    days = [day for day in site.days if year_of(day) == year]
    rows = table_rows(days, site.limit)
    return YearView(
        frame=frame_of(
            site,
            title=f"{year} · On-chain Bitcoin price",
            description=f"The on-chain Bitcoin price of every UTC day of {year}.",
            section="/history/",
            path=year_path(year),
            made_unix=midnight(days[-1]["date"]),
        ),
        name=year,
        figure=days_figure(site, days, year),
        shades=shades(site.limit),
        calendar=calendar(days, site.limit),
        months=[(row.month, month_name(row.month)) for row in rows if row.month],
        rows=rows,
        before=_neighbour(site, int(year) - 1),
        after=_neighbour(site, int(year) + 1),
    )


def _neighbour(site: Site, year: int) -> str | None:
    """The year before or after, where it has a page."""
    name = str(year)
    return name if any(year_of(day) == name for day in site.days) else None
