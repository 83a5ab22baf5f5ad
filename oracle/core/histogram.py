"""Step 3: the histogram of output amounts on a log scale, cleaned of round BTC amounts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oracle.core.params import PARAMETERS as P
from oracle.core.params import SATS_PER_BTC

EDGES = np.array(
    [0.0]
    + [
        10 ** (P.first_decade + decade + place / P.bins_per_decade)
        for decade in range(P.decades)
        for place in range(P.bins_per_decade)
    ]
)
"""2401 lower edges in BTC: edge 0 is zero, then 200 a decade from 1e-6."""


def count_amounts(value_sats: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many amounts fall into each of the 2401 bins, `edge[i] <= amount < edge[i+1]`.

    The logarithm gives the bin or one beside it, and a look at the edges which: several times
    faster than a search.
    """
    amounts = np.maximum(value_sats, 1) / SATS_PER_BTC
    place = 1 + P.bins_per_decade * (np.log10(amounts) - P.first_decade)
    guess = np.clip(place, 0, len(EDGES) - 2).astype(np.intp)
    bins = guess + (amounts >= EDGES[guess + 1]) - (amounts < EDGES[guess])
    return np.bincount(bins, minlength=len(EDGES)).astype(np.float64)


def clean_histogram(counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the shares of the kept bins, smoothed at round BTC amounts, capped; None if all are
    empty."""
    shares = counts.copy()
    shares[: P.first_kept_bin] = 0.0
    shares[P.last_kept_bin + 1 :] = 0.0
    for i in P.round_btc_bins:
        shares[i] = 0.5 * (shares[i - 1] + shares[i + 1])
    total = np.cumsum(shares[P.first_kept_bin : P.last_kept_bin + 1])[-1]
    if total <= 0:
        return None
    shares /= total
    return np.minimum(shares, P.max_bin_share, out=shares)
