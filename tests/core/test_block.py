"""One block from its bytes: what verifies is read, what does not is one error with the block and
the offset."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from oracle.core.block import Rule, parse_block
from oracle.core.wire import merkle_root
from oracle.errors import ParseError, VerificationError
from oracle.simulated.serialise import (
    build_block,
    coinbase_transaction,
    header_hash,
    payment_transaction,
)
from tests.helpers import plain_blocks as plain

COINBASE = plain.Transaction((plain.Input(bytes(32), 0xFFFF_FFFF, b"\x03abc"),), (plain.Output(),))
LEGACY = plain.Transaction(
    (plain.Input(b"\x01" * 32, 1, b"\x51" * 20), plain.Input(b"\x02" * 32, 2))
)
SEGWIT = plain.Transaction(
    (plain.Input(b"\x03" * 32, 3, witness=(bytes(71), bytes(33))), plain.Input(b"\x04" * 32))
)
SMALL = plain.block_of(COINBASE, LEGACY, SEGWIT)
ENDLESS = b"\xff" * 9
HUGE = b"\xfe" + (0x0200_0000).to_bytes(4, "little")


def with_body(body: bytes) -> bytes:
    """Return bytes behind a header that meets its target; no transaction need be in them."""
    return plain.sealed(body, [bytes(32)])


def refused(data: bytes, **known: Any) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_block(data, **known)
    return caught.value


# --- Blocks that are well -----------------------------------


def test_a_small_block_is_read_whole() -> None:
    block = parse_block(SMALL)
    assert (block.size_bytes, block.outputs) == (len(SMALL), 5)


def test_txids_are_those_of_the_stripped_transactions() -> None:
    assert parse_block(SMALL).txids == [COINBASE.txid, LEGACY.txid, SEGWIT.txid]


def test_a_block_of_the_simulated_chain_is_read() -> None:
    payment = payment_transaction((30_000, 40_000), b"x")
    data = build_block("11" * 32, 1_700_000_123, [coinbase_transaction(5, [payment]), payment])
    block = parse_block(data, expected_hash=header_hash(data), height=5)
    assert (block.header.prev_hash, block.header.time_unix, block.txids[1]) == (
        "11" * 32,
        1_700_000_123,
        payment.txid,
    )


def test_a_payment_has_its_parents_and_its_two_values() -> None:
    block = parse_block(plain.block_of(COINBASE, LEGACY))
    assert (block.payment_parents, block.payment_sats.tolist()) == (
        [[b"\x01" * 32, b"\x02" * 32]],
        [50_000, 50_000],
    )


def test_a_block_of_a_coinbase_alone_has_no_payment() -> None:
    block = parse_block(plain.block_of(COINBASE))
    assert (block.payment_parents, len(block.payment_sats), dict(block.left_out)) == (
        [],
        0,
        {Rule.OUTPUTS: 1},
    )


def test_the_shortest_transaction_there_can_be_is_read() -> None:
    shortest = plain.Transaction((plain.Input(),), (plain.Output(0, b""),))
    assert (len(shortest.raw), parse_block(plain.block_of(shortest)).outputs) == (60, 1)


@pytest.mark.parametrize("count", [252, 253, 260, 1000])
def test_many_inputs_and_outputs_are_counted_in_any_encoding(count: int) -> None:
    many = plain.Transaction((plain.Input(),) * count, (plain.Output(),) * count)
    assert parse_block(plain.block_of(COINBASE, many)).outputs == 1 + count


@pytest.mark.parametrize("size", [252, 253, 65_535, 65_536])
def test_long_scripts_and_witness_items_are_passed_over_in_any_encoding(size: int) -> None:
    spent = plain.Input(b"\x01" * 32, 0, bytes(size), witness=(bytes(size), b""))
    long = plain.Transaction((spent,), (plain.Output(1, bytes(size)), plain.Output(2, b"")))
    assert parse_block(plain.block_of(COINBASE, long, LEGACY)).txids == [
        COINBASE.txid,
        long.txid,
        LEGACY.txid,
    ]


def test_more_than_252_witness_items_are_passed_over() -> None:
    crowded = plain.Transaction((plain.Input(witness=(b"\x01",) * 300),))
    assert parse_block(plain.block_of(crowded)).left_out == {}


def test_an_input_without_witness_may_stand_beside_one_with() -> None:
    assert parse_block(plain.block_of(SEGWIT)).txids == [SEGWIT.txid]


# --- Not the block that was asked for -----------------------


def test_another_hash_than_the_one_asked_for_is_refused() -> None:
    error = refused(SMALL, expected_hash="ab" * 32, height=77)
    assert isinstance(error, VerificationError)
    assert str(error) == f"block 77 at byte 0: its hash is {header_hash(SMALL)}, not {'ab' * 32}"


def test_a_block_without_height_is_named_by_the_hash_asked_for() -> None:
    assert str(refused(SMALL, expected_hash="ab" * 32)).startswith(f"block {'ab' * 32} at byte 0: ")


def test_a_hash_above_the_target_is_refused() -> None:
    weak = SMALL[:72] + bytes.fromhex("ffff001d") + SMALL[76:]
    error = refused(weak)
    assert isinstance(error, VerificationError)
    assert error.problem == "its hash does not meet the target in its bits"


@pytest.mark.parametrize("bits", ["00000000", "ffff7f01", "ffffff20", "ffff7fff"])
def test_bits_that_encode_no_target_are_met_by_nothing(bits: str) -> None:
    assert "target" in refused(SMALL[:72] + bytes.fromhex(bits) + SMALL[76:]).problem


def test_transactions_that_do_not_give_the_merkle_root_are_refused() -> None:
    other = plain.block_of(COINBASE, SEGWIT, LEGACY)
    error = refused(SMALL[:80] + other[80:], height=9)
    assert isinstance(error, VerificationError)
    assert str(error) == "block 9 at byte 36: its transactions do not give the merkle root"


def test_a_changed_value_does_not_give_the_merkle_root() -> None:
    at = SMALL.index((50_000).to_bytes(8, "little"))
    assert "merkle root" in refused(SMALL[:at] + b"\x51" + SMALL[at + 1 :]).problem


def test_a_changed_witness_is_not_part_of_the_merkle_root() -> None:
    at = SMALL.rindex(bytes(71))
    assert parse_block(SMALL[:at] + b"\x01" + SMALL[at + 1 :]).txids == parse_block(SMALL).txids


@pytest.mark.parametrize(
    ("kept", "doubled"), [("abc", "c"), ("abcdef", "ef"), ("abcde", "e"), ("abcdefghijkl", "ijkl")]
)
def test_doubled_transactions_at_the_end_are_refused_though_the_root_is_the_same(
    kept: str, doubled: str
) -> None:
    leaves = {letter: plain.Transaction(lock_time=ord(letter)) for letter in kept}
    honest = [leaves[letter] for letter in kept]
    mutated = plain.counted(
        [transaction.raw for transaction in [*honest, *(leaves[letter] for letter in doubled)]]
    )
    error = refused(plain.block_of(*honest)[:80] + mutated)
    assert isinstance(error, VerificationError)
    assert error.problem == "its merkle tree repeats transactions"


@pytest.mark.parametrize(
    ("kept", "doubled"), [("abc", "c"), ("abcdef", "ef"), ("abcde", "e"), ("abcdefghijkl", "ijkl")]
)
def test_the_merkle_root_of_doubled_leaves_is_the_same_but_marked(kept: str, doubled: str) -> None:
    leaves = [plain.double_sha256(letter.encode()) for letter in kept]
    more = [plain.double_sha256(letter.encode()) for letter in doubled]
    assert merkle_root(leaves + more) == (merkle_root(leaves)[0], True)


@pytest.mark.parametrize("count", [*range(1, 18), 100, 127, 128, 129])
def test_the_merkle_root_is_that_of_the_plain_way(count: int) -> None:
    leaves = [plain.double_sha256(bytes([i])) for i in range(count)]
    assert merkle_root(leaves) == (plain.merkle_root(leaves), False)


def test_the_merkle_root_leaves_its_leaves_alone() -> None:
    leaves = [bytes([i]) * 32 for i in range(5)]
    merkle_root(leaves)
    assert leaves == [bytes([i]) * 32 for i in range(5)]


# --- Not a block --------------------------------------------


@pytest.mark.parametrize("size", range(len(SMALL)))
def test_a_block_cut_off_at_any_byte_is_a_parse_error(size: int) -> None:
    error = refused(SMALL[:size], height=3)
    assert not isinstance(error, VerificationError)
    assert error.block == 3
    assert error.offset is not None
    assert 0 <= error.offset <= size


def test_a_cut_off_block_says_where_the_bytes_end() -> None:
    assert (
        str(refused(SMALL[:-5], height=3))
        == f"block 3 at byte {len(SMALL) - 5}: the bytes end in the middle"
    )


@pytest.mark.parametrize("extra", [b"\0", b"\x01" * 59, SMALL])
def test_leftover_bytes_are_refused(extra: bytes) -> None:
    error = refused(SMALL + extra, height=3)
    assert str(error) == f"block 3 at byte {len(SMALL)}: {len(extra)} bytes are left over"


def test_no_bytes_at_all_are_a_parse_error() -> None:
    assert str(refused(b"", height=1)) == "block 1 at byte 0: a header has 80 bytes, here are 0"


def test_a_header_alone_is_a_parse_error() -> None:
    assert refused(with_body(b"")).offset == 80


def test_a_block_without_transactions_is_refused() -> None:
    error = refused(with_body(b"\0"), height="of a file")
    assert str(error) == "block of a file at byte 80: nothing where something must be"


@pytest.mark.parametrize(
    "count", [ENDLESS, b"\xff" + bytes(4) + b"\1\0\0\0", b"\xff" + b"\xff" * 7 + b"\x7f"]
)
def test_a_64_bit_number_of_transactions_is_refused_before_anything_loops(count: bytes) -> None:
    assert "is larger than any block" in refused(with_body(count + LEGACY.raw)).problem


def test_more_transactions_than_the_bytes_can_hold_are_refused_at_once() -> None:
    error = refused(with_body(HUGE + LEGACY.raw), height=8)
    assert str(error) == "block 8 at byte 80: 33554432 things do not fit into the bytes"


def test_a_number_of_transactions_not_in_its_shortest_form_is_refused() -> None:
    assert "shortest" in refused(with_body(b"\xfd\x01\x00" + LEGACY.raw)).problem


# Where counts stand in LEGACY.raw and SEGWIT.raw, and what each counts.
COUNTS = {
    "inputs": (LEGACY, 4),
    "input script": (LEGACY, 5 + 36),
    "outputs": (LEGACY, 5 + 41 + 20 + 41),
    "output script": (LEGACY, 5 + 41 + 20 + 41 + 1 + 8),
    "inputs with witness": (SEGWIT, 6),
    "items": (SEGWIT, 6 + 1 + 2 * 41 + 1 + 2 * 31),
    "item": (SEGWIT, 6 + 1 + 2 * 41 + 1 + 2 * 31 + 1),
}


def with_count(name: str, count: bytes) -> bytes:
    """Return a block in whose last transaction another count stands."""
    transaction, at = COUNTS[name]
    return with_body(b"\1" + transaction.raw[:at] + count + transaction.raw[at + 1 :])


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_inside_a_transaction_not_in_its_shortest_form_is_refused(name: str) -> None:
    transaction, at = COUNTS[name]
    longer = b"\xfd" + transaction.raw[at : at + 1] + b"\0"
    error = refused(with_count(name, longer))
    assert (error.problem, error.offset) == ("a count is not in its shortest form", 81 + at)


@pytest.mark.parametrize("name", COUNTS)
def test_a_64_bit_count_inside_a_transaction_is_refused(name: str) -> None:
    error = refused(with_count(name, ENDLESS))
    assert (error.problem, error.offset) == (
        f"a count of {2**64 - 1} is larger than any block",
        81 + COUNTS[name][1],
    )


@pytest.mark.parametrize("count", [b"\xfc", b"\xfd\xff\xff", HUGE])
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_beyond_the_bytes_is_refused(name: str, count: bytes) -> None:
    assert not isinstance(refused(with_count(name, count)), VerificationError)


@pytest.mark.parametrize("name", ["outputs", "inputs with witness"])
def test_a_transaction_without_inputs_or_outputs_is_refused(name: str) -> None:
    error = refused(with_count(name, b"\0"))
    assert (error.problem, error.offset) == (
        "nothing where something must be",
        81 + COUNTS[name][1],
    )


@pytest.mark.parametrize("flag", [0, 2, 3, 255])
def test_another_flag_than_that_of_the_witness_is_refused(flag: int) -> None:
    raw = SEGWIT.raw[:5] + bytes([flag]) + SEGWIT.raw[6:]
    error = refused(with_body(b"\1" + raw))
    assert (error.problem, error.offset) == (
        "a transaction has no input, or an unknown flag",
        81 + 4,
    )


def test_a_witness_announced_and_empty_for_every_input_is_refused() -> None:
    body = LEGACY.stripped[4:-4]
    error = refused(with_body(b"\1" + LEGACY.raw[:4] + b"\0\1" + body + b"\0\0" + bytes(4)))
    assert (error.problem, error.offset) == (
        "a transaction announces a witness and has none",
        81 + 6 + len(body),
    )


def test_a_missing_witness_is_refused() -> None:
    assert refused(with_body(b"\1" + SEGWIT.raw[:6] + SEGWIT.stripped[4:])).problem


def test_errors_of_a_block_that_nobody_named_say_block() -> None:
    assert str(refused(b"")) == "block at byte 0: a header has 80 bytes, here are 0"


# --- Bounded time and memory --------------------------------


def lines_run(work: Callable[[], object]) -> int:
    """Return how many lines of Python ran: a clock that a busy machine does not slow."""
    lines = 0

    def count(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


MALICIOUS = {
    "endless transactions": with_body(ENDLESS + LEGACY.raw * 20),
    "too many transactions": with_body(HUGE + LEGACY.raw * 20),
    **{f"endless {name}": with_count(name, ENDLESS) for name in COUNTS},
    **{f"too many {name}": with_count(name, HUGE) for name in COUNTS},
    "a witness of empty items": with_count("items", HUGE + bytes(5000)),
    "zeros": with_body(bytes(5000)),
    "ones": with_body(b"\1" * 5000),
    "inputs all the way": with_body(b"\1" + bytes(3) + b"\xfd\x70\x00" + bytes(5000)),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_bytes_are_refused_in_time_that_their_length_bounds(name: str) -> None:
    data = MALICIOUS[name]
    assert lines_run(lambda: refused(data)) < 10 * len(data) + 2000


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_bytes_are_refused_in_memory_that_their_length_bounds(name: str) -> None:
    data = MALICIOUS[name]
    assert peak_bytes(lambda: refused(data)) < 20 * len(data) + 200_000


def test_a_block_made_of_as_many_objects_as_possible_stays_bounded_in_memory() -> None:
    crowd = [
        plain.Transaction((plain.Input(),), (plain.Output(1, b""),) * 2, lock_time=n)
        for n in range(3000)
    ]
    data = plain.block_of(*crowd)
    assert peak_bytes(lambda: parse_block(data)) < 20 * len(data)


def test_the_largest_real_block_is_read_in_a_few_times_its_size(shared: Path) -> None:
    data = (shared / "blocks" / "784588.bin").read_bytes()
    assert peak_bytes(lambda: parse_block(data)) < 4 * len(data)
