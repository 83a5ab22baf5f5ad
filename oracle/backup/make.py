"""Make a copy of the record: whole, looked at, and only then in the place of older ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from oracle.backup.copies import (
    Copy,
    check_room,
    copies_in,
    copy_at,
    copy_bytes,
    remove,
    sha256_of,
    sum_path_of,
    superseded,
)
from oracle.backup.proof import Proved, look_at
from oracle.config import Settings
from oracle.durable import sync_folder
from oracle.errors import NoDataError, StoreError
from oracle.lock import run_in_turn
from oracle.record.journal import journal_of
from oracle.record.reader import open_reader
from oracle.record.store import Store

PART = ".part"  # ends the name of a copy that is not done


class Backup(NamedTuple):
    """What a backup made, and which older ones it took the place of."""

    path: Path
    size_bytes: int
    sha256: str
    record: Proved
    removed: list[Path]


def back_up(settings: Settings, now_unix: float) -> Backup:
    """Copy the record to ORACLE_BACKUP_DIR, look at the copy, and remove those no longer kept.

    The lock is held while bytes are copied: a run that comes meanwhile comes again later.

    Args:
        settings: name the record and the folder.
        now_unix: the copy's time.

    Raises:
        NoDataError: there is no record yet.
        StoreError: there is no room, the folder cannot be written, or the record is damaged. No
            copy is made then, and none is removed.
    """
    database, folder = settings.duckdb_path, settings.oracle_backup_dir
    if not database.exists():
        raise NoDataError(f"there is no record {database} yet; make one with: oracle build")
    made = copy_at(folder, database, now_unix)
    part = made.path.with_name(made.path.name + PART)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove(folder.glob(f"{database.stem}-*{PART}*"))  # of those that were killed
        sha256 = _copied(settings, part)
        if sha256_of(part) != sha256:
            raise StoreError(
                f"the copy in {folder} is not what was written: the disk is not to be trusted; set "
                f"ORACLE_BACKUP_DIR to another one"
            )
        record = look_at(part, settings.duckdb_path)
        removed = _take_its_place(made, part, sha256, database)
    except OSError as error:
        raise StoreError(
            f"the backup cannot be written to {folder} ({error.strerror}): is the disk full, and "
            f"may this user write there? No backup was removed"
        ) from error
    finally:
        remove(folder.glob(f"{part.name}*"))
    return Backup(made.path, made.path.stat().st_size, sha256, record, removed)


def _copied(settings: Settings, part: Path) -> str:
    database = settings.duckdb_path
    with run_in_turn(settings):
        if journal_of(database).exists():
            with Store(database):
                pass  # a run was killed: what its journal holds enters the file
        # Who has it open for reading keeps every writer out that knows no lock of ours.
        with open_reader(database):
            check_room(part.parent, database.stat().st_size)
            return copy_bytes(database, part)


def _take_its_place(made: Copy, part: Path, sha256: str, database: Path) -> list[Path]:
    folder = made.path.parent
    sum_path_of(made.path).write_text(f"{sha256}  {made.path.name}\n")
    part.replace(made.path)
    sync_folder(folder)
    # Whatever the clock says: what was just made stays.
    gone = [copy.path for copy in superseded(copies_in(folder, database)) if copy != made]
    for path in gone:
        remove((path, sum_path_of(path)))
    return gone
