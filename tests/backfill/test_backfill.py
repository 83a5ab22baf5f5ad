"""A backfilled stretch is what ticks would have written, however it is cut, wherever it lies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest

from oracle.backfill.fill import Backfill, Filled, Wanted
from oracle.backfill.standing import standing_of, standing_path
from oracle.backfill.stretches import WARM_UP_BLOCKS, Chunk, chunks_of, missing, size_for
from oracle.backfill.workers import ThisProcess, _result, new_progress
from oracle.chain import utc_date
from oracle.config import load_settings
from oracle.errors import (
    BusyError,
    ChainMovedError,
    NoDataError,
    NotFinalError,
    OracleError,
    RequestError,
)
from oracle.lock import locked, only_run
from oracle.record.history import held
from oracle.sources.failover import FailoverSource
from oracle.tick import TickRules
from oracle.wiring import Sources
from tests.helpers.steady import thinned
from tests.helpers.ticking import (
    FIRST,
    HeldSource,
    PrunedSource,
    current,
    everything,
    record_of,
    small_chain,
    tick,
)

pytestmark = pytest.mark.usefixtures("quick_prices")
TIP = FIRST + 500
START = FIRST + 200  # where the record begins that is to get its past


def rules(blocks: int) -> TickRules:
    return TickRules(first_run_blocks=blocks)


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    from tests.helpers.ticking import spot_fingerprint, window_fingerprint

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        yield


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory, quick: None) -> Path:
    """Records of ticks: the whole chain, its newest part, and one with a gap."""
    del quick
    folder = tmp_path_factory.mktemp("seeds")
    chain = small_chain()
    tick(folder / "whole.duckdb", HeldSource(chain, TIP), rules=rules(TIP + 1 - FIRST))
    tick(folder / "late.duckdb", HeldSource(chain, TIP), rules=rules(TIP + 1 - START))
    tick(folder / "gap.duckdb", HeldSource(chain, FIRST + 80), rules=rules(81))
    behind = TickRules(first_run_blocks=TIP + 1 - START, max_catch_up_seconds=0)
    tick(folder / "gap.duckdb", HeldSource(chain, TIP), rules=behind)
    return folder


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> PrunedSource:
    """Where the blocks come from, whatever the settings name."""
    monkeypatch.setattr("oracle.backfill.workers.read_faster", lambda: False)  # stays as it is here
    held = PrunedSource(small_chain(), TIP, FIRST)
    together = Sources(FailoverSource([held]), None, 1)
    for module in ("fill", "workers"):
        monkeypatch.setattr(f"oracle.backfill.{module}.open_sources", lambda *_: together)
    return held


@pytest.fixture
def backfill(
    tmp_path: Path, seeds: Path, source: PrunedSource
) -> Callable[..., tuple[Path, Filled]]:
    """Copy a record and give it a past; return it and what was added."""

    def fill(
        name: str,
        first: int = FIRST,
        last: int | None = None,
        chunk_blocks: int = 150,
        copy: bool = False,
    ) -> tuple[Path, Filled]:
        """`name` is that of a seed; the days are those of two heights."""
        path = tmp_path / "state/record.duckdb"
        if copy or not path.parent.exists():
            path.parent.mkdir(exist_ok=True)
            shutil.copy(seeds / f"{name}.duckdb", path)
        work = Backfill(
            load_settings({"ELECTRS_URL": "http://127.0.0.1:1", "DUCKDB_PATH": str(path)}),
            lambda: small_chain().arrival_unix(TIP) + 60,
            ThisProcess(),
            new_progress(),
            chunk_blocks,
        )
        chain = small_chain()
        days = [utc_date(chain.arrival_unix(height)) for height in (first, last or first)]
        return path, work.run(Wanted(days[0], days[1] if last else None))

    return fill


def facts_of(path: Path) -> list[tuple]:
    names = ("height", "value_sats", "is_round", "parent_height")
    rows = [tuple(row[name] for name in names) for row in current(path, "outputs")]
    return sorted(rows, key=lambda row: row[0])  # stable: the order in a block stays


def in_order(path: Path) -> dict[str, list]:
    record = record_of(path, ("blocks", "prices", "days"))
    return {
        "blocks": sorted(record["blocks"], key=lambda row: row["height"]),
        "prices": sorted(record["prices"], key=lambda row: row["height"]),
        "days": sorted(record["days"], key=lambda row: row["date"]),
        "outputs": facts_of(path),
    }


def same(path: Path, other: Path) -> bool:
    ours, theirs = in_order(path), in_order(other)
    for table, rows in ours.items():
        assert rows == theirs[table], table
    return True


# --- Equal --------------------------------------------------


@pytest.mark.parametrize("chunk_blocks", thinned([90, 1000]))
def test_a_past_below_a_record_is_what_ticks_would_have_written(backfill, seeds, chunk_blocks):
    path, filled = backfill("late", chunk_blocks=chunk_blocks)
    assert same(path, seeds / "whole.duckdb")
    assert (filled.blocks, filled.prices) == (START - FIRST, START - FIRST)


def test_a_gap_is_filled_with_what_ticks_would_have_written(backfill, seeds):
    path, filled = backfill("gap")
    assert same(path, seeds / "whole.duckdb")
    assert filled.lowest is None


@pytest.mark.slow
def test_what_is_there_is_not_read_again(backfill, source):
    backfill("late")
    source.asked.clear()
    _, filled = backfill("late")
    assert (filled, source.asked) == (Filled(0, 0, 0), [])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_parts_in_any_order_come_to_the_same(backfill, seeds, seed):
    random = Random(seed)
    bounds = sorted(random.sample(range(FIRST + 20, START), 3))
    parts = list(zip([FIRST, *bounds], [*bounds, START], strict=True))
    random.shuffle(parts)
    for first, last in parts:
        path, _ = backfill("late", first, last, chunk_blocks=random.randint(90, 400))
    path, _ = backfill("late")
    assert same(path, seeds / "whole.duckdb")


@pytest.mark.slow
def test_a_backfill_that_is_killed_goes_on_where_it_was(backfill, seeds, monkeypatch):
    from oracle.backfill import fill

    merged = []
    add = fill.add_history

    def killed(*arguments: object) -> dict[str, int]:
        if len(merged) == 1:
            raise KeyboardInterrupt
        merged.append(1)
        return add(*arguments)

    monkeypatch.setattr("oracle.backfill.fill.add_history", killed)
    with pytest.raises(KeyboardInterrupt):
        backfill("late")
    monkeypatch.setattr("oracle.backfill.fill.add_history", add)
    path, filled = backfill("late")
    assert 0 < filled.blocks < START - FIRST
    assert same(path, seeds / "whole.duckdb")


def test_how_far_it_is_can_be_read_until_nothing_is_missing(backfill, seeds, monkeypatch):
    seen = []
    merge = Backfill._merge

    def watched(work, piece):
        seen.append(standing_of(work._settings.duckdb_path))
        merge(work, piece)

    monkeypatch.setattr(Backfill, "_merge", watched)
    path, filled = backfill("late", chunk_blocks=90)
    assert standing_of(path) is None
    assert [one.blocks_wanted for one in seen] == [filled.blocks] * len(seen)
    done = [one.blocks_done for one in seen]
    assert done == sorted(done)
    assert 0 in done
    days = [one.day for one in seen if one.day]
    assert days == sorted(days, reverse=True) != []


def test_one_that_is_stopped_leaves_how_far_it_came(backfill, tmp_path, monkeypatch):
    merge = Backfill._merge

    def once(work, piece):
        if standing_of(work._settings.duckdb_path).blocks_done:
            raise KeyboardInterrupt
        merge(work, piece)

    monkeypatch.setattr(Backfill, "_merge", once)
    with pytest.raises(KeyboardInterrupt):
        backfill("late", chunk_blocks=90)
    left = standing_of(tmp_path / "state/record.duckdb")
    assert 0 < left.blocks_done < left.blocks_wanted


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 5000,
        b"[]",
        b'{"blocks_done": 3}',
        b'{"blocks_done": 3, "blocks_wanted": 2, "day": null, "updated_at_unix": 0}',
        b'{"blocks_done": 1, "blocks_wanted": 2, "day": "<b>", "updated_at_unix": 0}',
        b'{"blocks_done": 1, "blocks_wanted": 2, "day": 7, "updated_at_unix": 0}',
        b'{"blocks_done": 1, "blocks_wanted": 1e999, "day": null, "updated_at_unix": 0}',
        b'{"blocks_done": 1, "blocks_wanted": 2, "day": null, "updated_at_unix": -1}',
        b"\xff",
    ],
)
def test_a_note_that_is_none_says_nothing(tmp_path, content):
    database = tmp_path / "record.duckdb"
    standing_path(database).write_bytes(content)
    assert standing_of(database) is None


@pytest.mark.slow
def test_a_tick_after_a_backfill_goes_on_as_ever(backfill, seeds, tmp_path):
    path, _ = backfill("late")
    chain = small_chain()
    other = tmp_path / "other.duckdb"
    shutil.copy(seeds / "whole.duckdb", other)
    for one in (path, other):
        tick(one, HeldSource(chain, TIP + 3))
    assert same(path, other)


@pytest.mark.slow
def test_what_the_ticks_know_of_now_stays_as_it_was(backfill, seeds):
    path, _ = backfill("late")
    before, after = everything(seeds / "late.duckdb"), everything(path)
    for table in ("recent_txids", "episodes", "facts_of_database"):
        assert after[table] == before[table]
    kept = [row for row in after["divergences"] if row in before["divergences"]]
    assert kept == before["divergences"]


# --- What cannot be had -------------------------------------


def test_below_what_the_source_has_the_history_ends(backfill, source):
    lowest = source.lowest = FIRST + 70
    path, filled = backfill("late")
    assert filled.lowest == lowest
    heights = sorted(row["height"] for row in current(path, "blocks"))
    assert heights == list(range(lowest, TIP + 1))
    prices = sorted(row["height"] for row in current(path, "prices"))
    assert prices == list(range(lowest + 144, TIP + 1))


def test_without_a_record_there_is_no_past_to_add(tmp_path, source):
    del source
    settings = load_settings({"DUCKDB_PATH": str(tmp_path / "no.duckdb")})
    work = Backfill(settings, lambda: 0, ThisProcess(), new_progress())
    with pytest.raises(NoDataError, match="make one with: oracle build"):
        work.run(Wanted(utc_date(small_chain().arrival_unix(FIRST))))
    assert list(tmp_path.iterdir()) == []


def test_days_that_are_not_there_yet_are_refused(backfill):
    with pytest.raises(NotFinalError, match="not in the data yet"):
        backfill("late", first=TIP + 400)


def test_days_the_wrong_way_round_are_refused(backfill):
    with pytest.raises(RequestError, match="name the earlier day first"):
        backfill("late", first=START, last=FIRST)


def test_a_lock_that_stays_taken_is_told_in_the_end(backfill, tmp_path, monkeypatch, seeds):
    monkeypatch.setattr("oracle.lock.TRIES", 2)
    monkeypatch.setattr("oracle.lock.WAIT_SECONDS", 0.0)
    (tmp_path / "state").mkdir()
    path = tmp_path / "state/record.duckdb"
    shutil.copy(seeds / "late.duckdb", path)
    with only_run(load_settings({"DUCKDB_PATH": str(path)})), pytest.raises(BusyError):
        backfill("late")


def test_a_process_that_was_killed_is_told_in_a_sentence():
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    with pool, pytest.raises(OracleError, match="was memory short"):
        _result(pool.submit(os.abort))


def test_two_backfills_at_once_are_one_too_many(backfill, tmp_path):
    (tmp_path / "state").mkdir()
    with locked(tmp_path / "state/record-backfill.duckdb"), pytest.raises(BusyError):
        backfill("late", copy=True)


def test_what_a_killed_backfill_left_is_cleared_away(backfill, tmp_path):
    left = tmp_path / "state/record-backfill/tmpabc"
    left.mkdir(parents=True)
    (left / "scratch.duckdb").write_bytes(b"half")
    backfill("late", copy=True)
    assert not left.parent.exists()


@pytest.mark.slow
def test_a_stretch_of_another_chain_is_not_merged(backfill, tmp_path):
    (tmp_path / "state").mkdir()
    path = tmp_path / "state/record.duckdb"
    fork = small_chain().forked(START - 50, 7)
    tick(path, HeldSource(fork, TIP), rules=rules(TIP + 1 - START))
    before = everything(path)
    with pytest.raises(ChainMovedError):
        backfill("late")
    assert everything(path) == before


# --- Which chunks -------------------------------------------


def test_what_is_missing_comes_newest_first():
    known = {5, 6, 9}
    assert list(missing(2, 11, known)) == [Chunk(10, 11), Chunk(7, 8), Chunk(2, 4)]


def test_a_stretch_below_blocks_without_prices_reads_them_once_more():
    known = set(range(1000, 2000))
    priced = set(range(1144, 2000))
    chunks = list(chunks_of([Chunk(100, 999)], known, priced, 5000, 400))
    assert chunks == [Chunk(600, 999 + WARM_UP_BLOCKS), Chunk(200, 599), Chunk(100, 199)]


def test_no_block_that_a_reorganisation_may_reach_is_read_once_more():
    known = set(range(1000, 1100))
    assert list(chunks_of([Chunk(900, 999)], known, set(), 1093)) == [Chunk(900, 1093)]


def test_a_stretch_below_blocks_with_prices_leaves_them_alone():
    known = set(range(1000, 2000))
    assert list(chunks_of([Chunk(100, 999)], known, known, 5000, 900)) == [Chunk(100, 999)]


@pytest.mark.parametrize(
    ("blocks", "jobs", "size"), [(1200, 2, 600), (1201, 2, 601), (300, 4, 288), (0, 2, 288)]
)
def test_a_short_past_is_shared_among_the_processes(blocks, jobs, size):
    stretches = [Chunk(1000, 1000 + blocks - 1)] if blocks else []
    assert size_for(stretches, jobs) == size


def test_held_are_the_current_blocks(seeds):
    there = held(seeds / "late.duckdb")
    assert there.blocks == set(range(START, TIP + 1))
    assert there.priced == set(range(START + 144, TIP + 1))
