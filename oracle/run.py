"""One run of the timer: tick, record, build the site from the record, tell people.

However a run goes, it ends the same way: recorded, published, told, and with an exit code. What an
administrator does about each failure is in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from oracle.config import SIMULATED, Settings
from oracle.errors import (
    BusyError,
    InternalError,
    OracleError,
    RequestError,
    SiteError,
    SourceTimeoutError,
    StoreError,
    lack_in,
    unexpected,
)
from oracle.failure import error_object
from oracle.fetch import Progress, no_progress
from oracle.lock import locked, only_run
from oracle.logs import get_logger
from oracle.news import news_of_episodes
from oracle.notify import Event, deliver
from oracle.peers.meet import meet_peers
from oracle.record.batch import Batch
from oracle.record.connect import kept_open
from oracle.record.store import Store
from oracle.report import log_report
from oracle.rows import run_row
from oracle.sources import Health
from oracle.sources.networks import require_network
from oracle.tick import TickReport, run_tick
from oracle.told import told_of
from oracle.wiring import Clock, calculator_of, open_sources, tick_rules_of

# While a node hangs, a price this old still serves, and nobody is told.
SERVES_SECONDS = range(3_600)
Publish = Callable[[], str]
IDLE = "CLOCK_WRONG"  # what people are told of a run that may record nothing
log = get_logger(__name__)


def run_once(
    settings: Settings,
    clock: Clock,
    publish: Publish,
    progress: Progress = no_progress,
    *,
    shown_height: int | None = None,
) -> Run:
    """Run once, deal with whatever fails, and return how it went.

    Args:
        settings: name everything.
        clock: Unix seconds.
        publish: builds the site from the record and returns the name of the release; it may raise
            anything.
        progress: is told blocks done and blocks in all.
        shown_height: the newest block that the site shows; a database that is not there beside such
            a site is missing, and no new one is begun.

    Raises:
        BusyError: another run is at it; nothing was done.
    """
    run = Run(settings, clock)
    try:
        with only_run(settings), kept_open():
            _check_not_missing(settings.duckdb_path, shown_height)
            run.record(progress)
            run.meet_peers()
            run.publish(publish)
    except BusyError:
        raise
    except RequestError as error:  # nothing was done
        run.refuse(error)
    except StoreError as error:  # the lock: nobody may write the record, so its rows go elsewhere
        run.save_elsewhere(error)
    except Exception as error:  # what not even the recording of a failure could hold
        run.refuse(run.unexpected(error))
    run.deliver()
    return run


def _check_not_missing(database: Path, shown_height: int | None) -> None:
    if shown_height is not None and not database.exists():
        raise RequestError(
            f"there is no database {database}, but the site shows blocks up to {shown_height}: "
            f"bring it back, or set DUCKDB_PATH to where it is; to begin a new one without that "
            f"history, run once: oracle build --anew"
        )


@dataclass
class Run:
    """A run and how it went; `may_publish` says whether there is a record to build the site
    from."""

    settings: Settings
    clock: Clock
    network: str = "unknown"
    exit_code: int = 0
    may_publish: bool = True
    report: TickReport | None = None
    released: str | None = None
    error: OracleError | None = None
    health: list[Health] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started_unix = int(self.clock())
        self._told = told_of(self.settings)

    # The steps of a run

    def record(self, progress: Progress = no_progress) -> None:
        """Run one tick into the database, and record it if it fails.

        Raises:
            RequestError: a setting names something that cannot be used; nothing was done.
        """
        try:
            self.tick_into(self.settings.duckdb_path, progress)
            if self.report is not None:
                log_report(self.report, self.settings.oracle_quote_max_age_seconds)
        except RequestError:
            raise
        except StoreError as error:
            self.save_elsewhere(error)
        except OracleError as error:
            self.fail(error)
        except Exception as error:  # somebody else's code, or a fault of ours
            self.fail(self.unexpected(error))

    def meet_peers(self) -> None:
        """Set what other publishers say beside the record."""
        if self.report is None or self.report.is_idle or self.error is not None:
            return
        for news in meet_peers(self.settings, self.started_unix):
            self._tell(*news)

    def publish(self, publish: Publish) -> None:
        """Build the site from the record, where there is one; else the last good site stays."""
        if not self.may_publish:
            return
        try:
            self.released = publish()
        except Exception as error:  # the builder may raise anything
            self.fail_to_publish(error)
        if self.error is None and self.report is not None:
            self._tell_of_success(self.report)

    def _tell_of_success(self, report: TickReport) -> None:
        """Tell once that trouble is over, or that a run may record nothing: the clock is wrong."""
        if report.is_idle:
            if self._told.begins(IDLE, self.started_unix):
                self._tell("failure", "; ".join(remark.message for remark in report.remarks))
        elif self._told.ends():
            self._tell("recovery", f"builds work again, at block {report.tip.height}")

    def deliver(self) -> None:
        """Tell people what there is to tell, whatever became of the run."""
        try:
            deliver(self.events, self.settings)
        except Exception as error:
            log.critical(
                "the notifications could not be delivered",
                kinds=[event.kind for event in self.events],
                exc_info=error,
            )

    # What can go wrong

    def tick_into(self, database: Path, progress: Progress = no_progress) -> None:
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
                self.health = source.probes()
                try:
                    self.report = run_tick(
                        store, source, sources.quotes, calculator, rules,
                        now_unix=self.started_unix, ended_unix=lambda: int(self.clock()),
                        health=self.health, progress=progress,
                    )  # fmt: skip
                finally:  # of a run that fails, the chunks that it wrote
                    self._tell_of_episodes(store)
        self._tell_of_backup(database, before["started_at_unix"] if before else None)

    def save_elsewhere(self, error: StoreError) -> None:
        """Run the tick into the backup database; nothing is published."""
        self.may_publish = False
        backup = self.settings.duckdb_backup_path
        log.critical(
            "the database cannot be used; this run's rows go to the backup",
            backup=str(backup),
            exc_info=error,
        )
        message = f"{error}; rows are saved in {backup}"
        try:
            with locked(backup):
                self.tick_into(backup)
        except Exception as second:
            log.critical("the backup did not work either", reason=str(second), exc_info=second)
            message = f"{error}; and this run's rows are not saved: {second}"
        self.events.clear()  # the backup knows too little to say what is news
        self._end_with(error, message)

    def fail(self, error: OracleError) -> None:
        """Record and tell a failure; while Bitcoin Core only hangs, a fresh record still serves."""
        has_timed_out = isinstance(error, SourceTimeoutError)
        age_seconds = self._seconds_since_success()
        still_serves = (
            has_timed_out
            and "core" in self.settings.oracle_sources
            and age_seconds in SERVES_SECONDS
        )
        self.health = self._probe()
        if still_serves:
            log.warning(
                "the node does not answer; the last recorded price still serves",
                reason=str(error),
                recorded_seconds_ago=age_seconds,
            )
            self._record_failure(error, still_serves=True)
            return
        log.error("the run failed", reason=str(error), code=error.code)
        self._record_failure(error)
        self._end_with(error, error.public_message)

    def fail_to_publish(self, error: Exception) -> None:
        """Record and tell that the site could not be built or written."""
        found = self._site_error(error)
        log.critical("the site could not be published", reason=str(found), code=found.code)
        self._record_failure(found)
        self._end_with(found, found.public_message)

    def refuse(self, error: OracleError) -> None:
        """Tell of a run that could not begin."""
        self.may_publish = False
        log.error("the run could not begin", reason=str(error), code=error.code)
        self._end_with(error, error.public_message)

    def unexpected(self, error: Exception) -> InternalError:
        """Return what is no error of ours as one, and log where it came from."""
        log.critical("something went wrong that should not have", exc_info=error)
        return unexpected(error, self.settings.redact(str(error)))

    def _site_error(self, error: Exception) -> OracleError:
        if isinstance(error, OracleError):
            return error
        if isinstance(error, OSError) and lack_in(error) is None:
            return SiteError(self.settings.oracle_site_dir, str(error))
        return self.unexpected(error)

    def _end_with(self, error: OracleError, message: str) -> None:
        """Take an error as that of the run, the first there is, and tell it once."""
        if self.error is None:
            self.error, self.exit_code = error, error.exit_code
        if self._told.begins(error.code, self.started_unix):
            self._tell("failure", message)

    def _probe(self) -> list[Health]:
        """Ask every source how it is, once each and without patience."""
        try:
            sources = open_sources(self.settings, self.clock, is_lasting=False, is_patient=False)
            with closing(sources):
                return sources.blocks.probes()
        except Exception as error:  # the run has failed already
            log.warning("the sources could not be probed", reason=str(error))
            return []

    def _seconds_since_success(self) -> int | None:
        with suppress(StoreError):
            if self.settings.duckdb_path.exists():
                with Store(self.settings.duckdb_path) as store:
                    success = store.last_run(or_failed=False)
                    return self.started_unix - int(success["ended_at_unix"]) if success else None
        return None

    def _record_failure(self, error: OracleError, *, still_serves: bool = False) -> None:
        """Add the failed run to the record, into a new one if there is none yet."""
        known_network = SIMULATED if self.settings.is_simulated else None
        shown = error_object(error, self.settings, still_serves=still_serves)
        row = run_row(
            self.started_unix,
            int(self.clock()),
            "failed",
            error=shown,
            sources=[found.published() for found in self.health],
        )
        try:
            with Store(self.settings.duckdb_path, network=known_network) as store:
                self.network = store.network or self.network
                batch = Batch(self.started_unix)
                batch.add("runs", row)
                store.write(batch)
        except Exception as second:
            log.critical("the failure could not be recorded", exc_info=second)
            self.may_publish = False

    # What people are told

    def _tell_of_episodes(self, store: Store) -> None:
        with suppress(StoreError):  # then the run fails for it
            for news in news_of_episodes(store, self._told):
                self._tell(*news)

    def _tell_of_backup(self, database: Path, last_run_unix: int | None) -> None:
        backup = self.settings.duckdb_backup_path
        if database == backup or not backup.exists():
            return
        log.warning(
            "the backup holds rows of failed runs; run `oracle recover`", backup=str(backup)
        )
        if last_run_unix is None or backup.stat().st_mtime > last_run_unix:  # told once
            sentence = f"{backup} holds rows of failed runs; run `oracle recover`"
            self._tell("backup_holds_rows", sentence)

    def _tell(self, kind: str, message: str, details: Mapping[str, object] | None = None) -> None:
        self.events.append(Event(kind, message, self.started_unix, self.network, details or {}))
