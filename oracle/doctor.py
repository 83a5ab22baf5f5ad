"""What `oracle doctor` looks at: sources, clock, quote, disk, permissions, database; a finding
each.

Nothing is printed and nothing is changed. A finding that is not ok says in a sentence what to do.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from oracle.backup.copies import copies_in
from oracle.chain import span_text
from oracle.config import Settings
from oracle.core.wire import HEADER_BYTES, parse_header
from oracle.errors import BlockNotFoundError, NoQuoteError, OracleError, SettingsError
from oracle.estimate.limits import Limits
from oracle.exchange.belief import suspicion
from oracle.sources import BlockSource, ChainTip, Health, QuoteSource, State
from oracle.web import proxy_problem, trusted
from oracle.wiring import limits_of, route_of, unasked_sources

Number = Callable[[], float]
ELECTRS_MARK_MS = 100.0  # a tick reads one block; slower than this, its index is on the wrong disk
QUERY_MARK_MS = 50.0  # of the site's heaviest usual query
LOW_DISK_BYTES = 1 << 30  # some months of history, and the releases
# Gaps between blocks this long come less than once in a century; nodes refuse later headers.
TIP_MARK_SECONDS = 3 * 3600
WRITTEN = ("DUCKDB_PATH", "DUCKDB_BACKUP_PATH", "ORACLE_BACKUP_DIR", "ORACLE_SITE_DIR", "LOG_FILE")
OLD_COPY_SECONDS = 2 * 86_400  # one is made each day

# What a source does that is asked how it is and is not well.
WHAT_IT_DOES: dict[State, str] = {
    "unreachable": "does not answer",
    "refused": "does not let us in",
    "syncing": "has not caught up with its chain",
    "bad_answer": "answers something else than it should",
}
NO_BLOCKS = "Set BITCOIN_DATADIR or BITCOIN_RPC_URL for a node, or ELECTRS_URL for its electrs."


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
    findings = [
        *_of_route(settings),
        *_of_sources(settings, sources, clock()),
        *_of_quotes(settings, quotes, clock()),
        *_of_this_machine(settings, probe_store),
        *_of_copies(settings, clock()),
    ]
    return [Finding(**settings.clean(asdict(finding))) for finding in findings]


def _judged(name: str, message: str, *, bad: str = "", warn: str = "") -> Finding:
    return Finding(name, "bad" if bad else "warn" if warn else "ok", message, bad or warn)


# --- How servers are reached ------------------------------------------------


def _of_route(settings: Settings) -> Iterator[Finding]:
    if settings.oracle_ca_file is not None:
        yield _ca_file(settings.oracle_ca_file, trusted)
    proxy = route_of(settings).proxy
    if proxy is not None:
        problem = proxy_problem(proxy)
        advice = "Start the proxy (for onion addresses: Tor), or correct ORACLE_PROXY."
        message = f"{proxy.shown} {problem or 'takes connections'}"
        yield _judged("ORACLE_PROXY", message, bad=advice if problem else "")


def _ca_file(path: Path, load: Callable[[Path], object]) -> Finding:
    try:
        load(path)
    except SettingsError as error:
        return _judged(
            "ORACLE_CA_FILE", str(error), bad="Name a file of certificates in PEM that we may read."
        )
    return _judged("ORACLE_CA_FILE", f"the authorities in {path} are trusted")


# --- Sources of blocks ------------------------------------------------------


def _of_sources(
    settings: Settings, sources: Sequence[BlockSource], now_unix: float
) -> Iterator[Finding]:
    probed = [(source, source.probe()) for source in sources]
    extras = unasked_sources(settings)
    well = [health.source for _, health in probed if health.state == "ok"]
    for _, health in probed:
        is_extra = bool(well) and health.source in extras
        yield _source(health, is_needed=not is_extra)
    if probed and all(health.state == "prices_only" for _, health in probed):
        yield _judged("blocks", "no source that is set up serves any", bad=NO_BLOCKS)
    for source, health in probed:
        if health.state == "ok" and health.tip_height is not None:
            yield from _newest_block(source, now_unix)


def _source(health: Health, *, is_needed: bool) -> Finding:
    name = f"source {health.source}"
    advice = " ".join(health.advice)
    if health.state == "prices_only":
        return _judged(name, advice or "serves prices only")
    if health.state != "ok":
        what = WHAT_IT_DOES[health.state]
        if not is_needed:
            return _judged(name, f"{what}; it is not needed, since another source is well")
        return _judged(name, what, bad=advice or "See docs/operations.md.")
    if health.is_synced is False:
        advice = advice or "Wait until it has synced."
    latency_ms = health.latency_ms or 0.0
    if health.source == "electrs" and latency_ms > ELECTRS_MARK_MS:
        advice += " Slower than 100 ms: put its index on an SSD, or ask Bitcoin Core first."
    message = f"version {health.version or 'unknown'}, tip {health.tip_height}, {latency_ms:.0f} ms"
    return _judged(name, message, warn=advice.strip())


def _newest_block(source: BlockSource, now_unix: float) -> Iterator[Finding]:
    """Ask for the block at the tip, as a run will, and set the clock beside its time."""
    name = f"block of {source.name}"
    started = time.monotonic()
    try:
        tip, block = _block_that_is_there(source)
    except OracleError as error:
        yield _judged(name, str(error), bad="A run needs whole blocks: see docs/operations.md.")
        return
    took_ms = 1000 * (time.monotonic() - started)
    size_kb = len(block) / 1000
    yield _judged(name, f"block {tip.height} is there, {size_kb:,.0f} kB in {took_ms:.0f} ms")
    yield _clock(source, block, now_unix)


def _block_that_is_there(source: BlockSource) -> tuple[ChainTip, bytes]:
    """Return the block at the tip, or the one below while the tip itself cannot be had yet."""
    tip = source.tip()
    try:
        return tip, source.block(tip.hash)
    except BlockNotFoundError:
        below = tip.height - 1
        if below < 0:
            raise
        block_hash = source.hashes(below, below)[0]
        return ChainTip(below, block_hash), source.block(block_hash)


def _clock(source: BlockSource, block: bytes, now_unix: float) -> Finding:
    age_seconds = now_unix - parse_header(block[:HEADER_BYTES]).time_unix
    advice = "Is this machine's clock right (timedatectl), and does the source still get blocks?"
    is_ahead = age_seconds < 0
    age = f"{span_text(abs(age_seconds))} {'ahead of this clock' if is_ahead else 'old'}"
    message = f"the newest block of {source.name} is {age}"
    return _judged("clock", message, warn=advice if abs(age_seconds) > TIP_MARK_SECONDS else "")


# --- Exchange prices --------------------------------------------------------


def _of_quotes(
    settings: Settings, quotes: QuoteSource | None, now_unix: float
) -> Iterator[Finding]:
    if quotes is None:
        return
    try:
        yield _quote(quotes, now_unix, limits_of(settings))
    except NoQuoteError as error:
        yield _judged("quote", "there is none", warn=str(error))
    except OracleError as error:
        yield _judged("quote", str(error), bad="See docs/operations.md.")


def _quote(quotes: QuoteSource, now_unix: float, limits: Limits) -> Finding:
    quote = quotes.latest()
    if quote is None:
        advice = "Is mempool's price feed on, and may it go online?"
        return _judged("quote", "the source has none", warn=advice)
    age_seconds = now_unix - quote.quoted_at_unix
    advice = ""
    if age_seconds > limits.quote_max_age_seconds:
        advice = "Stale: see mempool's log, or ORACLE_QUOTE_MAX_AGE_SECONDS."
    if doubt := suspicion(quote.price_usd, (), limits):
        advice = f"Not believed: {doubt}."
    message = f"${quote.price_usd:,.0f} from {quote.source}, {span_text(age_seconds)} old"
    return _judged("quote", message, warn=advice)


# --- This machine -----------------------------------------------------------


def _of_this_machine(settings: Settings, probe_store: Number) -> Iterator[Finding]:
    for name in WRITTEN:
        path = getattr(settings, name.lower())
        if path:
            yield _disk(name, path)
    try:
        if settings.duckdb_path.exists():
            yield _database(probe_store)
    except OracleError as error:
        yield _judged("database", str(error), bad="See docs/operations.md.")
    except OSError as error:  # a folder that this user may not enter
        advice = "Run this as the user of the service: sudo onchain-oracle doctor."
        yield _judged("database", f"cannot be looked at: {error.strerror}", bad=advice)


def _disk(setting: str, path: Path) -> Finding:
    # What a run would write to: the file itself when it is there, and the nearest folder that is.
    folder = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    can_write = os.access(folder, os.W_OK | os.X_OK) and os.access(path, os.W_OK) == os.access(
        path, os.F_OK
    )
    free_bytes = shutil.disk_usage(folder).free
    is_low = free_bytes < LOW_DISK_BYTES
    needs_leave = f"Let the user who runs oracle write there, or set {setting} to another place."
    needs_space = f"Free some space, or set {setting} to another disk."
    return _judged(
        f"disk for {setting}",
        f"{path} {'can' if can_write else 'cannot'} be written, {free_bytes / 1e9:.1f} GB free",
        bad="" if can_write else needs_leave,
        warn=needs_space if is_low else "",
    )


def _database(probe_store: Number) -> Finding:
    query_ms = probe_store()
    is_slow = query_ms > QUERY_MARK_MS
    advice = "Slower than 50 ms: is the disk slow or the machine busy?" if is_slow else ""
    return _judged("database", f"a query takes {query_ms:.1f} ms", warn=advice)


def _of_copies(settings: Settings, now_unix: float) -> Iterator[Finding]:
    try:
        if not settings.duckdb_path.exists():
            return
        copies = copies_in(settings.oracle_backup_dir, settings.duckdb_path)
    except OSError:  # told above
        return
    except OracleError as error:
        yield _judged("copies", str(error), bad="Copies cannot be made nor brought back.")
        return
    make_one = "Make one with: oracle backup (a timer does each day, where install.sh set it up)."
    if not copies:
        yield _judged("copies", f"{settings.oracle_backup_dir} has none", warn=make_one)
        return
    age_seconds = now_unix - copies[0].made_at.timestamp()
    message = (
        f"{len(copies)} of the database, the newest {age_seconds / 3600:.0f} hours old: "
        f"{copies[0].path}"
    )
    yield _judged("copies", message, warn=make_one if age_seconds > OLD_COPY_SECONDS else "")
