"""95% intervals by resampling whole blocks: the outputs of one block are no independent witnesses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REPLICATES = 200
SEED = 937665
COVERED = (0.025, 0.975)
BIN_LOG = 0.0005  # of the histogram in which resampled medians are looked up
REACH_LOG = 0.05
EXTRA_LOG = 0.0035  # standard error that resampling cannot see; docs/accuracy.md says where it comes from


def resample_blocks(blocks: int) -> NDArray[np.float64]:
    """Return how often each block occurs in each replicate, shape (REPLICATES, blocks); always the same.

    The legacy generator is used because its stream is frozen: the same input gives the same bytes for ever.
    """
    generator = np.random.RandomState(SEED)
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), REPLICATES).astype(np.float64)


def window_interval(
    heights: NDArray[np.integer], point_prices_usd: NDArray[np.float64], rough_usd: float, price_usd: float
) -> tuple[float, float]:
    """Return low and high (95%) of a window's or day's price.

    The price is a median of points; it is computed anew for every replicate of the window's blocks, in bins.

    Args:
        heights: block height (or any block number) of each price point.
        point_prices_usd: the window's price points, same length.
        rough_usd: the rough price, around which the points count.
        price_usd: the window's price.
    """
    offsets = np.log(point_prices_usd / rough_usd)
    near = np.abs(offsets) < REACH_LOG
    blocks, block = np.unique(heights[near], return_inverse=True)
    bins = int(2 * REACH_LOG / BIN_LOG)
    cells = block * bins + ((offsets[near] + REACH_LOG) / BIN_LOG).astype(np.int64)
    counts = np.bincount(cells, minlength=len(blocks) * bins).reshape(len(blocks), bins)
    sums = np.cumsum(resample_blocks(len(blocks)) @ counts, axis=1)
    medians = np.argmax(sums >= sums[:, -1:] / 2, axis=1) * BIN_LOG
    error = float(np.hypot(medians.std(), EXTRA_LOG))
    return price_usd * float(np.exp(-1.96 * error)), price_usd * float(np.exp(1.96 * error))
