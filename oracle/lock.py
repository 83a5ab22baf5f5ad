"""One run at a time: the lock beside the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from oracle.config import Settings
from oracle.errors import BusyError, StoreError


def only_run(settings: Settings) -> AbstractContextManager[None]:
    """Hold the lock beside the database for the length of a run."""
    return locked(settings.duckdb_path)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the lock beside a database; the kernel drops it with us.

    Raises:
        BusyError: another run holds it.
        StoreError: it cannot be taken for another reason; two runs at a time could then not be
            told apart, so this one stops.
    """
    path = database.with_suffix(".lock")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyError(f"another run holds {path}; this one has nothing to do") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"the lock {path} cannot be taken ({reason}); without it two runs could write at "
            f"once: give this user the right to write there, or set another DUCKDB_PATH"
        ) from error
    try:
        yield
    finally:
        lock.release()
