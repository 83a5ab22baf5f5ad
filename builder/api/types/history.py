"""`/api/history/*.json`: the record over a range of time."""

from __future__ import annotations

from typing import Annotated, Literal

from typing_extensions import TypeAliasType, TypedDict

from builder.api.types.base import Count, Hash, Head, Height, Leg, Says, Unix, about

ShortRange = Literal["24h", "7d"]
LongRange = Literal["30d", "1y", "all"]
Range = TypeAliasType("Range", Literal["24h", "7d", "30d", "1y", "all"])


class Columns(TypedDict):
    """The moments of a history as columns of equal length, oldest first."""

    rows: Annotated[Count, about("length of each column")]
    time_unix: Annotated[list[int], about("time of the tick (of the block, when caught up)")]
    height: Annotated[list[int], about("tip at that time")]
    spot_usd: Annotated[list[float | None], about("rounded to cents")]
    spot_low_usd: list[float | None]
    spot_high_usd: list[float | None]
    window_usd: list[float | None]
    exchange_usd: Annotated[list[float | None], about("exchange price at that time")]
    divergence_percent: Annotated[list[float | None], about("the headline, rounded to 0.0001")]
    leg: Annotated[list[Leg | None], about("leg of the headline")]
    confidence: Annotated[
        list[float], about("of the spot price; of the window price where there is no spot price")
    ]
    is_valid: Annotated[list[bool], about("of the same price")]
    points: Annotated[list[int], about("price points of the same price")]


class PriceMonth(TypedDict):
    """The Parquet file of a calendar month: the same columns as `prices.parquet`."""

    month: Annotated[str, Says(pattern=r"^\d{4}-\d\d$")]
    path: str
    rows: Count
    first_height: Height
    last_height: Height
    size_bytes: Count
    sha256: Hash


class PriceMonths(Head):
    """The prices by calendar month, oldest first; the file of a month that is over stays the same
    to the byte, until its past is added to."""

    months: list[PriceMonth]


class History(Head, Columns):
    """The record over a range of time, as columns of equal length, oldest first."""

    range: Range
    first_unix: Annotated[Unix | None, about("start of the range; null: everything")]
    step_seconds: Annotated[int | None, about("thinning step; null: every row")]
    thinning: Annotated[str, about("the rule, in words")]
