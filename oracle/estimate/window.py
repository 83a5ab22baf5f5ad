"""From blocks to what is said of them: window price, interval, confidence, spot price, and what is
valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from oracle.core.eligible import BlockFacts
from oracle.core.params import PARAMETERS
from oracle.core.price import PricePoints, WindowPrice, find_points, price_window
from oracle.core.window import Window, form_window
from oracle.estimate.confidence import window_confidence
from oracle.estimate.interval import REACH_LOG, window_interval
from oracle.estimate.limits import Limits
from oracle.estimate.spot import LOOK_BACK_BLOCKS, SpotPrice, spot_price


class PriceCalculator(Protocol):
    """What prices a window: ours, or what ORACLE_CALCULATOR names in its place."""

    algorithm_version: str
    """Stored with every price; changes whenever a price would."""

    def price_window(self, window: Window) -> WindowPrice:
        """Return the window's price, or no price with a reason; never raises for a lack of data."""

    def calculate_price_for_transactions(self, txs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return at least price_usd and confidence for transactions as JSON objects."""


class Estimate(NamedTuple):
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


class SpotEstimate(NamedTuple):
    """The price now as judged; `price_usd` is None with a `reason` when there is none."""

    price_usd: float | None
    low_usd: float | None
    high_usd: float | None
    confidence: float
    is_valid: bool
    reason: str | None
    first_height: int | None
    last_height: int | None
    points: int


def estimate_window(window: Window, calculator: PriceCalculator, limits: Limits) -> Estimate:
    """Price a window and say how sure the price is."""
    price = calculator.price_window(window)
    if price.price_usd is None:
        return _no_price(window, price, price.reason)
    if not 0 < price.price_usd < inf:
        return _no_price(window, price, "the calculator gave something that is no price")
    around_usd = price.rough_price_usd or price.price_usd
    if not _has_points_near(price.points, around_usd):
        return _no_price(window, price, "the calculator gave no price points near its price")
    low, high = window_interval(
        price.points.block_index, price.points.prices_usd, around_usd, price.price_usd
    )
    confidence = window_confidence(window, price)
    is_valid, reason = limits.judge(price.price_usd, confidence)
    return Estimate(price, window, price.price_usd, low, high, confidence, is_valid, reason)


def _no_price(window: Window, price: WindowPrice, reason: str | None) -> Estimate:
    return Estimate(price, window, None, None, None, 0.0, False, reason)


def _has_points_near(points: PricePoints, price_usd: float) -> bool:
    """Tell whether the interval has anything to count."""
    near = points.between(price_usd * (1 - REACH_LOG), price_usd * (1 + REACH_LOG))
    return len(near.prices_usd) > 0


def estimate_spot(
    blocks: Sequence[BlockFacts], guide: Estimate, calculator: PriceCalculator, limits: Limits
) -> SpotEstimate:
    """Return the price at the newest of some 144 blocks, with their window's estimate as the
    guide."""
    spot = _follow_points(blocks, guide, calculator)
    is_valid, reason = limits.judge(spot.price_usd, spot.confidence, spot.reason)
    return SpotEstimate(
        price_usd=spot.price_usd,
        low_usd=spot.low_usd,
        high_usd=spot.high_usd,
        confidence=spot.confidence,
        is_valid=is_valid,
        reason=reason,
        first_height=spot.first_height,
        last_height=spot.last_height,
        points=spot.points,
    )


def _follow_points(
    blocks: Sequence[BlockFacts], guide: Estimate, calculator: PriceCalculator
) -> SpotPrice:
    if guide.price_usd is None:
        return SpotPrice(reason="there is no window price to start from")
    last = blocks[-PARAMETERS.window_blocks :]
    heights, points = _points_to_the_tip(last, guide, calculator)
    return spot_price(
        heights, points.prices_usd, guide.price_usd, guide_confidence=guide.confidence
    )


def _points_to_the_tip(
    blocks: Sequence[BlockFacts], guide: Estimate, calculator: PriceCalculator
) -> tuple[NDArray[np.int32], PricePoints]:
    """Return the price points of the last blocks up to the tip, and their heights: the
    calculator's.

    The published method finds them around any rough price, block by block, and takes the guide's:
    the window of the guide is a block older, and pricing this one as well would take as long again.
    Of another method nothing is known but what it says of a window.
    """
    window = form_window(blocks)
    rough_usd = guide.price.rough_price_usd
    first = len(blocks) - LOOK_BACK_BLOCKS
    if calculator.price_window is price_window and rough_usd is not None:
        points = find_points(_from_block(window, first), rough_usd)
        return window.block_heights[points.block_index], points
    points = calculator.price_window(window).points
    is_late = points.block_index >= first
    late = PricePoints(points.block_index[is_late], points.prices_usd[is_late])
    return window.block_heights[late.block_index], late


def _from_block(window: Window, first: int) -> Window:
    """Return a window's outputs from one of its blocks on; the blocks stay all of them."""
    start = int(np.searchsorted(window.block_index, first))
    return replace(
        window,
        block_index=window.block_index[start:],
        value_sats=window.value_sats[start:],
        is_round=window.is_round[start:],
    )
