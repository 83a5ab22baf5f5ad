"""What a run reads: where a record starts, where it goes on, and what it waits for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from oracle.chain import NOT_YET_BLOCKS
from oracle.core.wire import parse_header
from oracle.errors import (
    BlockNotFoundError,
    NoDataError,
    SourceUnavailableError,
    SyncingError,
    VerificationError,
)
from oracle.plan import DAY_SECONDS
from oracle.record.batch import Batch
from oracle.record.store import Store
from oracle.simulated.serialise import build_block, coinbase_transaction, header_hash
from oracle.sources import ChainTip
from oracle.tick import TickRules, run_tick
from tests.helpers.ticking import (
    CALCULATOR,
    FIRST,
    RULES,
    HeldSource,
    PrunedSource,
    current,
    everything,
    forked_chain,
    record_of,
    rows_of,
    small_chain,
    spot_fingerprint,
    tick,
    window_fingerprint,
)

TIP = FIRST + 149
HOUR_SECONDS = 3_600
IMPATIENT = RULES._replace(max_catch_up_seconds=DAY_SECONDS)
pytestmark = pytest.mark.usefixtures("quick_prices")


def recorded(folder: Path, network: str) -> Path:
    path = folder / f"{network}.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        tick(path, HeldSource(small_chain(), TIP), network=network)
    return path


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The record of a first run of 150 blocks, by network."""
    folder = tmp_path_factory.mktemp("seeds")
    return {network: recorded(folder, network) for network in ("simulated", "regtest")}


@pytest.fixture
def record(seeds: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(seeds["simulated"], tmp_path / "copy.duckdb"))


@pytest.fixture
def regtest(seeds: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(seeds["regtest"], tmp_path / "regtest.duckdb"))


def heights(path: Path, table: str = "blocks") -> list[int]:
    return [row["height"] for row in current(path, table)]


def codes(report: object) -> list[str]:
    return [remark.code for remark in report.remarks]


def remarks_of_last_run(path: Path) -> str:
    return rows_of(path, "runs")[-1]["remarks"]


# --- Where a record starts ----------------------------------


class Genesis(HeldSource):
    """A node that has just started: one block, of long ago."""

    def __init__(self) -> None:
        super().__init__(small_chain(), 0, "young")
        self.genesis = build_block("0" * 64, 1_231_006_505, [coinbase_transaction(0)])

    def tip(self) -> ChainTip:
        return ChainTip(0, header_hash(self.genesis))

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        return [self.genesis[:80]]

    def block(self, block_hash: str) -> bytes:
        return self.genesis


@pytest.mark.parametrize("network", ["main", "testnet4", "signet", "regtest", "unknown"])
def test_no_record_starts_on_the_genesis_block_alone(tmp_path, network):
    path = tmp_path / "a.duckdb"
    with pytest.raises(SyncingError, match=r"young has only the first block.*still catching up"):
        tick(path, Genesis(), network=network, now_unix=1_790_000_000)
    assert (rows_of(path, "blocks"), rows_of(path, "runs")) == ([], [])


@pytest.mark.parametrize("network", ["main", "test", "testnet4", "signet"])
def test_no_record_of_a_known_network_starts_on_a_tip_older_than_a_day(tmp_path, network):
    source = HeldSource(small_chain(), TIP)
    now_unix = small_chain().arrival_unix(TIP) + 2 * DAY_SECONDS
    with pytest.raises(SyncingError, match=rf"{TIP} as its newest block, from .*2\.0 days ago"):
        tick(tmp_path / "a.duckdb", source, network=network, now_unix=now_unix)
    assert rows_of(tmp_path / "a.duckdb", "blocks") == []
    assert source.asked == []


@pytest.mark.parametrize("network", ["regtest", "unknown", "simulated"])
def test_a_record_of_a_free_network_starts_on_any_tip(tmp_path, network):
    now_unix = small_chain().arrival_unix(TIP) + 2000 * DAY_SECONDS
    tick(tmp_path / "a.duckdb", HeldSource(small_chain(), TIP), network=network, now_unix=now_unix)
    assert heights(tmp_path / "a.duckdb")[-1] == TIP


def test_still_syncing_is_an_answer_without_data(tmp_path):
    assert issubclass(SyncingError, NoDataError)
    assert (SyncingError.exit_code, SyncingError.code) == (1, "SYNCING")


def test_blocks_too_easy_for_their_network_start_no_record(tmp_path):
    source = HeldSource(small_chain(), TIP)
    with pytest.raises(VerificationError, match="easier than anything on network main"):
        tick(tmp_path / "a.duckdb", source, network="main")
    assert rows_of(tmp_path / "a.duckdb", "blocks") == []


@pytest.mark.parametrize("kept", [288, 145, 200])
def test_a_first_run_on_a_pruned_node_takes_every_block_it_has(tmp_path, kept):
    tip = FIRST + 300
    source = PrunedSource(small_chain(), tip, tip + 1 - kept)
    report = tick(tmp_path / "a.duckdb", source, rules=TickRules(first_run_blocks=290))
    assert heights(tmp_path / "a.duckdb") == list(range(tip + 1 - kept, tip + 1))
    assert len(heights(tmp_path / "a.duckdb", "prices")) == kept - 144
    assert [remark.code for remark in report.remarks] == ["short_start"]
    assert f"starts with {kept} of them, not 290" in report.remarks[0].message


def test_a_pruned_first_run_asks_for_few_blocks_twice(tmp_path):
    tip = FIRST + 300
    source = PrunedSource(small_chain(), tip, tip + 1 - 200)
    tick(tmp_path / "a.duckdb", source, rules=TickRules(first_run_blocks=290))
    assert len(source.asked) <= 200 + 10


def test_a_pruned_node_with_ragged_files_starts_behind_the_last_missing_block(tmp_path):
    class Ragged(PrunedSource):
        def block(self, block_hash: str) -> bytes:
            if self.chain.heights[block_hash] in (self.lowest + 2, self.lowest + 5):
                raise BlockNotFoundError("pruned", source=self.name)
            return super().block(block_hash)

    tip = FIRST + 300
    source = Ragged(small_chain(), tip, tip + 1 - 250)
    tick(tmp_path / "a.duckdb", source, rules=TickRules(first_run_blocks=290))
    assert heights(tmp_path / "a.duckdb") == list(range(source.lowest + 6, tip + 1))


def test_a_first_run_with_less_than_a_window_behind_what_is_pruned_records_nothing(tmp_path):
    source = PrunedSource(small_chain(), FIRST + 300, FIRST + 300 - 143)
    with pytest.raises(BlockNotFoundError):
        tick(tmp_path / "a.duckdb", source, rules=TickRules(first_run_blocks=290))
    assert rows_of(tmp_path / "a.duckdb", "blocks") == []


# --- Gaps ---------------------------------------------------


def test_a_record_too_far_behind_starts_anew_behind_a_gap(record):
    source = HeldSource(small_chain(), TIP + 400)
    report = tick(record, source, rules=IMPATIENT)
    assert heights(record) == [*range(FIRST, TIP + 1), *range(TIP + 251, TIP + 401)]
    assert codes(report) == ["gap"]
    assert f"blocks {TIP + 1} to {TIP + 250} are left out" in report.remarks[0].message
    assert '"gap"' in remarks_of_last_run(record)


def test_behind_a_gap_prices_come_with_a_whole_window(record):
    tick(record, HeldSource(small_chain(), TIP + 400), rules=IMPATIENT)
    assert heights(record, "prices")[-6:] == list(range(TIP + 395, TIP + 401))
    assert heights(record, "prices")[-7] == TIP


def test_behind_a_gap_is_recorded_what_a_new_record_would_hold(record, tmp_path):
    source = HeldSource(small_chain(), TIP + 400)
    tick(record, source, rules=IMPATIENT)
    tick(tmp_path / "new.duckdb", source)
    found, new = record_of(record), record_of(tmp_path / "new.duckdb")
    assert {
        table: [row for row in rows if row.get("height", row.get("last_height")) > TIP]
        for table, rows in found.items()
    } == new


def test_what_was_before_a_gap_stays_as_it_was(record):
    before = record_of(record)
    tick(record, HeldSource(small_chain(), TIP + 400), rules=IMPATIENT)
    after = record_of(record)
    assert {table: rows[: len(before[table])] for table, rows in after.items()} == before


def test_no_comparison_behind_a_gap_uses_a_price_from_before_it(record):
    source = HeldSource(small_chain(), TIP + 400)
    tick(record, source, source, rules=IMPATIENT)
    since_unix = small_chain().arrival_unix(TIP + 200)
    rows = [row for row in rows_of(record, "divergences") if row["time_unix"] > since_unix]
    assert {row["height"] for row in rows} == set(range(TIP + 395, TIP + 401))


def test_a_run_behind_a_gap_goes_on_as_ever(record):
    source = HeldSource(small_chain(), TIP + 400)
    tick(record, source, rules=IMPATIENT)
    source.height += 3
    source.asked.clear()
    report = tick(record, source, rules=IMPATIENT)
    assert source.asked == [TIP + 401, TIP + 402, TIP + 403]
    assert (report.remarks, report.price["height"]) == ((), TIP + 403)


def gapped(path: Path, network: str) -> int:
    """Go on behind a gap, and return the height from which on the record has blocks again."""
    source = HeldSource(small_chain(), TIP + 160)
    tick(path, source, rules=IMPATIENT._replace(first_run_blocks=150), network=network)
    begins = TIP + 160 - 149
    assert TIP + 1 not in heights(path)
    return begins


@pytest.mark.parametrize("network", ["simulated", "regtest"])
def test_a_reorganisation_down_into_a_gap_joins_the_record_again(seeds, tmp_path, network):
    path = Path(shutil.copy(seeds[network], tmp_path / "copy.duckdb"))
    begins = gapped(path, network)
    source = HeldSource(forked_chain(begins - 5), TIP + 162)
    report = tick(path, source, network=network, rules=RULES._replace(max_catch_up_seconds=10**9))
    assert heights(path) == list(range(FIRST, TIP + 163))
    assert report.blocks_replaced == 150
    assert current(path, "blocks")[-1]["hash"] == source.tip().hash


def test_a_branch_with_less_work_behind_a_gap_is_not_followed(seeds, tmp_path):
    path = Path(shutil.copy(seeds["regtest"], tmp_path / "copy.duckdb"))
    begins = gapped(path, "regtest")
    before = current(path, "blocks")
    low = HeldSource(forked_chain(begins - 5), begins + 20)
    report = tick(path, low, network="regtest", now_unix=small_chain().arrival_unix(TIP + 161))
    assert codes(report) == ["source_differs"]
    assert current(path, "blocks") == before


def test_a_pause_that_the_first_run_covers_leaves_no_gap(record):
    rules = IMPATIENT._replace(first_run_blocks=1000)
    report = tick(record, HeldSource(small_chain(), TIP + 400), rules=rules)
    assert heights(record) == list(range(FIRST, TIP + 401))
    assert report.remarks == ()


def test_a_pause_that_is_no_longer_than_allowed_is_caught_up(record):
    tick(record, HeldSource(small_chain(), TIP + 400))
    assert heights(record) == list(range(FIRST, TIP + 401))


def test_a_pruned_node_after_a_long_pause_goes_on_behind_a_gap(record):
    source = PrunedSource(small_chain(), TIP + 400, TIP + 113)
    report = tick(record, source)
    assert heights(record) == [*range(FIRST, TIP + 1), *range(TIP + 113, TIP + 401)]
    assert codes(report) == ["gap"]
    assert "can no longer be had from held" in report.remarks[0].message
    source.height += 1
    assert tick(record, source).blocks_added == 1


def test_a_source_without_the_records_newest_block_goes_on_behind_a_gap(record):
    class Young(HeldSource):
        """Its chain starts above the record, as block files do whose older part is gone."""

        def headers(self, first_height: int, last_height: int) -> list[bytes]:
            if first_height < TIP + 100:
                raise BlockNotFoundError("not in these files", source=self.name)
            return super().headers(first_height, last_height)

    report = tick(record, Young(small_chain(), TIP + 400))
    assert heights(record) == [*range(FIRST, TIP + 1), *range(TIP + 100, TIP + 401)]
    assert codes(report) == ["gap"]


def test_a_hole_in_an_unpruned_source_is_an_error(record):
    class Holed(HeldSource):
        def block(self, block_hash: str) -> bytes:
            if self.chain.heights[block_hash] == TIP + 2:
                raise BlockNotFoundError("a hole", source=self.name)
            return super().block(block_hash)

    before = everything(record)
    with pytest.raises(BlockNotFoundError, match="a hole"):
        tick(record, Holed(small_chain(), TIP + 9))
    assert everything(record) == before


def test_no_record_starts_anew_on_an_old_tip(seeds, tmp_path, monkeypatch):
    path = Path(shutil.copy(seeds["regtest"], tmp_path / "a.duckdb"))
    monkeypatch.setattr("oracle.record.store.Store.network", "main")
    source = HeldSource(small_chain(), TIP + 400)
    now_unix = source.time_unix + 2 * DAY_SECONDS
    with pytest.raises(SyncingError, match="still catching up"):
        tick(path, source, rules=IMPATIENT, network="main", now_unix=now_unix)


# --- Tips ---------------------------------------------------


@pytest.mark.parametrize("missing", [1, NOT_YET_BLOCKS])
def test_a_tip_that_cannot_be_had_yet_is_not_yet_a_tip(record, missing):
    class Slow(HeldSource):
        def block(self, block_hash: str) -> bytes:
            if self.chain.heights[block_hash] > self.height - missing:
                raise BlockNotFoundError("404", source=self.name)
            return super().block(block_hash)

    report = tick(record, Slow(small_chain(), TIP + 5))
    assert heights(record)[-1] == report.tip.height == TIP + 5 - missing
    assert codes(report) == ["tip_not_yet"]


def test_a_tip_alone_that_cannot_be_had_yet_is_no_new_block(record):
    class Slow(HeldSource):
        def block(self, block_hash: str) -> bytes:
            raise BlockNotFoundError("404", source=self.name)

    report = tick(record, Slow(small_chain(), TIP + 1))
    assert (report.blocks_added, report.tip) == (0, ChainTip(TIP, small_chain().block_hash(TIP)))
    assert rows_of(record, "runs")[-1]["outcome"] == "no_new_block"


def test_a_tip_whose_header_cannot_be_had_yet_is_not_yet_a_tip(record):
    class Slow(HeldSource):
        def headers(self, first_height: int, last_height: int) -> list[bytes]:
            if last_height > TIP + 2:
                raise BlockNotFoundError("404", source=self.name)
            return super().headers(first_height, last_height)

    assert tick(record, Slow(small_chain(), TIP + 3)).tip.height == TIP + 2


class Reorganising(HeldSource):
    """Its chain is another from the n-th question on."""

    def __init__(self, after: int, question: str) -> None:
        super().__init__(small_chain(), TIP + 3)
        self.left, self.question = after, question

    def _count(self, question: str) -> None:
        self.left -= question == self.question
        if self.left < 0:
            self.chain = forked_chain(TIP - 1)
            self.chain.headers(FIRST, self.height)

    def tip(self) -> ChainTip:
        found = super().tip()
        self._count("tip")
        return found

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        found = super().hashes(first_height, last_height)
        self._count("hashes")
        return found

    def block(self, block_hash: str) -> bytes:
        self._count("block")
        if block_hash not in self.chain.heights:
            raise BlockNotFoundError("stale", source=self.name)
        return super().block(block_hash)


@pytest.mark.parametrize(
    ("question", "after"), [("tip", 0), ("hashes", 0), ("hashes", 1), ("block", 0), ("block", 2)]
)
def test_a_reorganisation_within_a_run_is_no_failure(record, tmp_path, question, after):
    source = Reorganising(after, question)
    report = tick(record, source)
    assert report.tip == ChainTip(TIP + 3, forked_chain(TIP - 1).block_hash(TIP + 3))
    straight = HeldSource(forked_chain(TIP - 1), TIP + 3)
    tick(tmp_path / "new.duckdb", straight, rules=TickRules(first_run_blocks=153))
    assert record_of(record) == record_of(tmp_path / "new.duckdb")


def test_a_source_that_is_never_of_one_mind_is_an_error_after_some_tries(record):
    class Torn(HeldSource):
        asked_for_tip = 0

        def tip(self) -> ChainTip:
            self.asked_for_tip += 1
            return ChainTip(self.height, "00" * 32)

    source, before = Torn(small_chain(), TIP + 3), everything(record)
    with pytest.raises(VerificationError, match="does not follow"):
        tick(record, source)
    assert source.asked_for_tip == 3
    assert everything(record) == before


# --- Work ---------------------------------------------------


def test_a_branch_with_less_work_is_not_followed(regtest):
    before = record_of(regtest)
    report = tick(regtest, HeldSource(forked_chain(TIP - 5), TIP - 2), network="regtest",
                  now_unix=small_chain().arrival_unix(TIP) + 60)  # fmt: skip
    assert record_of(regtest) == before
    assert codes(report) == ["source_differs"]
    assert "less work" in report.remarks[0].message
    assert rows_of(regtest, "runs")[-1]["outcome"] == "no_new_block"


def test_a_branch_with_less_work_is_followed_when_bitcoin_core_says_so(regtest):
    source = HeldSource(forked_chain(TIP - 5), TIP - 2, "bitcoin-core")
    now_unix = small_chain().arrival_unix(TIP) + 60
    report = tick(regtest, source, network="regtest", now_unix=now_unix)
    assert heights(regtest)[-1] == TIP - 2
    assert (report.blocks_replaced, codes(report)) == (6, ["less_work"])


@pytest.mark.parametrize("longer", [0, 1, 200])
def test_a_branch_with_as_much_work_is_followed_whoever_says_so(regtest, longer):
    source = HeldSource(forked_chain(TIP - 5), TIP + longer)
    report = tick(regtest, source, network="regtest")
    assert heights(regtest)[-1] == TIP + longer
    assert (report.blocks_replaced, report.remarks) == (6, ())


def test_the_record_keeps_the_bits_of_each_header(regtest):
    header = parse_header(small_chain().headers(TIP, TIP)[0])
    assert rows_of(regtest, "blocks")[-1]["bits"] == header.bits


def test_a_source_far_behind_the_record_is_said_to_be(regtest):
    class Behind(HeldSource):
        def tip(self) -> ChainTip:
            return ChainTip(7, "00" * 32)

        def headers(self, first_height: int, last_height: int) -> list[bytes]:
            return [build_block("0" * 64, 1_500_000_000, [coinbase_transaction(7)])[:80]]

        def hashes(self, first_height: int, last_height: int) -> list[str]:
            raise AssertionError("nothing to compare")

    source = Behind(small_chain(), TIP)
    source.tip = lambda: ChainTip(7, header_hash(source.headers(7, 7)[0]))
    assert codes(tick(regtest, source, network="regtest")) == ["source_behind"]


# --- The clock ----------------------------------------------


def test_a_clock_behind_the_tip_by_hours_records_nothing(record):
    source = HeldSource(small_chain(), TIP + 1)
    before = everything(record), rows_of(record, "runs")
    now_unix = small_chain().arrival_unix(TIP + 1) - 3 * HOUR_SECONDS
    report = tick(record, source, source, now_unix=now_unix)
    assert codes(report) == ["clock"]
    assert (everything(record), rows_of(record, "runs")) == before
    assert (report.blocks_added, report.price["height"]) == (0, TIP)


def test_a_clock_behind_the_tip_starts_no_record(tmp_path):
    source = HeldSource(small_chain(), TIP)
    report = tick(tmp_path / "a.duckdb", source, now_unix=source.time_unix - DAY_SECONDS)
    assert (codes(report), report.price) == (["clock"], None)
    assert rows_of(tmp_path / "a.duckdb", "blocks") == []


def test_a_miner_whose_clock_is_ahead_by_less_than_two_hours_is_no_problem(record):
    source = HeldSource(small_chain(), TIP + 1)
    now_unix = small_chain().arrival_unix(TIP + 1) - HOUR_SECONDS
    assert tick(record, source, now_unix=now_unix + 2 * HOUR_SECONDS).blocks_added == 1


def test_after_a_run_days_ahead_a_fresh_tip_vouches_for_the_clock(record):
    source = HeldSource(small_chain(), TIP)
    tick(record, source, source, now_unix=source.time_unix + 3 * DAY_SECONDS)
    source.height += 1
    report = tick(record, source, source)
    assert (report.blocks_added, report.remarks) == (1, ())


def test_before_the_last_run_with_an_old_tip_the_clock_is_asked_for(record):
    source = HeldSource(small_chain(), TIP)
    tick(record, source, source, now_unix=source.time_unix + 3 * DAY_SECONDS)
    before = everything(record), rows_of(record, "runs")
    report = tick(record, source, source, now_unix=source.time_unix + DAY_SECONDS)
    assert codes(report) == ["clock"]
    assert "the last run was at" in report.remarks[0].message
    assert (everything(record), rows_of(record, "runs")) == before


# --- Failures between chunks --------------------------------


class Dying(HeldSource):
    """Gives no block above a height."""

    last_height = TIP + 200

    def block(self, block_hash: str) -> bytes:
        if self.chain.heights[block_hash] > self.last_height:
            raise SourceUnavailableError("gone", source=self.name)
        return super().block(block_hash)


def test_a_source_that_fails_midway_leaves_what_was_read_before(record):
    with pytest.raises(SourceUnavailableError):
        tick(record, Dying(small_chain(), TIP + 400))
    assert heights(record)[-1] == TIP + 200
    source = HeldSource(small_chain(), TIP + 400)
    assert tick(record, source).blocks_added == 200
    assert source.asked[0] == TIP + 201


def test_a_record_begun_with_a_source_that_failed_is_that_of_one_run(record, tmp_path):
    begun = tmp_path / "begun.duckdb"
    dying = Dying(small_chain(), TIP)
    for last_height in (TIP - 80, TIP - 80, TIP - 10):
        dying.last_height = last_height
        with pytest.raises(SourceUnavailableError):
            tick(begun, dying)
        assert heights(begun)[-1] == last_height
    tick(begun, HeldSource(small_chain(), TIP))
    assert record_of(begun) == record_of(record)


def test_a_source_that_fails_on_its_way_onto_a_fork_leaves_the_record_as_it_was(record):
    before = everything(record)
    dying = Dying(forked_chain(TIP - 5), TIP + 3)
    dying.last_height = TIP - 2
    with pytest.raises(SourceUnavailableError):
        tick(record, dying)
    assert everything(record) == before


def test_no_transaction_and_no_question_holds_more_than_a_chunk(record, monkeypatch):
    written: list[int] = []
    write = Store.write

    def counted(store: Store, batch: Batch) -> None:
        written.append(len(batch.facts))
        write(store, batch)

    class Counting(HeldSource):
        wanted = 0

        def hashes(self, first_height: int, last_height: int) -> list[str]:
            self.wanted = max(self.wanted, last_height + 1 - first_height)
            return super().hashes(first_height, last_height)

    monkeypatch.setattr(Store, "write", counted)
    source = Counting(small_chain(), TIP + 400)
    assert tick(record, source).blocks_added == 400
    assert (written, source.wanted) == ([145, 145, 110], 145)


def test_a_run_of_many_chunks_is_one_row_and_one_report(record):
    told = []
    source = HeldSource(small_chain(), TIP + 400)
    before = len(rows_of(record, "runs"))
    with Store(record) as store:
        run_tick(store, source, None, CALCULATOR, RULES, now_unix=source.time_unix,
                 progress=lambda done, total: told.append((done, total)))  # fmt: skip
    runs = rows_of(record, "runs")
    assert (len(runs), runs[-1]["blocks_added"]) == (before + 1, 400)
    assert sorted(set(told)) == [(done, 400) for done in range(401)]
