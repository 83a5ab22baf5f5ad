"""Builds a regtest chain that Bitcoin Core's own code validates and stores; run in a process of
its own.

    python -m tests.helpers.kernel_chain DATADIR

It leaves what the kernel says about its chain in DATADIR/kernel.json (hashes by height, and one
stale hash), and the blocks as they were handed over in DATADIR/00001.bin and so on. Coinbases are
spread over coins, and those spent 150 blocks later by payments of round dollar amounts at PRICE_USD
among others. Every output script is OP_TRUE, bare or as P2WSH.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pbk

from oracle.simulated.draw import draw_values
from oracle.simulated.serialise import (
    Transaction,
    build_block,
    coinbase_transaction,
    header_hash,
    serialize_transaction,
)

PRICE_USD = 68_150.0
PAYMENTS = 6000
SPREAD_AT = 140  # the first 39 coinbases have 100 confirmations
PAY_AT = 290  # more than a window later, so that no payment is left out by the same-window rule
PAY_BLOCKS = 145
LARGEST_SATS = 30_000_000
GENESIS_UNIX = 1_296_688_602
OP_TRUE = b"\x51"
P2WSH_TRUE = b"\0\x20" + sha256(OP_TRUE).digest()


class Chain:
    """A kernel and the blocks it was given, in chain order above the genesis block."""

    def __init__(self, datadir: Path) -> None:
        self.kernel = pbk.load_chainman(datadir, pbk.ChainType.REGTEST)
        genesis = self.kernel.get_active_chain().block_tree_entries[0]
        self.hashes = [str(genesis.block_hash)]
        self.blocks: list[bytes] = []
        self.coinbases: list[Transaction] = []

    def make(self, transactions: Sequence[Transaction] = ()) -> bytes:
        """Make the next block, and remember it without handing it over."""
        height = len(self.hashes)
        coinbase = coinbase_of(height, transactions)
        block = build_block(self.hashes[-1], GENESIS_UNIX + 600 * height, [coinbase, *transactions])
        self.coinbases.append(coinbase)
        self.blocks.append(block)
        self.hashes.append(header_hash(block))
        return block

    def submit(self, block: bytes) -> None:
        if not self.kernel.process_block(pbk.Block(block)):
            raise RuntimeError("the kernel knows this block already")


def coinbase_of(height: int, transactions: Sequence[Transaction]) -> Transaction:
    """Take the product's coinbase and put the regtest subsidy and a spendable script in."""
    simulated = coinbase_transaction(height, transactions)
    subsidy_sats = 5_000_000_000 >> (height // 150)
    commitment = simulated.stripped[-42:-4]
    assert commitment.startswith(b"\x6a\x24\xaa\x21\xa9\xed")
    number = bytes((0x50 + height,)) if height <= 16 else _push(height)
    inputs = [(bytes(32) + b"\xff" * 4, number + b"\x04test")]
    return serialize_transaction(inputs, [(subsidy_sats, OP_TRUE), (0, commitment)], [[bytes(32)]])


def _push(height: int) -> bytes:
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    return bytes((len(number),)) + number


def draw_payments() -> list[tuple[int, int]]:
    """Draw payment and change of each transaction, so small that the coins suffice."""
    rng = np.random.default_rng(21)
    prices = np.full(PAYMENTS, PRICE_USD)
    values = draw_values(rng, 2 * PAYMENTS, np.arange(0, 2 * PAYMENTS, 2), prices, 0.5)
    small = np.where(values > LARGEST_SATS, 1000 + values % LARGEST_SATS, values)
    return [(int(a), int(b)) for a, b in small.reshape(-1, 2)]


def spread(
    coinbases: Sequence[Transaction], payments: Sequence[tuple[int, int]]
) -> Iterator[Transaction]:
    """Spend coinbases into coins that are worth one payment each; even ones bare, odd ones
    P2WSH."""
    waiting = list(enumerate(sum(pair) for pair in payments))
    for coinbase in coinbases:
        outputs: list[tuple[int, bytes]] = []
        left_sats = 5_000_000_000
        while waiting and waiting[0][1] <= left_sats and len(outputs) < 500:
            index, value_sats = waiting.pop(0)
            left_sats -= value_sats
            outputs.append((value_sats, P2WSH_TRUE if index % 2 else OP_TRUE))
        yield serialize_transaction([(coinbase.txid + bytes(4), b"")], outputs)
        if not waiting:
            return
    raise RuntimeError("too few coins for these payments")


def pay(spreads: Sequence[Transaction], payments: Sequence[tuple[int, int]]) -> list[Transaction]:
    """Spend each coin into payment and change."""
    coins = [tx.txid + n.to_bytes(4, "little") for tx in spreads for n in range(_outputs(tx))]
    return [
        serialize_transaction(
            [(coin, b"")], [(value, OP_TRUE) for value in pair], [[OP_TRUE]] if index % 2 else ()
        )
        for index, (coin, pair) in enumerate(zip(coins, payments, strict=True))
    ]


def _outputs(transaction: Transaction) -> int:
    """Read the count behind version, one input of 41 bytes and its own count."""
    at = 4 + 1 + 41
    first = transaction.stripped[at]
    return (
        first if first < 0xFD else int.from_bytes(transaction.stripped[at + 1 : at + 3], "little")
    )


def build(datadir: Path) -> None:
    """Make the chain, its last blocks stored in the wrong order with a stale one among them."""
    chain = Chain(datadir)
    payments = draw_payments()
    while len(chain.hashes) < SPREAD_AT:
        chain.submit(chain.make())
    spreads = list(spread(chain.coinbases[: SPREAD_AT - 101], payments))
    chain.submit(chain.make(spreads))
    while len(chain.hashes) < PAY_AT:
        chain.submit(chain.make())
    paid = pay(spreads, payments)
    per_block = -(-len(paid) // PAY_BLOCKS)
    for start in range(0, len(paid), per_block):
        chain.submit(chain.make(paid[start : start + per_block]))
    stale = build_block(
        chain.hashes[-1], GENESIS_UNIX + 10**6, [coinbase_of(len(chain.hashes), [])]
    )
    chain.submit(stale)
    last = [chain.make() for _ in range(5)]
    for block in last:
        chain.kernel.process_block_header(pbk.BlockHeader(block[:80]))
    for block in reversed(last):
        chain.submit(block)
    entries = chain.kernel.get_active_chain().block_tree_entries
    said = {"hashes": [str(entry.block_hash) for entry in entries], "stale": header_hash(stale)}
    (datadir / "kernel.json").write_text(json.dumps(said))
    for height, block in enumerate(chain.blocks, 1):
        (datadir / f"{height:05}.bin").write_bytes(block)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
