"""What `oracle doctor` looks at: sources, clock, quote, disk, permissions, database; a finding
each.

Nothing is printed and nothing is changed. A finding that is not ok says in a sentence what to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from oracle.config import Settings
from oracle.core.wire import parse_header
from oracle.errors import OracleError
from oracle.sources import BlockSource, Health, QuoteSource

Number = Callable[[], float]
ELECTRS_MARK_MS = 100.0  # a tick reads one block; slower than this, its index is on the wrong disk
LOW_DISK_BYTES = 1 << 30  # some months of history, and the releases
TIP_MARK_SECONDS = (
    3 * 3600
)  # gaps this long come less than once in a century; nodes refuse headers of the future
WRITTEN = ("DUCKDB_PATH", "DUCKDB_BACKUP_PATH", "ORACLE_SITE_DIR", "LOG_FILE")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its level is ok, warn or bad; `advice` says what to do (empty when all
    is well)."""

    name: str
    level: str
    message: str
    advice: str = ""


def examine(
    settings: Settings,
    sources: Sequence[BlockSource],
    quotes: QuoteSource | None,
    probe_store: Number,
    clock: Number,
) -> list[Finding]:
    """Return what was found, in the order of a run.

    `probe_store` runs the site's heaviest usual query and returns its milliseconds, or raises
    `StoreError`; `clock` returns Unix seconds. Give sources that do not wait long: each is asked a
    few times.
    """
    probed = [(source, source.probe()) for source in sources]
    findings = [_source(health) for _, health in probed]
    findings += [
        _asked("clock", _clock, source, clock()) for source, health in probed if health.is_reachable
    ]
    findings += (
        [_asked("quote", _quote, quotes, clock(), settings.oracle_quote_max_age_seconds)]
        if quotes
        else []
    )
    findings += [_disk(name, path) for name in WRITTEN if (path := getattr(settings, name.lower()))]
    findings += (
        [_asked("database", _database, probe_store)] if settings.duckdb_path.exists() else []
    )
    return [Finding(**settings.clean(asdict(finding))) for finding in findings]


def _judged(name: str, message: str, *, bad: str = "", warn: str = "") -> Finding:
    return Finding(name, "bad" if bad else "warn" if warn else "ok", message, bad or warn)


def _asked(name: str, look: Callable[..., Finding], *what: object) -> Finding:
    try:
        return look(*what)
    except OracleError as error:
        return _judged(name, str(error), bad="See docs/operations.md.")


def _source(health: Health) -> Finding:
    name, latency_ms = f"source {health.source}", health.latency_ms or 0
    advice = " ".join(health.advice) or (
        "Wait until it has synced." if health.is_synced is False else ""
    )
    if not health.is_reachable:
        return _judged(name, "does not answer", bad=advice)
    if "electrs" in name and latency_ms > ELECTRS_MARK_MS:
        advice += " Slower than 100 ms: put its index on an SSD, or ask Bitcoin Core first."
    message = f"version {health.version or 'unknown'}, tip {health.tip_height}, {latency_ms:.0f} ms"
    return _judged(name, message, warn=advice.strip())


def _clock(source: BlockSource, now_unix: float) -> Finding:
    height = source.tip().height
    age_seconds = now_unix - parse_header(source.headers(height, height)[0]).time_unix
    advice = "Is this machine's clock right (timedatectl), and does the source still get blocks?"
    message = f"the newest block of {source.name} is {age_seconds / 60:.0f} minutes old"
    return _judged("clock", message, warn=advice if abs(age_seconds) > TIP_MARK_SECONDS else "")


def _quote(quotes: QuoteSource, now_unix: float, max_age_seconds: int) -> Finding:
    quote = quotes.latest()
    if quote is None:
        return _judged(
            "quote", "the source has none", warn="Is mempool's price feed on, and may it go online?"
        )
    age_seconds = now_unix - quote.quoted_at_unix
    advice = (
        "Stale: see mempool's log, or ORACLE_QUOTE_MAX_AGE_SECONDS."
        if age_seconds > max_age_seconds
        else ""
    )
    message = f"${quote.price_usd:,.0f} from {quote.source}, {age_seconds / 60:.0f} minutes old"
    return _judged("quote", message, warn=advice)


def _disk(setting: str, path: Path) -> Finding:
    # What a run would write to: the file itself when it is there, and the nearest folder that is.
    folder = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    can_write = os.access(folder, os.W_OK | os.X_OK) and os.access(path, os.W_OK) == os.access(
        path, os.F_OK
    )
    free_bytes = shutil.disk_usage(folder).free
    return _judged(
        f"disk for {setting}",
        f"{path} {'can' if can_write else 'cannot'} be written, {free_bytes / 1e9:.1f} GB free",
        bad=""
        if can_write
        else f"Let the user who runs oracle write there, or set {setting} to another place.",
        warn=f"Free some space, or set {setting} to another disk."
        if free_bytes < LOW_DISK_BYTES
        else "",
    )


def _database(probe_store: Number) -> Finding:
    query_ms = probe_store()
    advice = "Slower than 50 ms: is the disk slow or the machine busy?" if query_ms > 50.0 else ""
    return _judged("database", f"a query takes {query_ms:.1f} ms", warn=advice)
