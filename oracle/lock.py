"""One run at a time: the lock beside the database."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from oracle.config import Settings
from oracle.errors import BusyError, StoreError

TRIES = 1200
WAIT_SECONDS = 0.5  # ten minutes in all: a tick that takes longer catches up itself


def only_run(settings: Settings) -> AbstractContextManager[None]:
    """Hold the lock beside the database for the length of a run."""
    return locked(settings.duckdb_path)


@contextmanager
def run_in_turn(settings: Settings) -> Iterator[None]:
    """Hold the lock like a run, and wait some minutes for one that has it.

    Raises:
        BusyError, StoreError: as below.
    """
    with ExitStack() as stack:
        for tries_left in reversed(range(TRIES)):
            try:
                stack.enter_context(only_run(settings))
                break
            except BusyError:
                if not tries_left:
                    raise
                time.sleep(WAIT_SECONDS)
        yield


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the lock beside a database; the kernel drops it with us.

    Raises:
        BusyError: another run holds it.
        StoreError: it cannot be taken for another reason; two runs at a time could then not be
            told apart, so this one stops.
    """
    path = database.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _untaken(path, error) from error
    try:
        _take(path, handle)
        yield
    finally:
        os.close(handle)  # which drops the lock


def _take(path: Path, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another run holds {path}; this one has nothing to do") from None
    except OSError as error:  # a file system that knows no locks
        raise _untaken(path, error) from error


def _untaken(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the lock {path} cannot be taken ({error.strerror or error}); without it two runs could "
        f"write at once: give this user the right to write there, or set another DUCKDB_PATH"
    )
