"""Steps 4 and 5: two stencils slide over the histogram; where they fit best is the rough price.

Sums run left to right, one term at a time (`cumsum`), because the rough price is truncated to an
integer. Terms that are exactly zero are left out: they do not change such a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from oracle.core.histogram import EDGES
from oracle.core.params import PARAMETERS as P
from oracle.core.params import SPIKES

SPIKE_BINS = np.array(list(SPIKES))
SPIKE_WEIGHTS = np.array([weight for weight, _ in SPIKES.values()])
_BELL = [
    P.euler ** (-((x - P.smooth_mean) ** 2) / (2 * P.smooth_deviation**2))
    for x in range(P.stencil_bins)
]
SMOOTH = np.array([P.smooth_height * bell + P.smooth_slope * x for x, bell in enumerate(_BELL)])
SLIDES = np.arange(P.first_slide, P.last_slide + 1)


@dataclass(frozen=True, slots=True)
class RoughPrice:
    """Where the stencils fit best; `scores` has one entry a slide of SLIDES."""

    price_usd: int
    best_slide: int
    scores: NDArray[np.float64]


def slide_price_usd(slide: int) -> float:
    """Return the price at which $100 lies where this slide puts it."""
    return float(100 / EDGES[P.price_origin_bin + slide])


def find_rough_price(histogram: NDArray[np.float64]) -> RoughPrice | None:
    """Return the rough price of a cleaned histogram (2401 shares), or None when nothing fits."""
    first, last = P.slide_origin_bin + P.first_slide - 1, P.slide_origin_bin + P.last_slide + 1
    slices = sliding_window_view(histogram, P.stencil_bins)[first : last + 1]
    spikes = np.cumsum(slices[:, SPIKE_BINS] * SPIKE_WEIGHTS, axis=1)[
        :, -1
    ]  # one more slide at each end
    smooth = np.cumsum(slices[1:-1][: P.last_smooth_slide - P.first_slide + 1] * SMOOTH, axis=1)[
        :, -1
    ]
    scores = spikes[1:-1].copy()
    scores[: len(smooth)] += smooth * P.smooth_weight
    best = int(np.argmax(scores))
    if not scores[best] > 0:
        return None
    below, above = spikes[best], spikes[best + 2]
    step = -1 if below > above else 1
    mean = np.cumsum(scores)[-1] / len(scores)
    a1, a2 = scores[best] - mean, abs(max(below, above) - mean)
    if not a1 + a2 > 0:
        return None
    slide = int(SLIDES[best])
    best_share, neighbour_share = a1 / (a1 + a2), a2 / (a1 + a2)
    price = best_share * slide_price_usd(slide) + neighbour_share * slide_price_usd(slide + step)
    return RoughPrice(int(price), slide, scores)
