"""Broken blocks: only ParseError or a correct parse may come out, and a plain second reader says
which.

Hypothesis flips, cuts, inserts, removes and doubles bytes of real and of simulated blocks.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.block import parse_block
from oracle.core.eligible import RecentTxids, digest_block
from oracle.core.window import form_window
from oracle.errors import ParseError, VerificationError
from oracle.simulated.chain import SimulatedChain
from oracle.simulated.market import SimulationSettings
from tests.helpers import plain_blocks as plain
from tests.helpers.steady import steady

REAL = ["170", "150013", "757739", "255018", "951658"]
LARGE = ["739990", "849236", "784588"]

Edit = Callable[[bytes], bytes]


def flip(at: float, mask: int) -> Edit:
    return lambda data: replaced(
        data, at, 1, bytes(byte ^ mask for byte in data[place(data, at) :][:1])
    )


def cut(at: float, size: int) -> Edit:
    return lambda data: replaced(data, at, size, b"")


def insert(at: float, new: bytes) -> Edit:
    return lambda data: replaced(data, at, 0, new)


def overwrite(at: float, new: bytes) -> Edit:
    return lambda data: replaced(data, at, len(new), new)


def duplicate(at: float, size: int) -> Edit:
    return lambda data: replaced(data, at, 0, data[place(data, at) : place(data, at) + size])


def truncate(at: float) -> Edit:
    return lambda data: data[: place(data, at)]


def append(new: bytes) -> Edit:
    return lambda data: data + new


def place(data: bytes, at: float) -> int:
    """Return a position behind the header; near the front as often as anywhere else."""
    return 80 + int(at**3 * (len(data) - 80))


def replaced(data: bytes, at: float, size: int, new: bytes) -> bytes:
    position = place(data, at)
    return data[:position] + new + data[position + size :]


PLACES = st.floats(0, 1, allow_nan=False)
COUNTS = st.sampled_from(
    [
        b"\0",
        b"\1",
        b"\xfc",
        b"\xfd\xfd\0",
        b"\xfe\0\0\0\2",
        b"\xfe\0\0\1\0",
        b"\xff" * 9,
        b"\xfd\0\0",
    ]
)
SOME_BYTES = COUNTS | st.binary(min_size=1, max_size=80)
EDITS = st.lists(
    st.one_of(
        st.builds(flip, PLACES, st.integers(1, 255)),
        st.builds(cut, PLACES, st.integers(1, 300)),
        st.builds(insert, PLACES, SOME_BYTES),
        st.builds(overwrite, PLACES, SOME_BYTES),
        st.builds(duplicate, PLACES, st.integers(1, 600)),
        st.builds(truncate, PLACES),
        st.builds(append, SOME_BYTES),
    ),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[Edit]) -> bytes:
    for edit in edits:
        data = edit(data)
    return data


@cache
def real_block(folder: Path, height: str) -> bytes:
    return (folder / f"{height}.bin").read_bytes()


@cache
def simulated_blocks() -> list[bytes]:
    chain = SimulatedChain(SimulationSettings(seed=5, transactions_per_block=12))
    return [chain.block(chain.settings.first_height + i) for i in range(4)]


def outcome(data: bytes) -> str:
    """Return what became of the bytes: the txids of a block that verifies, or which kind of
    error."""
    try:
        return "block " + b"".join(parse_block(data).txids).hex()
    except VerificationError:
        return "another block"
    except ParseError as error:
        assert error.offset is not None
        assert 0 <= error.offset <= len(data)
        return "not a block"


def expected_outcome(data: bytes) -> str:
    """Return what a plain reader finds; the headers here are whole, so their hashes meet their
    targets."""
    try:
        header, transactions = plain.read_block(data)
    except plain.NotABlockError:
        return "not a block"
    txids = [transaction.txid for transaction in transactions]
    is_it = plain.merkle_root(txids) == header[36:68] and len(set(txids)) == len(txids)
    is_it = is_it and plain.is_witness_proven(header, transactions)
    return "block " + b"".join(txids).hex() if is_it else "another block"


@pytest.mark.parametrize("height", REAL)
@steady(70)
@given(edits=EDITS)
def test_a_broken_real_block_is_told_from_a_whole_one(
    shared: Path, height: str, edits: list[Edit]
) -> None:
    data = edited(real_block(shared / "blocks", height), edits)
    assert outcome(data) == expected_outcome(data)


@pytest.mark.slow
@pytest.mark.parametrize("height", LARGE)
@steady(12)
@given(edits=EDITS)
def test_a_broken_large_real_block_is_told_from_a_whole_one(
    shared: Path, height: str, edits: list[Edit]
) -> None:
    data = edited(real_block(shared / "blocks", height), edits)
    assert outcome(data) == expected_outcome(data)


@pytest.mark.parametrize("number", range(4))
@steady(150)
@given(edits=EDITS)
def test_a_broken_simulated_block_is_told_from_a_whole_one(number: int, edits: list[Edit]) -> None:
    data = edited(simulated_blocks()[number], edits)
    assert outcome(data) == expected_outcome(data)


@steady(150)
@given(header=st.binary(min_size=0, max_size=80), body=st.binary(max_size=300))
def test_any_bytes_at_all_are_a_parse_error(header: bytes, body: bytes) -> None:
    assert not outcome(header + body).startswith("block")


@steady(200)
@given(body=st.lists(COUNTS | st.binary(max_size=50), max_size=30))
def test_any_bytes_behind_a_good_header_are_judged_as_the_plain_reader_does(
    body: list[bytes],
) -> None:
    data = plain.sealed(b"".join(body), [bytes(32)])
    assert outcome(data) == expected_outcome(data)


# --- Broken, and then sealed again: what parses must be understood ---


def facts_of(data: bytes) -> tuple[list[int], dict[str, int]]:
    facts = digest_block(parse_block(data, hashes_witness=False), 0, RecentTxids())
    return form_window([facts]).value_sats.tolist(), dict(facts.left_out)


def plain_facts_of(data: bytes) -> tuple[list[int], dict[str, int]]:
    walk = plain.Walk().over(plain.read_block(data)[1])
    return walk.value_sats, dict(walk.left_out)


def sealed_again(data: bytes) -> bytes | None:
    """Return the block with a header for what its body says now; None when it says nothing."""
    if expected_outcome(data) != "another block" or not not_doubled(data):
        return None
    sealed = plain.resealed(data)
    is_it = plain.is_witness_proven(*plain.read_block(sealed), is_hashed=False)
    return sealed if is_it else None


def not_doubled(data: bytes) -> bool:
    txids = [transaction.txid for transaction in plain.read_block(data)[1]]
    return len(set(txids)) == len(txids)


@pytest.mark.parametrize("number", range(4))
@steady(120)
@given(edits=st.lists(st.builds(flip, PLACES, st.integers(1, 255)), min_size=1, max_size=4))
def test_a_block_with_flipped_bytes_and_a_new_seal_is_read_as_the_plain_reader_does(
    number: int, edits: list[Edit]
) -> None:
    data = sealed_again(edited(simulated_blocks()[number], edits)) or simulated_blocks()[number]
    assert facts_of(data) == plain_facts_of(data)


SCRIPTS = st.sampled_from(
    [b"", b"\x6a", b"\x6a\x01\x02", b"\x51", b"\0\x14" + bytes(20), bytes(253)]
)
PARENTS = st.sampled_from([bytes(32), b"\x01" * 32, b"\x02" * 32])
INPUTS = st.builds(
    plain.Input,
    PARENTS,
    st.sampled_from([0, 1, 0xFFFF_FFFF, 0x00FF_FFFF, 0xFFFF_FF00]),
    SCRIPTS,
    st.sampled_from([0, 0xFFFF_FFFD, 0xFFFF_FFFF]),
    st.lists(
        st.sampled_from([b"", b"\1", bytes(249), bytes(250), bytes(251), bytes(500)]), max_size=3
    ).map(tuple),
)
VALUES = st.sampled_from([0, 1000, 1001, 10**13 - 1, 10**13, 2**63, 2**64 - 1]) | st.integers(
    0, 2**64 - 1
)
TRANSACTIONS = st.builds(
    plain.Transaction,
    st.lists(INPUTS, min_size=1, max_size=7).map(tuple),
    st.lists(st.builds(plain.Output, VALUES, SCRIPTS), min_size=1, max_size=3).map(tuple),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
BODIES = st.lists(
    TRANSACTIONS, min_size=1, max_size=12, unique_by=lambda transaction: transaction.txid
)


@steady(80)
@given(BODIES)
def test_any_transactions_are_read_back_as_they_were_written(
    transactions: list[plain.Transaction],
) -> None:
    block = parse_block(plain.block_of(*transactions))
    assert block.txids == [transaction.txid for transaction in transactions]
    assert block.outputs == sum(len(transaction.outputs) for transaction in transactions)


@steady(80)
@given(BODIES)
def test_any_transactions_are_judged_by_the_rules_as_published(
    transactions: list[plain.Transaction],
) -> None:
    data = plain.block_of(*transactions)
    assert facts_of(data) == plain_facts_of(data)


# --- Memory -------------------------------------------------


@steady(60)
@given(number=st.integers(0, 3), edits=EDITS)
def test_a_broken_block_takes_no_more_memory_than_its_length_allows(
    number: int, edits: list[Edit]
) -> None:
    data = edited(simulated_blocks()[number], edits)
    tracemalloc.start()
    try:
        outcome(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(data) + 200_000
