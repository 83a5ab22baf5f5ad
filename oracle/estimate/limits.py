"""What separates a good number from a doubtful one: the thresholds, and the one verdict on prices.

The defaults of the settings of the same meaning are these; nothing else writes them.
"""

from __future__ import annotations

from typing import NamedTuple

Verdict = tuple[bool, str | None]


class Limits(NamedTuple):
    """The thresholds of a run, from the settings down to what pages say of them."""

    confidence_threshold: float = 0.3
    """Share, 0..1: a price that is less likely right than this is not valid."""
    min_price_usd: float = 10_000.0
    """A price below this is not believed."""
    max_price_usd: float = 500_000.0
    """A price above this is not believed."""
    divergence_threshold_percent: float = 2.0
    """From this distance to the exchange price on, either way, a divergence is large."""
    quote_max_age_seconds: int = 7_200
    """An older exchange price is stale and warns of nothing; mempool updates hourly."""
    quote_min_usd: float = 100.0
    """An exchange price below this is not believed."""
    quote_max_usd: float = 100_000_000.0
    """An exchange price above this is not believed."""
    quote_max_factor: float = 2.0
    """An exchange price this many times away from all else that is known is not believed."""

    def judge(
        self, price_usd: float | None, confidence: float, reason: str | None = None
    ) -> Verdict:
        """Return whether a price is to be believed, and in words why not.

        Args:
            price_usd: the price, None where there is none.
            confidence: how likely it is right, 0..1.
            reason: why there is no price, where there is none.
        """
        if price_usd is None:
            return False, reason
        low_usd = self.min_price_usd
        high_usd = self.max_price_usd
        if not low_usd <= price_usd <= high_usd:
            believable = f"the believable ${low_usd:,.0f} to ${high_usd:,.0f}"
            return False, f"${price_usd:,.0f} lies outside {believable}"
        threshold = self.confidence_threshold
        is_sure = confidence >= threshold
        if not is_sure:
            return False, f"confidence {confidence:.2f} is below the threshold of {threshold:.2f}"
        return True, None


DEFAULT_LIMITS = Limits()
