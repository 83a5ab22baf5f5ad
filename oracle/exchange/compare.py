"""On-chain beside exchange: the two legs of the comparison, as pure functions.

The divergence is `(on-chain - exchange) / exchange`, in percent. The spot price is set against the
exchange price at the same moment, the window price against the mean of the exchange prices sampled
during its blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MEAN_SLOTS = (
    24  # a span is cut into so many equal parts, so that frequent sampling in one does not outweigh
)
MIN_SLOTS = 18  # and so many must hold a sample: with less the mean would be of another span


class Comparison(NamedTuple):
    """One moment's two legs; the fields are columns of the table `divergences`."""

    spot_usd: float | None
    exchange_usd: float | None
    spot_percent: float | None
    window_usd: float | None
    exchange_mean_usd: float | None
    window_percent: float | None
    headline_percent: float | None
    leg: str | None
    is_large: bool


def percent_above(price_usd: float | None, exchange_usd: float | None) -> float | None:
    """Return how far a price is above the exchange price, in percent; None when either is
    absent."""
    if price_usd is None or exchange_usd is None:
        return None
    return 100 * (price_usd - exchange_usd) / exchange_usd


def exchange_mean(
    times_unix: NDArray[np.int64], prices_usd: NDArray[np.float64], first_unix: int, last_unix: int
) -> float | None:
    """Return the mean exchange price of a span of time, or None when the samples do not cover it.

    Args:
        times_unix: when each price was sampled, shape (n,).
        prices_usd: same shape.
        first_unix: start of the span.
        last_unix: end of the span, included.
    """
    inside = (times_unix >= first_unix) & (times_unix <= last_unix)
    if last_unix <= first_unix or not inside.any():
        return None
    slot = ((times_unix[inside] - first_unix) * MEAN_SLOTS // (last_unix + 1 - first_unix)).astype(
        np.int64
    )
    counts = np.bincount(slot, minlength=MEAN_SLOTS)
    sums = np.bincount(slot, weights=prices_usd[inside], minlength=MEAN_SLOTS)
    filled = counts > 0
    return float((sums[filled] / counts[filled]).mean()) if filled.sum() >= MIN_SLOTS else None


def compare(
    *,
    spot_usd: float | None,
    window_usd: float | None,
    exchange_usd: float | None,
    exchange_mean_usd: float | None,
    threshold_percent: float,
) -> Comparison:
    """Compare valid on-chain prices with fresh exchange prices; hand over None for what is neither.

    The headline is the spot leg when it can be computed, else the window leg.
    """
    spot = percent_above(spot_usd, exchange_usd)
    window = percent_above(window_usd, exchange_mean_usd)
    headline, leg = (
        (spot, "spot") if spot is not None else (window, "window" if window is not None else None)
    )
    is_large = headline is not None and abs(headline) > threshold_percent
    return Comparison(
        spot_usd, exchange_usd, spot, window_usd, exchange_mean_usd, window, headline, leg, is_large
    )
