"""Transactions and blocks as on the wire, for chains that are made up.

Inputs are invented: nothing here would survive a node's signature checks, and nothing needs to.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from oracle.core.wire import HEADER_BYTES, merkle_root, sha256d

REGTEST_BITS = 0x207FFFFF  # the easiest target: a nonce is found at the second try
BLOCK_VERSION = 0x20000000  # BIP9 with no bit set
VERSION = b"\x02\0\0\0"
SEGWIT = b"\0\1"  # BIP144: marker and flag
LOCK_TIME = bytes(4)
SEQUENCE = b"\xfd\xff\xff\xff"  # replaceable, as most wallets send
SUBSIDY_SATS = 312_500_000  # since April 2024
NOBODY_SCRIPT = b"\0\x14" + bytes(20)  # p2wpkh of no key
COINBASE_TEXT = b"simulated"
COINBASE_OUTPOINT = bytes(32) + b"\xff" * 4
WITNESS_COMMITMENT_START = b"\x6a\x24\xaa\x21\xa9\xed"  # BIP141


class Transaction(NamedTuple):
    """A serialised transaction: without witness (what the txid covers) and as on the wire."""

    stripped: bytes
    raw: bytes

    @property
    def txid(self) -> bytes:
        """The 32 bytes of the txid in wire order."""
        return sha256d(self.stripped)


def compact_size(number: int) -> bytes:
    """Return a count or length below 2^32 in the wire format's variable size."""
    if number < 0xFD:
        return bytes((number,))
    if number <= 0xFFFF:
        return b"\xfd" + struct.pack("<H", number)
    return b"\xfe" + struct.pack("<I", number)


def with_size(content: bytes) -> bytes:
    """Return bytes behind their length."""
    return compact_size(len(content)) + content


def with_count(items: Sequence[bytes]) -> bytes:
    """Return items behind their number."""
    return compact_size(len(items)) + b"".join(items)


def join_transaction(
    inputs: Sequence[bytes], outputs: Sequence[bytes], witness: bytes
) -> Transaction:
    """Join serialised inputs, outputs and witness (empty: a legacy transaction)."""
    content = with_count(inputs) + with_count(outputs)
    stripped = VERSION + content + LOCK_TIME
    if not witness:
        return Transaction(stripped, stripped)
    return Transaction(stripped, VERSION + SEGWIT + content + witness + LOCK_TIME)


def serialize_transaction(
    inputs: list[tuple[bytes, bytes]],
    outputs: list[tuple[int, bytes]],
    witnesses: Sequence[Sequence[bytes]] = (),
) -> Transaction:
    """Serialise a version 2 transaction; legacy when no witness is given.

    Args:
        inputs: (36-byte outpoint, input script) each.
        outputs: (value_sats, output script) each.
        witnesses: the witness items of every input, or nothing at all.
    """
    return join_transaction(
        [outpoint + with_size(script) + SEQUENCE for outpoint, script in inputs],
        [struct.pack("<q", value_sats) + with_size(script) for value_sats, script in outputs],
        b"".join(with_count([with_size(item) for item in items]) for items in witnesses),
    )


def coinbase_transaction(
    height: int, others: Sequence[Transaction] = (), tag: bytes = b""
) -> Transaction:
    """Make a block's coinbase: BIP34 height, subsidy, and the commitment to the others' witness."""
    wtxids = [bytes(32), *(sha256d(transaction.raw) for transaction in others)]
    commitment = sha256d(merkle_root(wtxids)[0] + bytes(32))
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    script = with_size(number) + with_size(COINBASE_TEXT + tag)
    outputs = [(SUBSIDY_SATS, NOBODY_SCRIPT), (0, WITNESS_COMMITMENT_START + commitment)]
    return serialize_transaction([(COINBASE_OUTPOINT, script)], outputs, [[bytes(32)]])


def payment_transaction(values_sats: Sequence[int], entropy: bytes) -> Transaction:
    """Make a one-input segwit payment; two values make it eligible. Its coin follows from
    `entropy`."""
    coin = sha256d(entropy)
    outputs = [(value_sats, b"\0\x14" + coin[:20]) for value_sats in values_sats]
    return serialize_transaction([(coin + bytes(4), b"")], outputs, [[bytes(71), bytes(33)]])


def build_header(prev_hash: str, root: bytes, time_unix: int, bits: int = REGTEST_BITS) -> bytes:
    """Return an 80-byte header whose nonce was searched until the hash meets the target in
    `bits`."""
    start = struct.pack(
        "<I32s32sII", BLOCK_VERSION, bytes.fromhex(prev_hash)[::-1], root, time_unix, bits
    )
    target = (bits & 0x7FFFFF) << 8 * ((bits >> 24) - 3)
    headers = (start + struct.pack("<I", nonce) for nonce in count())
    return next(header for header in headers if int.from_bytes(sha256d(header), "little") <= target)


def build_block(
    prev_hash: str, time_unix: int, transactions: Sequence[Transaction], bits: int = REGTEST_BITS
) -> bytes:
    """Return a block of these transactions, the coinbase first among them; `prev_hash` in display
    order."""
    header = build_header(prev_hash, transactions_root(transactions), time_unix, bits)
    return header + block_body(transactions)


def transactions_root(transactions: Sequence[Transaction]) -> bytes:
    """Return the merkle root of a block's transactions, in wire order."""
    return merkle_root([transaction.txid for transaction in transactions])[0]


def block_body(transactions: Sequence[Transaction]) -> bytes:
    """Return what follows a block's header."""
    return with_count([transaction.raw for transaction in transactions])


def header_hash(header: bytes) -> str:
    """Return the block hash of a header, or of a block that starts with it, in display order."""
    return sha256d(header[:HEADER_BYTES])[::-1].hex()
