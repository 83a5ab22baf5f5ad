"""Bytes as they travel between nodes: hashes, compact sizes and headers, read within bounds.

Source: the Bitcoin peer-to-peer serialisation; `read_compact_size` refuses what Bitcoin Core refuses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256

from oracle.errors import ParseError

HEADER_BYTES = 80
MAX_COMPACT_SIZE = 0x0200_0000  # Core's MAX_SIZE: nothing serialised is larger

_HEADER = struct.Struct("<i32s32sIII")


def sha256d(data: bytes) -> bytes:
    """Return the double SHA-256 of bytes, in internal order."""
    return sha256(sha256(data).digest()).digest()


def read_compact_size(data: bytes, position: int) -> tuple[int, int]:
    """Return a compact size and the position behind it.

    Raises:
        IndexError: the bytes end first (the caller knows of which block).
        ValueError: a longer encoding than needed, or more than any message can hold.
    """
    first = data[position]
    if first < 0xFD:
        return first, position + 1
    width = 1 << (first - 0xFC)
    end = position + 1 + width
    if end > len(data):
        raise IndexError
    size = int.from_bytes(data[position + 1 : end], "little")
    if size < (0xFD, 0x10000, 0x1_0000_0000)[first - 0xFD]:
        raise ValueError("a count is not in its shortest form")
    if size > MAX_COMPACT_SIZE:
        raise ValueError(f"a count of {size} is larger than any block")
    return size, end


@dataclass(frozen=True, slots=True)
class Header:
    """A block header; hashes in display order (big-endian hex), `time_unix` as the miner stamped it."""

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
        exponent, mantissa = self.bits >> 24, self.bits & 0x007F_FFFF
        if self.bits & 0x0080_0000 or exponent > 34:  # negative, or beyond 256 bits
            return 0
        target = mantissa << (8 * (exponent - 3)) if exponent > 3 else mantissa >> (8 * (3 - exponent))
        return target if target < 1 << 256 else 0


def parse_header(data: bytes, *, block: int | str | None = None) -> Header:
    """Return the header in the first 80 bytes.

    Raises:
        ParseError: fewer than 80 bytes.
    """
    if len(data) < HEADER_BYTES:
        raise ParseError(f"a header has {HEADER_BYTES} bytes, here are {len(data)}", block=block, offset=len(data))
    version, prev_hash, merkle_root, time_unix, bits, nonce = _HEADER.unpack_from(data)
    return Header(
        version=version,
        prev_hash=prev_hash[::-1].hex(),
        merkle_root=merkle_root[::-1].hex(),
        time_unix=time_unix,
        bits=bits,
        nonce=nonce,
        hash=sha256d(data[:HEADER_BYTES])[::-1].hex(),
    )
