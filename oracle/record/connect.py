"""How a database is opened: nothing in it may reach another file, and no extension is loaded.

A view can read any file of the machine, or one of the net, for whoever asks it. So external access
is off before the first question, and cannot be put on again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from oracle.errors import ADVICE_ON_LACKS, Lack, StoreError
from oracle.record.journal import check_journal

# What we write, the oldest DuckDB that pyproject.toml allows can read: one can go back to it.
STORAGE_VERSION = "v1.4.0"
CLOSED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}
# A run asks some forty short questions. These two help a long sort; each short question they make
# take half as long again.
NOT_WORTH_IT = "compressed_materialization,late_materialization"
# The databases that this process keeps open, by path; None while it keeps none.
_kept: dict[Path, duckdb.DuckDBPyConnection] | None = None
Config = dict[str, str | bool | int | float | list[str]]
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def kept_open() -> Iterator[None]:
    """Keep each database that is opened inside open until the end.

    Whoever opens it again gets another connection to it: to open a file, and to close it, takes
    longer than all questions of a run that finds no new block.
    """
    global _kept
    before, _kept = _kept, {}
    try:
        yield
    finally:
        opened, _kept = _kept, before
        for connection in opened.values():
            connection.close()


def connect(path: Path | None = None, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a database, or an empty one in memory.

    Raises:
        duckdb.Error: it cannot be opened; the caller says what that means.
        StoreError: the journal beside it is damaged in a way that DuckDB does not see.
    """
    if path is not None and _kept is not None:
        if path not in _kept:
            _kept[path] = _open(path, read_only=False)
        return _kept[path].cursor()
    return _open(path, read_only=read_only)


def _open(path: Path | None, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    if path is not None:
        check_journal(path)
    config: Config = {**CLOSED, "storage_compatibility_version": STORAGE_VERSION}
    connection = duckdb.connect(str(path or ":memory:"), read_only=read_only, config=config)
    try:
        connection.execute(f"SET disabled_optimizers = '{NOT_WORTH_IT}'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def check_ours(path: Path) -> None:
    """Check that a database is a file of this user, and that nobody else could have put it there.

    Raises:
        StoreError: it is a link, somebody else's, or others may write it.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is no ordinary file: it is not used; look where it comes from")
    if found.st_uid != os.geteuid():
        raise StoreError(
            f"{path} belongs to another user (number {found.st_uid}): it is not used; "
            f"run this as that user if the file is yours, else remove it"
        )
    if found.st_mode & OTHERS_MAY_WRITE:
        raise StoreError(
            f"{path} can be written by others (mode {found.st_mode & 0o777:o}): it is not used; "
            f"if you trust what is in it, chmod 600 it"
        )


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Write all of it, or nothing."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # it may be beyond that; what went wrong first is what to tell
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a database into a sentence that says what was seen."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        if "lock on file" in text:
            raise StoreError(
                f"{path} is held by another program; close it and try again ({text})"
            ) from error
        if "newer version of DuckDB" in str(error):
            raise StoreError(
                f"the database {path} was written by a newer DuckDB than the one installed here "
                f"({duckdb.__version__}): install that one again, or restore an older copy"
            ) from error
        if "WAL file" in text:
            raise StoreError(
                f"the journal {path}.wal, which a run left when it was killed, is damaged: put it "
                f"aside, and the next run goes on from what was written before ({text})"
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            advice = ADVICE_ON_LACKS[Lack.MEMORY]
            raise StoreError(
                f"there is no more memory for the database {path}; {advice} ({text})"
            ) from error
        raise StoreError(f"the database {path} cannot be used: {text}") from error
    except OSError as error:
        raise StoreError(
            f"the database {path} cannot be used: {error.strerror or error}"
        ) from error
