"""An on-chain price and its interval around the exchange price."""

from __future__ import annotations

from typing import NamedTuple

from builder.pages.charts.scale import Scale

PERCENT_OF_WIDTH = 100
LIMIT_REACH = 1.4
"""The gauge reaches at least this many times as far as the warning limit."""

REACH = 1.1
"""And this many times as far as the interval."""


class Gauge(NamedTuple):
    """Places as percentages of the width; `percent` is the price's difference in percent.

    `exchange` is what the line in the middle is called.
    """

    exchange: str
    percent: float
    limit: float
    limit_left: float
    limit_right: float
    band_left: float
    band_width: float
    dot: float


def gauge(
    price_usd: float,
    interval_usd: tuple[float, float],
    exchange_usd: float,
    *,
    exchange: str,
    limit: float,
) -> Gauge:
    """Work out the places of a price, its interval (low, high) and the limits."""
    percent = _percent_above(price_usd, exchange_usd)
    low = _percent_above(interval_usd[0], exchange_usd)
    high = _percent_above(interval_usd[1], exchange_usd)
    reach = max(limit * LIMIT_REACH, max(abs(low), abs(percent), abs(high)) * REACH)
    x = Scale(-reach, reach, PERCENT_OF_WIDTH)
    return Gauge(
        exchange=exchange,
        percent=percent,
        limit=limit,
        limit_left=x(-limit),
        limit_right=x(limit),
        band_left=x(low),
        band_width=round(x(high) - x(low), 2),
        dot=x(percent),
    )


def _percent_above(price_usd: float, exchange_usd: float) -> float:
    return (price_usd / exchange_usd - 1) * 100
