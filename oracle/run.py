"""One run of the timer up to the record, with everything that can go wrong.

One run at a time; failures are logged, recorded and told; rows are saved elsewhere when the database cannot
take them. What an administrator does about each is in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock, Timeout

from oracle.config import Settings
from oracle.episodes import Episode
from oracle.errors import BusyError, OracleError, SourceError, SourceUnavailableError, StoreError
from oracle.logs import get_logger
from oracle.notify import Event
from oracle.rows import run_row
from oracle.store import Batch, Store
from oracle.tick import Progress, TickReport, run_tick
from oracle.wiring import Clock, calculator_of, open_sources, tick_rules_of

LAST_PRICE_MAX_AGE_SECONDS = 3_600  # while a node hangs, a price this old still serves
UNAVAILABLE_CODES = {
    "bitcoin-core": "BITCOIN_RPC_UNAVAILABLE",
    "mempool": "MEMPOOL_API_UNAVAILABLE",
    "electrs": "ELECTRS_UNAVAILABLE",
}
log = get_logger(__name__)


@dataclass
class RunResult:
    """How a run went; `may_publish` says whether the record may be shown as the newest there is."""

    network: str = "unknown"
    exit_code: int = 0
    may_publish: bool = True
    report: TickReport | None = None
    error: OracleError | None = None
    events: list[Event] = field(default_factory=list)


@contextmanager
def only_run(settings: Settings) -> Iterator[None]:
    """Hold the lock beside the database for the length of a run.

    Raises:
        BusyError: another run holds it.
    """
    path = settings.duckdb_path.with_suffix(".lock")
    lock = FileLock(path)
    with suppress(OSError):  # a folder that cannot be written: opening the database says it better
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise BusyError(f"another run holds {path}; this one has nothing to do") from None
    try:
        yield
    finally:
        lock.release()


def record(settings: Settings, clock: Clock, progress: Progress | None = None) -> RunResult:
    """Run one tick into the database and deal with what fails.

    Raises:
        SettingsError: a setting names something that cannot be used; nothing was done.
    """
    result = RunResult()
    started_unix = int(clock())
    try:
        result.report = _tick(settings, clock, settings.duckdb_path, result, progress)
    except StoreError as error:
        _save_elsewhere(settings, clock, result, error)
    except SourceUnavailableError as error:
        _go_without_source(settings, started_unix, result, error)
    except OracleError as error:
        if error.exit_code == BusyError.exit_code or error.code == "BAD_SETTINGS":
            raise
        _fail(settings, started_unix, result, error)
    else:
        _log_report(result.report, settings)
    return result


def _tick(settings: Settings, clock: Clock, database: Path, result: RunResult, progress: Progress | None) -> TickReport:
    calculator = calculator_of(settings)
    now_unix = int(clock())
    sources = open_sources(settings, clock)
    source, rules = sources.blocks, tick_rules_of(settings, sources)
    try:
        result.network = source.network()
        with Store(database, network=result.network) as store:
            before = store.last_run()
            report = run_tick(
                store,
                source,
                sources.quotes,
                calculator,
                rules,
                now_unix=now_unix,
                ended_unix=lambda: int(clock()),
                health=source.probes(),
                progress=progress,
            )
            if before and before["outcome"] == "failed":
                message = f"builds work again, at block {report.tip.height}"
                result.events.append(Event("recovery", message, now_unix, result.network))
            live_since = now_unix - rules.live_seconds
            result.events += [
                _episode_event(episode, now_unix, result.network)
                for episode in report.episodes
                if (episode.ended_at_unix or episode.started_at_unix) >= live_since
            ]
            if settings.duckdb_backup_path.exists() and database == settings.duckdb_path:
                message = f"{settings.duckdb_backup_path} holds rows of failed runs; run `oracle recover`"
                log.warning(message)
                result.events.append(Event("backup_holds_rows", message, now_unix, result.network))
            return report
    finally:
        source.close()


def _episode_event(episode: Episode, now_unix: int, network: str) -> Event:
    is_over = episode.ended_at_unix is not None
    kind = f"{episode.kind}_{'ended' if is_over else 'started'}"
    if episode.kind == "divergence":
        sign = f"{episode.peak_percent or 0:+.1f}%"
        message = f"divergence is over; its peak was {sign}" if is_over else f"Large divergence detected: {sign}"
    else:
        message = "confidence is back" if is_over else "confidence has been low for an hour"
    details = {"leg": episode.leg, "peak_percent": episode.peak_percent, "start_height": episode.start_height}
    return Event(kind, message, now_unix, network, details)


def _log_report(report: TickReport, settings: Settings) -> None:
    facts: dict[str, Any] = {
        "tip_height": report.tip.height,
        "blocks_added": report.blocks_added,
        "source": report.source,
    }
    if report.blocks_replaced:
        log.warning("the chain was reorganised", blocks_replaced=report.blocks_replaced, **facts)
    if report.quote_problem is not None:
        log.warning("no exchange price", reason=str(report.quote_problem))
    elif report.quote_is_stale:
        log.warning("the exchange price is stale", max_age_seconds=settings.oracle_quote_max_age_seconds)
    price = report.price
    if price is None:
        log.warning("no price yet: the window needs 144 blocks and the tip", **facts)
        return
    if report.blocks_added and not price["window_is_valid"]:
        names = ("reason", "confidence", "usd", "outputs", "points", "first_height", "last_height")
        summary = {f"window_{name}": price[f"window_{name}"] for name in names}
        log.warning("Low confidence: the price is not valid", **facts, **summary)
    comparison = report.comparison
    log.info(
        "recorded",
        **facts,
        window_usd=price["window_usd"],
        spot_usd=price["spot_usd"],
        confidence=price["spot_confidence"],
        exchange_usd=comparison.exchange_usd if comparison else None,
        divergence_percent=comparison.headline_percent if comparison else None,
    )


def _save_elsewhere(settings: Settings, clock: Clock, result: RunResult, error: StoreError) -> None:
    backup = settings.duckdb_backup_path
    log.critical("the database cannot be used; this run's rows go to the backup", backup=str(backup), exc_info=error)
    result.error, result.exit_code, result.may_publish = error, error.exit_code, False
    message = f"{error}; rows are saved in {backup}"
    try:
        _tick(settings, clock, backup, result, None)
    except OracleError as second:
        log.critical("the backup did not work either", reason=str(second))
        message = f"{error}; and this run's rows are not saved: {second}"
    result.events = [Event("failure", message, int(clock()), result.network)]


def _go_without_source(settings: Settings, started_unix: int, result: RunResult, error: SourceUnavailableError) -> None:
    """Show the last record when Bitcoin Core only hangs and the record is fresh; else fail."""
    age_seconds = None
    with suppress(OracleError):
        if _has_timed_out(error) and "core" in settings.oracle_sources:
            age_seconds = _age_of_newest_price(settings.duckdb_path, started_unix)
    if age_seconds is None or age_seconds > LAST_PRICE_MAX_AGE_SECONDS:
        _fail(settings, started_unix, result, error)
        return
    log.warning(
        "the node does not answer; the last recorded price still serves",
        reason=str(error),
        recorded_seconds_ago=age_seconds,
    )
    _record_failure(settings, started_unix, result, error)


def _has_timed_out(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, httpx.TimeoutException):
            return True
        error = error.__cause__
    return False


def _age_of_newest_price(database: Path, now_unix: int) -> int | None:
    if not database.exists():
        return None
    with Store(database) as store:
        run = store.last_good_run()
    return now_unix - int(run["ended_at_unix"]) if run else None


def _fail(settings: Settings, started_unix: int, result: RunResult, error: OracleError) -> None:
    log.error("the run failed; nothing was recorded", reason=str(error), code=error_code(error))
    result.error, result.exit_code, result.may_publish = error, error.exit_code, False
    is_first = _record_failure(settings, started_unix, result, error)
    if is_first:
        result.events.append(Event("failure", str(error), started_unix, result.network))


def _record_failure(settings: Settings, started_unix: int, result: RunResult, error: OracleError) -> bool:
    """Add the failed run to the record; return whether the run before it was a good one."""
    if not settings.duckdb_path.exists():
        return True
    try:
        with Store(settings.duckdb_path) as store:
            result.network = store.network or result.network
            before = store.last_run()
            batch = Batch(started_unix)
            batch.add("runs", run_row(started_unix, started_unix, "failed", error=error_object(error, settings)))
            store.write(batch)
    except StoreError as second:
        log.critical("the failure could not be recorded", exc_info=second)
        return True
    return before is None or before["outcome"] != "failed"


def error_code(error: OracleError) -> str:
    """Return the code of an error in the published error shape."""
    if isinstance(error, SourceUnavailableError):
        return UNAVAILABLE_CODES.get(error.source, error.code)
    return error.code


def error_object(error: OracleError, settings: Settings) -> dict[str, Any]:
    """Return an error in the published shape, without secrets."""
    details: Mapping[str, Any] = {}
    if isinstance(error, SourceError):
        cause = error.__cause__ or error
        details = {"url": error.url, "attempts": error.attempts, "last_error": str(cause)}
    shape = {
        "code": error_code(error),
        "message": str(error),
        "retry_after": 60 * settings.analysis_interval_minutes,
        "details": details,
    }
    return {"error": settings.clean(shape)}
