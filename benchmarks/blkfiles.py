"""What block files cost a tick, as ratios in one run: `python -m benchmarks.blkfiles [--files N]`.

Two folders of block files, one with as many as mainnet has, one with two. Each holds blocks of
mainnet's size that are holes on the disk, and a newest file that is read in earnest. Then, in each:

- indexing: the first look, through all files
- a tick: a probe, one new block, the tip, the hashes and headers that a run asks for, the block
- reading all: what a tick would cost without an index on disk
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from oracle.simulated.serialise import build_block, coinbase_transaction, header_hash
from oracle.sources.blkfiles import BlkFilesSource

MAGIC = bytes.fromhex("fabfb5da")
FILE_BYTES = 128 << 20  # as Bitcoin Core makes them
RECENT_BLOCKS = 300
TARGET = 2.0  # a tick with all of history, beside one with next to none
START_UNIX = 1_500_000_000


class History:
    """A folder of block files that grows at its end."""

    def __init__(self, folder: Path, files: int, blocks_per_file: int) -> None:
        self.folder, self.height, self.tip = folder, 0, "0" * 64
        folder.mkdir()
        room = FILE_BYTES // blocks_per_file
        for number in range(files - 1):
            with self._path(number).open("wb") as file:
                for place in range(blocks_per_file):
                    file.seek(place * room)
                    block = self._make()
                    file.write(MAGIC + (room - 8).to_bytes(4, "little") + block)
                file.truncate(FILE_BYTES // room * room)
        self.newest = self._path(files - 1)
        self.grow(RECENT_BLOCKS)

    def grow(self, count: int = 1) -> None:
        """Write whole blocks to the end of the newest file."""
        with self.newest.open("ab") as file:
            for _ in range(count):
                block = self._make()
                file.write(MAGIC + len(block).to_bytes(4, "little") + block)

    def _make(self) -> bytes:
        block = build_block(
            self.tip, START_UNIX + 600 * self.height, [coinbase_transaction(self.height)]
        )
        self.tip, self.height = header_hash(block), self.height + 1
        return block

    def _path(self, number: int) -> Path:
        return self.folder / f"blk{number:05}.dat"


def seconds(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def tick(history: History, index: Path | None) -> None:
    """Ask what a run asks when there is one new block."""
    source = BlkFilesSource(history.folder, index)
    source.probe()
    tip = source.tip()
    source.hashes(tip.height - 144, tip.height)
    source.headers(tip.height - 12, tip.height)
    source.block(tip.hash)
    source.close()


def ticks(history: History, index: Path | None, rounds: int) -> float:
    """Return the CPU seconds of the fastest of some ticks, each with a block more."""
    times = []
    for _ in range(rounds):
        history.grow()
        times.append(seconds(lambda: tick(history, index)))
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="What block files cost a tick, as ratios")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--blocks-per-file", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="blkfiles-"))
    try:
        few = History(base / "few", 2, options.blocks_per_file)
        many = History(base / "many", options.files, options.blocks_per_file)
        print(
            f"{options.files} files, {many.height:,} blocks, beside 2 files, {few.height:,} blocks"
        )
        index = base / "many.blkindex"
        tracemalloc.start()
        indexing = seconds(lambda: tick(many, index))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"indexing {indexing:7.1f} s of CPU once, {1e6 * indexing / many.height:.0f} us a "
            f"block, {peak / 1e6:.0f} MB at most; {index.stat().st_size / 1e6:.0f} MB on disk"
        )
        small = ticks(few, base / "few.blkindex", options.rounds)
        large = ticks(many, index, options.rounds)
        print(f"a tick   {1e3 * small:7.1f} ms with 2 files, {1e3 * large:.1f} ms with all of them")
        print(f"         {large / small:7.2f} x (aim: {TARGET})")
        anew = seconds(lambda: tick(many, None))
        print(f"         {anew / small:7.0f} x where nothing is kept on disk")
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
