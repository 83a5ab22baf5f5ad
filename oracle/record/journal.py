"""Whether the journal that a killed run left can be believed.

DuckDB replays `<database>.wal` entry by entry: size, checksum, content. It refuses an entry whose
checksum is wrong, but takes one that reaches beyond the end of the file for the torn end of a run
that was killed while writing, and drops it and what follows without a word. That is right for a
torn end; for a size that was damaged it loses what was written. A torn file does not end with a
whole commit: that tells the two apart. What does not even begin like a journal it drops, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from oracle.errors import StoreError

START = bytes.fromhex("6400626500")  # of the head in any version: an entry, its kind, a version
HEAD = bytes.fromhex("640062650002660010")  # version 2 of the format, and an id of 16 numbers
ID_NUMBERS = 16
HEAD_BYTES = 100  # more than a head has
SIZE_BYTES = 8
CHECKSUM_BYTES = 8
COMMIT = bytes.fromhex("640064ffff")  # what the last entry of every commit holds
MORE = 0x80  # the bit of a byte behind which a number goes on


def journal_of(database: Path) -> Path:
    """Return where DuckDB keeps the journal of a database while it writes."""
    return database.with_name(f"{database.name}.wal")


def check_journal(database: Path) -> None:
    """Check that a database's journal begins like one, and that its entries reach its end, if it
    ends with a commit.

    A journal of another version of the format is left to DuckDB.

    Raises:
        StoreError: it does not, or they do not: a size was damaged.
    """
    path = journal_of(database)
    try:
        with path.open("rb") as file:
            is_whole = _begins_like_one(file) and (
                _reaches_its_end(file) or not _ends_with_a_commit(file)
            )
    except OSError:  # there is none, or DuckDB says better what is wrong
        return
    if not is_whole:
        raise StoreError(
            f"the journal {path}, which a run left when it was killed, is damaged: put it aside, "
            f"and the next run goes on from what was written before (its beginning, or the size of "
            f"an entry, is not what was written)"
        )


def _begins_like_one(file: BinaryIO) -> bool:
    start = file.read(len(START))
    file.seek(0)
    return START.startswith(start)


def _reaches_its_end(file: BinaryIO) -> bool:
    at = _end_of_head(file.read(HEAD_BYTES))
    end = file.seek(0, 2)
    if at is None:
        return True
    while at < end:
        file.seek(at)
        size = int.from_bytes(file.read(SIZE_BYTES), "little")
        at += SIZE_BYTES + CHECKSUM_BYTES + size
    return at == end


def _end_of_head(head: bytes) -> int | None:
    """Return where the first entry begins; None for a head that is not of the known version."""
    if not head.startswith(HEAD):
        return None
    at = len(HEAD)
    for _ in range(ID_NUMBERS):
        at = _behind_number(head, at)
    if head[at : at + 2] != bytes.fromhex("6700"):  # how often the database was written back
        return None
    at = _behind_number(head, at + 2)
    return at + 2 if head[at : at + 2] == bytes.fromhex("ffff") else None


def _behind_number(head: bytes, at: int) -> int:
    while at < len(head) and head[at] & MORE:
        at += 1
    return at + 1


def _ends_with_a_commit(file: BinaryIO) -> bool:
    end = file.seek(0, 2)
    file.seek(max(0, end - len(COMMIT)))
    return file.read() == COMMIT
