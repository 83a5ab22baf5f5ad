"""`/api/status.json`: health, sources, runs, gaps, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from builder.api.head import head, iso, iso_or_none
from builder.api.notices import NOT_ABOUT_HEALTH
from builder.gather import Context, Gathered
from builder.rows import CountsRow, GapRow, ProbeRow, RunRow

if TYPE_CHECKING:
    from builder.api.types import Gap, Holdings, Latest, Run, SourceState, Status


def make_status(gathered: Gathered, latest: Latest, context: Context) -> Status:
    """Return `/api/status.json`."""
    newest = gathered.runs[0] if gathered.runs else None
    is_failing = latest["status"] == "failing"
    failed = gathered.last_failed_run
    good_unix = gathered.last_good_run["ended_at_unix"] if gathered.last_good_run else None
    failed_unix = failed["ended_at_unix"] if failed else None
    since_unix = gathered.failing_since_unix if is_failing else None
    return {
        **head(gathered, context.now_unix, context.calculator.algorithm_version),
        "status": latest["status"],
        "reasons": [
            notice
            for notice in latest["notices"]
            if notice["severity"] != "info" and notice["code"] not in NOT_ABOUT_HEALTH
        ],
        "error": newest["error"] if newest and is_failing else None,
        "tip": latest["tip"],
        "sources": [
            _source(probe, gathered.runs) for probe in (newest["sources"] if newest else ())
        ],
        "runs": [_run(row) for row in gathered.runs],
        "last_success_at": iso_or_none(good_unix),
        "last_success_at_unix": good_unix,
        "last_error": failed["error"] if failed else None,
        "last_error_at": iso_or_none(failed_unix),
        "last_error_at_unix": failed_unix,
        "failing_since": iso_or_none(since_unix),
        "failing_since_unix": since_unix,
        "gaps": [_gap(row) for row in gathered.gaps],
        "record": _holdings(gathered.counts),
        "machine": context.machine,
        "interval_seconds": context.interval_seconds,
        "next_due_at": latest["next_due_at"],
        "next_due_at_unix": latest["next_due_at_unix"],
    }


def _source(probe: ProbeRow, runs: Iterable[RunRow]) -> SourceState:
    reached_unix = next((run["ended_at_unix"] for run in runs if _has_reached(run, probe)), None)
    state: SourceState = {
        "source": probe["source"],
        "is_reachable": probe["is_reachable"],
        "latency_ms": probe["latency_ms"],
        "version": probe["version"],
        "network": probe["network"],
        "is_synced": probe["is_synced"],
        "tip_height": probe["tip_height"],
        "advice": probe["advice"],
        "last_success_at": iso_or_none(reached_unix),
        "last_success_at_unix": reached_unix,
    }
    if "state" in probe:
        state["state"] = probe["state"]
    return state


def _has_reached(run: RunRow, probe: ProbeRow) -> bool:
    """Tell whether a run reached the source of a probe."""
    return any(
        other["source"] == probe["source"] and other["is_reachable"] for other in run["sources"]
    )


def _run(row: RunRow) -> Run:
    return {
        "started_at": iso(row["started_at_unix"]),
        "started_at_unix": row["started_at_unix"],
        "ended_at": iso(row["ended_at_unix"]),
        "ended_at_unix": row["ended_at_unix"],
        "outcome": row["outcome"],
        "blocks_added": row["blocks_added"],
        "blocks_replaced": row["blocks_replaced"],
        "tip_height": row["tip_height"],
        "source": row["source"],
        "error": row["error"],
    }


def _gap(row: GapRow) -> Gap:
    return {"first_height": row["first_height"], "last_height": row["last_height"]}


def _holdings(row: CountsRow) -> Holdings:
    return {
        "blocks": row["blocks"],
        "first_height": row["first_height"],
        "last_height": row["last_height"],
        "prices": row["prices"],
        "days": row["days"],
        "exchange_samples": row["exchange_samples"],
        "episodes": row["episodes"],
    }
