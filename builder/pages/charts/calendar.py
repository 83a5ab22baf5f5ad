"""A calendar of a year: a square a day, a column a week that begins on Monday; and its silhouette,
which is a tenth of the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.filters import percent, usd

if TYPE_CHECKING:
    from builder.api.types import DayPrice

STEP = 13
"""Drawing units from one square to the next."""

SIDE = 11
"""Of a square."""

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


class Silhouette(NamedTuple):
    """A year's squares as one (class, path) a shade: none can be told apart or followed."""

    areas: Sequence[Area]
    shapes: Sequence[tuple[str, str]]


def calendar(days: Sequence[DayPrice], limit: float) -> Year:
    """The calendar of a year.

    Args:
        days: rows of days.json, oldest first, all of one year; at least one.
        limit: differences beyond it, in percent, are in the last shade.
    """
    name = days[0]["date"][:4]
    firsts = [_place(date(int(name), month, 1))[0] * STEP for month in range(1, 13)]
    squares = [_square(day, limit) for day in days]
    return Year(name, list(zip(firsts, MONTHS, strict=True)), _areas(int(name)), squares)


def silhouette(days: Sequence[DayPrice], limit: float) -> Silhouette:
    """The same as few paths, for a page that shows many years."""
    squares = [_square(day, limit) for day in days]
    kinds = sorted({square.kind for square in squares})
    shapes = [(kind, "".join(map(_outline, _of_kind(squares, kind)))) for kind in kinds]
    return Silhouette(_areas(int(days[0]["date"][:4])), shapes)


def _of_kind(squares: Sequence[Square], kind: str) -> list[Square]:
    return [square for square in squares if square.kind == kind]


def _outline(square: Square) -> str:
    return f"M{square.x} {square.y}h{SIDE}v{SIDE}h-{SIDE}z"


def shades(limit: float) -> list[tuple[str, str]]:
    """The kinds of squares and what each means."""
    nearest, *others = [f"{limit * share:g}%" for share in LEVEL_SHARES]
    levels = [f"within {nearest}", *others, "beyond"]
    return [
        *((f"level-{number}", words) for number, words in enumerate(levels)),
        ("alone", "no exchange price"),
        ("invalid", "low confidence"),
    ]


def _areas(year: int) -> list[Area]:
    """The empty squares of a year: its first week, the whole ones, its last."""
    _, begins_on = _place(date(year, 1, 1))
    last_week, ends_on = _place(date(year, 12, 31))
    return [
        Area(0, begins_on * STEP + TOP, STEP, (WEEK - begins_on) * STEP),
        Area(STEP, TOP, (last_week - 1) * STEP, WEEK * STEP),
        Area(last_week * STEP, TOP, STEP, (ends_on + 1) * STEP),
    ]


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
