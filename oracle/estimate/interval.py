"""95% intervals by resampling whole blocks: the outputs of one block are no independent
witnesses."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REPLICATES = 100  # resampled sets of blocks: more cost time and hardly move the answer
SEED = 937665  # any number would do; a change of it would change every published interval
COVERED = (0.025, 0.975)  # the quantiles between which 95% lie
Z95 = 1.96  # the same in standard deviations of a normal distribution
REACH_LOG = 0.05  # the points that make the price lie so near the rough price, in log price
BINS = 200  # in which medians are found
RUN_BLOCKS = 12  # so many make one sample of where the market stood
# What resampling cannot see: the method looks for the most frequent price around a guess on a grid
# 1.2% wide, not for the mean, and misses it by this share of how far the market moved, and by this
# much. Found on half of the real days and on simulated ones; docs/accuracy.md has others.
MOVE_SHARE = 0.75
GRID_LOG = 0.003


@cache
def resample_blocks(blocks: int) -> Floats:
    """Return how often each block occurs in each replicate, shape (REPLICATES, blocks); always the
    same, and not to be written to.

    The legacy generator is used because its stream is frozen: the same input gives the same bytes
    for ever.
    """
    drawn = np.random.RandomState(SEED).multinomial(blocks, np.full(blocks, 1 / blocks), REPLICATES)
    times = drawn.astype(float)
    times.flags.writeable = False
    return times


def window_interval(
    heights: NDArray[np.integer], point_prices_usd: Floats, rough_usd: float, price_usd: float
) -> tuple[float, float]:
    """Return low and high (95%) of a window's or day's price against the market's mean over that
    time.

    The price is a median of points near the rough price. It is computed anew for every replicate of
    the window's blocks, and for every run of consecutive blocks to see how far the market moved.

    Args:
        heights: block height, or any number of the block, of each price point, in chain order.
        point_prices_usd: the window's price points, same length, at least one near the rough price.
        rough_usd: the rough price, around which the points count.
        price_usd: the window's price.
    """
    counts = count_by_block(
        heights - heights[0], np.log(point_prices_usd / rough_usd), REACH_LOG, BINS
    )
    blocks = len(counts)
    run = min(RUN_BLOCKS, 1 + blocks // RUN_BLOCKS)
    sampling = _medians(resample_blocks(blocks) @ counts).std()
    moved = _medians(
        np.lib.stride_tricks.sliding_window_view(counts, run, axis=0).sum(axis=-1)
    ).std()
    single = REACH_LOG / np.sqrt(
        counts.sum()
    )  # each point by itself: tells where there are few blocks
    error = np.sqrt(sampling**2 + (MOVE_SHARE * moved) ** 2 + single**2 + GRID_LOG**2)
    return price_usd * float(np.exp(-Z95 * error)), price_usd * float(np.exp(Z95 * error))


def count_by_block(block: NDArray[np.number], offset: Floats, reach: float, bins: int) -> Floats:
    """Return how many points each block, from 0 to the last one, has in each bin of log price
    within reach, as numpy.histogram2d counts them."""
    blocks = int(block[-1]) + 1
    edges = np.linspace(-reach, reach, bins + 1)
    near = (offset >= edges[0]) & (offset <= edges[-1])
    column = np.minimum(np.searchsorted(edges, offset[near], side="right") - 1, bins - 1)
    place = block[near].astype(np.int64) * bins + column
    return np.bincount(place, minlength=blocks * bins).reshape(blocks, bins).astype(float)


def _medians(counts: Floats) -> Floats:
    """Return the log price that halves each row of counts; rows without any are left out."""
    sums = np.cumsum(counts[counts.any(axis=1)], axis=1)
    return np.asarray(np.argmax(sums >= sums[:, -1:] / 2, axis=1) * (2 * REACH_LOG / BINS))


def quantile(ordered: Floats, share: float) -> float:
    """Return the value below which a share of some values lies, given in order.

    The same bits as numpy.quantile, which loads numpy.ma: more work than all the rest here.
    """
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    rest = place - below
    low = float(ordered[below])
    high = float(ordered[above])
    if rest < 0.5:
        return low + (high - low) * rest
    return high - (high - low) * (1 - rest)
