"""Compatible spellings: the same facts in the shapes of an older dashboard and of mempool. Pure.

nginx maps the old paths to these files; see docs/api.md. Programs that read them know nothing of
test networks, so a chain that is not the main one has no price here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import fsum
from typing import TYPE_CHECKING

from builder.api.head import iso
from builder.api.history import LONG_RANGES
from builder.api.mempool import mempool_history, mempool_price
from builder.draft import Objects
from builder.gather import DAY_SECONDS

if TYPE_CHECKING:
    from builder.api.types import History, PriceEntry, PricesComparison, Range

NO_ENTRY: PriceEntry = {
    "timestamp": None,
    "utxoracle_price": None,
    "mempool_price": None,
    "confidence": 0.0,
    "tx_count": 0,
    "diff_amount": None,
    "diff_percent": None,
    "is_valid": False,
}
"""The newest entry before there is any."""

SPANS: dict[int, Range] = {1: "24h", 7: "7d", 30: "30d", 90: "1y", 365: "1y"}
"""Days: the history that has them."""


def make_compatible(objects: Objects, hourly_key: str, *, has_market: bool) -> None:
    """Put the objects of `api/compat/` beside the others, from which they are made.

    Args:
        objects: the other files of the build.
        hourly_key: what the long histories are made from.
        has_market: whether these bitcoins are worth anything: on test networks, and on a simulated
            chain, mempool has no price either.
    """
    for span_days, name in SPANS.items():
        key = hourly_key if name in LONG_RANGES else None
        path = f"api/compat/historical-{span_days}.json"
        objects.make(path, key, partial(_historical, objects, span_days if has_market else 0, name))
        path = f"api/compat/comparison-{span_days}.json"
        objects.make(path, key, partial(_comparison, objects, span_days))
    newest = objects.entries(7)[-1:] or [NO_ENTRY]
    objects.make("api/compat/prices-latest.json", None, lambda: newest[0])
    objects.make(
        "api/compat/mempool-prices.json",
        None,
        lambda: mempool_price(objects.latest, has_market=has_market),
    )
    if has_market:
        objects.make(
            "api/compat/mempool-historical-price.json",
            None,
            lambda: mempool_history(objects.days, objects.latest),
        )


def _historical(objects: Objects, span_days: int, name: Range) -> list[PriceEntry]:
    return entries_of(objects.history(name), span_days) if span_days else []


def _comparison(objects: Objects, span_days: int) -> PricesComparison:
    return comparison_of(objects.entries(span_days), span_days)


def entries_of(history: History, span_days: int) -> list[PriceEntry]:
    """Return the moments of the last so many days, oldest first."""
    first_unix = history["generated_at_unix"] - span_days * DAY_SECONDS
    times_unix = history["time_unix"]
    return [
        _entry(history, place)
        for place, time_unix in enumerate(times_unix)
        if time_unix >= first_unix
    ]


def _entry(history: History, place: int) -> PriceEntry:
    price_usd = history["spot_usd"][place]
    if price_usd is None:
        price_usd = history["window_usd"][place]
    exchange_usd = history["exchange_usd"][place]
    amount = percent = None
    if price_usd is not None and exchange_usd is not None:
        amount = round(price_usd - exchange_usd, 2)
        percent = round((price_usd / exchange_usd - 1) * 100, 4)
    return {
        "timestamp": iso(history["time_unix"][place]),
        "utxoracle_price": price_usd,
        "mempool_price": exchange_usd,
        "confidence": history["confidence"][place],
        "tx_count": history["points"][place],
        "diff_amount": amount,
        "diff_percent": percent,
        "is_valid": history["is_valid"][place],
    }


def comparison_of(entries: Sequence[PriceEntry], span_days: int) -> PricesComparison:
    """Return the differences over valid entries."""
    valid = [entry for entry in entries if entry["is_valid"]]
    amounts = [entry["diff_amount"] for entry in valid if entry["diff_amount"] is not None]
    percents = [entry["diff_percent"] for entry in valid if entry["diff_percent"] is not None]
    return {
        "avg_diff": round(fsum(amounts) / len(amounts), 2) if amounts else None,
        "max_diff": max(amounts, default=None),
        "min_diff": min(amounts, default=None),
        "avg_diff_percent": round(fsum(percents) / len(percents), 4) if percents else None,
        "total_entries": len(entries),
        "valid_entries": len(amounts),
        "timeframe_days": span_days,
    }
