"""What a build is told of the moment and the machine."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from builder.api.head import iso
from builder.gather import Context
from builder.site import describe_machine
from oracle.backfill.standing import standing_of
from oracle.backup.copies import copies_in
from oracle.config import Settings
from oracle.errors import StoreError
from oracle.wiring import calculator_of, limits_of

if TYPE_CHECKING:
    from builder.api.types import BackfillState


def context_of(settings: Settings) -> Context:
    """Return the time, the rules and the machine that status and site state."""
    machine = describe_machine(settings.oracle_site_dir, settings.duckdb_path)
    machine["copied_at_unix"] = _copied_at_unix(settings)
    machine["backfill"] = _backfill(settings)
    return Context(
        now_unix=int(time.time()),
        interval_seconds=60 * settings.analysis_interval_minutes,
        limits=limits_of(settings),
        calculator=calculator_of(settings),
        machine=machine,
        licence=settings.oracle_data_licence,
    )


def _backfill(settings: Settings) -> BackfillState | None:
    standing = standing_of(settings.duckdb_path)
    if standing is None:
        return None
    return {
        "blocks_done": standing.blocks_done,
        "blocks_wanted": standing.blocks_wanted,
        "day": standing.day,
        "updated_at": iso(standing.updated_at_unix),
        "updated_at_unix": standing.updated_at_unix,
    }


def _copied_at_unix(settings: Settings) -> int | None:
    """Return when the newest copy of the database was made; a folder that cannot be read is the
    doctor's to tell."""
    with suppress(StoreError):
        copies = copies_in(settings.oracle_backup_dir, settings.duckdb_path)
        return int(copies[0].made_at.timestamp()) if copies else None
    return None
