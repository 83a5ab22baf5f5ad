"""What reading blocks costs, as ratios in one run: `python -m benchmarks.reading [--blocks N]`.

- reading: raw blocks of 3,000 transactions each to verified eligible outputs
- without the witness: parsing that does not hash the witnesses, as for the node's own block files
- hashing: the double SHA-256 of the same transactions, without and with witness, and both merkle
  trees, alone
- compiled: reading by the compiled walk, where the extra `fast` is installed
- pricing: the price from some 65,000 eligible outputs

Machines are shared and noisy: each block is read and hashed in turns, and of each the fastest of a
few rounds counts.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from hashlib import sha256

from oracle.core.block import parse_block
from oracle.core.eligible import BlockFacts, RecentTxids, digest_block
from oracle.core.price import price_window
from oracle.core.window import form_window
from oracle.core.wire import merkle_root
from oracle.faster import PLAIN, compiled_way, read_with
from oracle.simulated.chain import SimulatedChain
from oracle.simulated.market import SimulationSettings

TARGET_READING, TARGET_COMPILED, TARGET_PRICING, OUTPUTS = 2.5, 1.3, 1 / 20, 65_000


def hash_all(*ways: list[bytes]) -> None:
    """Hash transactions and their merkle tree, and nothing else; once without witness, once
    with."""
    for transactions in ways:
        merkle_root([sha256(sha256(data).digest()).digest() for data in transactions])


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="What reading blocks costs, as ratios in one run")
    parser.add_argument("--blocks", type=int, default=144)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chain = SimulatedChain(SimulationSettings(transactions_per_block=3000))
    recent = RecentTxids()
    facts: list[BlockFacts] = []
    reading = parsing = hashing = bare = compiled = 0.0
    way = compiled_way()
    transactions = size_bytes = 0
    for height in range(chain.settings.first_height, chain.settings.first_height + options.blocks):
        raw = chain.block(height)
        transactions_here = chain.transactions(height)
        stripped = [transaction.stripped for transaction in transactions_here]
        whole = [transaction.raw for transaction in transactions_here]
        block = parse_block(raw)
        times = []
        gc.disable()
        for _ in range(options.rounds):
            parse, digest = seconds(lambda raw=raw: parse_block(raw)), RecentTxids()
            rest = seconds(
                lambda block=block, height=height, digest=digest: digest_block(
                    block, height, digest
                )
            )
            unhashed = seconds(lambda raw=raw: parse_block(raw, hashes_witness=False))
            hashes = seconds(lambda stripped=stripped, whole=whole: hash_all(stripped, whole))
            read_with(way or PLAIN)
            fast = seconds(lambda raw=raw: parse_block(raw))
            read_with(PLAIN)
            times.append((parse, rest, hashes, unhashed, fast))
        gc.enable()
        parse, rest, hashes, unhashed, fast = (min(column) for column in zip(*times, strict=True))
        reading += parse + rest
        parsing += parse
        hashing += hashes
        bare += unhashed
        compiled += fast + rest
        facts.append(digest_block(block, height, recent))
        transactions, size_bytes = transactions + len(block.txids), size_bytes + len(raw)
    needed = next(
        (n for n in range(1, len(facts)) if sum(len(f.value_sats) for f in facts[:n]) > OUTPUTS),
        len(facts),
    )
    window = form_window(facts[:needed])
    pricing = min(seconds(lambda: price_window(window)) for _ in range(options.rounds))
    blocks = options.blocks
    share = pricing / (144 * reading / blocks)
    outputs = len(window.value_sats)
    print(f"{blocks} simulated blocks, {transactions:,} transactions, {size_bytes / 1e6:.0f} MB")
    print(
        f"reading {1e3 * reading / blocks:7.2f} ms a block, {reading / hashing:.2f} x hashing "
        f"(aim: {TARGET_READING})"
    )
    print(
        f"  of it parsing and verifying: {parsing / reading:.0%}; the rest is digesting to outputs"
    )
    print(f"  parsing with the witnesses hashed: {parsing / bare:.2f} x parsing without")
    if way:
        print(f"  compiled: {compiled / hashing:.2f} x hashing (aim: {TARGET_COMPILED})")
    print(f"hashing {1e3 * hashing / blocks:7.2f} ms a block")
    print(
        f"pricing {1e3 * pricing:7.2f} ms for {outputs:,} outputs, {share:.4f} x reading 144 blocks"
    )
    print(f"  (aim: {TARGET_PRICING})")


if __name__ == "__main__":
    main()
