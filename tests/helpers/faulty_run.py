"""One `oracle build` whose n-th visit to a step fails or is killed.

Prices are fingerprints and the site is a marker file, so that hundreds of runs take seconds;
everything between is the product's own: lock, tick, transaction, backup.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from oracle.config import load_settings
from oracle.errors import OracleError
from oracle.record.connect import connect
from oracle.run import Run, run_once
from oracle.sources.failover import FailoverSource
from oracle.wiring import Sources
from tests.helpers.ticking import (
    HeldSource,
    forked_chain,
    small_chain,
    spot_fingerprint,
    window_fingerprint,
)

# Where a run can be hit, in the order of its work, and how often a run of two new blocks comes by.
STEPS = {
    "oracle.record.store.duckdb.connect": 1,
    "tests.helpers.ticking.HeldSource.tip": 1,
    "tests.helpers.ticking.HeldSource.hashes": 2,
    "tests.helpers.ticking.HeldSource.block": 2,
    "oracle.fetch.parse_block": 2,
    "oracle.fetch.digest_block": 2,
    "oracle.tick.estimate_window": 2,
    "oracle.tick.estimate_spot": 2,
    "oracle.tick._Chunk._record_day": 3,
    "oracle.exchange.market.compare": 2,
    "oracle.record.store.Store.write": 1,
    "oracle.record.store.Store._execute": 32,
    "oracle.record.store.Store._insert": 2,
    "oracle.record.store.Store.close": 1,
    "tests.helpers.faulty_run.publish": 1,
}


class Fault(Exception):
    """What nobody expects."""


def settings_of(folder: Path) -> Any:
    given = {
        "DUCKDB_PATH": str(folder / "record.duckdb"),
        "DUCKDB_BACKUP_PATH": str(folder / "backup.duckdb"),
        "ORACLE_SITE_DIR": str(folder / "site"),
    }
    return load_settings(given)


def publish(folder: Path) -> str:
    """Stand in for the site: the newest block of the record, swapped in as releases are."""
    with closing(connect(folder / "record.duckdb", read_only=True)) as connection:
        newest = connection.execute("SELECT max(height) FROM now_blocks").fetchone()
    unfinished = folder / "shown.new"
    unfinished.write_text(str(newest[0] if newest else None))
    unfinished.replace(folder / "shown")
    return "shown"


def build(folder: Path, tip: int, fork: int | None = None) -> Run:
    """Do what `oracle build` does, beside a chain that has other blocks from a height on if so
    wanted."""
    settings = settings_of(folder)
    source = HeldSource(forked_chain(fork) if fork else small_chain(), tip)
    sources = Sources(FailoverSource([source]), source, 150)
    with patch("oracle.run.open_sources", lambda *_, **__: sources):
        return run_once(settings, lambda: source.time_unix, lambda: publish(folder))


def hit(step: str, visit: int, act: Callable[[], None]) -> Any:
    """Patch a step so that its n-th visit (from 1) acts instead."""
    owner_name, _, name = step.rpartition(".")
    owner = _find(owner_name)
    original, visits = getattr(owner, name), 0

    def counted(*about: Any, **more: Any) -> Any:
        nonlocal visits
        visits += 1
        if visits == visit:
            act()
        return original(*about, **more)

    return patch.object(owner, name, counted)


def _find(path: str) -> Any:
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        if (module := sys.modules.get(".".join(parts[:cut]))) is not None:
            owner = module
            for part in parts[cut:]:
                owner = getattr(owner, part)
            return owner
    raise LookupError(path)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise Fault


def quick() -> Any:
    """Patch prices to fingerprints."""
    return patch.multiple(
        "oracle.tick", estimate_window=window_fingerprint, estimate_spot=spot_fingerprint
    )


def faulty_build(
    folder: Path, tip: int, fork: int | None, step: str, visit: int, act: Callable[[], None]
) -> str:
    """Build with a fault; say how it ended."""
    with quick(), hit(step, visit, act):
        try:
            return f"exit {build(folder, tip, fork).exit_code}"
        except (Fault, OracleError) as error:
            return type(error).__name__
