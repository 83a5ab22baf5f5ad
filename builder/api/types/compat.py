"""The compatible spellings: the shapes of an older dashboard and of mempool."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from builder.api.types.base import Count, Share, Time, Unix, Usd, about

CROSS = "the same by the exchange quote's own rates between its currencies; -1: none"


class PriceEntry(TypedDict):
    """One entry of an older dashboard's list."""

    timestamp: Annotated[
        Time | None, about("time of the tick (ISO 8601 UTC); null: nothing recorded yet")
    ]
    utxoracle_price: Annotated[
        Usd | None, about("spot price; the window price where there is none (USD per BTC)")
    ]
    mempool_price: Annotated[Usd | None, about("exchange price (USD per BTC)")]
    confidence: Annotated[Share, about("0 to 1: how likely the price is within 5 % of the market")]
    tx_count: Annotated[int, about("price points used")]
    diff_amount: Annotated[float | None, about("on-chain minus exchange in USD")]
    diff_percent: Annotated[float | None, about("the same in percent (percent; 3.2 means 3.2 %)")]
    is_valid: bool


class PricesLatest(PriceEntry):
    """The newest entry, as `/api/prices/latest` gives it."""


PricesHistorical = list[PriceEntry]
"""Entries, oldest first, as `/api/prices/historical` gives them."""


class PricesComparison(TypedDict):
    """Differences over valid entries, as `/api/prices/comparison` gives them."""

    avg_diff: Annotated[float | None, about("mean difference in USD")]
    max_diff: float | None
    min_diff: float | None
    avg_diff_percent: float | None
    total_entries: Count
    valid_entries: Count
    timeframe_days: int


class MempoolPrice(TypedDict):
    """A price in mempool's shape."""

    time: Annotated[Unix, about("time of the price; 0: none (seconds since 1970 UTC)")]
    USD: Annotated[float, about("USD per BTC; -1: none")]
    EUR: Annotated[float, about(CROSS)]
    GBP: Annotated[float, about(CROSS)]
    CAD: Annotated[float, about(CROSS)]
    CHF: Annotated[float, about(CROSS)]
    AUD: Annotated[float, about(CROSS)]
    JPY: Annotated[float, about(CROSS)]


class MempoolHistory(TypedDict):
    """Prices in mempool's shape, newest first: one, or all days."""

    prices: list[MempoolPrice]
    exchangeRates: dict[str, float]
