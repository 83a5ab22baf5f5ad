"""One tick: what it asks, what it records, and what it leaves alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oracle.core.block import parse_block
from oracle.core.eligible import RecentTxids, digest_block
from oracle.core.price import price_window
from oracle.core.window import form_window
from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    ParseError,
    SourceUnavailableError,
    VerificationError,
)
from oracle.estimate.window import Limits
from oracle.simulated.serialise import build_block, coinbase_transaction, header_hash
from oracle.sources import ChainTip, Quote
from oracle.sources.failover import FailoverSource
from oracle.tick import TickRules
from tests.helpers.ticking import (
    FIRST,
    RULES,
    HeldSource,
    current,
    everything,
    rows_of,
    small_chain,
    tick,
)

TIP = FIRST + 149


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a first run of 150 blocks; the prices are fingerprints."""
    path = tmp_path_factory.mktemp("first") / "record.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        from tests.helpers.ticking import spot_fingerprint, window_fingerprint

        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        tick(path, HeldSource(small_chain(), TIP))
    return path


@pytest.fixture
def record(first_run: Path, tmp_path: Path, quick_prices: None) -> Path:
    return Path(shutil.copy(first_run, tmp_path / "copy.duckdb"))


@pytest.fixture
def source() -> HeldSource:
    return HeldSource(small_chain(), TIP)


class Quotes:
    """Quotes of a price and an age that a test sets."""

    name = "held"

    def __init__(self, price_usd: float, age_seconds: int = 60) -> None:
        self.price_usd, self.age_seconds, self.now_unix = price_usd, age_seconds, 0

    def latest(self) -> Quote | None:
        return Quote(self.price_usd, self.now_unix - self.age_seconds, self.name)

    def at(self, time_unix: int) -> Quote | None:
        return None


def tick_beside(
    record: Path, source: HeldSource, percent: float, later: int = 0, age_seconds: int = 60
):
    """Tick while the exchange is so far away that the spot price stands so many percent above
    it."""
    spot_usd = current(record, "prices")[-1]["spot_usd"]
    quotes = Quotes(spot_usd / (1 + percent / 100), age_seconds)
    quotes.now_unix = source.time_unix + later
    return tick(record, source, quotes, now_unix=quotes.now_unix)


# --- Blocks and prices --------------------------------------


def test_a_first_run_reads_as_many_blocks_as_its_rules_say(first_run):
    assert [row["height"] for row in rows_of(first_run, "blocks")] == list(range(FIRST, TIP + 1))


def test_every_block_with_a_whole_window_below_it_has_one_price(first_run):
    assert [row["height"] for row in rows_of(first_run, "prices")] == list(
        range(FIRST + 144, TIP + 1)
    )


def test_the_window_ends_below_the_tip(first_run):
    row = rows_of(first_run, "prices")[-1]
    assert (row["window_first_height"], row["window_last_height"]) == (TIP - 144, TIP - 1)


def test_stored_outputs_form_the_window_again(first_run):
    recent = RecentTxids()
    chain = small_chain()
    facts = [digest_block(parse_block(chain.block(h)), h, recent) for h in range(FIRST, TIP + 1)]
    rows = rows_of(first_run, "outputs")
    assert [row["value_sats"] for row in rows] == np.concatenate(
        [f.value_sats for f in facts]
    ).tolist()
    assert [row["parent_height"] for row in rows] == np.concatenate(
        [f.parent_height for f in facts]
    ).tolist()
    assert [row["is_round"] for row in rows] == np.concatenate([f.is_round for f in facts]).tolist()


def test_a_recorded_price_is_that_of_the_method(tmp_path, source):
    source.height = FIRST + 144
    tick(tmp_path / "a.duckdb", source, rules=TickRules(first_run_blocks=145))
    recent = RecentTxids()
    blocks = [
        digest_block(parse_block(source.chain.block(h)), h, recent)
        for h in range(FIRST, FIRST + 144)
    ]
    row = rows_of(tmp_path / "a.duckdb", "prices")[-1]
    assert row["window_usd"] == price_window(form_window(blocks)).price_usd
    assert row["spot_usd"] == pytest.approx(row["window_usd"], rel=0.05)


def test_an_invalid_price_is_stored_with_the_reason(tmp_path, source):
    source.height = FIRST + 144
    rules = TickRules(Limits(min_price_usd=200_000.0), first_run_blocks=145)
    tick(tmp_path / "a.duckdb", source, rules=rules)
    row = rows_of(tmp_path / "a.duckdb", "prices")[-1]
    assert (row["window_is_valid"], row["spot_is_valid"]) == (False, False)
    assert "200,000" in row["window_reason"]
    assert row["window_usd"] > 10_000


def test_a_chain_without_signal_is_recorded_as_not_valid(tmp_path):
    class Empty(HeldSource):
        """Blocks with nothing but a coinbase."""

        def __init__(self) -> None:
            super().__init__(small_chain(), FIRST + 144)
            self.blocks: dict[int, bytes] = {}
            prev_hash = "0" * 64
            for height in range(FIRST, FIRST + 145):
                self.blocks[height] = build_block(
                    prev_hash, 1_760_000_000 + height, [coinbase_transaction(height)]
                )
                prev_hash = header_hash(self.blocks[height])

        def tip(self) -> ChainTip:
            return ChainTip(FIRST + 144, header_hash(self.blocks[FIRST + 144]))

        def headers(self, first_height: int, last_height: int) -> list[bytes]:
            return [self.blocks[height][:80] for height in range(first_height, last_height + 1)]

        def block(self, block_hash: str) -> bytes:
            return next(block for block in self.blocks.values() if header_hash(block) == block_hash)

    tick(tmp_path / "a.duckdb", Empty(), rules=TickRules(first_run_blocks=145))
    row = rows_of(tmp_path / "a.duckdb", "prices")[-1]
    assert (row["window_usd"], row["window_is_valid"], row["window_outputs"]) == (None, False, 0)
    assert "no eligible output" in row["window_reason"]
    assert row["spot_reason"]


def test_a_tick_reads_only_what_is_new(record, source):
    source.height += 1
    tick(record, source)
    assert source.asked == [TIP + 1]


def test_a_tick_after_days_of_downtime_catches_up_block_by_block(record, source):
    source.height += 40
    tick(record, source)
    heights = [row["height"] for row in rows_of(record, "prices")]
    assert heights == list(range(FIRST + 144, TIP + 41))


def test_a_first_run_takes_as_many_blocks_as_there_are(tmp_path, quick_prices):
    source = HeldSource(small_chain(), FIRST + 200)
    tick(tmp_path / "a.duckdb", source, rules=TickRules(first_run_blocks=290))
    assert rows_of(tmp_path / "a.duckdb", "blocks")[0]["height"] == FIRST


def test_a_first_run_without_a_whole_window_records_nothing(tmp_path):
    with pytest.raises(BlockNotFoundError):
        tick(tmp_path / "a.duckdb", HeldSource(small_chain(), FIRST + 100))
    assert rows_of(tmp_path / "a.duckdb", "blocks") == []


def test_a_tick_without_a_new_block_adds_a_sample_and_no_price(record, source):
    prices, samples = rows_of(record, "prices"), rows_of(record, "exchange_samples")
    tick(record, source, source, now_unix=source.time_unix + 300)
    assert rows_of(record, "prices") == prices
    assert len(rows_of(record, "exchange_samples")) == len(samples) + 1
    assert rows_of(record, "runs")[-1]["outcome"] == "no_new_block"


def test_each_block_says_which_source_served_it(record):
    class Dying(HeldSource):
        def block(self, block_hash: str) -> bytes:
            if len(self.asked) == 2:
                raise SourceUnavailableError("gone", source=self.name)
            return super().block(block_hash)

    sources = [Dying(small_chain(), TIP + 5, "one"), HeldSource(small_chain(), TIP + 5, "two")]
    tick(record, FailoverSource(sources), now_unix=sources[0].time_unix)
    assert [row["source"] for row in rows_of(record, "blocks")[-5:]] == [
        "one",
        "one",
        "two",
        "two",
        "two",
    ]


# --- Bad data -----------------------------------------------


class Wrong(HeldSource):
    """Hands over changed bytes for the newest block."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        super().__init__(small_chain(), TIP + 1, "liar")
        self.change = change

    def block(self, block_hash: str) -> bytes:
        return self.change(super().block(block_hash))


@pytest.mark.parametrize(
    "change",
    [
        lambda block: block[:-1],
        lambda block: block + b"\0",
        lambda block: block[:40] + b"\1" + block[41:],
        lambda block: block[:-5] + b"\1" + block[-4:],
        lambda block: small_chain().block(small_chain().heights[header_hash(block)] - 1),
    ],
    ids=["short", "long", "header", "body", "another"],
)
def test_bad_data_is_an_error_that_names_the_source_and_writes_nothing(record, change):
    before = everything(record)
    spare = HeldSource(small_chain(), TIP + 1, "honest")
    with pytest.raises(ParseError, match="from liar"):
        tick(record, FailoverSource([Wrong(change), spare]), now_unix=spare.time_unix)
    assert everything(record) == before
    assert spare.asked == []


def test_a_chain_that_changes_while_it_is_read_is_an_error_and_writes_nothing(record):
    class Moving(HeldSource):
        def headers(self, first_height: int, last_height: int) -> list[bytes]:
            return (small_chain().forked(TIP, 1) if first_height > TIP else self.chain).headers(
                first_height, last_height
            )

        def block(self, block_hash: str) -> bytes:
            self.chain = small_chain().forked(TIP, 1)
            self.chain.headers(FIRST, TIP + 3)
            return super().block(block_hash)

    before = everything(record)
    with pytest.raises(VerificationError, match="does not follow"):
        tick(record, Moving(small_chain(), TIP + 2))
    assert everything(record) == before


# --- Times --------------------------------------------------


def chain_of_times(times_unix: list[int]) -> HeldSource:
    """A source whose blocks above TIP have these header times."""

    class Timed(HeldSource):
        def __init__(self) -> None:
            super().__init__(small_chain(), TIP + len(times_unix), "timed")
            self.made: dict[str, bytes] = {}
            prev_hash = small_chain().block_hash(TIP)
            for height, time_unix in enumerate(times_unix, TIP + 1):
                block = build_block(prev_hash, time_unix, [coinbase_transaction(height)])
                prev_hash = header_hash(block)
                self.made[prev_hash] = block

        def tip(self) -> ChainTip:
            return ChainTip(self.height, list(self.made)[-1])

        def headers(self, first_height: int, last_height: int) -> list[bytes]:
            known = {
                h: small_chain().headers(h, h)[0]
                for h in range(first_height, min(TIP, last_height) + 1)
            }
            made = {TIP + 1 + i: block[:80] for i, block in enumerate(self.made.values())}
            return [(known | made)[height] for height in range(first_height, last_height + 1)]

        def block(self, block_hash: str) -> bytes:
            return self.made.get(block_hash) or super().block(block_hash)

    return Timed()


START = small_chain().arrival_unix(TIP)


@pytest.mark.parametrize(
    "times_unix",
    [
        [START + 600, START - 3000, START + 5, START + 1200],
        [START + 7800],
        [START + 7, START + 7, START + 7],
        [START + 90_000, START + 3 * 86_400],
    ],
    ids=["out of order", "two hours' gap", "all the same", "days without blocks"],
)
def test_odd_header_times_and_empty_blocks_get_right_rows(record, times_unix):
    source = chain_of_times(times_unix)
    tick(record, source, now_unix=max(times_unix) + 60)
    rows = rows_of(record, "blocks")[-len(times_unix) :]
    assert [row["time_unix"] for row in rows] == times_unix
    assert {row["eligible_outputs"] for row in rows} == {0}
    known = [row["time_unix"] for row in rows_of(record, "blocks")][-11:]
    assert rows[-1]["mediantime_unix"] == sorted(known)[5]
    assert len(rows_of(record, "prices")) == 6 + len(times_unix)


def test_a_clock_that_jumped_back_changes_nothing_and_is_asked_about(record, source):
    source.height += 1
    before = everything(record), rows_of(record, "runs")
    report = tick(record, source, source, now_unix=source.time_unix - 10**6)
    assert (everything(record), rows_of(record, "runs")) == before
    assert [remark.code for remark in report.remarks] == ["clock"]
    assert "set the clock" in report.remarks[0].message


def test_a_failed_run_is_the_last_run_even_when_an_earlier_one_had_a_later_clock(record, source):
    from oracle.record.batch import Batch
    from oracle.record.store import Store

    with Store(record) as store:
        for now_unix, outcome in ((2_000_000_000, "ok"), (1_800_000_000, "failed")):
            batch = Batch(now_unix)
            batch.add(
                "runs",
                {
                    "started_at_unix": now_unix,
                    "ended_at_unix": now_unix,
                    "outcome": outcome,
                    "blocks_added": 0,
                    "blocks_replaced": 0,
                    "sources": "[]",
                },
            )
            store.write(batch)
        assert store.last_run()["outcome"] == "failed"


# --- Beside the exchange ------------------------------------


def test_without_an_exchange_the_comparison_has_one_side(record, source):
    source.height += 1
    report = tick(record, source)
    assert report.comparison.exchange_usd is None
    assert report.comparison.headline_percent is None
    assert report.price["height"] == TIP + 1


def test_a_quote_that_cannot_be_had_costs_the_quote_only(record, source):
    class Broken(HeldSource):
        def latest(self) -> Quote | None:
            raise BadAnswerError("nonsense", source="mempool")

    source.height += 1
    report = tick(record, source, Broken(small_chain(), TIP + 1))
    assert str(report.quote_problem) == "nonsense"
    assert report.blocks_added == 1


def test_a_stale_quote_is_kept_marked_and_warns_of_nothing(record, source):
    report = tick_beside(record, source, 5.0, 600, age_seconds=8000)
    assert report.quote_is_stale
    assert rows_of(record, "episodes") == []
    assert rows_of(record, "exchange_samples")[-1]["is_stale"]
    assert rows_of(record, "divergences")[-1]["spot_percent"] is None


def test_a_quote_that_is_not_believed_is_kept_marked_and_warns_of_nothing(record, source):
    tick_beside(record, source, 0.1, 600)
    report = tick_beside(record, source, 300.0, 1200)
    assert "times away" in report.quote_suspicion
    assert rows_of(record, "episodes") == []
    assert rows_of(record, "exchange_samples")[-1]["suspicion"] == report.quote_suspicion
    assert rows_of(record, "divergences")[-1]["exchange_usd"] is None


def test_a_divergence_episode_has_one_start_and_one_end_in_the_record(record, source):
    percents = [0.1, 3.2, 1.9, 2.5, 0.4, 1.7, 0.3, 0.2, 0.1, 0.1]
    is_open = []
    for i, percent in enumerate(percents, 1):
        tick_beside(record, source, percent, 600 * i)
        rows = rows_of(record, "episodes")
        is_open.append(any(row["ended_at_unix"] is None for row in rows))
    assert is_open == [False] + [True] * 7 + [False] * 2
    rows = [row for row in rows_of(record, "episodes") if row["kind"] == "divergence"]
    assert len(rows) == 1
    assert rows[0]["started_at_unix"] == source.time_unix + 1200
    assert rows[0]["ended_at_unix"] == source.time_unix + 4200
    assert rows[0]["peak_percent"] == pytest.approx(3.2)


def test_sustained_low_confidence_is_an_episode(record, source):
    rules = RULES._replace(limits=Limits(confidence_threshold=0.95))
    for later in range(600, 600 * 7, 600):
        tick(record, source, None, rules, now_unix=source.time_unix + later)
    assert [row["kind"] for row in rows_of(record, "episodes")] == ["low_confidence"]


def test_the_window_leg_stands_beside_the_mean_of_samples_that_cover_its_blocks(
    tmp_path, source, quick_prices
):
    path = tmp_path / "a.duckdb"
    tick(path, source, source)
    row = rows_of(path, "divergences")[-1]
    first, last = (source.chain.arrival_unix(height) for height in (TIP - 144, TIP - 1))
    true_usd = np.mean([source.chain.market_price_usd(at) for at in range(first, last, 600)])
    assert row["exchange_mean_usd"] == pytest.approx(true_usd, rel=0.003)
    assert row["window_percent"] == pytest.approx(
        100 * (row["window_usd"] / row["exchange_mean_usd"] - 1)
    )


def test_the_window_leg_is_absent_when_samples_are_few(tmp_path, source, quick_prices):
    path = tmp_path / "a.duckdb"
    tick(path, source)
    source.height += 1
    tick_beside(path, source, 0.5)
    row = rows_of(path, "divergences")[-1]
    assert (row["exchange_mean_usd"], row["window_percent"]) == (None, None)
    assert row["leg"] == "spot"


@pytest.mark.slow
def test_a_day_that_began_before_a_long_downtime_has_its_exchange_mean(tmp_path, quick_prices):
    source = HeldSource(small_chain(), FIRST + 200)
    day = 86_400
    path = tmp_path / "a.duckdb"
    tick(path, source, source, TickRules(first_run_blocks=201))
    before = {row["date"] for row in current(path, "days")}
    while source.chain.arrival_unix(source.height) < source.time_unix // day * day + 4 * day - 60:
        source.height += 1
        if source.height > FIRST + 900:
            break
    tick(path, source, source)
    new = [row for row in current(path, "days") if row["date"] not in before]
    assert new
    assert all(row["exchange_mean_usd"] for row in new)
