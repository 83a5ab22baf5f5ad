"""What a killed writer leaves beside a database is replayed, or named as damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from oracle.errors import StoreError
from oracle.record.connect import connect, translated
from oracle.record.journal import _end_of_head, check_journal
from oracle.record.store import Store

KILLED = """
import os, sys
from oracle.record.connect import connect
from pathlib import Path
written = connect(Path(sys.argv[1]))
for name in ("first", "second"):
    written.execute("INSERT INTO facts_of_database VALUES ($name, 'x')", {"name": name})
os._exit(9)
"""


@dataclass(frozen=True)
class Left:
    """A database whose writer was killed behind two commits, and its journal."""

    database: Path
    journal: bytes

    def with_journal(self, folder: Path, journal: bytes) -> Path:
        copy = folder / "copy.duckdb"
        shutil.copy(self.database, copy)
        Path(f"{copy}.wal").write_bytes(journal)
        return copy


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    database = tmp_path_factory.mktemp("left") / "record.duckdb"
    with Store(database, network="main"):
        pass
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    return Left(database, Path(f"{database}.wal").read_bytes())


def names_in(database: Path) -> set[str]:
    """Open a database as the product does, and return what is in it; close it as a kill would."""
    with translated(database), connect(database, read_only=True) as connection:
        rows = connection.execute("SELECT name FROM facts_of_database").fetchall()
    return {name for (name,) in rows} & {"first", "second"}


def test_a_whole_journal_is_replayed(left: Left, tmp_path: Path) -> None:
    assert names_in(left.with_journal(tmp_path, left.journal)) == {"first", "second"}


def damaged(left: Left, tmp_path: Path, at: int) -> set[str] | None:
    """What is in the database when one byte of the journal is another; None when that is told."""
    journal = bytearray(left.journal)
    journal[at] ^= 0xFF
    try:
        return names_in(left.with_journal(tmp_path, bytes(journal)))
    except StoreError as error:
        assert ".wal" in str(error)
        return None


@pytest.mark.slow
def test_no_byte_of_an_entry_can_be_damaged_without_a_word(left: Left, tmp_path: Path) -> None:
    first = _end_of_head(left.journal)
    assert first is not None
    last = len(left.journal) - 5  # the end of the last commit: then it looks like a torn one
    silent = [at for at in range(first, last) if damaged(left, tmp_path, at) is not None]
    assert silent == []


def test_a_journal_that_was_torn_anywhere_is_replayed_up_to_the_last_commit(
    left: Left, tmp_path: Path
) -> None:
    known = [{"first", "second"}, {"first"}, set()]
    found = [
        names_in(left.with_journal(tmp_path, left.journal[:length]))
        for length in range(len(left.journal), 60, -7)
    ]
    assert all(names in known for names in found)
    assert found == sorted(found, key=len, reverse=True)


@pytest.mark.parametrize(
    "journal", [b"\x00" * 50, b"\xff" * 200, b"<html>", b"d\x00b\x00e", bytes(range(1, 256)) * 16]
)
def test_what_does_not_begin_like_a_journal_is_told(
    left: Left, tmp_path: Path, journal: bytes
) -> None:
    with pytest.raises(StoreError, match=r"\.wal.*damaged"):
        names_in(left.with_journal(tmp_path, journal))


@pytest.mark.parametrize("journal", [b"", b"d\x00be\x00\x03f\x00\x10"])
def test_a_journal_of_another_form_is_left_to_duckdb(
    left: Left, tmp_path: Path, journal: bytes
) -> None:
    check_journal(left.with_journal(tmp_path, journal))


def test_the_torn_beginning_of_a_journal_is_no_damage(left: Left, tmp_path: Path) -> None:
    for length in range(60):
        check_journal(left.with_journal(tmp_path, left.journal[:length]))


def test_duckdb_itself_drops_what_follows_a_damaged_size_without_a_word(
    left: Left, tmp_path: Path
) -> None:
    first = _end_of_head(left.journal)
    assert first is not None
    journal = bytearray(left.journal)
    journal[first + 7] ^= 0xFF  # the highest byte of a size
    copy = left.with_journal(tmp_path, bytes(journal))
    with duckdb.connect(str(copy), read_only=True) as connection:
        rows = connection.execute("SELECT name FROM facts_of_database").fetchall()
    assert ("first",) not in rows  # when this fails, DuckDB tells, and our own check may go
