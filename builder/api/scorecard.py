"""How far the on-chain prices were from the exchange, from recorded rows only.

Five legs: spot against the exchange price at the tip, window against the exchange mean of its
blocks, day against the exchange mean of its day; and of each day the spot price's close and its
mean over time against the exchange's. Valid prices only. The figures are made by `site_score...` of
`queries.sql`, and can be computed again from the published `data/prices.parquet`,
`data/days.parquet` and `data/exchange.parquet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from builder.api.head import head, iso
from builder.api.history import Full
from builder.gather import Gathered
from builder.rows import rows
from builder.score_rows import ReliabilityRow, ScorePartRow, ScoreRow
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import (
        Distribution,
        LegName,
        LegScore,
        LongPeriods,
        PointsScore,
        RecordParts,
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


COMPARES: Mapping[LegName, str] = {
    "spot": "spot price against the exchange price at the tip",
    "window": "window price against the exchange mean of its blocks",
    "day": "day price against the exchange mean of its day",
    "close": "last spot price of a day against the exchange's of its last hours",
    "mean": "mean spot price of a day against the exchange mean",
}


RECENT_PERIODS = {"1d": 1, "7d": 7, "30d": 30}
RECENT_BLOCKS = 10_000
"""Thirty-two days have fewer: so far back rows are looked at for the recent periods."""

LONG_PERIODS = {"365d": 365, "all": 1_000_000}
"""Periods in days."""


class OfRecord(NamedTuple):
    """What a scorecard says of all history, or a year of it."""

    periods: Mapping[LegName, LongPeriods]
    distributions: Mapping[LegName, Distribution]
    parts: RecordParts


def make_scorecard(
    gathered: Gathered, reader: Reader, hour: Full, record: Full, earlier: Scorecard | None
) -> Scorecard:
    """Return `/api/scorecard.json`: up to thirty days as of a full hour, all else as of `record`.

    Args:
        gathered: says which network it is.
        reader: the record.
        hour: the blocks known at the last full hour.
        record: those that count as the whole record.
        earlier: a scorecard that was made from the same `record`, if there is one.
    """
    recent = _scores(reader, hour, RECENT_PERIODS, lowest=hour.last_height - RECENT_BLOCKS)
    long = _of_record(reader, record) if earlier is None else _of_earlier(earlier)
    return {
        **head(gathered, hour.time_unix, hour.algorithm_version),
        "baseline": BASELINE,
        "legs": {
            "spot": _leg("spot", recent, long),
            "window": _leg("window", recent, long),
            "day": _leg("day", recent, long),
            "close": _leg("close", recent, long),
            "mean": _leg("mean", recent, long),
        },
        **long.parts,
    }


def _scores(
    reader: Reader, full: Full, periods: Mapping[str, int], lowest: int
) -> dict[tuple[str, int], ScoreRow]:
    """Return what is known by leg and days, of blocks from a height on."""
    found = rows(
        reader,
        ScoreRow,
        "scorecard",
        hour=full.time_unix,
        first=max(0, lowest),
        last=full.last_height,
        periods=list(periods.values()),
    )
    return {(row["leg"], row["days"]): row for row in found}


def _of_record(reader: Reader, record: Full) -> OfRecord:
    """Ask for what covers all history, or a year of it."""
    last = record.last_height
    scores = _scores(reader, record, LONG_PERIODS, lowest=0)
    parts = rows(reader, ScorePartRow, "score_parts", last=last, most=MOST_POINTS)
    said = rows(reader, ReliabilityRow, "reliability", last=last, edges=CONFIDENCE_EDGES[:-1])
    return OfRecord(
        periods={
            leg: {
                "365d": _score(scores[leg, LONG_PERIODS["365d"]]),
                "all": _score(scores[leg, LONG_PERIODS["all"]]),
            }
            for leg in COMPARES
        },
        distributions={leg: _distribution(scores[leg, LONG_PERIODS["all"]]) for leg in COMPARES},
        parts={
            "record_until": iso(record.time_unix),
            "record_until_unix": record.time_unix,
            "years": {
                "spot": [_year(row) for row in parts if row["kind"] == "spot_year"],
                "day": [_year(row) for row in parts if row["kind"] == "day_year"],
            },
            "points": [_points(row) for row in parts if row["kind"] == "points"],
            "reliability": [_reliability(row) for row in said],
        },
    )


def _of_earlier(card: Scorecard) -> OfRecord:
    """Take the same out of a scorecard that was made from the same record."""
    legs = card["legs"]
    return OfRecord(
        periods={
            leg: {"365d": legs[leg]["periods"]["365d"], "all": legs[leg]["periods"]["all"]}
            for leg in COMPARES
        },
        distributions={leg: legs[leg]["distribution"] for leg in COMPARES},
        parts={
            "record_until": card["record_until"],
            "record_until_unix": card["record_until_unix"],
            "years": card["years"],
            "points": card["points"],
            "reliability": card["reliability"],
        },
    )


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


def _leg(leg: LegName, recent: Mapping[tuple[str, int], ScoreRow], long: OfRecord) -> LegScore:
    return {
        "compares": COMPARES[leg],
        "periods": {
            "1d": _score(recent[leg, RECENT_PERIODS["1d"]]),
            "7d": _score(recent[leg, RECENT_PERIODS["7d"]]),
            "30d": _score(recent[leg, RECENT_PERIODS["30d"]]),
            **long.periods[leg],
        },
        "distribution": long.distributions[leg],
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
