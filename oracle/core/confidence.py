"""How likely a window's price is within 5% of the market: the posterior weight of its peak against all others.

Two stories compete to explain the histogram of amounts: "smooth, and nothing else", and, for every price of a
fine grid far beyond the believable, "smooth, with spikes where round dollar amounts would lie at that price".
docs/algorithm.md has the formulas, docs/accuracy.md how often it is right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oracle.core.histogram import EDGES, count_amounts
from oracle.core.params import PARAMETERS as P
from oracle.core.params import SPIKES
from oracle.core.price import WindowPrice
from oracle.core.window import Window

Floats = NDArray[np.float64]

NEAR = 0.05  # what "near the market" means
STRENGTHS = (0.1, 0.3, 1.0)  # of the spikes, as shares of the published stencil's: weak, usual, strong
ODDS_AGAINST = 0.3  # a chain without round dollars, against one with them, before any amount is seen
SMOOTH_BINS = 25  # standard deviation of the smoothing that makes the story without spikes
FLOOR_SHARE = 0.05  # of that story: even over all bins, so that no amount is impossible
MAX_MISFIT = 9.0  # three standard deviations: spikes shall not count as wildness

_SLIDES = np.arange(-176, 246)  # $760,000 down to $3,000: an octave beyond what the method can answer
_PRICES_USD = 100 / EDGES[P.price_origin_bin + _SLIDES]
_SPIKE_BINS = (
    P.slide_origin_bin - P.first_kept_bin + _SLIDES[:, None] + np.array(list(SPIKES))
)  # (prices, spikes): bins counted from the first kept
_KEPT_BINS = P.last_kept_bin + 1 - P.first_kept_bin
_IS_KEPT = (_SPIKE_BINS >= 0) & (_SPIKE_BINS < _KEPT_BINS)
_WEIGHTS = np.array([weight for weight, _ in SPIKES.values()])
_AMOUNTS = np.flatnonzero(np.diff([usd for _, usd in SPIKES.values()], prepend=0))  # first spike of each amount
_BELL = np.exp(-0.5 * (np.arange(-4 * SMOOTH_BINS, 4 * SMOOTH_BINS + 1) / SMOOTH_BINS) ** 2)
_BELL_KEPT = np.convolve(np.ones(_KEPT_BINS), _BELL, "same")


def window_confidence(window: Window, price: WindowPrice) -> float:
    """Return how likely a window's price is within 5% of the market, 0..1; 0 when there is no price."""
    if price.price_usd is None:
        return 0.0
    counts = count_amounts(window.value_sats[~window.is_round])[P.first_kept_bin : P.last_kept_bin + 1]
    if not counts.any():
        return 0.0
    support = _log_support(counts)
    top = max(0.0, float(support.max()))
    weights = np.exp(support - top).mean(axis=0) / len(_SLIDES)
    near = np.abs(np.log(_PRICES_USD / price.price_usd)) < NEAR
    return float(weights[near].sum() / (weights.sum() + ODDS_AGAINST * np.exp(-top)))


def _log_support(counts: Floats) -> Floats:
    """Return by how much each price explains the counts better than none, log, shape (strengths, prices).

    A Poisson likelihood ratio, divided by how much wilder than Poisson the counts are. The dollar amount that
    speaks most for a price is not heard: one amount that someone repeats is no pattern.
    """
    total = counts.sum()
    smooth = np.convolve(counts, _BELL, "same") / _BELL_KEPT + FLOOR_SHARE * total / _KEPT_BINS
    smooth *= total / smooth.sum()
    misfit = np.minimum((counts - smooth) ** 2 / smooth, MAX_MISFIT)
    wildness = max(1.0, float(np.average(misfit, weights=smooth)))
    bins = np.clip(_SPIKE_BINS, 0, _KEPT_BINS - 1)
    expected = np.array(STRENGTHS)[:, None, None] * _WEIGHTS * total
    gain = np.where(_IS_KEPT, counts[bins] * np.log1p(expected / smooth[bins]) - expected, 0.0)
    amounts = np.add.reduceat(gain, _AMOUNTS, axis=2)
    return np.asarray((amounts.sum(axis=2) - np.maximum(amounts.max(axis=2), 0.0)) / wildness)


def judge(
    price_usd: float | None,
    confidence: float,
    threshold: float = 0.3,
    min_price_usd: float = 10_000,
    max_price_usd: float = 500_000,
) -> tuple[bool, str | None]:
    """Return whether a price is to be believed, and if not the reason in words."""
    if price_usd is None:
        return False, "there is no price"
    if not min_price_usd <= price_usd <= max_price_usd:
        bounds = f"${min_price_usd:,.0f} to ${max_price_usd:,.0f}"
        return False, f"${price_usd:,.0f} lies outside the believable range of {bounds}"
    if not confidence >= threshold:
        return False, f"confidence {confidence:.2f} is below the threshold of {threshold:.2f}"
    return True, None
