"""A window formed from facts of its blocks is the window read from scratch, whatever blocks it is
of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.block import parse_block
from oracle.core.eligible import BlockFacts, RecentTxids, digest_block, is_round_btc
from oracle.core.price import price_window
from oracle.core.window import Window, form_window
from tests.helpers import plain_blocks as plain
from tests.helpers.steady import steady
from tests.helpers.vectors import chain_facts, expected, raw_blocks, read_facts

CHAINS = ["recent_small", "recent_low_price", "days"]


@cache
def plain_chain(folder: Path, name: str) -> list[list[plain.Transaction]]:
    return [plain.read_block(data)[1] for data in raw_blocks(folder, name)]


def contents(window: Window) -> dict[str, list[int]]:
    """Return all that a window says, comparable."""
    return {
        "block_heights": window.block_heights.tolist(),
        "block_times_unix": window.block_times_unix.tolist(),
        "block_index": window.block_index.tolist(),
        "value_sats": window.value_sats.tolist(),
        "is_round": window.is_round.tolist(),
    }


def first_height(folder: Path, name: str) -> int:
    return int(expected(folder)[name]["first_height"])


@pytest.mark.parametrize("name", CHAINS)
@steady(20)
@given(data=st.data())
def test_a_window_of_facts_has_the_outputs_of_a_plain_walk_over_its_blocks(
    shared: Path, name: str, data: st.DataObject
) -> None:
    folder = shared / "vectors"
    chain = plain_chain(folder, name)
    start = data.draw(st.integers(0, len(chain) - 1))
    stop = data.draw(st.integers(start + 1, min(len(chain), start + 144)))
    walk, index = plain.Walk(), []
    for i, transactions in enumerate(chain[start:stop]):
        before = len(walk.value_sats)
        walk.over(transactions)
        index += [i] * (len(walk.value_sats) - before)
    window = form_window(chain_facts(folder, name, first_height(folder, name))[start:stop])
    assert (window.value_sats.tolist(), window.block_index.tolist()) == (walk.value_sats, index)


@steady(10)
@given(data=st.data())
def test_a_window_of_stored_facts_is_the_same_window_read_from_scratch(
    shared: Path, data: st.DataObject
) -> None:
    folder = shared / "vectors"
    first, blocks = first_height(folder, "days"), raw_blocks(folder, "days")
    start = data.draw(st.integers(0, len(blocks) - 1))
    stop = data.draw(st.integers(start + 1, min(len(blocks), start + 100)))
    stored = form_window(chain_facts(folder, "days", first)[start:stop])
    assert contents(stored) == contents(form_window(read_facts(blocks[start:stop], first + start)))


@steady(10)
@given(data=st.data())
def test_forgetting_what_no_window_can_reach_changes_no_window(
    shared: Path, data: st.DataObject
) -> None:
    folder, length = shared / "vectors", 30
    first, blocks = first_height(folder, "days"), raw_blocks(folder, "days")
    start = data.draw(st.integers(0, len(blocks) - 2 * length))
    recent, facts = RecentTxids(), []
    for height, block in enumerate(blocks[start : start + 2 * length], first + start):
        recent.forget_below(height - length)
        facts.append(digest_block(parse_block(block), height, recent))
    stored = chain_facts(folder, "days", first)[start + length : start + 2 * length]
    assert contents(form_window(facts[length:])) == contents(form_window(stored))


@steady(10)
@given(start=st.integers(0, 100), length=st.integers(5, 45))
def test_both_roads_give_the_same_price_to_the_last_bit(
    shared: Path, start: int, length: int
) -> None:
    folder = shared / "vectors"
    first, blocks = first_height(folder, "recent_small"), raw_blocks(folder, "recent_small")
    stored = form_window(chain_facts(folder, "recent_small", first)[start : start + length])
    scratch = form_window(read_facts(blocks[start : start + length], 0))
    assert price_window(stored).price_usd == price_window(scratch).price_usd


def test_a_spend_of_a_block_in_the_window_is_left_out_and_of_one_before_it_is_not(
    shared: Path,
) -> None:
    folder = shared / "vectors"
    facts = chain_facts(folder, "recent_small", first_height(folder, "recent_small"))
    alone = [form_window([block]).value_sats for block in facts]
    together = form_window(facts)
    assert 0 < len(together.value_sats) < sum(map(len, alone))


# --- Small windows made by hand -----------------------------


def facts_at(height: int, parents: list[int], time_unix: int = 1_700_000_000) -> BlockFacts:
    """Return facts of one output for each parent height; its value tells height and place."""
    values = np.array([1_000_000 * height + i for i in range(len(parents))], dtype=np.int64)
    template = digest_block(parse_block(plain.block_of(plain.Transaction())), height, RecentTxids())
    return replace(
        template,
        time_unix=time_unix,
        value_sats=values,
        is_round=is_round_btc(values),
        parent_height=np.array(parents, dtype=np.int32),
    )


def test_outputs_count_when_their_newest_parent_is_unknown_or_before_the_window() -> None:
    window = form_window([facts_at(10, [-1, 9, 3]), facts_at(11, [-1, 9, 10, 8])])
    assert window.value_sats.tolist() == [
        10_000_000,
        10_000_001,
        10_000_002,
        11_000_000,
        11_000_001,
        11_000_003,
    ]


def test_the_same_outputs_count_again_when_the_window_has_moved_on() -> None:
    block = facts_at(11, [10, 10])
    assert len(form_window([facts_at(10, []), block]).value_sats) == 0
    assert len(form_window([block]).value_sats) == 2


def test_a_window_from_height_zero_leaves_out_spends_of_block_zero() -> None:
    assert form_window([facts_at(0, [-1]), facts_at(1, [0, -1])]).value_sats.tolist() == [
        0,
        1_000_001,
    ]


def test_each_output_knows_its_block() -> None:
    window = form_window([facts_at(10, [-1]), facts_at(11, []), facts_at(12, [-1, 11, -1])])
    assert window.block_heights[window.block_index].tolist() == [10, 12, 12]
    assert window.block_heights.tolist() == [10, 11, 12]


def test_a_window_of_empty_blocks_has_no_outputs() -> None:
    window = form_window([facts_at(1, []), facts_at(2, [])])
    assert (len(window.value_sats), len(window.is_round), window.block_heights.tolist()) == (
        0,
        0,
        [1, 2],
    )


def test_the_arrays_of_a_window_are_of_the_kinds_they_say() -> None:
    window = form_window([facts_at(1, [-1])])
    arrays = (
        window.block_heights,
        window.block_times_unix,
        window.block_index,
        window.value_sats,
        window.is_round,
    )
    assert [array.dtype.name for array in arrays] == ["int32", "int64", "int32", "int64", "bool"]
