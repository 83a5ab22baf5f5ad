"""`/api/days.json`: one entry a final day. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.api.head import head, midnight_unix
from builder.gather import DAY_SECONDS, Context, Gathered
from builder.rows import CandleRow, DayRow, SpanRow, rows
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Candle, DayPrice, Days, Priced

NO_SPOT: Candle = {
    "spot_open_usd": None,
    "spot_high_usd": None,
    "spot_low_usd": None,
    "spot_close_usd": None,
    "spot_mean_usd": None,
    "spot_blocks": 0,
}


def make_days(gathered: Gathered, reader: Reader, context: Context) -> Days:
    """Return `/api/days.json` as of the end of the newest day."""
    if not gathered.days:
        version = context.calculator.algorithm_version
        return {**head(gathered, context.now_unix, version), "days": []}
    newest = gathered.days[-1]
    as_of_unix = midnight_unix(newest["date"]) + DAY_SECONDS
    candles = candles_of(reader, gathered.days)
    return {
        **head(gathered, as_of_unix, newest["algorithm_version"]),
        "days": [day_price(row, candles.get(row["date"])) for row in gathered.days],
    }


def candles_of(reader: Reader, days: Sequence[DayRow]) -> dict[str, CandleRow]:
    """Return the candles of consecutive days by date, where there are any."""
    bounds = {"first": days[0]["last_height"], "last": days[-1]["last_height"]}
    return {row["date"]: row for row in rows(reader, CandleRow, "candles", **bounds)}


def day_price(row: DayRow, candle: CandleRow | None) -> DayPrice:
    """Return the price of a day as it is published."""
    return {
        "date": row["date"],
        **priced(row),
        **(_candle(candle) if candle else NO_SPOT),
        "exchange_mean_usd": row["exchange_mean_usd"],
        "exchange_close_usd": row["exchange_close_usd"],
        "divergence_percent": row["divergence_percent"],
    }


def priced(row: SpanRow) -> Priced:
    """Return the price of a day or a window as it is published."""
    return {
        "price_usd": row["price_usd"],
        "low_usd": row["low_usd"],
        "high_usd": row["high_usd"],
        "confidence": row["confidence"],
        "is_valid": row["is_valid"],
        "reason": row["reason"],
        "first_height": row["first_height"],
        "last_height": row["last_height"],
        "blocks": row["blocks"],
        "outputs": row["outputs"],
        "points": row["points"],
    }


def _candle(row: CandleRow) -> Candle:
    return {
        "spot_open_usd": row["spot_open_usd"],
        "spot_high_usd": row["spot_high_usd"],
        "spot_low_usd": row["spot_low_usd"],
        "spot_close_usd": row["spot_close_usd"],
        "spot_mean_usd": row["spot_mean_usd"],
        "spot_blocks": row["spot_blocks"],
    }
