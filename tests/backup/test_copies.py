"""Which copies of a record are kept, whatever their ages and whatever else lies beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.backup.copies import Copy, check_room, copies_in, copy_at, superseded
from oracle.errors import StoreError

FOLDER = Path("copies")
DATABASE = Path("state/oracle.duckdb")
START = datetime(2024, 1, 1, tzinfo=UTC)
MOMENTS = st.lists(st.integers(0, 3 * 365 * 86_400), unique=True, max_size=60)


def made(*seconds: int) -> list[Copy]:
    copies = [copy_at(FOLDER, DATABASE, START.timestamp() + after) for after in seconds]
    return sorted(copies, key=lambda copy: copy.made_at, reverse=True)


@given(MOMENTS)
def test_the_newest_copy_stays_and_never_more_than_23_do(seconds: list[int]) -> None:
    copies = made(*seconds)
    kept = [copy for copy in copies if copy not in superseded(copies)]
    assert kept[:1] == copies[:1]
    assert len(kept) <= 7 + 4 + 12


@given(MOMENTS)
def test_what_was_kept_once_is_kept_again(seconds: list[int]) -> None:
    copies = made(*seconds)
    kept = [copy for copy in copies if copy not in superseded(copies)]
    assert superseded(kept) == []


@given(MOMENTS)
def test_the_newest_seven_days_that_have_a_copy_keep_their_newest(seconds: list[int]) -> None:
    copies = made(*seconds)
    gone = superseded(copies)
    days = sorted({copy.made_at.date() for copy in copies}, reverse=True)[:7]
    for day in days:
        newest = next(copy for copy in copies if copy.made_at.date() == day)
        assert newest not in gone


def test_a_copy_a_day_for_two_years_leaves_days_weeks_and_months() -> None:
    copies: list[Copy] = []
    for day in range(730):
        copies = [*made(day * 86_400), *copies]
        gone = superseded(copies)
        copies = [copy for copy in copies if copy not in gone]
    ages = [(copies[0].made_at - copy.made_at).days for copy in copies]
    assert ages[:7] == [0, 1, 2, 3, 4, 5, 6]
    assert len(ages) <= 7 + 4 + 12
    assert max(ages) > 330, "the oldest month that is kept is eleven months back"


def test_files_of_others_are_no_copies(tmp_path: Path) -> None:
    ours = copy_at(tmp_path, DATABASE, START.timestamp())
    for name in (
        ours.path.name,
        f"{ours.path.name}.sha256",
        f"{ours.path.name}.part",
        "oracle-20249999T999999Z.duckdb",
        "other-20240101T000000Z.duckdb",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    assert copies_in(tmp_path, DATABASE) == [ours]
    assert copies_in(tmp_path / "absent", DATABASE) == []


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "copies").touch()
    with pytest.raises(StoreError, match="set another ORACLE_BACKUP_DIR"):
        copies_in(tmp_path / "copies", DATABASE)


def test_a_disk_without_room_is_told_with_its_numbers(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(StoreError, match=r"MB free, and a copy of 1,000,000,000 MB .* make room"):
        check_room(tmp_path, 10**15)


def test_names_sort_by_time() -> None:
    first, second = (copy_at(FOLDER, DATABASE, 1e9 + seconds).path.name for seconds in (0, 86_400))
    assert first < second
