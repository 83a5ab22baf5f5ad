"""Which of the published prices are worked out again. Pure but for the draw of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from random import SystemRandom  # so that nobody knows beforehand which heights will be tried
from typing import NamedTuple

from oracle.core.params import PARAMETERS
from oracle.errors import NoDataError, RequestError

# A record up to so long, some two weeks, is tried whole when nothing else is asked for: a minute.
WHOLE_RECORD_BLOCKS = 2500
NEWEST_BLOCKS = PARAMETERS.window_blocks
SAMPLED_BLOCKS = 12  # each takes the 144 blocks below it
SAMPLED_DAYS = 2


class Asked(NamedTuple):
    """What somebody asks for; nothing: the newest window, and some drawn from all history."""

    first_day: date | None = None
    last_day: date | None = None
    last: int | None = None
    sample: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked for."""
        return all(value is None for value in self)


class DaySpan(NamedTuple):
    """A published day and its blocks."""

    day: date
    first_height: int
    last_height: int


class Chosen(NamedTuple):
    """Heights and days whose prices are worked out again, in order."""

    heights: list[int]
    days: list[date]


def choose(heights: Sequence[int], days: Sequence[DaySpan], asked: Asked) -> Chosen:
    """Choose among what is published.

    Args:
        heights: the blocks that have a price, ascending.
        days: the days that have one, ascending.
        asked: what is asked for.

    Raises:
        NoDataError: nothing of what is asked for is published.
        RequestError: the days are the wrong way round.
    """
    if asked.first_day or asked.last_day:
        return _of_days(heights, days, asked)
    if asked.sample is not None:
        return Chosen(_drawn(heights, asked.sample), _drawn_days(days, asked.sample))
    if asked.last is not None:
        return _newest(heights, days, asked.last)
    if len(heights) <= WHOLE_RECORD_BLOCKS:
        return _newest(heights, days, len(heights))
    newest = _newest(heights, days, NEWEST_BLOCKS)
    drawn = Chosen(_drawn(heights, SAMPLED_BLOCKS), _drawn_days(days, SAMPLED_DAYS))
    return Chosen(sorted({*newest.heights, *drawn.heights}), sorted({*newest.days, *drawn.days}))


def _of_days(heights: Sequence[int], days: Sequence[DaySpan], asked: Asked) -> Chosen:
    first = asked.first_day or date.min
    last = asked.last_day or date.max
    if first > last:
        raise RequestError(f"{first} is after {last}: give the days as --from FIRST --to LAST")
    spans = [span for span in days if first <= span.day <= last]
    if not spans:
        known = f"{days[0].day} to {days[-1].day}" if days else "none"
        raise NoDataError(f"no day from {first} to {last} is published; there are: {known}")
    low = spans[0].first_height
    high = spans[-1].last_height
    inside = [height for height in heights if low <= height <= high]
    return Chosen(inside, [span.day for span in spans])


def _newest(heights: Sequence[int], days: Sequence[DaySpan], count: int) -> Chosen:
    newest = list(heights[max(0, len(heights) - count) :])
    lowest = newest[0] if newest else 0
    is_whole = len(newest) == len(heights)
    return Chosen(newest, [span.day for span in days if is_whole or span.last_height >= lowest])


def _drawn(heights: Sequence[int], count: int) -> list[int]:
    return sorted(SystemRandom().sample(heights, min(count, len(heights))))


def _drawn_days(days: Sequence[DaySpan], count: int) -> list[date]:
    drawn = SystemRandom().sample(days, min(count, SAMPLED_DAYS, len(days)))
    return sorted(span.day for span in drawn)
