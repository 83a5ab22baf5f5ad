"""One run of the timer up to the record, with everything that can go wrong.

One run at a time; failures are logged, recorded and told; rows are saved elsewhere when the
database cannot take them. What an administrator does about each is in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oracle.config import Settings
from oracle.errors import (
    BusyError,
    OracleError,
    RequestError,
    SourceError,
    SourceTimeoutError,
    StoreError,
)
from oracle.exchange.episodes import Episode
from oracle.fetch import Progress
from oracle.logs import get_logger
from oracle.notify import Event
from oracle.record.store import Batch, Store
from oracle.remarks import log_remarks
from oracle.rows import run_row
from oracle.sources.networks import require_network
from oracle.tick import TickReport, run_tick
from oracle.wiring import Clock, calculator_of, open_sources, tick_rules_of

SERVES_SECONDS = range(
    3_600
)  # while a node hangs, a price this old still serves, and nobody is told
log = get_logger(__name__)


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


def record(settings: Settings, clock: Clock, progress: Progress | None = None) -> Run:
    """Run one tick into the database, deal with what fails, and return how it went.

    Raises:
        RequestError: a setting names something that cannot be used; nothing was done.
    """
    run = Run(settings, clock)
    try:
        run.tick_into(settings.duckdb_path, progress)
    except RequestError:
        raise
    except StoreError as error:
        run.save_elsewhere(error)
    except OracleError as error:
        run.fail(error)
    else:
        run.log_report()
    return run


@dataclass
class Run:
    """A run and how it went; `may_publish` says whether the record may be shown as the newest
    there is."""

    settings: Settings
    clock: Clock
    network: str = "unknown"
    exit_code: int = 0
    may_publish: bool = True
    report: TickReport | None = None
    error: OracleError | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started_unix = int(self.clock())

    def tick_into(self, database: Path, progress: Progress | None = None) -> None:
        """Run the tick; the database is opened only when a source answers."""
        calculator = calculator_of(self.settings)
        sources = open_sources(self.settings, self.clock)
        rules = tick_rules_of(self.settings, sources)
        with closing(sources):
            source = sources.blocks
            wanted = self.settings.oracle_network
            self.network = require_network(source.network(), wanted, source.name)
            with Store(database, network=self.network) as store:
                before = store.last_run()
                self.report = run_tick(
                    store, source, sources.quotes, calculator, rules,
                    now_unix=self.started_unix, ended_unix=lambda: int(self.clock()),
                    health=source.probes(), progress=progress,
                )  # fmt: skip
        if before and before["outcome"] == "failed":
            self._tell("recovery", f"builds work again, at block {self.report.tip.height}")
        for episode in self.report.episodes:
            if (
                episode.ended_at_unix or episode.started_at_unix
            ) >= self.started_unix - rules.live_seconds:
                self._tell_of(episode)
        backup = self.settings.duckdb_backup_path
        if backup.exists() and database != backup:
            log.warning(
                "the backup holds rows of failed runs; run `oracle recover`", backup=str(backup)
            )
            if before is None or backup.stat().st_mtime > before["started_at_unix"]:  # told once
                self._tell(
                    "backup_holds_rows", f"{backup} holds rows of failed runs; run `oracle recover`"
                )

    def save_elsewhere(self, error: StoreError) -> None:
        """Run the tick into the backup database; nothing more is published."""
        self.error, self.exit_code, self.may_publish = error, error.exit_code, False
        backup = self.settings.duckdb_backup_path
        is_first = not backup.exists()
        log.critical(
            "the database cannot be used; this run's rows go to the backup",
            backup=str(backup),
            exc_info=error,
        )
        message = f"{error}; rows are saved in {backup}"
        try:
            self.tick_into(backup)
        except OracleError as second:
            log.critical("the backup did not work either", reason=str(second))
            message = f"{error}; and this run's rows are not saved: {second}"
        self.events.clear()
        if is_first:
            self._tell("failure", message)

    def fail(self, error: OracleError) -> None:
        """Log, record and tell a failure; while Bitcoin Core only hangs, a fresh record still
        serves."""
        age_seconds = self._seconds_since_success()
        has_timed_out = isinstance(error, SourceTimeoutError)
        is_node_hanging = has_timed_out and "core" in self.settings.oracle_sources
        if is_node_hanging and age_seconds in SERVES_SECONDS:
            log.warning(
                "the node does not answer; the last recorded price still serves",
                reason=str(error), recorded_seconds_ago=age_seconds,
            )  # fmt: skip
            self._record_failure(error, is_node_hanging=True)
            return
        log.error("the run failed; nothing was recorded", reason=str(error), code=error.code)
        self.error, self.exit_code, self.may_publish = error, error.exit_code, False
        if self._record_failure(error, is_node_hanging=is_node_hanging):
            self._tell("failure", error.public_message)

    def _seconds_since_success(self) -> int | None:
        with suppress(StoreError):
            if self.settings.duckdb_path.exists():
                with Store(self.settings.duckdb_path) as store:
                    success = store.last_run(or_failed=False)
                    return self.started_unix - int(success["ended_at_unix"]) if success else None
        return None

    def _record_failure(self, error: OracleError, *, is_node_hanging: bool) -> bool:
        """Add the failed run to the record; return whether people have not heard of the failure
        yet."""
        if not self.settings.duckdb_path.exists():
            return True
        try:
            with Store(self.settings.duckdb_path) as store:
                self.network = store.network or self.network
                before, success = store.last_run(), store.last_run(or_failed=False)
                batch, shown = Batch(self.started_unix), error_object(error, self.settings)
                batch.add(
                    "runs", run_row(self.started_unix, int(self.clock()), "failed", error=shown)
                )
                store.write(batch)
        except StoreError as second:
            log.critical("the failure could not be recorded", exc_info=second)
            return True
        if before is None or success is None or before["outcome"] != "failed":
            return before is None or before["outcome"] != "failed"
        return (
            is_node_hanging and before["ended_at_unix"] - success["ended_at_unix"] in SERVES_SECONDS
        )

    def _tell(self, kind: str, message: str, details: Mapping[str, object] | None = None) -> None:
        self.events.append(Event(kind, message, self.started_unix, self.network, details or {}))

    def _tell_of(self, episode: Episode) -> None:
        is_over = episode.ended_at_unix is not None
        peak = f"{episode.peak_percent or 0:+.1f}%"
        messages = {
            ("divergence", False): f"Large divergence detected: {peak}",
            ("divergence", True): f"The divergence is over; its peak was {peak}",
            ("low_confidence", False): "Confidence has been low for an hour",
            ("low_confidence", True): "Confidence is back",
        }
        self._tell(
            f"{episode.kind}_{'ended' if is_over else 'started'}",
            messages[episode.kind, is_over],
            asdict(episode),
        )

    def log_report(self) -> None:
        """Log what the tick found, in the order in which an administrator would ask."""
        report = self.report
        if report is None:
            return
        facts = {name: getattr(report, name) for name in ("blocks_added", "source")}
        facts["tip_height"] = report.tip.height
        if report.blocks_replaced:
            log.warning(
                "the chain was reorganised", blocks_replaced=report.blocks_replaced, **facts
            )
        if report.quote_problem is not None:
            log.warning("no exchange price", reason=str(report.quote_problem))
        elif report.quote_is_stale:
            log.warning(
                "the exchange price is stale",
                max_age_seconds=self.settings.oracle_quote_max_age_seconds,
            )
        log_remarks(report.remarks)
        price, comparison = report.price, report.comparison
        if price is None:
            log.warning("no price yet: the window needs 144 blocks and the tip", **facts)
            return
        if report.blocks_added and not price["window_is_valid"]:
            summary = {name: value for name, value in price.items() if name.startswith("window_")}
            log.warning("Low confidence: the price is not valid", **facts, **summary)
        prices = {name: price[name] for name in ("window_usd", "spot_usd", "spot_confidence")}
        shown = ("exchange_usd", "headline_percent", "leg")
        compared = {name: getattr(comparison, name) for name in shown} if comparison else {}
        log.info("recorded", **facts, **prices, **compared)


def error_object(error: OracleError, settings: Settings) -> dict[str, Any]:
    """Return an error in the published shape, without secrets."""
    details: Mapping[str, Any] = {}
    if isinstance(error, SourceError):
        details = {"source": error.source, "attempts": error.attempts}
    shape = {
        "code": error.code,
        "message": error.public_message,
        "retry_after": 60 * settings.analysis_interval_minutes,
        "details": details,
    }
    return dict(settings.clean(shape))
