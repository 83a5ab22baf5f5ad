"""Counts, hashes and headers: what Bitcoin Core reads is read, what it refuses is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.wire import (
    HEADER_BYTES,
    MAX_COMPACT_SIZE,
    Header,
    parse_header,
    read_compact_size,
    sha256d,
)
from oracle.errors import ParseError
from tests.helpers.plain_blocks import compact
from tests.helpers.steady import steady

GENESIS = bytes.fromhex(
    "01000000"
    + "00" * 32
    + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)


def header_with(bits: int) -> Header:
    return parse_header(GENESIS[:72] + bits.to_bytes(4, "little") + GENESIS[76:])


@steady(200)
@given(st.integers(0, MAX_COMPACT_SIZE))
def test_every_count_is_read_back_as_it_was_written(number: int) -> None:
    assert read_compact_size(b"before" + compact(number) + b"behind", 6) == (
        number,
        6 + len(compact(number)),
    )


@pytest.mark.parametrize("number", [0, 0xFC, 0xFD, 0xFFFF, 0x1_0000, MAX_COMPACT_SIZE])
def test_counts_at_the_edges_of_their_encodings_are_read(number: int) -> None:
    assert read_compact_size(compact(number), 0) == (number, len(compact(number)))


@pytest.mark.parametrize(
    "text",
    ["fd0000", "fdfc00", "fe00000000", "feffff0000", "ff0000000000000000", "ffffffffff00000000"],
)
def test_a_count_that_is_not_in_its_shortest_form_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="not in its shortest form"):
        read_compact_size(bytes.fromhex(text), 0)


@pytest.mark.parametrize(
    "number", [MAX_COMPACT_SIZE + 1, 0xFFFF_FFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
)
def test_a_count_larger_than_any_message_is_refused(number: int) -> None:
    with pytest.raises(ParseError, match=f"a count of {number} is larger than any block"):
        read_compact_size(compact(number), 0)


@pytest.mark.parametrize("text", ["", "fd", "fdff", "fe", "fe000001", "ff", "ff00000000000000"])
def test_a_count_that_is_cut_off_is_past_the_end(text: str) -> None:
    with pytest.raises(IndexError):
        read_compact_size(bytes.fromhex(text), 0)


def test_a_refused_count_says_where_it_stands() -> None:
    with pytest.raises(ParseError) as caught:
        read_compact_size(b"12345\xfd\x00\x00", 5)
    assert caught.value.offset == 5


def test_the_double_sha256_of_nothing_is_the_known_one() -> None:
    assert sha256d(b"").hex() == "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"


def test_the_first_header_ever_is_read_field_by_field() -> None:
    assert parse_header(GENESIS) == Header(
        version=1,
        prev_hash="0" * 64,
        merkle_root="4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
        time_unix=1_231_006_505,
        bits=0x1D00FFFF,
        nonce=2_083_236_893,
        hash="000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    )


def test_what_follows_a_header_does_not_matter() -> None:
    assert parse_header(GENESIS + b"more") == parse_header(GENESIS)


def test_a_negative_version_is_read_as_such() -> None:
    assert parse_header(b"\xff\xff\xff\xff" + GENESIS[4:]).version == -1


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1])
def test_a_short_header_is_a_parse_error_with_its_block_and_size(size: int) -> None:
    with pytest.raises(
        ParseError, match=f"^block 7 at byte {size}: a header has 80 bytes, here are {size}$"
    ):
        parse_header(GENESIS[:size], block=7)


@pytest.mark.parametrize(
    ("bits", "target"),
    [
        (0x1D00FFFF, 0xFFFF << 208),
        (0x207FFFFF, 0x7FFFFF << 232),
        (0x1B0404CB, 0x0404CB << 192),
        (0x05009234, 0x92340000),
        (0x03123456, 0x123456),
        (0x02008000, 0x80),
        (0x01003456, 0),
        (0x00000000, 0),
    ],
)
def test_a_target_is_what_its_bits_encode(bits: int, target: int) -> None:
    assert header_with(bits).target == target


@pytest.mark.parametrize("bits", [0x04923456, 0x1D80FFFF, 0x207FFFFF | 0x800000])
def test_negative_bits_give_a_target_that_nothing_meets(bits: int) -> None:
    assert header_with(bits).target == 0


@pytest.mark.parametrize("bits", [0xFF123456, 0x237FFFFF, 0x21010000, 0x22000100, 0x227FFFFF])
def test_bits_beyond_256_bits_give_a_target_that_nothing_meets(bits: int) -> None:
    assert header_with(bits).target == 0


@pytest.mark.parametrize("bits", [0x2100FFFF, 0x220000FF])
def test_the_largest_bits_that_fit_into_256_bits_are_a_target(bits: int) -> None:
    assert 1 << 248 <= header_with(bits).target < 1 << 256


@steady(300)
@given(st.integers(0, 0xFFFF_FFFF))
def test_a_target_is_never_negative_and_never_more_than_256_bits(bits: int) -> None:
    assert 0 <= header_with(bits).target < 1 << 256
