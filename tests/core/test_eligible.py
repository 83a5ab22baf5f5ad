"""Which outputs count: every rule of the method at its edge, in blocks made for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.block import Rule, parse_block
from oracle.core.eligible import PARENT_UNKNOWN, BlockFacts, RecentTxids, digest_block, is_round_btc
from oracle.simulated.serialise import (
    Transaction,
    build_block,
    coinbase_transaction,
    payment_transaction,
    serialize_transaction,
)
from tests.helpers.plain_blocks import Input, Output, block_of
from tests.helpers.plain_blocks import Transaction as PlainTransaction
from tests.helpers.steady import steady

HEIGHT = 500
KEY = b"\0\x14" + bytes(20)
PAIR = [(30_000, KEY), (40_000, KEY)]
COINBASE_MARKER = bytes(32) + b"\xff\xff\xff\xff"


def coin(number: int = 1) -> bytes:
    return bytes([number]) * 32 + bytes(4)


def facts_of(
    *transactions: Transaction, recent: RecentTxids | None = None, height: int = HEIGHT
) -> BlockFacts:
    """Return the facts of a block of a coinbase and these transactions."""
    data = build_block(
        "0" * 64, 1_700_000_000, [coinbase_transaction(height, transactions), *transactions]
    )
    return digest_block(parse_block(data), height, recent or RecentTxids())


def left_out(*transactions: Transaction) -> Rule | None:
    """Return the rule that leaves the last transaction out; the coinbase has two outputs, as most
    have."""
    counts = dict(facts_of(*transactions).left_out)
    counts[Rule.COINBASE] -= 1
    return next((rule for rule, count in counts.items() if count), None)


def spend(
    inputs: Sequence[bytes] = (coin(),),
    outputs: Sequence[tuple[int, bytes]] = PAIR,
    witnesses: Sequence[Sequence[bytes]] = (),
) -> Transaction:
    return serialize_transaction([(outpoint, b"") for outpoint in inputs], list(outputs), witnesses)


# --- Inputs and outputs -------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_up_to_five_inputs_are_eligible(count: int) -> None:
    assert left_out(spend([coin(n) for n in range(1, count + 1)])) is None


@pytest.mark.parametrize("count", [6, 7, 260])
def test_six_inputs_are_too_many(count: int) -> None:
    assert left_out(spend([coin(n % 200 + 1) for n in range(count)])) is Rule.INPUTS


@pytest.mark.parametrize("count", [1, 3, 40, 300])
def test_any_other_number_of_outputs_than_two_is_left_out(count: int) -> None:
    assert left_out(spend(outputs=PAIR[:1] * count)) is Rule.OUTPUTS


def test_two_outputs_are_kept_in_order() -> None:
    assert facts_of(spend()).value_sats.tolist() == [30_000, 40_000]


def test_payments_are_kept_in_chain_order() -> None:
    facts = facts_of(
        payment_transaction((1111, 2222), b"a"), payment_transaction((4444, 3333), b"b")
    )
    assert facts.value_sats.tolist() == [1111, 2222, 4444, 3333]


def test_the_coinbase_of_a_block_is_left_out() -> None:
    assert facts_of().left_out == {Rule.COINBASE: 1}


def test_the_coinbase_marker_in_any_input_leaves_a_transaction_out() -> None:
    assert facts_of(spend([coin(), COINBASE_MARKER])).left_out == {Rule.COINBASE: 2}


@pytest.mark.parametrize("index", [0, 1, 0xFFFF_FFFE, 0x00FF_FFFF])
def test_the_zero_txid_with_another_index_is_no_coinbase(index: int) -> None:
    odd = PlainTransaction((Input(bytes(32), index, b"", 0xFFFF_FFFF),))
    assert digest_block(parse_block(block_of(odd)), 1, RecentTxids()).left_out == {}


def test_the_index_of_a_coinbase_with_another_txid_is_no_coinbase() -> None:
    assert left_out(spend([bytes(31) + b"\x01" + b"\xff" * 4])) is None


# --- Scripts ------------------------------------------------


@pytest.mark.parametrize("script", [b"\x6a", b"\x6a\x04data", b"\x6a" + bytes(300)])
@pytest.mark.parametrize("first", [True, False], ids=["first output", "second output"])
def test_an_op_return_in_either_output_leaves_a_transaction_out(script: bytes, first: bool) -> None:
    outputs = [(30_000, script), (40_000, KEY)]
    assert left_out(spend(outputs=outputs if first else outputs[::-1])) is Rule.OP_RETURN


def test_an_op_return_counts_as_an_output() -> None:
    assert left_out(spend(outputs=[*PAIR, (0, b"\x6a")])) is Rule.OUTPUTS


def test_the_byte_of_op_return_later_in_a_script_is_fine() -> None:
    assert left_out(spend(outputs=[(30_000, b"\x51\x6a"), (40_000, KEY)])) is None


def test_an_empty_script_is_fine() -> None:
    assert left_out(spend(outputs=[(30_000, b""), (40_000, b"")])) is None


def test_a_value_that_looks_like_op_return_before_an_empty_script_is_fine() -> None:
    assert left_out(spend(outputs=[(30_000, b""), (0x6A, b"")])) is None


# --- Witness ------------------------------------------------


@pytest.mark.parametrize("items", [[500], [250, 250], [0, 499, 1], [1] * 500, []])
def test_500_bytes_of_witness_an_input_are_eligible(items: list[int]) -> None:
    assert (
        left_out(
            spend([coin(1), coin(2)], witnesses=[[bytes(64)], [bytes(size) for size in items]])
        )
        is None
    )


@pytest.mark.parametrize("items", [[501], [250, 251], [500, 1], [1] * 501, [253, 253], [70_000]])
@pytest.mark.parametrize("first", [True, False], ids=["first input", "second input"])
def test_501_bytes_of_witness_in_one_input_are_too_many(items: list[int], first: bool) -> None:
    witnesses = [[bytes(size) for size in items], [bytes(64)]]
    assert (
        left_out(spend([coin(1), coin(2)], witnesses=witnesses if first else witnesses[::-1]))
        is Rule.WITNESS
    )


def test_witnesses_of_several_inputs_are_not_added_up() -> None:
    assert left_out(spend([coin(n) for n in range(1, 6)], witnesses=[[bytes(500)]] * 5)) is None


def test_empty_witness_items_weigh_nothing() -> None:
    assert left_out(spend(witnesses=[[b""] * 300 + [bytes(500)]])) is None


def test_a_long_input_script_is_no_witness() -> None:
    assert left_out(serialize_transaction([(coin(), bytes(2000))], PAIR)) is None


# --- Spends of recent coins ---------------------------------


def child_of(parent: Transaction, index: int = 0) -> Transaction:
    return spend([parent.txid + index.to_bytes(4, "little")], [(50_000, KEY), (60_000, KEY)])


def test_a_spend_inside_the_block_is_left_out() -> None:
    parent = spend()
    assert left_out(parent, child_of(parent)) is Rule.SAME_WINDOW


def test_the_parent_of_a_spend_inside_the_block_stays() -> None:
    parent = spend()
    assert facts_of(parent, child_of(parent, 1)).value_sats.tolist() == [30_000, 40_000]


def test_a_parent_that_is_itself_left_out_counts_as_seen() -> None:
    parent = spend(outputs=PAIR[:1])
    assert facts_of(parent, child_of(parent)).left_out[Rule.SAME_WINDOW] == 1


def test_a_spend_of_this_blocks_coinbase_is_left_out() -> None:
    # without a commitment, which would have to cover the transaction that spends it
    coinbase = serialize_transaction([(COINBASE_MARKER, b"")], PAIR)
    data = build_block("0" * 64, 1, [coinbase, child_of(coinbase)])
    assert digest_block(parse_block(data), HEIGHT, RecentTxids()).left_out[Rule.SAME_WINDOW] == 1


def test_a_child_before_its_parent_has_not_seen_it() -> None:
    parent = spend()
    assert facts_of(child_of(parent), parent).left_out == {Rule.COINBASE: 1}


def test_one_recent_coin_among_older_ones_is_enough() -> None:
    parent = spend()
    assert left_out(parent, spend([coin(7), parent.txid + bytes(4), coin(8)])) is Rule.SAME_WINDOW


def test_an_output_without_known_parent_says_so() -> None:
    assert facts_of(spend()).parent_height.tolist() == [PARENT_UNKNOWN, PARENT_UNKNOWN]


def test_an_output_remembers_the_newest_of_its_parents() -> None:
    recent, old, new = RecentTxids(), spend([coin(1)]), spend([coin(2)])
    facts_of(old, recent=recent, height=HEIGHT)
    facts_of(new, recent=recent, height=HEIGHT + 3)
    both = spend([old.txid + bytes(4), new.txid + bytes(4), coin(9)])
    assert (
        facts_of(both, recent=recent, height=HEIGHT + 5).parent_height.tolist() == [HEIGHT + 3] * 2
    )


def test_a_parent_in_a_recent_block_does_not_leave_a_transaction_out_for_good() -> None:
    recent, parent = RecentTxids(), spend()
    facts_of(parent, recent=recent, height=HEIGHT)
    facts = facts_of(child_of(parent), recent=recent, height=HEIGHT + 1)
    assert (facts.value_sats.tolist(), facts.left_out) == ([50_000, 60_000], {Rule.COINBASE: 1})


def test_forgotten_blocks_are_no_longer_known_as_parents() -> None:
    recent, parent = RecentTxids(), spend()
    facts_of(parent, recent=recent, height=HEIGHT)
    recent.forget_below(HEIGHT + 1)
    assert (
        facts_of(child_of(parent), recent=recent, height=HEIGHT + 1).parent_height.tolist()
        == [PARENT_UNKNOWN] * 2
    )


def test_blocks_at_the_height_given_are_not_forgotten() -> None:
    recent, parent = RecentTxids(), spend()
    facts_of(parent, recent=recent, height=HEIGHT)
    recent.forget_below(HEIGHT)
    assert recent.made_at({parent.txid, bytes(32)}) == {parent.txid: HEIGHT}


def test_the_first_rule_broken_is_the_one_that_counts() -> None:
    all_wrong = spend([coin(n) for n in range(1, 7)], [(1, b"\x6a")], [[bytes(600)]] * 6)
    assert left_out(all_wrong) is Rule.INPUTS


# --- Values -------------------------------------------------


@pytest.mark.parametrize("value_sats", [1001, 5000, 10**13 - 1])
def test_values_inside_the_limits_are_kept(value_sats: int) -> None:
    assert facts_of(spend(outputs=[(value_sats, KEY), (40_000, KEY)])).value_sats.tolist() == [
        value_sats,
        40_000,
    ]


@pytest.mark.parametrize("value_sats", [0, 546, 1000, 10**13, 10**13 + 1, 2**63 - 1])
def test_values_at_and_beyond_the_limits_are_dropped_but_not_their_neighbour(
    value_sats: int,
) -> None:
    assert facts_of(spend(outputs=[(value_sats, KEY), (40_000, KEY)])).value_sats.tolist() == [
        40_000
    ]


@pytest.mark.parametrize("value_sats", [2**63, 2**64 - 1])
def test_a_value_beyond_63_bits_is_no_small_or_negative_one(value_sats: int) -> None:
    huge = PlainTransaction((Input(),), (Output(value_sats), Output(40_000)))
    assert digest_block(parse_block(block_of(huge)), 1, RecentTxids()).value_sats.tolist() == [
        40_000
    ]


def test_the_arrays_of_a_block_have_one_length() -> None:
    facts = facts_of(
        spend(outputs=[(0, KEY), (100_000, KEY)]), payment_transaction((10**6, 7), b"x")
    )
    assert (facts.value_sats.tolist(), facts.is_round.tolist()) == ([100_000, 10**6], [True, True])
    assert facts.parent_height.tolist() == [PARENT_UNKNOWN] * 2


def test_facts_carry_what_the_header_and_the_block_say() -> None:
    facts = facts_of(spend())
    found = (facts.height, facts.prev_hash, facts.time_unix, facts.transactions, facts.outputs)
    assert found == (HEIGHT, "0" * 64, 1_700_000_000, 2, 4)


# --- Round amounts ------------------------------------------


def plain_rounds() -> list[float]:
    """Return the round amounts, by repeated addition as published."""
    rounds = []
    for start, below, step in [
        (0.00005, 0.0001, 0.00001),
        (0.0001, 0.001, 0.00001),
        (0.001, 0.01, 0.0001),
        (0.01, 0.1, 0.001),
        (0.1, 1, 0.01),
    ]:
        amount = start
        while amount < below:
            rounds.append(amount)
            amount += step
    return rounds


ROUNDS = plain_rounds()


def is_plainly_round(value_sats: int) -> bool:
    amount = value_sats / 1e8
    return any(r - 0.0001 * r < amount < r + 0.0001 * r for r in ROUNDS)


def roundness(values_sats: Sequence[int]) -> list[bool]:
    return [bool(flag) for flag in is_round_btc(np.array(values_sats, dtype=np.int64))]


@pytest.mark.parametrize(
    "value_sats",
    [5000, 6000, 10_000, 11_000, 100_000, 110_000, 10**6, 10**7, 5 * 10**7, 99 * 10**6],
)
def test_round_amounts_are_told(value_sats: int) -> None:
    assert roundness([value_sats]) == [True]


@pytest.mark.parametrize(
    "value_sats", [1001, 4000, 5500, 10_500, 105_000, 2 * 10**8, 10**9, 123_456, 10**13 - 1]
)
def test_other_amounts_are_not_round(value_sats: int) -> None:
    assert roundness([value_sats]) == [False]


def test_a_ten_thousandth_either_side_of_a_round_amount_is_round() -> None:
    assert roundness([9_998_999, 9_999_001, 10_000_999, 10_001_001]) == [False, True, True, False]


def test_every_amount_around_every_round_one_is_judged_as_published() -> None:
    edges = {
        round(r * 1e8 * (1 + share)) + d
        for r in ROUNDS
        for share in (-1e-4, 0, 1e-4)
        for d in (-2, -1, 0, 1, 2)
    }
    values = sorted(edges)
    assert roundness(values) == [is_plainly_round(value) for value in values]


@steady(300)
@given(st.lists(st.integers(1001, 2 * 10**8) | st.integers(1001, 10**13 - 1), max_size=20))
def test_any_amount_is_judged_as_published(values_sats: list[int]) -> None:
    assert roundness(values_sats) == [is_plainly_round(value) for value in values_sats]
