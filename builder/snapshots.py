"""The JSON files as plain objects: rows of the record in, one dict a file out. Pure; the time is an argument.

`builder/schema/*.json` says what each holds. Everything else that a build makes (pages, feeds, compatible
spellings, metrics) is made from these objects, so that all of them say the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from builder.notices import notices_of, status_of
from builder.record import DAY_SECONDS, Context, Record, Row, Snapshot, head, midnight_unix, times

PRICE_FIELDS = ("price_usd", "low_usd", "high_usd", "confidence", "is_valid", "reason", "first_height", "last_height")
DAY_FIELDS = ("date", *PRICE_FIELDS, "blocks", "outputs", "points")
EPISODE_RULE = (
    "A divergence starts with the first tick over the threshold and ends when it stays below four fifths "
    "of it for three ticks; a low confidence starts with six ticks in a row below its threshold."
)
EXCHANGE_FIELDS = ("exchange_mean_usd", "exchange_close_usd", "divergence_percent")


def latest(record: Record, context: Context) -> Snapshot:
    """Return `/api/latest.json`: the newest prices, the comparison, and what to watch out for."""
    price, exchange = record.price, _exchange(record.exchange, context)
    day = record.days[-1] if record.days else None
    spot = price and {"points": price["spot_points"], **_price(price, "spot_")}
    window = price and {k: price[f"window_{k}"] for k in ("outputs", "points")} | _price(price, "window_")
    shown = {
        "tip": _tip(record.tip, context),
        "spot": spot,
        "window": window,
        "day": day and {k: day[k] for k in ("date", *PRICE_FIELDS, "outputs", "points")},
        "exchange": exchange,
        "divergence": _divergence(record, exchange, context),
    }
    notices = notices_of(record, shown, context)
    return {
        **head(record.facts, context.now_unix),
        "status": status_of(notices),
        "notices": notices,
        **shown,
        **_next_due(record, context),
    }


def _price(row: Row, prefix: str) -> Snapshot:
    return {k: row[prefix + ("usd" if k == "price_usd" else k)] for k in PRICE_FIELDS}


def _tip(tip: Row | None, context: Context) -> Snapshot | None:
    if tip is None:
        return None
    age_seconds = max(0, context.now_unix - tip["time_unix"])
    return {"height": tip["height"], "hash": tip["hash"], **times("time", tip["time_unix"]), "age_seconds": age_seconds}


def _exchange(row: Row | None, context: Context) -> Snapshot | None:
    if row is None:
        return None
    age_seconds = max(0, context.now_unix - row["quoted_at_unix"])
    return {
        "price_usd": row["price_usd"],
        **times("quoted_at", row["quoted_at_unix"]),
        **times("sampled_at", row["sampled_at_unix"]),
        "age_seconds": age_seconds,
        "is_stale": row["is_stale"] or age_seconds > context.quote_max_age_seconds,
        "source": row["source"],
        "currencies": row["currencies"],
    }


def _divergence(record: Record, exchange: Snapshot | None, context: Context) -> Snapshot:
    row = record.divergence or {}
    leg, percent = row.get("leg"), row.get("headline_percent")
    base = row.get("exchange_usd" if leg == "spot" else "exchange_mean_usd")
    went_stale = leg == "spot" and (exchange is None or exchange["is_stale"])
    is_large = bool(row.get("is_large")) and not went_stale
    ongoing = [e for e in record.episodes if e["kind"] == "divergence" and e["ended_at_unix"] is None]
    return {
        "spot_percent": row.get("spot_percent"),
        "window_percent": row.get("window_percent"),
        "headline_percent": percent,
        "headline_usd": None if percent is None or base is None else percent / 100 * base,
        "leg": leg,
        "is_large": is_large,
        "threshold_percent": context.threshold_percent,
        "exchange_mean_usd": row.get("exchange_mean_usd"),
        **times("since", ongoing[0]["started_at_unix"] if ongoing else None),
        "message": f"Large divergence detected: {percent:+.1f}%" if is_large else None,
    }


def _next_due(record: Record, context: Context) -> Snapshot:
    started = record.runs[0]["started_at_unix"] if record.runs else 0
    due = started + context.interval_seconds
    return times("next_due_at", due if due > context.now_unix else context.now_unix + context.interval_seconds)


def window_row(price: Row) -> Snapshot:
    """Return the window price of a row of prices in the shape of a day, for `/api/window.json`."""
    blocks = price["window_last_height"] - price["window_first_height"] + 1
    return {**_price(price, "window_"), "blocks": blocks, **{k: price[f"window_{k}"] for k in ("outputs", "points")}}


def days(record: Record, context: Context) -> Snapshot:
    """Return `/api/days.json`: one row a final day; as of the end of the newest."""
    rows = [{k: row[k] for k in (*DAY_FIELDS, *EXCHANGE_FIELDS)} for row in record.days]
    as_of_unix = midnight_unix(rows[-1]["date"]) + DAY_SECONDS if rows else context.now_unix
    return {**head(record.facts, as_of_unix), "days": rows}


def episodes(record: Record, context: Context) -> Snapshot:
    """Return `/api/episodes.json`: newest first."""
    return {
        **head(record.facts, context.now_unix),
        "rule": EPISODE_RULE,
        "episodes": [_episode(row, context) for row in record.episodes],
    }


def _episode(row: Row, context: Context) -> Snapshot:
    end = row["ended_at_unix"]
    return {
        **{k: row[k] for k in ("kind", "leg", "start_height", "end_height", "peak_percent")},
        **times("started_at", row["started_at_unix"]),
        **times("ended_at", end),
        "duration_seconds": max(0, (context.now_unix if end is None else end) - row["started_at_unix"]),
        "is_ongoing": end is None,
    }


def status(record: Record, latest: Snapshot, context: Context) -> Snapshot:
    """Return `/api/status.json`: health, sources, runs, gaps, versions."""
    good, failed = record.last_good_run, record.last_failed_run
    return {
        **head(record.facts, context.now_unix),
        "status": latest["status"],
        "reasons": [n for n in latest["notices"] if n["severity"] != "info" and n["code"] != "large_divergence"],
        "error": record.runs[0]["error"] if latest["status"] == "failing" and record.runs else None,
        "tip": latest["tip"],
        "sources": [_source(source, record.runs) for source in (record.runs[0]["sources"] if record.runs else ())],
        "runs": [_run(row) for row in record.runs],
        **times("last_success_at", good["ended_at_unix"] if good else None),
        "last_error": failed["error"] if failed else None,
        **times("last_error_at", failed["ended_at_unix"] if failed else None),
        "gaps": list(record.gaps),
        "record": dict(record.counts),
        "machine": dict(context.machine),
        "interval_seconds": context.interval_seconds,
        **{k: latest[k] for k in ("next_due_at", "next_due_at_unix")},
    }


def _run(row: Row) -> Snapshot:
    return {
        **times("started_at", row["started_at_unix"]),
        **times("ended_at", row["ended_at_unix"]),
        **{k: row[k] for k in ("outcome", "blocks_added", "blocks_replaced", "tip_height", "source", "error")},
    }


def _source(source: Row, runs: Iterable[Row]) -> Snapshot:
    reached = (
        run["ended_at_unix"]
        for run in runs
        for other in run["sources"]
        if other["source"] == source["source"] and other["is_reachable"]
    )
    return {**source, **times("last_success_at", next(reached, None))}
