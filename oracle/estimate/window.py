"""From blocks to what is said of them: window price, interval, confidence, spot price, and what is
valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from oracle.core.eligible import BlockFacts
from oracle.core.params import PARAMETERS
from oracle.core.price import WindowPrice, find_points
from oracle.core.window import Window, form_window
from oracle.estimate.confidence import judge, window_confidence
from oracle.estimate.interval import window_interval
from oracle.estimate.spot import LOOK_BACK_BLOCKS, SpotPrice, spot_price


class WindowPricer(Protocol):
    """The part of a calculator that prices a window."""

    def price_window(self, window: Window) -> WindowPrice:
        """Return the window's price, or no price with a reason."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a price is called valid."""

    confidence_threshold: float = 0.3
    min_price_usd: float = 10_000.0
    max_price_usd: float = 500_000.0

    def judge(
        self, price_usd: float | None, confidence: float, reason: str | None
    ) -> tuple[bool, str | None]:
        """Return whether a price is valid, and in words why not."""
        if price_usd is None:
            return False, reason
        return judge(
            price_usd, confidence, self.confidence_threshold, self.min_price_usd, self.max_price_usd
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A window's price with how sure it is; `price_usd` is None with a `reason` when there is
    none."""

    price: WindowPrice
    window: Window
    price_usd: float | None
    low_usd: float | None
    high_usd: float | None
    confidence: float
    is_valid: bool
    reason: str | None

    @property
    def rough_usd(self) -> int | None:
        """The rough price in whole dollars."""
        return self.price.rough_price_usd

    @property
    def outputs(self) -> int:
        """How many eligible outputs there are."""
        return self.price.outputs

    @property
    def points(self) -> int:
        """How many price points they give."""
        return len(self.price.points.prices_usd)

    @property
    def first_height(self) -> int:
        """Height of the window's first block."""
        return int(self.window.block_heights[0])

    @property
    def last_height(self) -> int:
        """Height of the window's last block."""
        return int(self.window.block_heights[-1])


def estimate_window(window: Window, calculator: WindowPricer, limits: Limits) -> Estimate:
    """Price a window and say how sure the price is."""
    price = calculator.price_window(window)
    if price.price_usd is None or price.rough_price_usd is None:
        return Estimate(price, window, None, None, None, 0.0, False, price.reason)
    low, high = window_interval(
        price.points.block_index, price.points.prices_usd, price.rough_price_usd, price.price_usd
    )
    confidence = window_confidence(window, price)
    is_valid, reason = limits.judge(price.price_usd, confidence, None)
    return Estimate(price, window, price.price_usd, low, high, confidence, is_valid, reason)


def estimate_spot(blocks: Sequence[BlockFacts], guide: Estimate, limits: Limits) -> SpotPrice:
    """Return the price at the newest of some 144 blocks, with their window's estimate as the
    guide."""
    if guide.price_usd is None or guide.price.rough_price_usd is None:
        return SpotPrice(reason="there is no window price to start from")
    window = form_window(blocks[-PARAMETERS.window_blocks :])
    points = find_points(window, guide.price.rough_price_usd)
    late = points.block_index >= len(window.block_heights) - LOOK_BACK_BLOCKS
    spot = spot_price(
        window.block_heights[points.block_index[late]],
        points.prices_usd[late],
        guide.price_usd,
        guide_confidence=guide.confidence,
    )
    if spot.price_usd is None:
        return spot
    is_valid, reason = limits.judge(spot.price_usd, spot.confidence, None)
    return replace(spot, is_valid=is_valid, reason=reason)
