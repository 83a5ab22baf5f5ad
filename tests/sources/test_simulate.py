"""The simulated chain: a valid chain, a market, and values mixed as on mainnet."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from oracle.core.block import Block, Rule, parse_block
from oracle.core.eligible import BlockFacts, RecentTxids, digest_block
from oracle.core.price import price_window
from oracle.core.window import form_window
from oracle.core.wire import parse_header
from oracle.simulated.chain import NO_HASH, SimulatedChain
from oracle.simulated.market import DAY_SECONDS, SimulationSettings
from oracle.simulated.serialise import (
    build_block,
    coinbase_transaction,
    compact_size,
    header_hash,
    payment_transaction,
    serialize_transaction,
)

BLOCKS = 320
SETTINGS = SimulationSettings(seed=7, first_height=900_000)
FIRST = SETTINGS.first_height
LAST = FIRST + BLOCKS - 1
pytestmark = pytest.mark.usefixtures("drawn_anew")


@pytest.fixture(scope="module")
def chain() -> SimulatedChain:
    return SimulatedChain(SETTINGS)


@pytest.fixture(scope="module")
def blocks(chain: SimulatedChain) -> list[Block]:
    heights = range(FIRST, LAST + 1)
    return [
        parse_block(chain.block(h), expected_hash=chain.block_hash(h), height=h) for h in heights
    ]


@pytest.fixture(scope="module")
def facts(blocks: list[Block]) -> list[BlockFacts]:
    return digest(blocks, FIRST)


def digest(blocks: list[Block], first_height: int) -> list[BlockFacts]:
    recent = RecentTxids()
    return [digest_block(block, first_height + i, recent) for i, block in enumerate(blocks)]


def digest_chain(settings: SimulationSettings, count: int) -> list[BlockFacts]:
    chain = SimulatedChain(settings)
    heights = range(settings.first_height, settings.first_height + count)
    return digest([parse_block(chain.block(h), height=h) for h in heights], settings.first_height)


# --- What a node would check --------------------------------


def test_every_block_parses_and_meets_its_target(blocks: list[Block]) -> None:
    assert len(blocks) == BLOCKS  # the parser verified hash, target and merkle root


def test_every_header_names_its_parent(blocks: list[Block]) -> None:
    links = [child.header.prev_hash == parent.header.hash for parent, child in pairwise(blocks)]
    assert all(links)


def test_the_first_block_has_no_parent(blocks: list[Block]) -> None:
    assert blocks[0].header.prev_hash == NO_HASH


def test_every_time_is_later_than_the_median_of_the_eleven_before(blocks: list[Block]) -> None:
    times = [block.header.time_unix for block in blocks]
    assert all(times[i] > sorted(times[i - 11 : i])[5] for i in range(11, BLOCKS))


def test_some_times_are_out_of_order(blocks: list[Block]) -> None:
    assert any(
        child.header.time_unix < parent.header.time_unix for parent, child in pairwise(blocks)
    )


def test_a_coinbase_names_its_height() -> None:
    assert b"\x03\xa0\xbb\x0d\x09simulated" in coinbase_transaction(900_000).raw


def test_a_height_with_its_top_bit_set_stays_positive_in_the_coinbase() -> None:
    assert b"\x02\x80\x00\x09simulated" in coinbase_transaction(128).raw


def test_the_header_is_in_the_block(chain: SimulatedChain) -> None:
    assert [chain.block(FIRST + 9)[:80]] == chain.headers(FIRST + 9, FIRST + 9)


def test_harder_bits_are_ground_too() -> None:
    block = build_block(NO_HASH, 1_700_000_000, [coinbase_transaction(1)], bits=0x1F7FFFFF)
    assert parse_block(block).header.hash.startswith("00")


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(252, "fc"), (253, "fdfd00"), (0xFFFF, "fdffff"), (0x10000, "fe00000100")],
)
def test_a_compact_size_is_as_short_as_it_can_be(number: int, encoded: str) -> None:
    assert compact_size(number).hex() == encoded


def test_a_transaction_without_witness_is_legacy() -> None:
    transaction = serialize_transaction([(bytes(36), b"")], [(5, b"")])
    assert transaction.raw == transaction.stripped


# --- Every shape --------------------------------------------


def test_every_rule_leaves_some_transactions_out(facts: list[BlockFacts]) -> None:
    left_out = sum((block.left_out for block in facts), Counter())
    assert {str(rule) for rule in left_out} == {
        "coinbase",
        "more_than_5_inputs",
        "not_2_outputs",
        "op_return",
        "large_witness",
        "spends_same_window",
    }


def test_a_third_to_a_half_of_all_transactions_are_eligible_in_a_window(
    facts: list[BlockFacts],
) -> None:
    window = form_window(facts[100:244])
    transactions = sum(block.transactions for block in facts[100:244])
    assert 0.33 < len(window.value_sats) / 2 / transactions < 0.5


def test_some_coins_are_older_than_a_window_and_some_are_not(facts: list[BlockFacts]) -> None:
    parents = np.concatenate([block.parent_height for block in facts[200:]])
    assert np.any((parents > FIRST) & (parents < FIRST + 200))
    assert np.any(parents >= FIRST + 200)


def test_some_coins_are_spent_in_the_block_that_made_them(facts: list[BlockFacts]) -> None:
    assert facts[50].left_out[Rule.SAME_WINDOW] > 0


def test_a_window_has_about_17_thousand_eligible_outputs() -> None:
    facts = digest_chain(SimulationSettings(seed=2, transactions_per_block=150), 144)
    assert 12_000 < len(form_window(facts).value_sats) < 22_000


def test_transactions_per_block_sets_the_mean() -> None:
    facts = digest_chain(SimulationSettings(seed=2, transactions_per_block=600), 60)
    assert 450 < np.mean([block.transactions for block in facts]) < 750


def test_some_values_lie_at_the_limits_of_the_range() -> None:
    chain = SimulatedChain(SETTINGS)
    raw = b"".join(chain.block(height) for height in range(FIRST, FIRST + 100))
    limits = (999, 1000, 1001, 10**13 - 1, 10**13, 10**13 + 1)
    assert all(struct.pack("<q", value) in raw for value in limits)


def test_some_transactions_have_hundreds_of_inputs(chain: SimulatedChain) -> None:
    sizes = [
        len(transaction.stripped)
        for h in range(FIRST, LAST + 1)
        for transaction in chain.transactions(h)
    ]
    assert max(sizes) > 150 * 41


def test_some_outputs_have_no_script(chain: SimulatedChain) -> None:
    ends = [
        transaction.stripped[-7:]
        for h in range(FIRST, FIRST + 50)
        for transaction in chain.transactions(h)
    ]
    assert bytes(7) in ends  # a value's upper bytes, no script, the lock time


@pytest.mark.slow
def test_an_empty_block_comes_now_and_then() -> None:
    chain = SimulatedChain(SimulationSettings(transactions_per_block=6))
    sizes = [len(chain.transactions(height)) for height in range(FIRST, FIRST + 2000)]
    assert 1 <= sizes.count(1) < 20


# --- One seed, one chain ------------------------------------


def test_the_same_settings_give_the_same_chain(chain: SimulatedChain) -> None:
    assert SimulatedChain(SETTINGS).block(FIRST + 20) == chain.block(FIRST + 20)


def test_another_seed_gives_another_chain(chain: SimulatedChain) -> None:
    other = SimulatedChain(SimulationSettings(seed=8, first_height=FIRST))
    assert other.block_hash(FIRST) != chain.block_hash(FIRST)


def test_a_body_does_not_depend_on_what_was_asked_for_before(chain: SimulatedChain) -> None:
    assert SimulatedChain(SETTINGS).transactions(LAST) == chain.transactions(LAST)


def test_a_chain_goes_on_from_known_headers(chain: SimulatedChain) -> None:
    known = chain.headers(FIRST, FIRST + 49)
    assert SimulatedChain(SETTINGS, known).block(FIRST + 60) == chain.block(FIRST + 60)


def test_headers_of_other_settings_are_not_consistent(chain: SimulatedChain) -> None:
    known = chain.headers(FIRST, FIRST + 3)
    assert not SimulatedChain(SimulationSettings(seed=8, first_height=FIRST), known).is_consistent()


def test_a_fork_shares_what_is_below_it(chain: SimulatedChain) -> None:
    assert chain.forked(FIRST + 30, salt=1).block(FIRST + 29) == chain.block(FIRST + 29)


def test_a_fork_differs_from_its_height_on(chain: SimulatedChain) -> None:
    fork = chain.forked(FIRST + 30, salt=1)
    ours, theirs = chain.transactions(FIRST + 30), fork.transactions(FIRST + 30)
    assert not set(ours) & set(theirs)


def test_a_fork_is_linked_to_what_it_shares(chain: SimulatedChain) -> None:
    fork = chain.forked(FIRST + 30, salt=1)
    assert parse_block(fork.block(FIRST + 30)).header.prev_hash == chain.block_hash(FIRST + 29)


def test_a_fork_of_a_fork_keeps_both(chain: SimulatedChain) -> None:
    fork = chain.forked(FIRST + 30, salt=1)
    assert fork.forked(FIRST + 32, salt=2).block(FIRST + 31) == fork.block(FIRST + 31)


def test_two_salts_make_two_forks(chain: SimulatedChain) -> None:
    forks = [chain.forked(FIRST + 30, salt=salt) for salt in (1, 2)]
    assert forks[0].block_hash(FIRST + 30) != forks[1].block_hash(FIRST + 30)


def test_a_block_is_found_by_its_hash(chain: SimulatedChain) -> None:
    assert chain.heights[chain.block_hash(FIRST + 17)] == FIRST + 17


def test_an_unknown_hash_has_no_height(chain: SimulatedChain) -> None:
    assert "f" * 64 not in chain.heights


# --- The clock ----------------------------------------------


def test_the_first_block_arrives_at_the_start(chain: SimulatedChain) -> None:
    header = parse_header(chain.headers(FIRST, FIRST)[0])
    assert (chain.arrival_unix(FIRST), header.time_unix) == (
        SETTINGS.start_unix,
        SETTINGS.start_unix,
    )


def test_before_the_start_no_block_has_arrived(chain: SimulatedChain) -> None:
    assert chain.height_at(SETTINGS.start_unix - 1) == FIRST - 1


def test_a_block_has_arrived_at_its_arrival_and_not_a_second_earlier(chain: SimulatedChain) -> None:
    arrival = chain.arrival_unix(FIRST + 1000)
    assert (chain.height_at(arrival - 1), chain.height_at(arrival)) == (FIRST + 999, FIRST + 1000)


def test_blocks_come_every_ten_minutes_on_average(chain: SimulatedChain) -> None:
    blocks_a_year = chain.height_at(SETTINGS.start_unix + 365 * DAY_SECONDS) - FIRST
    assert blocks_a_year == pytest.approx(365 * 144, rel=0.03)


def test_now_and_then_no_block_comes_for_two_hours(chain: SimulatedChain) -> None:
    arrivals = [chain.arrival_unix(height) for height in range(FIRST, FIRST + 8000)]
    gaps = np.diff(arrivals) >= 7200
    assert 1 <= np.count_nonzero(gaps) <= 20


def test_headers_are_stamped_close_to_their_arrival(
    chain: SimulatedChain, blocks: list[Block]
) -> None:
    late = [
        chain.arrival_unix(FIRST + i) - block.header.time_unix for i, block in enumerate(blocks)
    ]
    assert 0 <= np.median(late) < 60


# --- The market ---------------------------------------------


def test_the_market_starts_at_its_start_price(chain: SimulatedChain) -> None:
    assert chain.market_price_usd(SETTINGS.start_unix) == pytest.approx(SETTINGS.start_price_usd)


def test_the_price_is_the_same_in_any_order_of_asking(chain: SimulatedChain) -> None:
    time_unix = SETTINGS.start_unix + 9.3 * DAY_SECONDS
    assert SimulatedChain(SETTINGS).market_price_usd(time_unix) == chain.market_price_usd(time_unix)


def test_the_price_does_not_jump_at_midnight(chain: SimulatedChain) -> None:
    midnight = SETTINGS.start_unix + DAY_SECONDS
    assert chain.market_price_usd(midnight - 1e-6) == pytest.approx(
        chain.market_price_usd(midnight)
    )


def test_a_year_is_as_volatile_as_its_settings_say(chain: SimulatedChain) -> None:
    hours = range(SETTINGS.start_unix, SETTINGS.start_unix + 365 * DAY_SECONDS, 3600)
    steps = np.diff(np.log([chain.market_price_usd(time_unix) for time_unix in hours]))
    assert np.std(steps) * math.sqrt(365 * 24) == pytest.approx(SETTINGS.annual_volatility, rel=0.2)


def test_hourly_moves_have_fat_tails(chain: SimulatedChain) -> None:
    hours = range(SETTINGS.start_unix, SETTINGS.start_unix + 365 * DAY_SECONDS, 3600)
    steps = np.diff(np.log([chain.market_price_usd(time_unix) for time_unix in hours]))
    assert np.mean(steps**4) / np.mean(steps**2) ** 2 > 4  # a normal distribution has 3


def test_a_quote_is_whole_dollars_near_the_market(chain: SimulatedChain) -> None:
    time_unix = SETTINGS.start_unix + 12_345
    quote = chain.quote(time_unix)
    assert quote.price_usd == round(quote.price_usd)
    assert quote.price_usd == pytest.approx(chain.market_price_usd(quote.quoted_at_unix), rel=0.002)


def test_a_quote_is_renewed_every_five_minutes(chain: SimulatedChain) -> None:
    start = SETTINGS.start_unix + 600
    assert chain.quote(start + 299) == chain.quote(start)
    assert chain.quote(start + 300).quoted_at_unix == start + 300


def test_a_quote_says_that_it_is_simulated_and_knows_other_currencies(
    chain: SimulatedChain,
) -> None:
    quote = chain.quote(SETTINGS.start_unix)
    assert quote.source == "simulated"
    assert set(quote.currencies) == {"EUR", "GBP", "CAD", "CHF", "AUD", "JPY"}


# --- The values ---------------------------------------------


def test_the_method_finds_the_market_price(chain: SimulatedChain, facts: list[BlockFacts]) -> None:
    window = form_window(facts[-144:])
    true_usd = np.mean([chain.market_price_usd(time_unix) for time_unix in window.block_times_unix])
    assert price_window(window).price_usd == pytest.approx(true_usd, rel=0.02)


def test_without_payments_the_same_chain_has_no_peak_at_the_price() -> None:
    def share_near_100_usd(payment_fraction: float) -> float:
        settings = SimulationSettings(payment_fraction=payment_fraction, annual_volatility=0.0)
        values = form_window(digest_chain(settings, 40)).value_sats
        return float(np.mean(np.abs(values / 1e8 * settings.start_price_usd / 100 - 1) < 0.003))

    assert share_near_100_usd(0.25) > 5 * share_near_100_usd(0.0)


def test_without_payments_all_else_is_alike() -> None:
    chains = [
        SimulatedChain(SimulationSettings(payment_fraction=fraction)) for fraction in (0.25, 0.0)
    ]
    sizes = [
        [len(t.raw) for t in chain.transactions(chain.settings.first_height + 5)]
        for chain in chains
    ]
    assert sizes[0] == sizes[1]


def test_the_values_are_spread_as_in_a_real_window(shared: Path) -> None:
    """Total variation distance of log10(BTC) in tenths of a decade: 0.04, of which 0.015 is
    chance."""
    real = pyarrow.parquet.read_table(shared / "data/window_937665.parquet")[
        "value_sats"
    ].to_numpy()
    settings = SimulationSettings(seed=5, start_price_usd=68_150, annual_volatility=0.2)
    simulated = form_window(digest_chain(settings, 144)).value_sats
    edges = np.arange(-5, 5.05, 0.1)
    shares = [
        np.histogram(np.log10(values / 1e8), edges)[0] / len(values) for values in (real, simulated)
    ]
    assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.06


def test_round_bitcoin_amounts_are_as_frequent_as_in_a_real_window(facts: list[BlockFacts]) -> None:
    is_round = np.concatenate([block.is_round for block in facts])
    assert 0.07 < is_round.mean() < 0.10  # the real window has 0.0886


# --- Blocks that carry given outputs ------------------------


def blocks_carrying(
    heights: Iterable[int],
    times_unix: Iterable[int],
    value_sats: Iterable[int],
    prev_hash: str = NO_HASH,
) -> Iterator[bytes]:
    """Yield linked blocks whose eligible outputs are these rows, in order; a block with an odd
    number of rows gets one output of 1 sat more, which the method drops."""
    rows: dict[int, tuple[int, list[int]]] = {}
    for height, time_unix, value in zip(heights, times_unix, value_sats, strict=True):
        rows.setdefault(int(height), (int(time_unix), []))[1].append(int(value))
    for height, (time_unix, values) in rows.items():
        pairs = zip(values[::2], [*values[1::2], 1], strict=False)
        payments = [
            payment_transaction(pair, b"%d/%d" % (height, i)) for i, pair in enumerate(pairs)
        ]
        block = build_block(
            prev_hash, time_unix, [coinbase_transaction(height, payments), *payments]
        )
        prev_hash = header_hash(block)
        yield block


ROWS: dict[str, Any] = {
    "heights": [500, 500, 500, 501, 501],
    "times_unix": [1000, 1000, 1000, 2500, 2500],
    "value_sats": [5000, 6000, 7000, 8000, 2_000_000_000],
}


def test_carried_rows_come_out_as_they_went_in() -> None:
    facts = digest([parse_block(block) for block in blocks_carrying(**ROWS)], 500)
    window = form_window(facts)
    assert window.value_sats.tolist() == ROWS["value_sats"]
    assert window.block_heights[window.block_index].tolist() == ROWS["heights"]


def test_built_blocks_have_the_given_times_and_are_linked() -> None:
    parsed = [parse_block(block) for block in blocks_carrying(**ROWS, prev_hash="ab" * 32)]
    assert [block.header.time_unix for block in parsed] == [1000, 2500]
    assert [block.header.prev_hash for block in parsed] == ["ab" * 32, parsed[0].header.hash]


def test_a_carried_real_window_gives_the_real_price(shared: Path) -> None:
    table = pyarrow.parquet.read_table(shared / "data/window_937665.parquet")
    rows = [table[name].to_numpy() for name in ("height", "time", "value_sats")]
    window = form_window(digest([parse_block(block) for block in blocks_carrying(*rows)], 937_665))
    assert price_window(window).price_usd == 68150.84052703316


def test_a_payment_is_eligible() -> None:
    payment = payment_transaction([50_000, 70_000], b"any")
    block = parse_block(build_block(NO_HASH, 1000, [coinbase_transaction(5, [payment]), payment]))
    assert digest([block], 5)[0].value_sats.tolist() == [50_000, 70_000]


def test_the_hash_of_a_block_is_the_hash_of_its_header() -> None:
    block = next(blocks_carrying(**ROWS))
    assert header_hash(block) == header_hash(block[:80]) == parse_block(block).header.hash
