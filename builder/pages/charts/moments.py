"""What a price chart draws of each moment, and which moments are worth drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.scale import DAY_SECONDS, WIDTH, Scale, midnight

if TYPE_CHECKING:
    from builder.api.types import DayPrice, History

MAX_COLUMNS = 360
"""A drawn line has at most this many places along the time axis: about what a screen shows."""

GAP_SECONDS = 3 * 3600
"""A longer silence in the record is drawn as a gap: blocks an hour apart are ordinary."""


class Moment(NamedTuple):
    """An on-chain price with its interval, the exchange price, and a difference in percent."""

    time_unix: float
    onchain_usd: float | None = None
    low_usd: float | None = None
    high_usd: float | None = None
    exchange_usd: float | None = None
    percent: float | None = None
    is_valid: bool = True


def history_moments(history: History) -> list[Moment]:
    """Moments of a history file: spot prices, and the headline difference."""
    columns = zip(
        history["time_unix"],
        history["spot_usd"],
        history["spot_low_usd"],
        history["spot_high_usd"],
        history["exchange_usd"],
        history["divergence_percent"],
        history["is_valid"],
        strict=True,
    )
    return [Moment(*row) for row in columns]


def day_moments(days: Sequence[DayPrice]) -> list[Moment]:
    """Moments of final days, at noon: day prices, and the exchange means."""
    return [
        Moment(
            time_unix=midnight(day["date"]) + DAY_SECONDS // 2,
            onchain_usd=day["price_usd"],
            low_usd=day["low_usd"],
            high_usd=day["high_usd"],
            exchange_usd=day["exchange_mean_usd"],
            percent=day["divergence_percent"],
            is_valid=day["is_valid"],
        )
        for day in days
    ]


def drawn_moments(
    moments: Sequence[Moment], x: Scale, gap_seconds: float = GAP_SECONDS
) -> Iterator[tuple[float, Moment | None]]:
    """Places and moments worth drawing: the last one of each of MAX_COLUMNS places, and None at
    each gap."""
    for moment, after in zip_longest(moments, moments[1:]):
        here = x(moment.time_unix)
        if after is None or _column(here) != _column(x(after.time_unix)):
            yield here, moment
        if after is not None and after.time_unix - moment.time_unix > gap_seconds:
            yield here, moment
            yield here, None


def _column(place: float) -> int:
    return int(place * MAX_COLUMNS / WIDTH)
