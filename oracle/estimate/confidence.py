"""How likely a window's price is within 5% of the market: the posterior weight of its peak against
all others.

Two stories compete to explain the histogram of amounts: "smooth, and nothing else", and, for every
price of a fine grid far beyond the believable, "smooth, with spikes where round dollar amounts
would lie at that price". docs/algorithm.md has the formulas, docs/accuracy.md how often it is
right.
"""

from __future__ import annotations

import numpy as np

from oracle.core.histogram import EDGES, count_amounts
from oracle.core.params import PARAMETERS as P
from oracle.core.params import SPIKES
from oracle.core.price import WindowPrice
from oracle.core.stencil import SPIKE_BINS, SPIKE_WEIGHTS
from oracle.core.window import Window
from oracle.estimate.interval import Floats

NEAR = 0.05  # what "near the market" means
STRENGTHS = np.array(
    [0.1, 0.3, 1.0]
)  # of the spikes, as shares of the published stencil's: weak, usual, strong
# A chain without round dollars, against one with them, before any amount is seen; and what data
# make of the odds that come out: outputs are no independent witnesses (less sharp), but the method
# agrees with the peak (a lift).
ODDS_AGAINST = 0.3
SHARPNESS = 0.7
LIFT = 2.0
# The story without spikes: smoothed by this standard deviation, plus an even share, so that nothing
# is impossible; no bin counts as wilder than three standard deviations, for it may be a spike.
SMOOTH_BINS = 25
EVEN_SHARE = 0.05
MAX_MISFIT = 9.0

_SLIDES = np.arange(
    -176, 246
)  # $760,000 down to $3,000: an octave beyond what the method can answer
_PRICES_USD = 100 / EDGES[P.price_origin_bin + _SLIDES]
_BINS = P.slide_origin_bin + _SLIDES[:, None] + SPIKE_BINS - P.first_kept_bin  # (prices, spikes)
_KEPT_BINS = P.last_kept_bin + 1 - P.first_kept_bin
_IS_KEPT = (_BINS >= 0) & (_BINS < _KEPT_BINS)
_AMOUNTS = np.flatnonzero(
    np.diff([usd for _, usd in SPIKES.values()], prepend=0)
)  # first spike of each amount
_BELL = np.exp(-0.5 * (np.arange(-4 * SMOOTH_BINS, 4 * SMOOTH_BINS + 1) / SMOOTH_BINS) ** 2)
_BELL_INSIDE = np.convolve(np.ones(_KEPT_BINS), _BELL, "same")  # less of it at either end


def window_confidence(window: Window, price: WindowPrice) -> float:
    """Return how likely a window's price is within 5% of the market, 0..1; 0 when there is no
    price."""
    counts = count_amounts(window.value_sats[~window.is_round])[
        P.first_kept_bin : P.last_kept_bin + 1
    ]
    if price.price_usd is None or not counts.any():
        return 0.0
    support = _log_support(counts)
    top = max(0.0, float(support.max()))
    weights = np.exp(support - top).mean(axis=0) / len(_SLIDES)
    near = np.abs(np.log(_PRICES_USD / price.price_usd)) < NEAR
    right = weights[near].sum()
    wrong = weights[~near].sum() + ODDS_AGAINST * np.exp(-top)
    return float(1 / (1 + (wrong / max(right, 1e-300)) ** SHARPNESS / LIFT))


def _log_support(counts: Floats) -> Floats:
    """Return by how much each price explains the counts better than none, log, shape (strengths,
    prices).

    A Poisson likelihood ratio, divided by how much wilder than Poisson the counts are. The dollar
    amount that speaks most for a price is not heard: one amount that someone repeats is no pattern.
    """
    total = counts.sum()
    smooth = np.convolve(counts, _BELL, "same") / _BELL_INSIDE
    smooth += EVEN_SHARE * total / _KEPT_BINS
    smooth *= total / smooth.sum()
    misfit = np.minimum((counts - smooth) ** 2 / smooth, MAX_MISFIT)
    wildness = max(1.0, float(np.average(misfit, weights=smooth)))
    bins = np.clip(_BINS, 0, _KEPT_BINS - 1)
    expected = STRENGTHS[:, None, None] * SPIKE_WEIGHTS * total
    gain = _IS_KEPT * (counts[bins] * np.log1p(expected / smooth[bins]) - expected)
    amounts = np.add.reduceat(gain, _AMOUNTS, axis=2)
    return np.asarray((amounts.sum(axis=2) - np.maximum(amounts.max(axis=2), 0.0)) / wildness)
