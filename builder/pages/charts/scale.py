"""From values to drawing units, and the round numbers to name along the way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

WIDTH = 1000.0
"""Drawing units from the left edge of a chart to the right."""

DAY_SECONDS = 86_400

MARGIN_SHARE = 0.06
"""Room above and below the values of a fitted scale, as a share of their extent."""

MARGIN_OF_ONE_VALUE = 0.01
"""The same, as a share of the value, where all values are one."""

MAX_TIME_TICKS = 9
"""More marks than this along a time axis run into each other on a tablet."""

MAX_MONTH_TICKS = 8
DAYS_OF_MONTH = 30.4
MONTHS_FROM_DAYS = 120
"""A longer axis is marked at the firsts of months."""

TIME_STEPS_DAYS = (0.125, 0.25, 1, 2, 7, 14)
TICK_STEPS = (1, 2, 2.5, 5, 10)

# What keeps a tick on the very edge of a scale from being lost to rounding.
EDGE_STEPS = 1e-9
STEP_TOLERANCE = 0.999


class Scale(NamedTuple):
    """A straight line from values low..high to drawing units 0..size, or size..0 when flipped."""

    low: float
    high: float
    size: float = WIDTH
    flip: bool = False

    def __call__(self, value: float) -> float:
        """Drawing units of a value, to a tenth."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round((1 - share if self.flip else share) * self.size, 1)


def fitted(values: Iterable[float | None], size: float) -> Scale:
    """A scale upwards that holds the values with some room around them; 0 to 1 when there are
    none."""
    known = [value for value in values if value is not None] or [0.0, 1.0]
    low = min(known)
    high = max(known)
    room = (high - low) * MARGIN_SHARE or abs(high) * MARGIN_OF_ONE_VALUE
    return Scale(low - room, high + room, size, flip=True)


def ticks(scale: Scale, count: int = 5) -> list[float]:
    """Round numbers on a scale, about `count` of them: steps of 1, 2, 2.5 or 5 times a power of
    ten."""
    rough = (scale.high - scale.low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(step for step in TICK_STEPS if step * unit >= rough * STEP_TOLERANCE)
    first = math.ceil(scale.low / step - EDGE_STEPS)
    last = math.floor(scale.high / step + EDGE_STEPS)
    return [round(number * step, 10) + 0.0 for number in range(first, last + 1)]


def time_ticks(scale: Scale) -> list[tuple[float, str]]:
    """Places and labels of a UTC time axis: hours, days or months, at most nine of them."""
    days = (scale.high - scale.low) / DAY_SECONDS
    if days > MONTHS_FROM_DAYS:
        return _month_ticks(scale, step=math.ceil(days / DAYS_OF_MONTH / MAX_MONTH_TICKS))
    fitting = (step for step in TIME_STEPS_DAYS if days / step <= MAX_TIME_TICKS)
    step = next(fitting, TIME_STEPS_DAYS[-1]) * DAY_SECONDS
    form = "%H:%M" if step < DAY_SECONDS else "%b %-d"
    numbers = range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)
    places = [number * step for number in numbers]
    return [(place, datetime.fromtimestamp(place, UTC).strftime(form)) for place in places]


def _month_ticks(scale: Scale, *, step: int) -> list[tuple[float, str]]:
    first = datetime.fromtimestamp(scale.low, UTC)
    last = datetime.fromtimestamp(scale.high, UTC)
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    named = [month for month in months if month % step == 0]
    starts = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in named]
    return [(start.timestamp(), start.strftime("%b %Y")) for start in starts]


def midnight(day: str) -> int:
    """The first second of a UTC day."""
    return int(datetime.fromisoformat(f"{day}T00:00Z").timestamp())
