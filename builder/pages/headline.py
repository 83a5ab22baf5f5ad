"""The headline: one leg of the comparison, with its own exchange price and its own difference.

Title, badge, figures and gauge all take these three numbers from here, so that a price never
stands beside the difference of another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from builder.pages.filters import percent as as_percent
from builder.pages.filters import usd as as_usd

if TYPE_CHECKING:
    from builder.api.types import Latest, Leg, Price

AGREEMENT_PERCENT = 0.005
"""A recorded difference that is further than this from the one between the two prices shown was
not made of them: half of the last digit that is printed."""


FAILING_SECONDS = 3600
"""Behind such a pause a price is none of now, while runs fail."""


class Headline(NamedTuple):
    """What the oracle says in one line.

    `exchange_usd` is the exchange price now for the spot price, and the mean of the quotes taken
    during its blocks for the window price. `percent` and `difference_usd` are None when the two
    are not compared.
    """

    leg: Leg
    price: Price | None
    exchange_usd: float | None
    percent: float | None
    difference_usd: float | None

    @property
    def price_usd(self) -> float | None:
        """The on-chain price of this leg."""
        return self.price["price_usd"] if self.price else None

    @property
    def is_window(self) -> bool:
        """Whether the window price stands in for a spot price that cannot be compared."""
        return self.leg == "window"

    @property
    def is_doubtful(self) -> bool:
        """Whether there is a price that is not to be relied on."""
        return bool(self.price and not self.price["is_valid"])

    @property
    def words(self) -> str | None:
        """Price and difference for a title; None without a price."""
        if self.price_usd is None:
            return None
        price = f"{as_usd(self.price_usd)} on-chain"
        over, exchange = (
            (" over 144 blocks", "exchange mean") if self.is_window else ("", "exchange")
        )
        if self.percent is None:
            return price + over
        return f"{price}{over}, {as_percent(self.percent)} from {exchange}"


def headline_of(latest: Latest) -> Headline:
    """Return the leg that `latest.json` compares; the spot price when it compares none."""
    divergence = latest["divergence"]
    leg: Leg = "window" if divergence["leg"] == "window" else "spot"
    price: Price | None = latest["window"] if leg == "window" else latest["spot"]
    price_usd = price["price_usd"] if price else None
    exchange_usd = _exchange_usd(latest, leg)
    is_compared = divergence["leg"] is not None and _agree(
        price_usd, exchange_usd, divergence["headline_percent"]
    )
    return Headline(
        leg=leg,
        price=price,
        exchange_usd=exchange_usd,
        percent=divergence["headline_percent"] if is_compared else None,
        difference_usd=divergence["headline_usd"] if is_compared else None,
    )


def is_old(latest: Latest) -> bool:
    """Tell whether the numbers were none of now when this page was made."""
    tip = latest["tip"]
    if tip is None:
        return False
    is_failing = latest["status"] == "failing" and tip["age_seconds"] > FAILING_SECONDS
    return is_failing or latest["status"] == "stale"


def _exchange_usd(latest: Latest, leg: Leg) -> float | None:
    if leg == "window":
        return latest["divergence"]["exchange_mean_usd"]
    exchange = latest["exchange"]
    return exchange["price_usd"] if exchange and not exchange["is_suspect"] else None


def _agree(price_usd: float | None, exchange_usd: float | None, percent: float | None) -> bool:
    """Return whether a difference is that of two prices."""
    if price_usd is None or exchange_usd is None or percent is None:
        return False
    between = 100 * (price_usd - exchange_usd) / exchange_usd
    return abs(between - percent) <= AGREEMENT_PERCENT
