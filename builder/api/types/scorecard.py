"""`/api/scorecard.json`: how far the on-chain prices were from the exchange."""

from __future__ import annotations

from typing import Annotated, Literal

from typing_extensions import TypedDict

from builder.api.types.base import Count, Head, Percent, Share, Time, Unix, about


class Errors(TypedDict):
    """How far off."""

    n: Annotated[Count, about("comparisons")]
    median_percent: Annotated[
        Percent | None, about("median of the absolute difference (percent; 3.2 means 3.2 %)")
    ]
    p95_percent: Annotated[
        Percent | None,
        about("95th percentile of the absolute difference (percent; 3.2 means 3.2 %)"),
    ]
    rmse_percent: Annotated[
        Percent | None, about("root mean square difference (percent; 3.2 means 3.2 %)")
    ]
    worst_percent: Annotated[
        Percent | None, about("largest difference, signed (percent; 3.2 means 3.2 %)")
    ]
    bias_percent: Annotated[
        Percent | None, about("mean difference, signed (percent; 3.2 means 3.2 %)")
    ]


class Score(Errors):
    """How far off, and how far off the naive baseline was."""

    inside_interval_share: Annotated[
        Share | None, about("share of exchange prices inside the 95 % interval (0 to 1)")
    ]
    baseline: Annotated[
        Errors, about("the same for the naive baseline: the exchange price of a day earlier")
    ]
    baseline_hour: Annotated[
        Errors, about("the same for the exchange price of an hour earlier; none for whole days")
    ]


LegName = Literal["spot", "window", "day", "close", "mean"]

LongPeriods = TypedDict("LongPeriods", {"365d": Score, "all": Score})
LongPeriods.__doc__ = "A year, and all history."

RecentPeriods = TypedDict("RecentPeriods", {"1d": Score, "7d": Score, "30d": Score})
RecentPeriods.__doc__ = "Up to thirty days."


class Periods(RecentPeriods, LongPeriods):
    """The same by period."""


class Distribution(TypedDict):
    """Signed differences over all time, counted."""

    edges_percent: Annotated[
        list[float], about("one more than counts; the outer bins take all beyond")
    ]
    counts: list[int]


class LegScore(TypedDict):
    """One comparison."""

    compares: Annotated[str, about("what with what")]
    periods: Periods
    distribution: Distribution


class Legs(TypedDict):
    """The comparisons."""

    spot: LegScore
    window: LegScore
    day: LegScore
    close: LegScore
    mean: LegScore


class YearScore(Errors):
    """The prices of a calendar year."""

    year: int


class PointsScore(Errors):
    """The spot prices with so many price points."""

    points_from: Count
    points_to: Annotated[Count | None, about("null: or more")]


class Years(TypedDict):
    """By calendar year, oldest first."""

    spot: list[YearScore]
    day: list[YearScore]


class Reliability(TypedDict):
    """Spot prices of like confidence, valid or not."""

    confidence_from: Share
    confidence_to: Share
    n: Annotated[Count, about("comparisons")]
    said_share: Annotated[Share, about("mean confidence: what was said (0 to 1)")]
    right_share: Annotated[Share, about("within 5 % of the exchange price: what happened (0 to 1)")]


class RecordParts(TypedDict):
    """What covers all history."""

    record_until: Annotated[
        Time, about("until when 365d, all, distribution, years, points and reliability reach")
    ]
    record_until_unix: Annotated[Unix, about("the same (seconds since 1970 UTC)")]
    years: Years
    points: Annotated[list[PointsScore], about("fewest first")]
    reliability: Annotated[list[Reliability], about("least confident first; empty ones left out")]


class Scorecard(Head, RecordParts):
    """How far the on-chain prices were from the exchange, valid prices only."""

    baseline: Annotated[str, about("what the naive baseline is")]
    legs: Legs
