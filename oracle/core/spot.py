"""The spot price: where the peak of the price points stands now, followed block by block.

A filter on a grid of log prices around the guide. From block to block the belief spreads as the market moves;
each block then weighs it by how well a narrow peak over an even background explains the block's points. Empty
or thin blocks add little, so the look-back widens by itself. docs/algorithm.md has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracle.core.interval import COVERED, resample_blocks
from oracle.errors import RequestError

Floats = NDArray[np.float64]

LOOK_BACK_BLOCKS = 36
STEP = 0.0004  # of the grid, in log price
HALF_CELLS = 300  # the grid reaches 12% either side of the guide
MIN_POINTS = 20
PEAK_SHARE = 0.15  # of the points: low, so that a weak signal is still told from none
PEAK_WIDTH, TAIL_WIDTH, TAIL_SHARE = 0.001, 0.003, 0.4  # a normal core with Cauchy tails
TEMPER = 0.3  # points of one block repeat each other: each counts as this much of a witness
CALM, WILD, WILD_SHARE = 0.0018, 0.0072, 0.1  # what the market moves in ten minutes
MEMORY = 0.9  # per block, for the evidence that there is a peak at all
PRIOR_AGAINST = 1.5  # log odds against a peak, before any point is seen
PEAK_REACH = 25  # cells: what counts as the chosen peak, 1%
NEAR_CELLS = 60  # resampled estimates are looked for within 2.4%
MOVE_BLOCKS = 2  # the price now is as far from the last blocks as it moved in so many blocks,
MOVES_SEEN = 24  # judged by so many moves of late
EXTRA_LOG = 0.001  # the exchanges differ among themselves

_CELLS = np.arange(-HALF_CELLS, HALF_CELLS + 1)
_APART: Floats = np.abs(_CELLS[:, None] - _CELLS) * STEP


def _normal(width: float) -> Floats:
    return np.asarray(np.exp(-0.5 * (_APART / width) ** 2) / (width * np.sqrt(2 * np.pi)))


_PEAK = (1 - TAIL_SHARE) * _normal(PEAK_WIDTH) + TAIL_SHARE / (np.pi * TAIL_WIDTH * (1 + (_APART / TAIL_WIDTH) ** 2))
_MOVES = ((1 - WILD_SHARE) * _normal(CALM) + WILD_SHARE * _normal(WILD)) * STEP


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """The price now, or None with the reason; heights and points say what it was made of."""

    price_usd: float | None = None
    low_usd: float | None = None
    high_usd: float | None = None
    confidence: float = 0.0
    is_valid: bool = False
    reason: str | None = None
    first_height: int | None = None
    last_height: int | None = None
    points: int = 0


def spot_price(
    heights: ArrayLike,
    point_prices_usd: ArrayLike,
    guide_usd: float | None,
    *,
    guide_confidence: float = 1.0,
    threshold: float = 0.3,
) -> SpotPrice:
    """Return the price at the newest block that has price points.

    Args:
        heights: block height of each price point, shape (n,); gaps are empty blocks.
        point_prices_usd: price points in USD, same shape; what is not a positive number is left out.
        guide_usd: a window's or day's price, within 12% of which the spot price is looked for.
        guide_confidence: how far the guide is to be trusted, 0..1; the spot price is trusted no further.
        threshold: confidence below this is not valid.

    Raises:
        RequestError: the arrays are not numbers, or not of one length.
    """
    height, price = _checked(heights, point_prices_usd)
    if guide_usd is None or not isfinite(guide_usd) or guide_usd <= 0:
        return SpotPrice(reason="there is no guide price to look around")
    if len(height) == 0:
        return SpotPrice(reason="there are no price points")
    last = int(height.max())
    first = max(int(height.min()), last - LOOK_BACK_BLOCKS + 1)
    offset = np.log(price / guide_usd)
    used = (height >= first) & (np.abs(offset) < (HALF_CELLS + 0.5) * STEP)
    points = int(np.count_nonzero(used))
    if points < MIN_POINTS:
        too_few = f"only {points} price points in the last {LOOK_BACK_BLOCKS} blocks"
        return SpotPrice(reason=too_few, first_height=first, last_height=last, points=points)
    weights = _block_weights(height[used] - first, offset[used], last - first + 1)
    track = _follow(weights)
    low, high = _interval(weights, track)
    confidence = min(1.0, max(0.0, guide_confidence)) * track.confidence
    is_valid = confidence >= threshold
    reason = None if is_valid else "the last blocks show no clear price peak"
    at = [guide_usd * float(np.exp(x)) for x in (track.estimates[-1], low, high)]
    return SpotPrice(at[0], at[1], at[2], confidence, is_valid, reason, first, last, points)


def _checked(heights: ArrayLike, prices: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    try:
        height, price = np.asarray(heights, np.float64), np.asarray(prices, np.float64)
    except (TypeError, ValueError):
        raise RequestError("heights and price points must be numbers") from None
    if height.ndim != 1 or height.shape != price.shape:
        raise RequestError("heights and price points must be two arrays of one length")
    if not np.isfinite(height).all():
        raise RequestError("a height is not a number")
    good = (price > 0) & (price < inf)
    return height[good].astype(np.int64), price[good]


def _block_weights(block: NDArray[np.int64], offset: Floats, blocks: int) -> Floats:
    """Return each block's log likelihood of a peak at each cell, against an even background."""
    distinct = np.unique(np.stack((block.astype(np.float64), offset)), axis=1)  # one payout, one witness
    rows, cells = distinct[0].astype(np.int64), np.rint(distinct[1] / STEP).astype(np.int64) + HALF_CELLS
    counts = np.bincount(rows * len(_CELLS) + cells, minlength=blocks * len(_CELLS))
    even_range = float(np.ptp(offset)) + STEP
    score = np.log(1 - PEAK_SHARE + PEAK_SHARE * even_range * _PEAK)
    return np.asarray(TEMPER * (counts.reshape(blocks, -1).astype(np.float64) @ score))


@dataclass(frozen=True, slots=True)
class _Track:
    estimates: Floats  # log price against the guide after each block
    confidence: float


def _follow(weights: Floats) -> _Track:
    belief = np.full(len(_CELLS), 1 / len(_CELLS))
    estimates, evidence = [], -PRIOR_AGAINST
    total = 0.0
    for row in weights:
        belief, log_evidence = _step(belief[None] @ _MOVES, row[None])
        belief = belief[0]
        total = MEMORY * total + float(log_evidence[0])
        estimates.append(_top(belief))
    peak = int(np.argmax(belief))
    chosen = float(belief[max(0, peak - PEAK_REACH) : peak + PEAK_REACH + 1].sum())
    return _Track(np.array(estimates), chosen / (1 + float(np.exp(-np.clip(total + evidence, -50, 50)))))


def _step(belief: Floats, log_weight: Floats) -> tuple[Floats, Floats]:
    """Weigh each row of beliefs; return them normalised, and how well they foresaw the block (log)."""
    shift = log_weight.max(axis=1, keepdims=True)
    belief = (belief + 1e-12) * np.exp(log_weight - shift)
    total = belief.sum(axis=1, keepdims=True)
    return belief / total, (np.log(total) + shift)[:, 0]


def _top(belief: Floats) -> float:
    """Return the log price of the highest cell, refined by a parabola through its neighbours."""
    peak = int(np.clip(np.argmax(belief), 1, len(belief) - 2))
    left, middle, right = np.log(belief[peak - 1 : peak + 2] + 1e-300)
    curve = left - 2 * middle + right
    shift = 0.5 * (left - right) / curve if curve < 0 else 0.0
    return float((_CELLS[peak] + np.clip(shift, -1, 1)) * STEP)


def _interval(weights: Floats, track: _Track) -> tuple[float, float]:
    """Return low and high: the filter on resampled blocks, and how far the price moved of late."""
    now = track.estimates[-1]
    centre = round(now / STEP) + HALF_CELLS
    near = slice(max(0, centre - NEAR_CELLS), centre + NEAR_CELLS + 1)
    multiplicities = resample_blocks(len(weights))
    belief = np.ones((len(multiplicities), len(_CELLS[near])))
    moves = _MOVES[near, near]
    for row, times in zip(weights[:, near], multiplicities.T, strict=True):
        belief, _ = _step(belief @ moves, times[:, None] * row)
    estimates = _CELLS[near][np.argmax(belief, axis=1)] * STEP
    moved = np.abs(track.estimates[MOVE_BLOCKS:] - track.estimates[:-MOVE_BLOCKS])[-MOVES_SEEN:]
    spread = np.concatenate((moved, -moved, [0.0]))
    spread = np.concatenate((spread - EXTRA_LOG, spread + EXTRA_LOG))
    low, high = np.quantile(estimates[:, None] + spread, COVERED)
    return min(float(low), now), max(float(high), now)
