"""`/api/days.json`: one entry a final day. Pure."""

from __future__ import annotations

from builder.api.head import head, midnight_unix
from builder.api.types import DayPrice, Days, Priced
from builder.gather import DAY_SECONDS, Context, Gathered
from builder.rows import DayRow, SpanRow


def make_days(gathered: Gathered, context: Context) -> Days:
    """Return `/api/days.json` as of the end of the newest day."""
    if not gathered.days:
        version = context.calculator.algorithm_version
        return {**head(gathered, context.now_unix, version), "days": []}
    newest = gathered.days[-1]
    as_of_unix = midnight_unix(newest["date"]) + DAY_SECONDS
    return {
        **head(gathered, as_of_unix, newest["algorithm_version"]),
        "days": [day_price(row) for row in gathered.days],
    }


def day_price(row: DayRow) -> DayPrice:
    """Return the price of a day as it is published."""
    return {
        "date": row["date"],
        **priced(row),
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
