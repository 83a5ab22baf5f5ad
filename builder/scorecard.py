"""How far the on-chain prices were from the exchange, from recorded rows only. Pure.

Three legs: spot against the exchange price at the tip, window against the exchange mean of its blocks, day
against the exchange mean of its day. Valid prices only. Everything here can be computed again from the
published `data/prices.parquet` and `data/days.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builder.history import Columns
from builder.record import DAY_SECONDS, Record, Row, Snapshot, head, midnight_unix

PERIODS = {"1d": 1, "7d": 7, "30d": 30, "365d": 365, "all": None}
EDGES_PERCENT = np.linspace(-3, 3, 25)
BASELINE = "the same exchange price, or mean, of 24 hours earlier: what a reader of yesterday's paper would say"
LATE_SECONDS = 2 * 3600  # how much older than a day the baseline may be where samples are missing
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Leg:
    """One comparison: columns of equal length, oldest first; NaN where a number is absent."""

    compares: str
    time_unix: NDArray[np.int64]
    percent: Values
    exchange_usd: Values
    low_usd: Values
    high_usd: Values


def scorecard(record: Record, blocks: Columns, hour_unix: int) -> Snapshot:
    """Return `/api/scorecard.json` as of a full hour."""
    legs = {
        "spot": _block_leg(blocks, "spot", "exchange_usd", "spot price against the exchange price at the tip"),
        "window": _block_leg(
            blocks, "window", "exchange_mean_usd", "window price against the exchange mean of its blocks"
        ),
        "day": _day_leg(record.days),
    }
    made = {name: _card(leg, hour_unix) for name, leg in legs.items()}
    return {**head(record.facts, hour_unix), "baseline": BASELINE, "legs": made}


def _block_leg(blocks: Columns, name: str, exchange: str, compares: str) -> Leg:
    percent = np.where(blocks[f"{name}_is_valid"], blocks[f"{name}_percent"], np.nan)
    low, high = blocks[f"{name}_low_usd"], blocks[f"{name}_high_usd"]
    return Leg(compares, np.maximum.accumulate(blocks["time_unix"]), percent, blocks[exchange], low, high)


def _day_leg(days: Sequence[Row]) -> Leg:
    def column(name: str) -> Values:
        return np.array([row[name] if row["is_valid"] else None for row in days], dtype=np.float64)

    noon = [midnight_unix(row["date"]) + DAY_SECONDS // 2 for row in days]
    names = ("divergence_percent", "exchange_mean_usd", "low_usd", "high_usd")
    compares = "day price against the exchange mean of its day"
    return Leg(compares, np.array(noon, dtype=np.int64), *(column(name) for name in names))


def _card(leg: Leg, now_unix: int) -> Snapshot:
    known = ~np.isnan(leg.percent)
    inside = (leg.low_usd <= leg.exchange_usd) & (leg.exchange_usd <= leg.high_usd)
    baseline = _a_day_earlier(leg)
    periods: dict[str, Any] = {}
    for name, days in PERIODS.items():
        those = known & (leg.time_unix >= (0 if days is None else now_unix - days * DAY_SECONDS))
        share = round(float(inside[those].mean()), 4) if those.any() else None
        periods[name] = {
            **errors(leg.percent[those]),
            "inside_interval_share": share,
            "baseline": errors(baseline[those]),
        }
    counts, edges = np.histogram(np.clip(leg.percent[known], EDGES_PERCENT[0], EDGES_PERCENT[-1]), EDGES_PERCENT)
    distribution = {"edges_percent": edges.tolist(), "counts": counts.tolist()}
    return {"compares": leg.compares, "periods": periods, "distribution": distribution}


def _a_day_earlier(leg: Leg) -> Values:
    at = np.searchsorted(leg.time_unix, leg.time_unix - DAY_SECONDS, "right") - 1
    age_seconds = leg.time_unix - leg.time_unix[at]
    near = (at >= 0) & (age_seconds <= DAY_SECONDS + LATE_SECONDS)
    return np.where(near, (leg.exchange_usd[at] / leg.exchange_usd - 1) * 100, np.nan)


def errors(percent: Values) -> Snapshot:
    """Return count, median, p95, RMSE, worst and bias of signed differences in percent; NaN is left out."""
    known = percent[~np.isnan(percent)]
    if len(known) == 0:
        names = ("median_percent", "p95_percent", "rmse_percent", "worst_percent", "bias_percent")
        return {"n": 0, **dict.fromkeys(names)}
    distance = np.abs(known)
    median, p95 = np.quantile(distance, (0.5, 0.95))
    return {
        "n": len(known),
        "median_percent": round(float(median), 4),
        "p95_percent": round(float(p95), 4),
        "rmse_percent": round(float(np.sqrt(np.mean(known**2))), 4),
        "worst_percent": round(float(known[np.argmax(distance)]), 4),
        "bias_percent": round(float(known.mean()), 4),
    }
