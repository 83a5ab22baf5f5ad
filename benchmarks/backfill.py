"""What a past costs from the node's block files: `python -m benchmarks.backfill [--blocks 4400]`.

- finding: a block of 3,000 transactions found and de-obfuscated in a block file, beside parsing it
- two processes: `oracle backfill` with --jobs 2 beside --jobs 1, by the clock on the wall, the two
  in turns; the blocks are simulated, small ones, and lie in block files as Bitcoin Core writes them

On a machine with one core, or one that others use, the second figure says nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np

from oracle.backfill.stretches import CHUNK_BLOCKS
from oracle.chain import utc_date
from oracle.core.block import parse_block
from oracle.simulated.chain import SimulatedChain
from oracle.simulated.market import SimulationSettings
from oracle.sources.blkfiles import BlkFilesSource

MAGIC = bytes.fromhex("fabfb5da")
KEY = bytes.fromhex("0badc0ffee15f00d")
FILE_BYTES = 128 << 20  # as Bitcoin Core makes them
RECORD_BLOCKS = 300
TARGET_FINDING, TARGET_PROCESSES = 0.2, 1.8
ORACLE = "from oracle.cli import main; main()"


def write_block_files(folder: Path, chain: SimulatedChain, blocks: int) -> list[str]:
    """Write the first blocks of a chain as a node does, and return their hashes."""
    folder.mkdir(parents=True)
    (folder / "xor.dat").write_bytes(KEY)
    first, hashes, lines = chain.settings.first_height, [], bytearray()
    number = 0
    for height in range(first, first + blocks):
        block = chain.block(height)
        hashes.append(chain.block_hash(height))
        line = MAGIC + len(block).to_bytes(4, "little") + block
        if len(lines) + len(line) > FILE_BYTES:
            _write(folder / f"blk{number:05}.dat", lines)
            number, lines = number + 1, bytearray()
        lines += line
    _write(folder / f"blk{number:05}.dat", lines)
    return hashes


def _write(path: Path, data: bytearray) -> None:
    key = np.resize(np.frombuffer(KEY, np.uint8), len(data))
    path.write_bytes((np.frombuffer(data, np.uint8) ^ key).tobytes())


def finding(folder: Path, rounds: int) -> float:
    """Return what finding a dense block takes of what parsing it takes."""
    settings = SimulationSettings(transactions_per_block=3000, first_height=0)
    hashes = write_block_files(folder, SimulatedChain(settings), 12)
    source = BlkFilesSource(folder, None)
    found: list[float] = []
    parsed: list[float] = []
    for _, block_hash in zip(range(rounds * len(hashes)), cycle(hashes), strict=False):
        started = time.perf_counter()
        block = source.block(block_hash)
        between = time.perf_counter()
        parse_block(block, expected_hash=block_hash, hashes_witness=False)
        found.append(between - started)
        parsed.append(time.perf_counter() - between)
    source.close()
    return median(find / parse for find, parse in zip(found, parsed, strict=True))


def run(folder: Path, *arguments: str) -> float:
    """Run a command on the block files, and return its seconds on the wall."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    settings = {
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "BITCOIN_DATADIR": str(folder / "node"),
        "ORACLE_NETWORK": "regtest",
        "ORACLE_FIRST_RUN_BLOCKS": str(RECORD_BLOCKS),
        "DUCKDB_PATH": str(folder / "record.duckdb"),
    }
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", ORACLE, *arguments],
        cwd=folder, env=kept | settings, check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - started


def processes(folder: Path, blocks: int, rounds: int) -> float:
    """Return how many times faster two processes are than one."""
    chain = SimulatedChain(SimulationSettings(transactions_per_block=150, first_height=0))
    write_block_files(folder / "node/regtest/blocks", chain, blocks)
    run(folder, "build")
    shutil.copy(folder / "record.duckdb", folder / "before.duckdb")
    first_day = utc_date(chain.settings.start_unix)
    ratios = []
    for _ in range(rounds):
        seconds = []
        for jobs in ("1", "2"):
            shutil.copy(folder / "before.duckdb", folder / "record.duckdb")
            seconds.append(run(folder, "backfill", "--from", str(first_day), "--jobs", jobs))
        ratios.append(seconds[0] / seconds[1])
    return median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blocks", type=int, default=2 * CHUNK_BLOCKS + RECORD_BLOCKS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        share = finding(Path(name, "dense"), options.rounds)
        print(f"finding a dense block in a block file: {share:.2f} of parsing it", end=" ")
        print(f"(at most {TARGET_FINDING})")
        times = processes(Path(name, "past"), options.blocks, options.rounds)
        print(f"backfill of {options.blocks} blocks with 2 processes: {times:.2f} times as fast as")
        print(f"  with 1, on {os.cpu_count()} cores (at least {TARGET_PROCESSES})")


if __name__ == "__main__":
    main()
