"""Bytes as they travel between nodes: hashes, compact sizes and headers, read within bounds.

Source: the Bitcoin peer-to-peer serialisation; `read_compact_size` refuses what Bitcoin Core
refuses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from operator import eq

from oracle.errors import ParseError

HEADER_BYTES = 80
MAX_COMPACT_SIZE = 0x0200_0000  # Core's MAX_SIZE: nothing serialised is larger
_HEADER = struct.Struct("<i32s32sIII")
_SHORTEST = (0xFD, 0x10000, 0x1_0000_0000)


def sha256d(data: bytes) -> bytes:
    """Return the double SHA-256 of bytes, in internal order."""
    return sha256(sha256(data).digest()).digest()


def merkle_root(leaves: list[bytes]) -> tuple[bytes, bool]:
    """Return the merkle root of at least one leaf, and whether two real neighbours are equal."""
    level, is_mutated = leaves, False
    while len(level) > 1:
        left, right = level[::2], level[1::2]
        is_mutated = is_mutated or any(map(eq, left, right))
        if len(left) > len(right):
            right.append(left[-1])
        level = [sha256(sha256(a + b).digest()).digest() for a, b in zip(left, right, strict=True)]
    return level[0], is_mutated


def read_compact_size(data: bytes, position: int) -> tuple[int, int]:
    """Return a compact size and the position behind it.

    Raises:
        IndexError: the bytes end first.
        ParseError: a longer encoding than needed, or more than any message can hold.
    """
    first = data[position]
    if first < 0xFD:
        return first, position + 1
    end = position + 1 + (1 << (first - 0xFC))
    if end > len(data):
        raise IndexError
    size = int.from_bytes(data[position + 1 : end], "little")
    if size < _SHORTEST[first - 0xFD]:
        raise ParseError("a count is not in its shortest form", offset=position)
    if size > MAX_COMPACT_SIZE:
        raise ParseError(f"a count of {size} is larger than any block", offset=position)
    return size, end


@dataclass(frozen=True, slots=True)
class Header:
    """A block header; hashes in display order (big-endian hex), `time_unix` as the miner stamped
    it."""

    version: int
    prev_hash: str
    merkle_root: str
    time_unix: int
    bits: int
    nonce: int
    hash: str

    @property
    def target(self) -> int:
        """The number that the hash may not exceed; 0 when `bits` encode none that can be met."""
        return target_of(self.bits)


def target_of(bits: int) -> int:
    """Return the target that bits encode; 0 when it is none that can be met."""
    exponent, mantissa = bits >> 24, bits & 0x007F_FFFF
    if bits & 0x0080_0000 or exponent > 34:  # negative, or beyond 256 bits
        return 0
    target = mantissa << (8 * (exponent - 3)) if exponent > 3 else mantissa >> (8 * (3 - exponent))
    return target if target < 1 << 256 else 0


def parse_header(data: bytes, *, block: int | str | None = None) -> Header:
    """Return the header in the first 80 bytes.

    Raises:
        ParseError: fewer than 80 bytes.
    """
    if len(data) < HEADER_BYTES:
        raise ParseError(
            f"a header has {HEADER_BYTES} bytes, here are {len(data)}",
            block=block,
            offset=len(data),
        )
    version, prev, root, time_unix, bits, nonce = _HEADER.unpack_from(data)
    block_hash = sha256d(data[:HEADER_BYTES])[::-1].hex()
    return Header(version, prev[::-1].hex(), root[::-1].hex(), time_unix, bits, nonce, block_hash)
