"""What a reader must know before relying on a number, and the one word for how the oracle is.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.api.head import iso
from builder.api.types import (
    ErrorObject,
    Exchange,
    Latest,
    Leg,
    Notice,
    NoticeCode,
    Shown,
    State,
    Status,
    Tip,
)
from builder.gather import Context, Gathered

STALE_TIP_SECONDS = 3 * 3600
"""A gap between blocks that long comes once in centuries; then something is broken."""

STALE_RUNS = 3
"""This many intervals without a good run."""

LEG_IN_WORDS: dict[Leg, str] = {"spot": "now", "window": "over the window"}


def status_of(notices: Iterable[Notice]) -> State:
    """Return ok, degraded, stale or failing: the worst that the notices say about the oracle
    itself."""
    codes = {notice["code"] for notice in notices if notice["severity"] != "info"}
    codes -= {"large_divergence"}
    if codes & {"failing", "no_data"}:
        return "failing"
    if "stale" in codes:
        return "stale"
    return "degraded" if codes else "ok"


def notices_of(gathered: Gathered, shown: Shown, context: Context) -> list[Notice]:
    """Return the notices about what `latest.json` shows, most severe first."""
    return [
        *_failures(gathered, shown["tip"], context),
        *_of_divergence(shown),
        *_of_prices(shown),
        *_of_exchange(shown),
        *_of_record(gathered),
    ]


def _error(code: NoticeCode, message: str) -> Notice:
    return {"code": code, "severity": "error", "message": message}


def _warning(code: NoticeCode, message: str) -> Notice:
    return {"code": code, "severity": "warning", "message": message}


def _failures(gathered: Gathered, tip: Tip | None, context: Context) -> Iterator[Notice]:
    if gathered.spot is None:
        yield _error("no_data", "No data yet: no block has been priced so far.")
    last = gathered.runs[0] if gathered.runs else None
    if last and last["outcome"] == "failed":
        reason = last["error"]["message"] if last["error"] else "no reason recorded"
        yield _error("failing", f"The last run failed: {reason}")
    good = gathered.last_good_run
    silent_seconds = context.now_unix - good["ended_at_unix"] if good else 0
    if silent_seconds > STALE_RUNS * context.interval_seconds:
        since = iso(context.now_unix - silent_seconds)
        yield _error("stale", f"No run has succeeded since {since}.")
    elif tip and tip["age_seconds"] > STALE_TIP_SECONDS:
        yield _error("stale", f"The newest known block is from {tip['time']}.")


def _of_divergence(shown: Shown) -> Iterator[Notice]:
    divergence = shown["divergence"]
    if divergence["is_large"] and divergence["leg"]:
        when = LEG_IN_WORDS[divergence["leg"]]
        message = f"{divergence['message']} against the exchange price {when}."
        yield _warning("large_divergence", message)


def _of_prices(shown: Shown) -> Iterator[Notice]:
    spot = shown["spot"]
    window = shown["window"]
    if spot is None or window is None:
        return
    if spot["price_usd"] is None and window["price_usd"] is None:
        yield _warning("no_price", f"No on-chain price: {window['reason'] or spot['reason']}.")
    if not spot["is_valid"]:
        yield _warning("low_confidence", f"Low confidence in the spot price: {spot['reason']}.")
    if not window["is_valid"]:
        yield _warning("low_confidence", f"Low confidence in the window price: {window['reason']}.")


def _of_exchange(shown: Shown) -> Iterator[Notice]:
    exchange = shown["exchange"]
    if exchange is None:
        if shown["spot"]:
            yield _warning("no_exchange", "No exchange price is known: on-chain prices only.")
    elif exchange["is_stale"]:
        message = f"The exchange price is from {exchange['quoted_at']}: too old to compare."
        yield _warning("stale_exchange", message)


def _of_record(gathered: Gathered) -> Iterator[Notice]:
    for probe in gathered.runs[0]["sources"] if gathered.runs else ():
        if not probe["is_reachable"]:
            name = probe["source"]
            yield _warning("source_unreachable", f"The source {name} could not be reached.")
    if gathered.gaps:
        yield _warning("gaps", f"Blocks are missing in the record: {len(gathered.gaps)} gaps.")
    if gathered.is_demo:
        message = "Simulated data: the blocks and all prices here are made up."
        yield {"code": "simulated", "severity": "info", "message": message}


def mark_failed(
    latest: Latest, status: Status, error: ErrorObject, context: Context
) -> tuple[Latest, Status]:
    """Return `latest.json` and `status.json` of a failed run: the data of the last build, and the
    error."""
    now_unix = context.now_unix
    due_unix = now_unix + context.interval_seconds
    notice = _error("failing", f"The last run failed: {error['message']}")
    failed_latest: Latest = {
        **latest,
        "generated_at": iso(now_unix),
        "generated_at_unix": now_unix,
        "status": "failing",
        "notices": [notice, *_without_failures(latest["notices"])],
        "tip": latest["tip"] and _aged_tip(latest["tip"], now_unix),
        "exchange": latest["exchange"] and _aged_exchange(latest["exchange"], now_unix),
        "next_due_at": iso(due_unix),
        "next_due_at_unix": due_unix,
    }
    failed_status: Status = {
        **status,
        "generated_at": iso(now_unix),
        "generated_at_unix": now_unix,
        "status": "failing",
        "reasons": [notice, *_without_failures(status["reasons"])],
        "error": error,
        "tip": failed_latest["tip"],
        "last_error": error,
        "last_error_at": iso(now_unix),
        "last_error_at_unix": now_unix,
        "machine": context.machine,
        "next_due_at": iso(due_unix),
        "next_due_at_unix": due_unix,
    }
    return failed_latest, failed_status


def _without_failures(notices: Iterable[Notice]) -> list[Notice]:
    return [notice for notice in notices if notice["code"] not in {"failing", "stale"}]


def _aged_tip(tip: Tip, now_unix: int) -> Tip:
    return {**tip, "age_seconds": max(0, now_unix - tip["time_unix"])}


def _aged_exchange(exchange: Exchange, now_unix: int) -> Exchange:
    return {**exchange, "age_seconds": max(0, now_unix - exchange["quoted_at_unix"])}
