"""Compatible spellings: the same facts in the shapes of an older dashboard and of mempool. Pure.

nginx maps the old paths to these files; see docs/api.md.
"""

from __future__ import annotations

from functools import partial
from statistics import fmean

from builder.api.history import LONG_RANGES
from builder.draft import Objects
from builder.gather import DAY_SECONDS, Row, Snapshot, iso, midnight_unix

NOTHING = dict.fromkeys(("time_unix", "spot_usd", "window_usd", "exchange_usd")) | {
    "confidence": 0.0,
    "points": 0,
    "is_valid": False,
}
SPANS = {1: "24h", 7: "7d", 30: "30d", 90: "1y", 365: "1y"}  # days: the history that has them


def make_compatible(objects: Objects, settled: str) -> None:
    """Put the objects of `api/compat/` beside the others, from which they are made.

    Args:
        objects: the other files of the build.
        settled: what the long histories are made from.
    """
    for span, name in SPANS.items():
        key = settled if name in LONG_RANGES else None
        historical = f"api/compat/historical-{span}.json"
        objects.make(historical, key, partial(_entries, objects, name, span))
        objects.make(
            f"api/compat/comparison-{span}.json",
            key,
            partial(_comparison, objects, historical, span),
        )
    entries = objects["api/compat/historical-7.json"]
    objects.make(
        "api/compat/prices-latest.json", None, lambda: entries[-1] if entries else _entry(NOTHING)
    )
    objects.make(
        "api/compat/mempool-prices.json", None, lambda: _mempool_price(objects["api/latest.json"])
    )
    objects.make(
        "api/compat/mempool-historical-price.json", None, lambda: _mempool_history(objects)
    )


def _entries(objects: Objects, name: str, span: int) -> list[Snapshot]:
    history = objects[f"api/history/{name}.json"]
    first_unix = history["generated_at_unix"] - span * DAY_SECONDS
    rows = (
        dict(zip(NOTHING, row, strict=True))
        for row in zip(*(history[name] for name in NOTHING), strict=True)
    )
    return [_entry(row) for row in rows if row["time_unix"] >= first_unix]


def _entry(row: Row) -> Snapshot:
    price = row["window_usd"] if row["spot_usd"] is None else row["spot_usd"]
    exchange = row["exchange_usd"]
    is_known = price is not None and exchange is not None
    return {
        "timestamp": None if row["time_unix"] is None else iso(row["time_unix"]),
        "utxoracle_price": price,
        "mempool_price": exchange,
        "confidence": row["confidence"],
        "tx_count": row["points"],
        "diff_amount": round(price - exchange, 2) if is_known else None,
        "diff_percent": round((price / exchange - 1) * 100, 4) if is_known else None,
        "is_valid": row["is_valid"],
    }


def _comparison(objects: Objects, path: str, span: int) -> Snapshot:
    entries = objects[path]
    valid = [e for e in entries if e["is_valid"] and e["diff_amount"] is not None]
    amounts = [e["diff_amount"] for e in valid]
    return {
        "avg_diff": round(fmean(amounts), 2) if valid else None,
        "max_diff": max(amounts, default=None),
        "min_diff": min(amounts, default=None),
        "avg_diff_percent": round(fmean(e["diff_percent"] for e in valid), 4) if valid else None,
        "total_entries": len(entries),
        "valid_entries": len(valid),
        "timeframe_days": span,
    }


def _mempool_price(latest: Row) -> Snapshot:
    # As mempool itself says "no price": time 0 and -1, for its readers expect numbers here.
    spot, tip = latest["spot"], latest["tip"]
    if not (spot and tip and spot["is_valid"]):
        return {"time": 0, "USD": -1}
    return {"time": tip["time_unix"], "USD": round(spot["price_usd"], 2)}


def _mempool_history(objects: Objects) -> Snapshot:
    days, exchange = objects["api/days.json"]["days"], objects["api/latest.json"]["exchange"]
    rows = [
        {"time": midnight_unix(row["date"]), "USD": round(row["price_usd"], 2)}
        for row in days
        if row["is_valid"]
    ]
    rates = exchange["currencies"].items() if exchange else ()
    usd = exchange["price_usd"] if exchange else 1.0
    return {
        "prices": rows[::-1],
        "exchangeRates": {
            f"USD{code}": round(price / usd, 2) for code, price in rates if price > 0
        },
    }
