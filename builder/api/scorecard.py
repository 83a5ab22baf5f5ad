"""How far the on-chain prices were from the exchange, from recorded rows only.

Five legs: spot against the exchange price at the tip, window against the exchange mean of its
blocks, day against the exchange mean of its day; and of each day the spot price's close and its
mean over time against the exchange's. Valid prices only. The figures are made by `site_score...` of
`queries.sql`, and can be computed again from the published `data/prices.parquet`,
`data/days.parquet` and `data/exchange.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.api.head import head
from builder.api.history import FullHour
from builder.gather import Gathered
from builder.rows import rows
from builder.score_rows import ReliabilityRow, ScorePartRow, ScoreRow
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import (
        Distribution,
        LegScore,
        PointsScore,
        Reliability,
        Score,
        Scorecard,
        YearScore,
    )

CONFIDENCE_EDGES = [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0]
LEAST_POINTS = 25
MOST_POINTS = 12_800
"""The first range of price points ends before, each other reaches to twice its start, and the last
on and on."""

EDGES_PERCENT = [quarter / 4 for quarter in range(-12, 13)]
BASELINE = (
    "the same exchange price, or mean, of 24 hours earlier: what a reader of "
    "yesterday's paper would say"
)


def make_scorecard(gathered: Gathered, reader: Reader, hour: FullHour) -> Scorecard:
    """Return `/api/scorecard.json` as of a full hour."""
    last = hour.last_height
    found = rows(reader, ScoreRow, "scorecard", hour=hour.time_unix, last=last)
    parts = rows(reader, ScorePartRow, "score_parts", last=last, most=MOST_POINTS)
    said = rows(reader, ReliabilityRow, "reliability", last=last, edges=CONFIDENCE_EDGES[:-1])
    return {
        **head(gathered, hour.time_unix, hour.algorithm_version),
        "baseline": BASELINE,
        "legs": {
            "spot": _leg(found, "spot", "spot price against the exchange price at the tip"),
            "window": _leg(found, "window", "window price against the exchange mean of its blocks"),
            "day": _leg(found, "day", "day price against the exchange mean of its day"),
            "close": _leg(
                found, "close", "last spot price of a day against the exchange's of its last hours"
            ),
            "mean": _leg(found, "mean", "mean spot price of a day against the exchange mean"),
        },
        "years": {
            "spot": [_year(row) for row in parts if row["kind"] == "spot_year"],
            "day": [_year(row) for row in parts if row["kind"] == "day_year"],
        },
        "points": [_points(row) for row in parts if row["kind"] == "points"],
        "reliability": [_reliability(row) for row in said],
    }


def _year(row: ScorePartRow) -> YearScore:
    return {"year": row["part"], **row["errors"]}


def _points(row: ScorePartRow) -> PointsScore:
    first = row["part"]
    last = max(LEAST_POINTS, 2 * first) - 1
    return {
        "points_from": first,
        "points_to": None if first == MOST_POINTS else last,
        **row["errors"],
    }


def _reliability(row: ReliabilityRow) -> Reliability:
    low, high = CONFIDENCE_EDGES[row["bin"] : row["bin"] + 2]
    return {
        "confidence_from": low,
        "confidence_to": high,
        "n": row["n"],
        "said_share": row["said_share"],
        "right_share": row["right_share"],
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
        "baseline_hour": row["baseline_hour"],
    }


def _distribution(row: ScoreRow) -> Distribution:
    counted = row["bins"] or {}
    places = range(len(EDGES_PERCENT) - 1)
    return {"edges_percent": EDGES_PERCENT, "counts": [counted.get(place, 0) for place in places]}
