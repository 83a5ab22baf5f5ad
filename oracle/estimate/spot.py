"""The spot price: where the peak of the price points stands now, followed block by block.

A filter on a grid of log prices around the guide. From block to block the belief spreads as the
market moves; each block then weighs it by how well a narrow peak over an even background explains
the block's points. Empty or thin blocks add little, so the look-back widens by itself.
docs/algorithm.md has the formulas.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracle.errors import RequestError
from oracle.estimate.interval import COVERED, Floats, count_by_block, quantile

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

LOOK_BACK_BLOCKS = 36  # six hours: older blocks say little about now
MIN_POINTS = 20  # in the look-back: below this there is nothing to follow
# The grid, in log price: 12% either side of the guide.
STEP = 0.0008
REACH_CELLS = 150
# A block's points: this share of them in a peak so wide, which moves so much to the next block. The
# share is low, so that a weak signal is still told from none. Points of one block repeat each
# other: each is part of a witness.
PEAK_SHARE = 0.15
PEAK_WIDTH = 0.002  # in log price, as the two below
MOVE_WIDTH = 0.003
WITNESS = 0.3
# The evidence that there is a peak at all fades by the block and has odds against it. It is counted
# only so far, or a peak that was there an hour ago would vouch for what is there now. What lies so
# near is the chosen peak.
MEMORY = 0.9
LOG_ODDS_AGAINST = 1.5
MOST_LOG_ODDS = 6
CHOSEN_LOG = 0.01
# The price now may be as far from the last blocks as it moved in two blocks of late, and exchanges
# differ.
MOVE_BLOCKS = 2
MOVES_SEEN = 24
EXTRA_LOG = 0.001

# How far the price moves when a block is left out says how far chance moved it. Blocks repeat each
# other a little, which leaving out one cannot show: hence the factor. Chance is taken at the
# middles of so many equal parts of a normal distribution.
CHANCE_FACTOR = 1.2
CHANCE_PARTS = 9

_CELLS = np.arange(-REACH_CELLS, REACH_CELLS + 1)


@cache
def _chance() -> Floats:
    """Return the middles of equal parts of a standard normal distribution."""
    from statistics import NormalDist  # a run without a new block does without it

    parts = range(CHANCE_PARTS)
    return np.array([NormalDist().inv_cdf((part + 0.5) / CHANCE_PARTS) for part in parts])


def _student(width: float) -> Floats:
    """Return Student's t with three degrees of freedom, by how many cells two are apart: a core,
    and far tails."""
    density = (1 + (np.arange(2 * REACH_CELLS + 1) * STEP / width) ** 2) ** -2
    from_centre = density[np.abs(_CELLS)]
    return np.asarray(density / (from_centre.sum() * STEP))


# cells: the grid and half as much, so that what leaves at one end does not come back at the other
_CIRCLE = 480


@cache
def _peak() -> tuple[Floats, NDArray[np.intp]]:
    """Return how likely a point is by its distance from the peak, and the distances between all
    cells."""
    return _student(PEAK_WIDTH), np.abs(_CELLS[:, None] - _CELLS)


@cache
def _moves() -> NDArray[np.complex128]:
    """Return the Fourier transform of how far the peak moves in a block."""
    row = np.pad(_student(MOVE_WIDTH)[np.abs(_CELLS)], (0, _CIRCLE - len(_CELLS)))
    return np.asarray(np.fft.rfft(np.roll(row, -REACH_CELLS)) * STEP)


class SpotPrice(NamedTuple):
    """The price now, or None with the reason; heights and points say what it was made of.

    It states a confidence; whether that is enough is the caller's to judge (`Limits.judge`).
    """

    price_usd: float | None = None
    low_usd: float | None = None
    high_usd: float | None = None
    confidence: float = 0.0
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
) -> SpotPrice:
    """Return the price at the newest block that has price points.

    Args:
        heights: block height of each price point, shape (n,), in any order; gaps are empty blocks.
        point_prices_usd: price points in USD, same shape; what is not a positive number is left
            out.
        guide_usd: a window's or day's price, within 12% of which the spot price is looked for.
        guide_confidence: how far the guide is to be trusted, 0..1; the spot price is trusted no
            further.

    Raises:
        RequestError: the arrays are not numbers, or not of one length.
    """
    try:
        height, price = np.array([heights, point_prices_usd], np.float64).reshape(2, -1)
    except (TypeError, ValueError):
        raise RequestError(
            "heights and price points must be two arrays of numbers of one length"
        ) from None
    if guide_usd is None or not 0 < guide_usd < np.inf:
        return SpotPrice(reason="there is no guide price to look around")
    good = np.isfinite(height) & (price > 0) & (price < np.inf)
    height = height[good]
    offset = np.log(price[good] / guide_usd)
    last = int(height.max(initial=0))
    first = max(last - LOOK_BACK_BLOCKS + 1, int(height.min(initial=last)))
    used = (height >= first) & (np.abs(offset) < REACH_CELLS * STEP)
    points = int(used.sum())
    if points < MIN_POINTS:
        return SpotPrice(
            reason=f"only {points} price points in {LOOK_BACK_BLOCKS} blocks", points=points
        )
    log_prices, certainty = _follow(_log_weights(height[used] - first, offset[used]))
    now, low, high = (guide_usd * float(np.exp(x)) for x in log_prices)
    confidence = certainty * float(np.clip(guide_confidence, 0, 1))
    return SpotPrice(now, low, high, confidence, None, first, last, points)


def _log_weights(block: Floats, offset: Floats) -> Floats:
    """Return each block's log likelihood of a peak at each cell, against an even background."""
    block, offset = _distinct(block, offset)  # one payout, one witness
    counts = count_by_block(block, offset, (REACH_CELLS + 0.5) * STEP, len(_CELLS))
    by_distance, distances = _peak()
    likelihood = np.log(1 - PEAK_SHARE + PEAK_SHARE * np.ptp(offset) * by_distance)[distances]
    with _blas().limit(limits=1):  # how a product is cut among threads shows in its last bits
        return np.asarray(WITNESS * counts @ likelihood)


def _distinct(block: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Return the distinct pairs, in order, as numpy.unique does; for that loads numpy.ma, which
    takes longer than all the rest here."""
    order = np.lexsort((offset, block))
    block = block[order]
    offset = offset[order]
    is_new = np.ones(len(block), dtype=np.bool_)
    is_new[1:] = (np.diff(block) != 0) | (np.diff(offset) != 0)
    return block[is_new], offset[is_new]


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # as above

    return ThreadpoolController()


def _follow(log_weights: Floats) -> tuple[list[float], float]:
    """Return log price now, low, high; and the weight of the chosen peak against all others and
    none."""
    most = log_weights.max(axis=1)
    weights = np.exp(log_weights - most[:, None])
    foreseen = np.empty_like(weights)  # what was believed of each block before it spoke
    beliefs = np.empty_like(weights)
    belief = np.full(len(_CELLS), 1 / len(_CELLS))
    evidence = 0.0
    for i, weight in enumerate(weights):
        foreseen[i] = _move(belief) + 1e-12
        belief = foreseen[i] * weight
        total = belief.sum()
        evidence = MEMORY * evidence + float(np.log(total)) + float(most[i])
        evidence = min(max(evidence, -50.0), MOST_LOG_ODDS)
        belief = beliefs[i] = belief / total
    path = _tops(beliefs)
    now = float(path[-1])
    steps = np.abs(path[MOVE_BLOCKS:] - path[:-MOVE_BLOCKS])[-MOVES_SEEN:]
    moves = np.concatenate(
        [side * steps + extra for side in (-1, 1) for extra in (-EXTRA_LOG, EXTRA_LOG)]
    )
    chance = CHANCE_FACTOR * _deviation(foreseen, weights, now) * _chance()
    ends = np.sort((now + chance)[:, None] + np.append(moves, 0.0), axis=None)
    low, high = (quantile(ends, share) for share in COVERED)
    chosen = belief[np.abs(_CELLS * STEP - now) < CHOSEN_LOG].sum()
    certainty = float(chosen / (1 + np.exp(LOG_ODDS_AGAINST - evidence)))
    return [now, min(low, now), max(high, now)], certainty


def _move(beliefs: Floats) -> Floats:
    """Return beliefs, or what is said of them, as they are a block later; it is the same both
    ways."""
    spread = np.fft.irfft(np.fft.rfft(beliefs, _CIRCLE) * _moves(), _CIRCLE)
    return np.asarray(spread[..., : len(_CELLS)])


def _deviation(foreseen: Floats, weights: Floats, now: float) -> float:
    """Return the standard deviation by chance of the chosen peak's mean log price: the jackknife's,
    which leaves out one block at a time.

    Messages go back from the end: what each cell at a block makes of the peak's weight, and of its
    mean, at the last one. Beside what was foreseen of a block they give the mean without it.
    """
    offset = _CELLS * STEP - now
    is_chosen = np.abs(offset) < CHOSEN_LOG
    messages = np.array([is_chosen, is_chosen * offset], dtype=np.float64)
    weight, moment = messages @ (foreseen[-1] * weights[-1])
    mean = moment / weight
    shifts = []
    for before, heard in zip(foreseen[::-1], weights[::-1], strict=True):
        weight, moment = messages @ before
        shifts.append(moment / weight - mean)
        messages = _move(messages * heard)
        messages /= messages[0].max()
    share = 1 - 1 / len(shifts)
    return float(np.sqrt(share * np.square(shifts).sum()))


def _tops(belief: Floats) -> Floats:
    """Return the log price of each row's highest cell, refined by a parabola through its
    neighbours."""
    peak = np.clip(belief.argmax(axis=1), 1, len(_CELLS) - 2)
    left, middle, right = (
        np.log(belief[np.arange(len(belief)), peak + i] + 1e-300) for i in (-1, 0, 1)
    )
    shift = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)
    return np.asarray((_CELLS[peak] + np.clip(shift, -1, 1)) * STEP)
