"""`/api/latest.json`: the newest prices, the comparison, and what to watch out for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from builder.api.head import block, head, iso, iso_or_none, newest_version
from builder.api.notices import notices_of, status_of
from builder.gather import Context, Gathered
from builder.rows import ChangeRow, DayRow, DivergenceRow, ExchangeRow, SpotRow, TipRow, WindowRow

if TYPE_CHECKING:
    from builder.api.types import (
        Change,
        Divergence,
        Exchange,
        Latest,
        NewestDay,
        NewestWindow,
        Price,
        Shown,
        Spot,
        Tip,
    )

NO_COMPARISON: DivergenceRow = {
    "spot_percent": None,
    "window_percent": None,
    "headline_percent": None,
    "headline_usd": None,
    "leg": None,
    "is_large": False,
    "exchange_mean_usd": None,
    "since_unix": None,
}


def make_latest(gathered: Gathered, context: Context) -> Latest:
    """Return `/api/latest.json`."""
    shown = _shown(gathered, context)
    notices = notices_of(gathered, shown, context)
    due_unix = next_due_unix(gathered, context)
    return {
        **head(gathered, context.now_unix, newest_version(gathered, context)),
        "status": status_of(notices),
        "notices": notices,
        **shown,
        "next_due_at": iso(due_unix),
        "next_due_at_unix": due_unix,
    }


def next_due_unix(gathered: Gathered, context: Context) -> int:
    """Return when the next build is due: an interval after the last run began, or after now."""
    latest_unix = context.now_unix + context.interval_seconds
    if not gathered.runs:
        return latest_unix
    due_unix = gathered.runs[0]["started_at_unix"] + context.interval_seconds
    return due_unix if context.now_unix < due_unix < latest_unix else latest_unix


def _shown(gathered: Gathered, context: Context) -> Shown:
    exchange = gathered.exchange and _exchange(gathered.exchange, context)
    return {
        "tip": gathered.tip and _tip(gathered.tip),
        "spot": gathered.spot and _spot(gathered.spot),
        "changes": [_change(row) for row in gathered.changes],
        "window": gathered.window and _window(gathered.window),
        "day": _day(gathered.days[-1]) if gathered.days else None,
        "exchange": exchange,
        "divergence": _divergence(gathered.divergence or NO_COMPARISON, exchange, context),
    }


def _tip(row: TipRow) -> Tip:
    return {**block(row), "age_seconds": row["age_seconds"]}


def _price(row: SpotRow | WindowRow | DayRow) -> Price:
    return {
        "price_usd": row["price_usd"],
        "low_usd": row["low_usd"],
        "high_usd": row["high_usd"],
        "confidence": row["confidence"],
        "is_valid": row["is_valid"],
        "reason": row["reason"],
        "first_height": row["first_height"],
        "last_height": row["last_height"],
    }


def _spot(row: SpotRow) -> Spot:
    return {"points": row["points"], **_price(row)}


def _change(row: ChangeRow) -> Change:
    return {
        "days": cast("Literal[1, 7, 30]", row["days"]),
        "from_usd": row["from_usd"],
        "from_height": row["from_height"],
        "percent": row["percent"],
        "low_usd": row["low_usd"],
        "high_usd": row["high_usd"],
    }


def _window(row: WindowRow) -> NewestWindow:
    return {"outputs": row["outputs"], "points": row["points"], **_price(row)}


def _day(row: DayRow) -> NewestDay:
    return {"date": row["date"], **_price(row), "outputs": row["outputs"], "points": row["points"]}


def _exchange(row: ExchangeRow, context: Context) -> Exchange:
    is_too_old = row["age_seconds"] > context.limits.quote_max_age_seconds
    return {
        "price_usd": row["price_usd"],
        "quoted_at": iso(row["quoted_at_unix"]),
        "quoted_at_unix": row["quoted_at_unix"],
        "sampled_at": iso(row["sampled_at_unix"]),
        "sampled_at_unix": row["sampled_at_unix"],
        "age_seconds": row["age_seconds"],
        "is_stale": row["is_stale"] or is_too_old,
        "is_suspect": row["suspicion"] is not None,
        "reason": row["suspicion"],
        "source": row["source"],
        "currencies": row["currencies"],
    }


def _divergence(row: DivergenceRow, exchange: Exchange | None, context: Context) -> Divergence:
    counts = exchange and not exchange["is_stale"] and not exchange["is_suspect"]
    went_stale = row["leg"] == "spot" and not counts
    is_large = bool(row["is_large"]) and not went_stale
    return {
        "spot_percent": row["spot_percent"],
        "window_percent": row["window_percent"],
        "headline_percent": row["headline_percent"],
        "headline_usd": row["headline_usd"],
        "leg": row["leg"],
        "is_large": is_large,
        "threshold_percent": context.limits.divergence_threshold_percent,
        "exchange_mean_usd": row["exchange_mean_usd"],
        "since": iso_or_none(row["since_unix"]),
        "since_unix": row["since_unix"],
        "message": f"Large divergence detected: {row['headline_percent']:+.1f}%"
        if is_large
        else None,
    }
