"""Whether a quote is believed: a feed may be wrong, or lie, and one number must not move a mean.

A quote that is not believed is kept and shown as such, and enters no mean, comparison or alarm.
"""

from __future__ import annotations

from collections.abc import Iterable

from oracle.estimate.limits import Limits

VOUCHES_SECONDS = 3 * 86_400
"""A quote or a price of this long ago still says what a believable one is: within three days the
market never moved by the factor of the default."""


def suspicion(price_usd: float, known_usd: Iterable[float], limits: Limits) -> str | None:
    """Return why a quote is not believed, None when it is.

    Args:
        price_usd: what a bitcoin is said to cost.
        known_usd: what else is known of the price then: believed quotes and valid on-chain prices.
            One of them near the quote is enough; where nothing is known, the bounds decide alone.
        limits: bounds and factor.
    """
    low_usd = limits.quote_min_usd
    high_usd = limits.quote_max_usd
    if price_usd < low_usd:
        return f"it is below the ${low_usd:,.0f} of ORACLE_QUOTE_MIN_USD"
    if price_usd > high_usd:
        return f"it is above the ${high_usd:,.0f} of ORACLE_QUOTE_MAX_USD"
    known = sorted(known_usd, key=lambda usd: _factor(usd, price_usd))
    if known and _factor(known[0], price_usd) > limits.quote_max_factor:
        return (
            f"all else that is known is more than {limits.quote_max_factor:g} times away, "
            f"the nearest ${known[0]:,.0f}"
        )
    return None


def _factor(one_usd: float, other_usd: float) -> float:
    """Return how many times the smaller of two prices goes into the larger one."""
    return max(one_usd / other_usd, other_usd / one_usd)
