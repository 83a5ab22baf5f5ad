"""The copies in a folder: their names, which of them are kept, and how one is written and read.

A copy is `<name of the database>-<when, in UTC>.duckdb`, with its SHA-256 beside it in the form
that `sha256sum --check` reads.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from oracle.errors import StoreError

MADE_AT = "%Y%m%dT%H%M%SZ"
SUFFIX = ".duckdb"
PIECE_BYTES = 1 << 20
# What must stay free beyond a copy: the record beside it still grows.
SPARE_BYTES = 64_000_000
# So many newest days, weeks and months keep their newest copy.
KEPT_DAYS = 7
KEPT_WEEKS = 4
KEPT_MONTHS = 12


class Copy(NamedTuple):
    """One copy of a record."""

    path: Path
    made_at: datetime


def sum_path_of(path: Path) -> Path:
    """Return where the SHA-256 of a copy stands."""
    return path.with_name(f"{path.name}.sha256")


def moment_of(time_unix: float) -> datetime:
    """Return a time as names of copies hold it, in whole seconds."""
    return datetime.fromtimestamp(int(time_unix), UTC)


def copy_at(folder: Path, database: Path, made_unix: float) -> Copy:
    """Return the copy of a database that is made at a time; nothing is written."""
    made_at = moment_of(made_unix)
    return Copy(folder / f"{database.stem}-{made_at:{MADE_AT}}{SUFFIX}", made_at)


def copies_in(folder: Path, database: Path) -> list[Copy]:
    """Return the copies of a database in a folder, newest first; whatever else is there is not
    ours.

    Raises:
        StoreError: the folder cannot be read.
    """
    name = re.compile(re.escape(database.stem) + r"-(\d{8}T\d{6}Z)" + re.escape(SUFFIX))
    found = []
    try:
        for path in folder.iterdir():
            if match := name.fullmatch(path.name):
                made_at = _moment(match[1])
                found += [Copy(path, made_at)] if made_at else []
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"the folder of backups, {folder}, cannot be read ({error.strerror}): give this user "
            f"the right to, or set another ORACLE_BACKUP_DIR"
        ) from error
    return sorted(found, key=lambda copy: copy.made_at, reverse=True)


def _moment(digits: str) -> datetime | None:
    try:
        return datetime.strptime(digits, MADE_AT).replace(tzinfo=UTC)
    except ValueError:  # digits that are no time: somebody else's file
        return None


def superseded(copies: Sequence[Copy]) -> list[Copy]:
    """Return the copies that are no longer kept.

    Kept are the newest of each of the newest seven days that have any, of the newest four weeks
    and of the newest twelve months. Days without a copy do not count, so that old copies outlive
    a long pause.

    Args:
        copies: newest first.
    """
    kept: set[Path] = set()
    for count, period in ((KEPT_DAYS, "%Y-%m-%d"), (KEPT_WEEKS, "%G-%V"), (KEPT_MONTHS, "%Y-%m")):
        newest: dict[str, Path] = {}
        for copy in copies:
            newest.setdefault(f"{copy.made_at:{period}}", copy.path)
        kept.update(list(newest.values())[:count])
    return [copy for copy in copies if copy.path not in kept]


def check_room(folder: Path, needed_bytes: int) -> None:
    """Check that a folder has room for a file.

    Raises:
        StoreError: it has not.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise StoreError(
            f"{folder} has {free_bytes / 1e6:,.0f} MB free, and a copy of "
            f"{needed_bytes / 1e6:,.0f} MB would leave less than {SPARE_BYTES / 1e6:,.0f}: make "
            f"room, or set ORACLE_BACKUP_DIR to another disk; nothing was written or removed"
        )


def copy_bytes(source: Path, target: Path) -> str:
    """Copy a file to where none is, down to the disk; return the SHA-256 of what was read.

    Raises:
        OSError: it cannot be read or written.
    """
    digest = hashlib.sha256()
    with source.open("rb") as incoming, target.open("xb") as outgoing:
        while piece := incoming.read(PIECE_BYTES):
            digest.update(piece)
            outgoing.write(piece)
        outgoing.flush()
        os.fsync(outgoing.fileno())
        # So that whoever reads it next sees what the disk has, and not what memory remembers.
        os.posix_fadvise(outgoing.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(paths: Iterable[Path]) -> None:
    """Remove files that may not be there."""
    for path in paths:
        path.unlink(missing_ok=True)
