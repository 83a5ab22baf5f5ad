"""Two roads, one record: however the ticks fall, what is recorded follows from the chain alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.errors import ReorgTooDeepError
from oracle.record.store import Store
from oracle.sources import Quote
from oracle.tick import KEPT_BLOCKS, SPARE_BLOCKS, TickRules, run_tick
from tests.helpers.steady import thinned
from tests.helpers.ticking import (
    CALCULATOR,
    FIRST,
    HeldSource,
    current,
    everything,
    forked_chain,
    record_of,
    rows_of,
    small_chain,
    tick,
)

pytestmark = pytest.mark.usefixtures("quick_prices")
TIP = FIRST + 310
WHOLE = TickRules(first_run_blocks=TIP - FIRST + 1)
DEPTHS = thinned([150, 1, 5, 6, 7, 100, 200], every=7)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of the whole chain, made by one tick."""
    with pytest.MonkeyPatch.context() as patch:
        from tests.helpers.ticking import spot_fingerprint, window_fingerprint

        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        path = tmp_path_factory.mktemp("straight") / "record.duckdb"
        tick(path, HeldSource(small_chain(), TIP), rules=WHOLE)
    return path


@pytest.fixture
def record(straight: Path, tmp_path: Path) -> Path:
    """A copy of the whole chain's record, to go on from."""
    return Path(shutil.copy(straight, tmp_path / "copy.duckdb"))


def from_scratch(path: Path, source: HeldSource) -> dict:
    tick(path, source, rules=TickRules(first_run_blocks=source.height - FIRST + 1))
    return record_of(path)


def test_the_straight_line_has_days_and_a_price_for_every_block_with_a_window(straight):
    assert len(current(straight, "days")) >= 1
    assert [row["height"] for row in current(straight, "prices")] == list(
        range(FIRST + 144, TIP + 1)
    )


@pytest.mark.slow
def test_a_tick_after_every_block_records_what_one_catch_up_does(tmp_path, straight):
    source = HeldSource(small_chain(), TIP)
    path = tmp_path / "a.duckdb"
    for source.height in range(TIP - 15, TIP + 1):
        tick(path, source, source, TickRules(first_run_blocks=TIP - 15 - FIRST + 1))
    assert record_of(path) == record_of(straight)


@pytest.mark.slow
def test_a_process_that_never_stops_records_what_restarts_do(tmp_path, straight):
    source = HeldSource(small_chain(), TIP - 40)
    rules = TickRules(first_run_blocks=TIP - 40 - FIRST + 1)
    with Store(tmp_path / "a.duckdb", network="simulated") as store:
        for source.height in range(TIP - 40, TIP + 1, 8):
            run_tick(store, source, None, CALCULATOR, rules, now_unix=source.time_unix)
    assert record_of(tmp_path / "a.duckdb") == record_of(straight)


@pytest.mark.parametrize("depth", DEPTHS)
def test_rewind_and_replay_is_a_straight_line(tmp_path, record, depth):
    source = HeldSource(forked_chain(TIP - depth + 1), TIP + 2)
    report = tick(record, source)
    assert report.blocks_replaced == depth
    assert record_of(record) == from_scratch(tmp_path / "straight.duckdb", source)


@pytest.mark.parametrize("depth", [1, 150])
def test_replaced_rows_are_kept_and_marked(straight, record, depth):
    tick(record, HeldSource(forked_chain(TIP - depth + 1), TIP + 2), now_unix=1_800_000_000)
    replaced = [row for row in rows_of(record, "blocks") if row["replaced_at_unix"] is not None]
    left = current(straight, "blocks")[-depth:]
    assert replaced == [row | {"replaced_at_unix": 1_800_000_000} for row in left]


def test_a_reorganisation_and_back_again_is_a_straight_line(straight, record):
    tick(record, HeldSource(forked_chain(TIP - 4), TIP + 1))
    tick(record, HeldSource(small_chain(), TIP))
    assert record_of(record) == record_of(straight)


@pytest.mark.slow
def test_a_fork_on_a_days_last_block_moves_the_day(record, tmp_path):
    last = current(record, "days")[-1]["last_height"]
    source = HeldSource(forked_chain(last + 1), TIP)
    tick(record, source)
    assert record_of(record, ["days"]) == {
        "days": from_scratch(tmp_path / "straight.duckdb", source)["days"]
    }
    assert any(row["replaced_at_unix"] for row in rows_of(record, "days"))


def test_blocks_whose_txids_were_forgotten_are_read_again_once(record):
    source = HeldSource(forked_chain(TIP - 149), TIP + 1)
    tick(record, source)
    oldest_needed, oldest_stored = TIP - 150 - KEPT_BLOCKS + 1, TIP - KEPT_BLOCKS - SPARE_BLOCKS + 1
    again = range(max(FIRST, oldest_needed), max(FIRST, oldest_stored))
    assert [height for height in source.asked if height < TIP - 149] == list(again)
    source.asked.clear()
    source.height += 1
    tick(record, source)
    assert source.asked == [TIP + 2]


def test_a_shallow_reorganisation_reads_no_old_block(record):
    source = HeldSource(forked_chain(TIP - 4), TIP + 1)
    tick(record, source)
    assert sorted(source.asked) == list(range(TIP - 4, TIP + 2))


def test_a_deeper_reorganisation_than_is_kept_changes_nothing(record):
    before = everything(record)
    with pytest.raises(ReorgTooDeepError, match="nothing was changed"):
        tick(record, HeldSource(forked_chain(FIRST), TIP + 3))
    assert everything(record) == before


@pytest.mark.parametrize("lag", thinned([20, 1, 300]))
def test_a_source_that_lags_changes_nothing(record, lag):
    before = everything(record)
    report = tick(record, HeldSource(small_chain(), TIP - lag))
    after = everything(record)
    assert (report.blocks_added, report.blocks_replaced) == (0, 0)
    assert {
        name: after[name] for name in ("blocks", "outputs", "prices", "days", "recent_txids")
    } == {name: before[name] for name in ("blocks", "outputs", "prices", "days", "recent_txids")}


def test_the_same_tick_twice_changes_nothing(record):
    source = HeldSource(small_chain(), TIP)
    tick(record, source, source)
    before = everything(record)
    tick(record, source, source)
    assert everything(record) == before


@pytest.mark.slow
def test_after_the_clock_jumped_ahead_and_back_the_same_tick_twice_changes_nothing(record):
    source = HeldSource(small_chain(), TIP)
    tick(record, source, source, now_unix=source.time_unix + 10**8)
    tick(record, source, source)
    before = everything(record)
    tick(record, source, source)
    assert everything(record) == before


@pytest.mark.slow
def test_clock_jumps_do_not_touch_what_follows_from_the_chain(tmp_path, straight):
    source = HeldSource(small_chain(), TIP - 5)
    path = tmp_path / "a.duckdb"
    tick(path, source, source, TickRules(first_run_blocks=TIP - 5 - FIRST + 1))
    for source.height, jump in enumerate((-(10**8), 10**8, 0, -86_400, 3600), TIP - 4):
        tick(path, source, source, WHOLE, now_unix=source.time_unix + jump)
    assert record_of(path) == record_of(straight)


# --- Chunks -------------------------------------------------


class Killed(BaseException):
    """What ends a process at any moment."""


class Mortal(HeldSource):
    """Ends the process when it has served so many blocks; its quotes swing about the prices."""

    lives = 10**9

    def block(self, block_hash: str) -> bytes:
        self.lives -= 1
        if self.lives < 0:
            raise Killed
        return super().block(block_hash)

    def at(self, time_unix: int) -> Quote:
        swing = (time_unix * 2_654_435_761 % 2**32) / 2**32 - 0.5  # as good as drawn from the time
        return Quote(52_000 * (1 + 0.08 * swing), time_unix - 5, self.name)


FORK = TIP - 170  # deeper than a chunk


def catch_up(path: Path, source: Mortal, chunk: int, lives: int) -> None:
    """Tick once with chunks of a size, until the process ends or the tick is done."""
    source.lives = lives
    with patch("oracle.tick.CHUNK_BLOCKS", chunk), suppress(Killed):
        tick(path, source, source, WHOLE)


def at_one_go(path: Path, *sources: Mortal) -> Path:
    for source in sources:
        catch_up(path, source, 10**6, 10**9)
    return path


@dataclass(frozen=True)
class Undisturbed:
    """Records of one tick in one chunk, and of another onto a deep fork."""

    straight: Path
    forked: Path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patches:
        from tests.helpers.ticking import spot_fingerprint, window_fingerprint

        patches.setattr("oracle.tick.estimate_window", window_fingerprint)
        patches.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        straight, forked = Mortal(small_chain(), TIP), Mortal(forked_chain(FORK), TIP + 5)
        return Undisturbed(
            at_one_go(folder / "straight.duckdb", straight),
            at_one_go(folder / "forked.duckdb", straight, forked),
        )


# Chunks of one block are what a tick after every block makes, above.
CHUNKS = st.integers(20, 400)
RUNS = st.lists(st.tuples(CHUNKS, st.integers(0, 250)), max_size=3)
EACH_RUN_TAKES_A_SECOND = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.slow
def test_the_undisturbed_record_has_days_samples_and_episodes(undisturbed):
    found = everything(undisturbed.straight)
    assert any(row["ended_at_unix"] for row in found["episodes"])
    assert any(row["exchange_close_usd"] for row in found["days"])
    assert len(found["exchange_samples"]) > 300


@pytest.mark.slow
@EACH_RUN_TAKES_A_SECOND
@given(runs=RUNS, last_chunk=CHUNKS)
def test_runs_killed_anywhere_in_chunks_of_any_size_record_what_one_run_does(
    undisturbed, runs: Sequence[tuple[int, int]], last_chunk: int
):
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.duckdb")
        source = Mortal(small_chain(), TIP)
        for chunk, lives in runs:
            catch_up(path, source, chunk, lives)
        catch_up(path, source, last_chunk, 10**9)
        assert everything(path) == everything(undisturbed.straight)


@pytest.mark.slow
@EACH_RUN_TAKES_A_SECOND
@given(runs=RUNS, last_chunk=CHUNKS)
def test_runs_killed_on_their_way_onto_a_deep_fork_record_what_one_run_does(
    undisturbed, runs: Sequence[tuple[int, int]], last_chunk: int
):
    with TemporaryDirectory() as folder:
        path = Path(shutil.copy(undisturbed.straight, folder))
        source = Mortal(forked_chain(FORK), TIP + 5)
        for chunk, lives in runs:
            catch_up(path, source, chunk, lives)
        catch_up(path, source, last_chunk, 10**9)
        assert everything(path) == everything(undisturbed.forked)
