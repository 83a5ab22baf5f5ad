"""A calendar of a year: a square a day, a column a week that begins on Monday."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.filters import percent, usd

if TYPE_CHECKING:
    from builder.api.types import DayPrice

STEP = 13
"""Drawing units from one square to the next."""

TOP = 15
"""Drawing units for the names of the months above the squares."""

WEEK = 7
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

LEVEL_SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
"""Where the shades end, as shares of the warning limit; the last shade is beyond it."""


class Square(NamedTuple):
    """A day's square."""

    date: str
    kind: str
    x: int
    y: int
    words: str


class Area(NamedTuple):
    """A part of the year's empty squares."""

    x: int
    y: int
    width: int
    height: int


class Year(NamedTuple):
    """A year's calendar; months are (place, name)."""

    name: str
    months: Sequence[tuple[int, str]]
    areas: Sequence[Area]
    squares: Sequence[Square]


def calendar(days: Sequence[DayPrice], limit: float) -> list[Year]:
    """The calendars of all years that have a day, newest first.

    Args:
        days: rows of days.json, oldest first.
        limit: differences beyond it, in percent, are in the last shade.
    """
    by_year = groupby(days, key=lambda day: day["date"][:4])
    years = [_year(name, [_square(day, limit) for day in its]) for name, its in by_year]
    return years[::-1]


def shades(limit: float) -> list[tuple[str, str]]:
    """The kinds of squares and what each means."""
    nearest, *others = [f"{limit * share:g}%" for share in LEVEL_SHARES]
    levels = [f"within {nearest}", *others, "beyond"]
    return [
        *((f"level-{number}", words) for number, words in enumerate(levels)),
        ("alone", "no exchange price"),
        ("invalid", "low confidence"),
    ]


def _year(name: str, squares: Sequence[Square]) -> Year:
    year = int(name)
    firsts = [_place(date(year, month, 1))[0] * STEP for month in range(1, 13)]
    _, begins_on = _place(date(year, 1, 1))
    last_week, ends_on = _place(date(year, 12, 31))
    areas = [
        Area(0, begins_on * STEP + TOP, STEP, (WEEK - begins_on) * STEP),
        Area(STEP, TOP, (last_week - 1) * STEP, WEEK * STEP),
        Area(last_week * STEP, TOP, STEP, (ends_on + 1) * STEP),
    ]
    return Year(name, list(zip(firsts, MONTHS, strict=True)), areas, squares)


def _square(day: DayPrice, limit: float) -> Square:
    week, weekday = _place(date.fromisoformat(day["date"]))
    words = f"{day['date']}: {usd(day['price_usd'])}"
    if day["divergence_percent"] is not None:
        words += f", {percent(day['divergence_percent'])}"
    return Square(day["date"], _kind(day, limit), week * STEP, weekday * STEP + TOP, words)


def _kind(day: DayPrice, limit: float) -> str:
    if not day["is_valid"] or day["price_usd"] is None:
        return "invalid"
    if day["divergence_percent"] is None:
        return "alone"
    distance = abs(day["divergence_percent"])
    return f"level-{sum(limit * share < distance for share in LEVEL_SHARES)}"


def _place(day: date) -> tuple[int, int]:
    """The week of the year and the day of the week, both from 0, Monday first."""
    first_weekday = day.replace(month=1, day=1).weekday()
    return divmod(day.timetuple().tm_yday - 1 + first_weekday, WEEK)
