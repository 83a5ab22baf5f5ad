"""Bring a copy of the record back: proved first, then put in the place of what is there, which is
kept aside."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from oracle.backup.copies import (
    MADE_AT,
    check_room,
    copies_in,
    copy_bytes,
    moment_of,
    remove,
    sum_path_of,
)
from oracle.backup.proof import Price, Proved, check_network, look_at, newest_price_again
from oracle.config import Settings
from oracle.durable import sync_folder
from oracle.errors import NoDataError, StoreError
from oracle.lock import run_in_turn
from oracle.record.connect import check_ours
from oracle.record.journal import journal_of

MAX_SUM_BYTES = 4096


class Restored(NamedTuple):
    """What was brought back."""

    path: Path
    is_sum_known: bool
    """Whether its SHA-256 stood beside it, and was that of its bytes."""
    record: Proved
    price: Price | None
    aside: Path | None
    """Where the record is that was there before."""


def restore(settings: Settings, chosen: Path | None, now_unix: float) -> Restored:
    """Put a copy of the record in its place.

    Args:
        settings: name the record and the folder of copies.
        chosen: which copy; the newest where it is None.
        now_unix: names what is put aside.

    Raises:
        NoDataError: there is no such copy.
        RequestError: it is of another network.
        StoreError: it is damaged or somebody else's, or the record's folder cannot be written.
            The record is as it was then.
    """
    database = settings.duckdb_path
    path = chosen or _newest(settings)
    if not path.is_file():
        raise NoDataError(f"{path} is no file: name a backup, such as those in the folder of them")
    check_ours(path)
    ready = database.with_name(f"{database.name}.restoring")
    aside = _free_name(database, now_unix)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        remove(_all_of(ready))
        check_room(database.parent, path.stat().st_size)
        is_sum_known = _check_sum(path, copy_bytes(path, ready))
        record = look_at(ready, path)
        check_network(record.network, settings)
        price = newest_price_again(ready, path, record.tip_height, settings)
        with run_in_turn(settings):
            was_there = _put_in_place(ready, database, aside)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be put at {database} ({error.strerror}): is the disk full, and may "
            f"this user write there?"
        ) from error
    finally:
        remove(_all_of(ready))
    return Restored(path, is_sum_known, record, price, aside if was_there else None)


def _free_name(database: Path, now_unix: float) -> Path:
    """Return where the record that is there can be kept: nothing put aside before is lost."""
    moment = moment_of(now_unix)
    while True:
        aside = database.with_name(f"{database.name}.replaced-{moment:{MADE_AT}}")
        if not any(path.exists() for path in _all_of(aside)):
            return aside
        moment += timedelta(seconds=1)


def _newest(settings: Settings) -> Path:
    copies = copies_in(settings.oracle_backup_dir, settings.duckdb_path)
    if not copies:
        raise NoDataError(
            f"{settings.oracle_backup_dir} holds no backup of {settings.duckdb_path.name}: name "
            f"one, or begin the record anew with: oracle build --anew"
        )
    return copies[0].path


def _check_sum(path: Path, sha256: str) -> bool:
    sum_path = sum_path_of(path)
    if not sum_path.exists():
        return False
    with sum_path.open("rb") as file:
        said = file.read(MAX_SUM_BYTES).split()
    if said[:1] != [sha256.encode()]:
        raise StoreError(
            f"{path} has changed since it was made (its SHA-256 is not the one in "
            f"{sum_path.name}): restore another backup with: oracle restore FILE"
        )
    return True


def _put_in_place(ready: Path, database: Path, aside: Path) -> bool:
    """Keep the record aside with its journal, and put the copy in its place; tell whether there was
    one. Whenever this is killed, a record is there."""
    was_there = database.exists()
    # The journal first: beside another record it would be taken for that one's.
    if journal_of(database).exists():
        journal_of(database).replace(journal_of(aside))
    if was_there:
        try:
            os.link(database, aside)
        except OSError:  # a file system that knows no second names
            database.replace(aside)
    ready.replace(database)
    sync_folder(database.parent)
    return was_there


def _all_of(database: Path) -> tuple[Path, Path]:
    return database, journal_of(database)
