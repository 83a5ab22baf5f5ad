"""What `oracle doctor` looks at: sources, clock, quote, disk, permissions, backup, database; a finding each.

Nothing is printed and nothing is changed. A finding that is not ok says in a sentence what to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from oracle.config import Settings
from oracle.core.wire import parse_header
from oracle.errors import OracleError, SourceError
from oracle.sources import BlockSource, Health, QuoteSource

ELECTRS_LATENCY_MARK_MS = 100.0  # a tick reads one block; slower than this, its index is on the wrong disk
QUERY_MARK_MS = 50.0
LOW_DISK_BYTES = 1 << 30  # some months of history, and the releases
FULL_DISK_BYTES = 100 << 20
BEHIND_BLOCKS = 2
EARLY_TIP_SECONDS = 2 * 3600  # how far ahead of real time a header may be, by consensus
LATE_TIP_SECONDS = 3 * 3600  # gaps this long come less than once in a century

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `message` says what was measured, `advice` what to do (empty when all is well)."""

    name: str
    level: Level
    message: str
    advice: str = ""
    measured: Mapping[str, object] = field(default_factory=dict)


def examine(
    settings: Settings,
    sources: Sequence[BlockSource],
    quotes: QuoteSource | None,
    probe_store: Callable[[], float],
    clock: Callable[[], float],
    *,
    dotenv: Path | None = None,
) -> list[Finding]:
    """Return what was found, in the order of a run.

    `probe_store` runs the site's heaviest usual query and returns its milliseconds, or raises `StoreError`;
    `clock` returns Unix seconds. Give sources that do not wait long: each is asked a few times.
    """
    written = {
        "DUCKDB_PATH": settings.duckdb_path,
        "DUCKDB_BACKUP_PATH": settings.duckdb_backup_path,
        "ORACLE_SITE_DIR": settings.oracle_site_dir / "releases",
        "LOG_FILE": settings.log_file,
    }
    health = [source.probe() for source in sources]
    best_height = max((found.tip_height or 0 for found in health), default=0)
    reachable = [source for source, found in zip(sources, health, strict=True) if found.is_reachable]
    findings = [
        *(_source(found, best_height) for found in health),
        *(_clock(source, clock()) for source in reachable),
        _quote(quotes, settings.oracle_quote_max_age_seconds, clock()),
        *(_folder(name, path) for name, path in written.items() if path),
        _secrets_file(dotenv),
        _backup(settings.duckdb_backup_path),
        _database(settings.duckdb_path, probe_store),
    ]
    return [Finding(**settings.clean(asdict(finding))) for finding in findings]


def _judge(
    name: str, message: str, measured: Mapping[str, object], *cases: tuple[bool, Level, str]
) -> Finding:
    """Return the finding of the first case that is so: (is it so, level, advice); ok when none is."""
    level, advice = next(((level, advice) for is_so, level, advice in cases if is_so), ("ok", ""))
    return Finding(name, level, message, advice, measured)


def _source(health: Health, best_height: int) -> Finding:
    advice, latency_ms = " ".join(health.advice), health.latency_ms or 0.0
    is_behind = best_height - (health.tip_height or best_height) > BEHIND_BLOCKS
    ahead = f"Another source has block {best_height}: does this one still hear from its node?"
    is_slow = "electrs" in health.source and latency_ms > ELECTRS_LATENCY_MARK_MS
    message = f"version {health.version or 'unknown'}, tip {health.tip_height}, {latency_ms:.0f} ms"
    return _judge(
        f"source {health.source}",
        message if health.is_reachable else "does not answer",
        asdict(health),
        (not health.is_reachable, "bad", advice or "Is it running, and is its address right?"),
        (health.is_synced is False, "warn", advice or "Wait until it has synced."),
        (is_behind, "warn", ahead),
        (is_slow, "warn", "Slower than 100 ms: put its index on an SSD, or ask Bitcoin Core first."),
        (bool(advice), "warn", advice),
    )


def _clock(source: BlockSource, now_unix: float) -> Finding:
    name = f"clock against {source.name}"
    try:
        height = source.tip().height
        age_seconds = now_unix - parse_header(source.headers(height, height)[0]).time_unix
    except (OracleError, IndexError) as error:
        return Finding(
            name, "warn", f"the newest header cannot be read: {error}", "See the source's finding."
        )
    behind = "This machine's clock is behind: turn on time synchronisation (timedatectl set-ntp true)."
    ahead = "Either the source no longer gets blocks, or this machine's clock is ahead (timedatectl)."
    return _judge(
        name,
        f"the newest block is {age_seconds / 60:.0f} minutes old",
        {"tip_age_seconds": age_seconds},
        (age_seconds < -EARLY_TIP_SECONDS, "bad", behind),
        (age_seconds > LATE_TIP_SECONDS, "warn", ahead),
    )


def _quote(quotes: QuoteSource | None, max_age_seconds: int, now_unix: float) -> Finding:
    name = "exchange price"
    if quotes is None:
        return Finding(
            name, "ok", "none is configured", "Set MEMPOOL_API_URL to compare with the exchange price."
        )
    try:
        quote = quotes.latest()
    except SourceError as error:
        return Finding(name, "bad", str(error), "Is mempool running, and is MEMPOOL_API_URL right?")
    if quote is None:
        return Finding(
            name, "warn", "the source has none", "Is mempool's price feed on, and may it go online?"
        )
    age_seconds = now_unix - quote.quoted_at_unix
    return _judge(
        name,
        f"${quote.price_usd:,.0f} from {quote.source}, {age_seconds / 60:.0f} minutes old",
        {"price_usd": quote.price_usd, "age_seconds": age_seconds, "source": quote.source},
        (age_seconds > max_age_seconds, "warn", "Stale: see mempool's log, or ORACLE_QUOTE_MAX_AGE_SECONDS."),
    )


def _folder(setting: str, path: Path) -> Finding:
    # What a run would write to: the file itself when it is there, and the nearest folder that is.
    folder = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    free_bytes = shutil.disk_usage(folder).free
    is_locked = os.access(path, os.F_OK) and not os.access(path, os.R_OK | os.W_OK)
    is_locked |= not os.access(folder, os.W_OK | os.X_OK)
    free_some = f"Free some space, or set {setting} to another disk."
    return _judge(
        f"disk for {setting}",
        f"{path} {'cannot' if is_locked else 'can'} be written, {free_bytes / 1e9:.1f} GB free",
        {"path": str(path), "is_writable": not is_locked, "free_bytes": free_bytes},
        (is_locked, "bad", f"Let the user who runs oracle write there, or set {setting} to another place."),
        (free_bytes < FULL_DISK_BYTES, "bad", free_some),
        (free_bytes < LOW_DISK_BYTES, "warn", free_some),
    )


def _backup(path: Path) -> Finding:
    is_there = os.access(path, os.F_OK)
    message = f"{path} holds rows of failed runs" if is_there else "holds no rows"
    return _judge("backup", message, {}, (is_there, "warn", "Run `oracle recover` to merge them."))


def _secrets_file(dotenv: Path | None) -> Finding:
    is_open = dotenv is not None and os.access(dotenv, os.F_OK) and bool(dotenv.stat().st_mode & 0o007)
    message = f"{dotenv} can be read by every user" if is_open else "no other user can read .env"
    advice = f"It may hold passwords: chmod o= {dotenv}"
    return _judge("secrets", message, {}, (is_open, "warn", advice))


def _database(path: Path, probe_store: Callable[[], float]) -> Finding:
    if not os.access(path, os.F_OK):
        return Finding("database", "ok", f"{path} is not there yet", "The first `oracle build` makes it.")
    try:
        query_ms = probe_store()
    except OracleError as error:
        return Finding("database", "bad", str(error), "See exit code 3 in docs/operations.md.")
    return _judge(
        "database",
        f"a query takes {query_ms:.1f} ms",
        {"query_ms": query_ms, "size_bytes": path.stat().st_size},
        (query_ms > QUERY_MARK_MS, "warn", "Slower than 50 ms: is the disk slow or the machine busy?"),
    )
