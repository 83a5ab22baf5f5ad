"""The index of block files: kept, brought up to date, and made anew when it is not right."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.errors import BlockNotFoundError
from oracle.simulated.serialise import header_hash
from oracle.sources import ChainTip
from oracle.sources import blkfiles as module
from oracle.sources.blkfiles import BlkFilesSource
from oracle.sources.records import records_in
from tests.helpers.fakes import small_blocks
from tests.helpers.steady import steady
from tests.sources.test_source_blkfiles import BLOCKS, HASHES, record, torn, write

STALE = small_blocks(3, 14, HASHES[13], tag=b"stale")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blocks"


@pytest.fixture
def index_path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "oracle.blkindex"


@pytest.fixture
def look(folder: Path, index_path: Path) -> Callable[[], BlkFilesSource]:
    """Look at the files as they are now, with the index of the last look."""
    return lambda: BlkFilesSource(folder, index_path)


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From which byte on files are looked through."""
    starts: list[int] = []

    def noting(read: object, magic: bytes, start: int = 0) -> object:
        starts.append(start)
        return records_in(read, magic, start)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "records_in", noting)
    return starts


def answers_of(source: BlkFilesSource) -> ChainTip:
    tip = source.tip()
    source.close()
    return tip


def answers(source: BlkFilesSource) -> tuple[ChainTip, list[str], bytes]:
    found = source.tip(), source.hashes(0, 19), source.block(HASHES[3])
    source.close()
    return found


RIGHT = ChainTip(19, HASHES[19]), HASHES, BLOCKS[3]


# --- Looking again ------------------------------------------


def test_a_second_look_looks_through_nothing(look, folder, scanned):
    write(folder, [record(block) for block in BLOCKS])
    assert (answers(look()), answers(look()), scanned) == (RIGHT, RIGHT, [0])


def test_only_what_was_written_since_is_looked_through(look, folder, scanned):
    parts = [record(block) for block in BLOCKS]
    write(folder, parts[:8], 0)
    write(folder, parts[8:12], 1)
    assert look().tip().height == 11
    write(folder, parts[8:18], 1)
    write(folder, parts[18:], 2)
    assert answers(look()) == RIGHT
    assert scanned == [0, 0, len(b"".join(parts[8:12])), 0]


def test_unwritten_space_is_looked_through_again_once_it_changed(look, folder):
    parts = [record(block) for block in BLOCKS]
    path = write(folder, parts[:15])
    path.write_bytes(path.read_bytes() + bytes(40_000))
    assert look().tip().height == 14
    write(folder, parts)
    assert answers(look()) == RIGHT


def test_files_that_were_written_anew_are_looked_through_from_their_start(look, folder):
    write(folder, [record(block) for block in BLOCKS[:10]], 0)
    write(folder, [record(block) for block in BLOCKS[10:]], 1)
    answers(look())
    write(folder, [record(block) for block in [BLOCKS[0], *BLOCKS[:9:-1]]], 0)
    write(folder, [record(block) for block in BLOCKS[9:0:-1]], 1)
    assert answers(look()) == RIGHT


def test_a_file_that_is_gone_is_forgotten_and_heights_stay(look, folder):
    path = write(folder, [record(block) for block in BLOCKS[:10]], 0)
    write(folder, [record(block) for block in BLOCKS[10:]], 1)
    answers(look())
    path.unlink()
    assert look().tip() == RIGHT[0]
    assert look().hashes(10, 19) == HASHES[10:]


@pytest.mark.parametrize("looks_between", [False, True])
def test_a_copy_is_there_when_the_first_is_pruned(look, folder, looks_between):
    write(folder, [record(block) for block in BLOCKS[:10]], 0)
    if looks_between:
        answers_of(look())
    write(folder, [record(block) for block in BLOCKS[7:]], 1)
    answers_of(look())
    (folder / "blk00000.dat").unlink()
    source = look()
    assert (source.block(HASHES[8]), source.hashes(8, 19)) == (BLOCKS[8], HASHES[8:])


def test_a_copy_in_an_older_file_that_is_looked_through_later_changes_nothing(look, folder):
    write(folder, [record(block) for block in BLOCKS], 1)
    answers_of(look())
    write(folder, [torn(block) for block in BLOCKS[:5]], 0)
    assert look().block(HASHES[3]) == BLOCKS[3]


def test_a_reorganisation_is_seen_with_the_index_of_before(look, folder):
    write(folder, [record(block) for block in BLOCKS[:15]])
    look().tip()
    write(folder, [record(block) for block in [*BLOCKS[:15], *STALE]])
    assert look().tip() == ChainTip(16, header_hash(STALE[-1]))
    write(folder, [record(block) for block in [*BLOCKS[:15], *STALE, *BLOCKS[15:]]])
    assert answers(look()) == RIGHT


@steady(40)
@given(data=st.data())
def test_any_order_in_any_number_of_looks_gives_the_same_chain(tmp_path_factory, data):
    order = data.draw(st.permutations([*BLOCKS, *STALE]))
    cuts = data.draw(st.lists(st.integers(1, len(order)), max_size=4).map(sorted))
    base = tmp_path_factory.mktemp("any")
    for count in [*cuts, len(order)]:
        write(base / "blocks", [record(block) for block in order[: count // 2]], 0)
        write(base / "blocks", [record(block) for block in order[count // 2 : count]], 1)
        source = BlkFilesSource(base / "blocks", base / "index")
        assert source.tip().height > 0 or count == 1
        source.close()
    assert answers(BlkFilesSource(base / "blocks", base / "index")) == RIGHT
    shutil.rmtree(base)


# --- An index that is not right -----------------------------


@pytest.fixture
def indexed(look, folder, index_path) -> Path:
    write(folder, [record(block) for block in BLOCKS])
    assert answers(look()) == RIGHT
    return index_path


@pytest.mark.parametrize("content", [b"", b"no database", bytes(5000), b"SQLite format 3\0" * 99])
def test_a_file_that_is_no_index_is_made_anew(look, indexed, content):
    indexed.write_bytes(content)
    assert (answers(look()), answers(look())) == (RIGHT, RIGHT)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_an_index_with_a_hole_in_it_gives_no_wrong_answer(look, indexed, share):
    whole = indexed.read_bytes()
    at = int(len(whole) * share)
    indexed.write_bytes(whole[:at] + b"\xff" * 4096 + whole[at + 4096 :])
    assert answers(look()) == RIGHT


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_index_that_was_cut_is_made_anew(look, indexed, share):
    whole = indexed.read_bytes()
    indexed.write_bytes(whole[: int(len(whole) * share)])
    assert answers(look()) == RIGHT


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE block SET header = zeroblob(80)",
        "UPDATE block SET start = start + 1",
        "UPDATE about SET version = 0",
        "DROP TABLE file",
        "DROP TABLE about",
        "UPDATE block SET start = 'text'",
        "UPDATE block SET size = 1000000000",
        "UPDATE block SET parent = zeroblob(32)",
    ],
)
def test_an_index_that_says_something_wrong_is_made_anew(look, indexed, change):
    with sqlite3.connect(indexed) as db:
        db.execute(change)
    db.close()
    assert answers(look()) == RIGHT


def test_an_index_of_another_folder_is_made_anew(look, indexed, tmp_path):
    other = small_blocks(5, tag=b"other")
    write(tmp_path / "others", [record(block) for block in other])
    assert BlkFilesSource(tmp_path / "others", indexed).tip().height == 4
    assert answers(look()) == RIGHT


def test_an_index_that_cannot_be_written_is_kept_in_memory(folder, tmp_path):
    write(folder, [record(block) for block in BLOCKS])
    (tmp_path / "file").write_bytes(b"in the way")
    assert answers(BlkFilesSource(folder, tmp_path / "file" / "index")) == RIGHT
    (tmp_path / "index").mkdir()
    assert answers(BlkFilesSource(folder, tmp_path / "index")) == RIGHT


def test_a_block_that_was_overwritten_meanwhile_is_not_found(look, folder):
    path = write(folder, [record(block) for block in BLOCKS])
    source = look()
    source.tip()
    path.write_bytes(path.read_bytes()[:300] + bytes(len(path.read_bytes()) - 300))
    with pytest.raises(BlockNotFoundError):
        source.block(HASHES[9])


# --- Probes -------------------------------------------------


def test_a_probe_does_not_look_through_files_for_a_tip(look, folder, index_path, monkeypatch):
    monkeypatch.setattr(module, "PROBE_BYTES", 0)
    write(folder, [record(block) for block in BLOCKS])
    health = look().probe()
    assert (health.is_reachable, health.state, health.network) == (True, "ok", "regtest")
    assert (health.tip_height, health.is_synced, index_path.exists()) == (None, None, False)


def test_a_probe_tells_the_tip_that_the_index_knows(look, indexed, monkeypatch):
    monkeypatch.setattr(module, "PROBE_BYTES", 0)
    assert look().probe().tip_height == 19
