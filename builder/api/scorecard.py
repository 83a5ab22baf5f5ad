"""How far the on-chain prices were from the exchange, from recorded rows only.

Three legs: spot against the exchange price at the tip, window against the exchange mean of its
blocks, day against the exchange mean of its day. Valid prices only. The figures are made by
`site_scorecard` of `queries.sql`, and can be computed again from the published
`data/prices.parquet` and `data/days.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.api.head import head
from builder.api.history import FullHour
from builder.gather import Gathered
from builder.rows import ScoreRow, rows
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Distribution, LegScore, Score, Scorecard

EDGES_PERCENT = [quarter / 4 for quarter in range(-12, 13)]
BASELINE = (
    "the same exchange price, or mean, of 24 hours earlier: what a reader of "
    "yesterday's paper would say"
)


def make_scorecard(gathered: Gathered, reader: Reader, hour: FullHour) -> Scorecard:
    """Return `/api/scorecard.json` as of a full hour."""
    found = rows(reader, ScoreRow, "scorecard", hour=hour.time_unix, last=hour.last_height)
    return {
        **head(gathered, hour.time_unix, hour.algorithm_version),
        "baseline": BASELINE,
        "legs": {
            "spot": _leg(found, "spot", "spot price against the exchange price at the tip"),
            "window": _leg(found, "window", "window price against the exchange mean of its blocks"),
            "day": _leg(found, "day", "day price against the exchange mean of its day"),
        },
    }


def _leg(found: Sequence[ScoreRow], leg: str, compares: str) -> LegScore:
    by_period = {row["period"]: row for row in found if row["leg"] == leg}
    return {
        "compares": compares,
        "periods": {
            "1d": _score(by_period["1d"]),
            "7d": _score(by_period["7d"]),
            "30d": _score(by_period["30d"]),
            "365d": _score(by_period["365d"]),
            "all": _score(by_period["all"]),
        },
        "distribution": _distribution(by_period["all"]),
    }


def _score(row: ScoreRow) -> Score:
    return {
        **row["errors"],
        "inside_interval_share": row["inside_interval_share"],
        "baseline": row["baseline"],
    }


def _distribution(row: ScoreRow) -> Distribution:
    counted = row["bins"] or {}
    places = range(len(EDGES_PERCENT) - 1)
    return {"edges_percent": EDGES_PERCENT, "counts": [counted.get(place, 0) for place in places]}
