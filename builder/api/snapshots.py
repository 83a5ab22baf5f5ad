"""The JSON files as plain objects: rows of the record in, one dict a file out. Pure; the time is
an argument.

`builder/api/schema/*.json` says what each holds. Everything else that a build makes (pages, feeds,
compatible spellings, metrics) is made from these objects, so that all of them say the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from builder.api.notices import notices_of, status_of
from builder.gather import (
    DAY_SECONDS,
    Context,
    Record,
    Row,
    Snapshot,
    head,
    midnight_unix,
    stamped,
    times,
)

PRICE_FIELDS = (
    "price_usd",
    "low_usd",
    "high_usd",
    "confidence",
    "is_valid",
    "reason",
    "first_height",
    "last_height",
)
WINDOW_FIELDS = (*PRICE_FIELDS, "blocks", "outputs", "points")
DAY_FIELDS = (
    "date",
    *WINDOW_FIELDS,
    "exchange_mean_usd",
    "exchange_close_usd",
    "divergence_percent",
)
EPISODE_RULE = (
    "A divergence starts with the first tick over the threshold and ends when it stays below "
    "four fifths "
    "of it for three ticks; a low confidence starts with six ticks in a row below its threshold."
)


def latest(record: Record, context: Context) -> Snapshot:
    """Return `/api/latest.json`: the newest prices, the comparison, and what to watch out for."""
    exchange = _exchange(record.exchange, context)
    shown = {
        "tip": record.tip and stamped(record.tip),
        "spot": record.spot,
        "window": record.window and _these(record.window, "outputs", "points", *PRICE_FIELDS),
        "day": _these(record.days[-1], "date", *PRICE_FIELDS, "outputs", "points")
        if record.days
        else None,
        "exchange": exchange,
        "divergence": _divergence(record.divergence or {}, exchange, context),
    }
    notices = notices_of(record, shown, context)
    due = (record.runs[0]["started_at_unix"] if record.runs else 0) + context.interval_seconds
    latest_due = context.now_unix + context.interval_seconds
    return {
        **head(record.facts, context.now_unix),
        "status": status_of(notices),
        "notices": notices,
        **shown,
        **times("next_due_at", due if context.now_unix < due < latest_due else latest_due),
    }


def _these(row: Row, *names: str) -> Snapshot:
    return {name: row[name] for name in names}


def _exchange(row: Row | None, context: Context) -> Snapshot | None:
    if row is None:
        return None
    return {
        **stamped(row),
        "is_stale": row["is_stale"] or row["age_seconds"] > context.limits.quote_max_age_seconds,
    }


def _divergence(row: Row, exchange: Snapshot | None, context: Context) -> Snapshot:
    went_stale = row["leg"] == "spot" and (exchange is None or exchange["is_stale"])
    is_large = bool(row["is_large"]) and not went_stale
    return {
        **_these(row, "spot_percent", "window_percent", "headline_percent", "headline_usd", "leg"),
        "is_large": is_large,
        "threshold_percent": context.limits.divergence_threshold_percent,
        "exchange_mean_usd": row["exchange_mean_usd"],
        **times("since", row["since_unix"]),
        "message": f"Large divergence detected: {row['headline_percent']:+.1f}%"
        if is_large
        else None,
    }


def days(record: Record, context: Context) -> Snapshot:
    """Return `/api/days.json`: one row a final day; as of the end of the newest."""
    rows = [_these(row, *DAY_FIELDS) for row in record.days]
    as_of_unix = midnight_unix(rows[-1]["date"]) + DAY_SECONDS if rows else context.now_unix
    return {**head(record.facts, as_of_unix), "days": rows}


def episodes(record: Record, context: Context) -> Snapshot:
    """Return `/api/episodes.json`: newest first."""
    rows = [stamped(row) for row in record.episodes]
    return {**head(record.facts, context.now_unix), "rule": EPISODE_RULE, "episodes": rows}


def status(record: Record, latest: Snapshot, context: Context) -> Snapshot:
    """Return `/api/status.json`: health, sources, runs, gaps, versions."""
    good, failed = record.last_good_run, record.last_failed_run
    newest: Row = record.runs[0] if record.runs else {"error": None, "sources": ()}
    return {
        **head(record.facts, context.now_unix),
        "status": latest["status"],
        "reasons": [
            n
            for n in latest["notices"]
            if n["severity"] != "info" and n["code"] != "large_divergence"
        ],
        "error": newest["error"] if latest["status"] == "failing" else None,
        "tip": latest["tip"],
        "sources": [_source(source, record.runs) for source in newest["sources"]],
        "runs": [stamped({k: v for k, v in row.items() if k != "sources"}) for row in record.runs],
        **times("last_success_at", good["ended_at_unix"] if good else None),
        "last_error": failed and failed["error"],
        **times("last_error_at", failed["ended_at_unix"] if failed else None),
        "gaps": record.gaps,
        "record": record.counts,
        "machine": context.machine,
        "interval_seconds": context.interval_seconds,
        **_these(latest, "next_due_at", "next_due_at_unix"),
    }


def _source(source: Row, runs: Iterable[Row]) -> Snapshot:
    answers = (
        (run["ended_at_unix"], other)
        for run in runs
        for other in run["sources"]
        if other["is_reachable"]
    )
    reached = (moment for moment, other in answers if other["source"] == source["source"])
    kept = {name: value for name, value in source.items() if name != "url"}  # in older records
    return {**kept, **times("last_success_at", next(reached, None))}
