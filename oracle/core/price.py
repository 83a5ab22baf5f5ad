"""Steps 6 and 7: amounts near round dollar amounts are price points; their central output is the
price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oracle.core.histogram import clean_histogram, count_amounts
from oracle.core.params import PARAMETERS as P
from oracle.core.params import SATS_PER_BTC
from oracle.core.stencil import RoughPrice, find_rough_price
from oracle.core.window import Window

_POINT_USD = np.array(P.point_usd, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class PricePoints:
    """Price points in chain order: which block of the window each lies in, and its price."""

    block_index: NDArray[np.int32]
    prices_usd: NDArray[np.float64]

    def between(self, low_usd: float, high_usd: float) -> PricePoints:
        """Return the points within open bounds."""
        kept = (self.prices_usd > low_usd) & (self.prices_usd < high_usd)
        return PricePoints(self.block_index[kept], self.prices_usd[kept])


NO_POINTS = PricePoints(np.zeros(0, np.int32), np.zeros(0))


@dataclass(frozen=True, slots=True)
class WindowPrice:
    """The v9.1 price of a window; `price_usd` is None with a `reason` in words when there is
    none."""

    outputs: int
    price_usd: float | None = None
    reason: str | None = None
    rough: RoughPrice | None = None
    points: PricePoints = NO_POINTS
    spread: float | None = None  # deviation within 10% of the price, as a share of that range
    chart_half_height: float | None = None

    @property
    def rough_price_usd(self) -> int | None:
        """The rough price in whole dollars."""
        return self.rough.price_usd if self.rough else None


def price_window(window: Window) -> WindowPrice:
    """Return the price of a window's eligible outputs (steps 3 to 7)."""
    outputs = len(window.value_sats)
    histogram = clean_histogram(count_amounts(window.value_sats))
    if histogram is None:
        return WindowPrice(outputs, reason="no eligible output between 0.00001 and 100 BTC")
    rough = find_rough_price(histogram)
    if rough is None:
        return WindowPrice(outputs, reason="no amount lies where round dollar amounts could be")
    points = find_points(window, rough.price_usd)
    reach = P.central_reach * rough.price_usd
    central = central_output(
        points.between(rough.price_usd - reach, rough.price_usd + reach).prices_usd
    )
    if central is None:
        reason = f"no price point lies within 5% of the rough price of ${rough.price_usd:,}"
        return WindowPrice(outputs, reason=reason, rough=rough, points=points)
    price_usd = central[0]
    reach = P.spread_reach * price_usd
    low, high = price_usd - reach, price_usd + reach
    around = central_output(points.between(low, high).prices_usd) or (price_usd, 0.0)
    spread = around[1] / (high - low)
    half_height = min(max(0.05 + (spread - 0.17) * (0.10 / 0.03), 0.05), 0.20)
    return WindowPrice(outputs, price_usd, None, rough, points, spread, half_height)


def find_points(window: Window, rough_price_usd: float) -> PricePoints:
    """Return the price points of amounts within 25% of a round dollar amount at a rough price."""
    amounts = window.value_sats / SATS_PER_BTC
    centres = (_POINT_USD / rough_price_usd)[:, None]
    reach = P.point_reach * centres
    # the dollar amounts that an amount is near follow each other: from the first, so many
    first = np.sum(amounts >= centres + reach, axis=0)
    counts = np.where(window.is_round, 0, np.sum(amounts > centres - reach, axis=0) - first)
    output = np.repeat(np.arange(len(amounts)), counts)  # in order, then dollars in order
    rank = np.arange(len(output)) - np.repeat(np.cumsum(counts) - counts, counts)
    return PricePoints(
        window.block_index[output], _POINT_USD[first[output] + rank] / amounts[output]
    )


def central_output(prices_usd: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the price with the smallest sum of distances to all others, and the median distance
    to it."""
    if len(prices_usd) == 0:
        return None
    x = np.sort(prices_usd)
    n, i = len(x), np.arange(len(x))
    sums = np.cumsum(x)
    before = np.concatenate(([0.0], sums[:-1]))
    distances = (x * i - before) + ((sums[-1] - sums) - x * (n - i - 1))
    central = float(x[np.argmin(distances)])
    distance = np.sort(np.abs(x - central))
    # numpy's own median gives the same bits, and loads numpy.ma: a tenth of a second at start
    return central, float((distance[(n - 1) // 2] + distance[n // 2]) / 2)
