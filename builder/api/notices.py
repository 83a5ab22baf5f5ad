"""What a reader must know before relying on a number, and the one word for how the oracle is.
Pure."""

from __future__ import annotations

from collections.abc import Iterable

from builder.gather import Context, Record, Row, Snapshot, iso, times

STALE_TIP_SECONDS = (
    3 * 3600
)  # a gap between blocks that long comes once in centuries; then something is broken
STALE_RUNS = 3  # this many intervals without a good run


def status_of(notices: Iterable[Row]) -> str:
    """Return ok, degraded, stale or failing: the worst that the notices say about the oracle
    itself."""
    codes = {n["code"] for n in notices if n["severity"] != "info"} - {"large_divergence"}
    if codes & {"failing", "no_data"}:
        return "failing"
    return "stale" if "stale" in codes else "degraded" if codes else "ok"


def notices_of(record: Record, shown: Snapshot, context: Context) -> list[Snapshot]:
    """Return the notices about what `latest.json` shows, most severe first."""
    found = [*_failures(record, shown, context), *_warnings(record, shown)]
    return [
        {"code": code, "severity": severity, "message": message}
        for code, severity, message in found
    ]


def _failures(record: Record, shown: Snapshot, context: Context) -> Iterable[tuple[str, str, str]]:
    last, good = record.runs[0] if record.runs else None, record.last_good_run
    if record.spot is None:
        yield "no_data", "error", "No data yet: no block has been priced so far."
    if last and last["outcome"] == "failed":
        yield (
            "failing",
            "error",
            f"The last run failed: {(last['error'] or {}).get('message', 'no reason recorded')}",
        )
    silent = context.now_unix - good["ended_at_unix"] if good else 0
    if silent > STALE_RUNS * context.interval_seconds:
        yield "stale", "error", f"No run has succeeded since {iso(context.now_unix - silent)}."
    elif shown["tip"] and shown["tip"]["age_seconds"] > STALE_TIP_SECONDS:
        yield "stale", "error", f"The newest known block is from {shown['tip']['time']}."


def _warnings(record: Record, shown: Snapshot) -> Iterable[tuple[str, str, str]]:
    spot, window, exchange, divergence = (
        shown[k] for k in ("spot", "window", "exchange", "divergence")
    )
    if divergence["is_large"]:
        leg = {"spot": "now", "window": "over the window"}[divergence["leg"]]
        yield (
            "large_divergence",
            "warning",
            f"{divergence['message']} against the exchange price {leg}.",
        )
    if spot and spot["price_usd"] is None and window["price_usd"] is None:
        yield "no_price", "warning", f"No on-chain price: {window['reason'] or spot['reason']}."
    for name, price in (("spot", spot), ("window", window)):
        if price and not price["is_valid"]:
            yield (
                "low_confidence",
                "warning",
                f"Low confidence in the {name} price: {price['reason']}.",
            )
    if spot and exchange is None:
        yield "no_exchange", "warning", "No exchange price is known: on-chain prices only."
    if exchange and exchange["is_stale"]:
        yield (
            "stale_exchange",
            "warning",
            f"The exchange price is from {exchange['quoted_at']}: too old to compare.",
        )
    probes = record.runs[0]["sources"] if record.runs else ()
    for name in (probe["source"] for probe in probes if not probe["is_reachable"]):
        yield "source_unreachable", "warning", f"The source {name} could not be reached."
    if record.gaps:
        yield "gaps", "warning", f"Blocks are missing in the record: {len(record.gaps)} gaps."
    if record.facts.get("is_demo", "false").lower() == "true":
        yield "simulated", "info", "Simulated data: the blocks and all prices here are made up."


def mark_failed(
    latest: Row, status: Row, error: Row, context: Context
) -> tuple[Snapshot, Snapshot]:
    """Return `latest.json` and `status.json` of a failed run: the data of the last build, and the
    error."""
    now = context.now_unix
    notice = {
        "code": "failing",
        "severity": "error",
        "message": f"The last run failed: {error['message']}",
    }
    kept = [n for n in latest["notices"] if n["code"] not in {"failing", "stale"}]
    tip, exchange = (
        _aged(latest["tip"], "time_unix", now),
        _aged(latest["exchange"], "quoted_at_unix", now),
    )
    due = times("next_due_at", now + context.interval_seconds)
    both = {**times("generated_at", now), "status": "failing", "tip": tip, **due}
    failed = {
        "error": error,
        "last_error": error,
        **times("last_error_at", now),
        "machine": dict(context.machine),
    }
    reasons = [notice, *(n for n in status["reasons"] if n["code"] not in {"failing", "stale"})]
    return (
        {**latest, **both, "exchange": exchange, "notices": [notice, *kept]},
        {**status, **both, **failed, "reasons": reasons},
    )


def _aged(holder: Row | None, moment: str, now_unix: int) -> Snapshot | None:
    return {**holder, "age_seconds": max(0, now_unix - holder[moment])} if holder else None
