"""Compatible spellings: the same facts in the shapes of an older dashboard and of mempool. Pure.

nginx maps the old paths to these files; see docs/api.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from builder.record import DAY_SECONDS, Row, Snapshot, iso

NOTHING = dict.fromkeys(("time_unix", "spot_usd", "window_usd", "exchange_usd")) | {
    "confidence": 0.0,
    "points": 0,
    "is_valid": False,
}
SPANS = {1: "24h", 7: "7d", 30: "30d", 90: "1y", 365: "1y"}  # days: the history that has them


def compatible(snapshots: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects of `api/compat/` by path, from the other files of the build."""
    latest, days = snapshots["api/latest.json"], snapshots["api/days.json"]["days"]
    lists = {
        span: list(_entries(snapshots[f"api/history/{name}.json"], latest, span))
        for span, name in SPANS.items()
    }
    return {
        "api/compat/prices-latest.json": lists[7][-1] if lists[7] else _entry(NOTHING),
        **{f"api/compat/historical-{span}.json": entries for span, entries in lists.items()},
        **{
            f"api/compat/comparison-{span}.json": _comparison(span, entries)
            for span, entries in lists.items()
        },
        "api/compat/mempool-prices.json": _mempool_price(latest),
        "api/compat/mempool-historical-price.json": _mempool_history(days, latest["exchange"]),
    }


def _entries(history: Row, latest: Row, span: int) -> Iterator[Snapshot]:
    first_unix = latest["generated_at_unix"] - span * DAY_SECONDS
    names = ("time_unix", "spot_usd", "window_usd", "exchange_usd", "confidence", "points", "is_valid")
    for values in zip(*(history[name] for name in names), strict=True):
        row = dict(zip(names, values, strict=True))
        if row["time_unix"] >= first_unix:
            yield _entry(row)


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


def _comparison(span: int, entries: Sequence[Row]) -> Snapshot:
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


def _mempool_history(days: Iterable[Row], exchange: Row | None) -> Snapshot:
    rows = [
        {"time": _midnight(row["date"]), "USD": round(row["price_usd"], 2)} for row in days if row["is_valid"]
    ]
    rates = exchange["currencies"].items() if exchange else ()
    usd = exchange["price_usd"] if exchange else 1.0
    return {
        "prices": rows[::-1],
        "exchangeRates": {f"USD{code}": round(price / usd, 2) for code, price in rates if price > 0},
    }


def _midnight(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
