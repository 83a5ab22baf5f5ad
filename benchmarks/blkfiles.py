"""What block files cost a tick, as ratios in one run: `python -m benchmarks.blkfiles [--files N]`.

Two folders of block files, one with as many as mainnet has, one with two. Each holds blocks of
mainnet's size that are holes on the disk, and a newest file that is read in earnest. Then, in each:

- indexing: the first look, through all files
- the questions of a tick with one new block: a probe, the tip, hashes, headers and the block
- a whole tick: these, and the record of a block without payments; a real one prices a window, too
- what the questions would cost without an index on disk
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from oracle.calculator import UTXOracleCalculator
from oracle.record.store import Store
from oracle.simulated.serialise import build_block, coinbase_transaction, header_hash
from oracle.sources.blkfiles import BlkFilesSource
from oracle.tick import TickRules, run_tick

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


def whole_tick(history: History, index: Path, database: Path) -> None:
    """Record the newest block."""
    source = BlkFilesSource(history.folder, index)
    health = [source.probe()]
    now_unix = START_UNIX + 600 * history.height
    with Store(database, network=source.network()) as store:
        run_tick(
            store, source, None, UTXOracleCalculator(), TickRules(first_run_blocks=145),
            now_unix=now_unix, health=health,
        )  # fmt: skip
    source.close()


def fastest(history: History, action: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of the fastest of some rounds, each with a block more."""
    times = []
    for _ in range(rounds):
        history.grow()
        times.append(seconds(action))
    return min(times)


def show(what: str, small: float, large: float) -> None:
    print(
        f"{what:<9}{1e3 * small:7.1f} ms with 2 files, {1e3 * large:.1f} ms with all of them: "
        f"{large / small:.2f} x (aim: {TARGET})"
    )


def peak_bytes(history: History, index: Path) -> int:
    """Return what a tick allocates at most."""
    tracemalloc.start()
    tick(history, index)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


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
        indexing = seconds(lambda: tick(many, index))
        print(
            f"indexing {indexing:7.1f} s of CPU once, {1e6 * indexing / many.height:.0f} us a "
            f"block; {index.stat().st_size / 1e6:.0f} MB on disk"
        )
        small = fastest(few, lambda: tick(few, base / "few.blkindex"), options.rounds)
        large = fastest(many, lambda: tick(many, index), options.rounds)
        show("questions", small, large)
        few_db, many_db = base / "few.duckdb", base / "many.duckdb"
        whole_tick(few, base / "few.blkindex", few_db)
        whole_tick(many, index, many_db)
        small = fastest(few, lambda: whole_tick(few, base / "few.blkindex", few_db), options.rounds)
        whole = fastest(many, lambda: whole_tick(many, index, many_db), options.rounds)
        show("a tick", small, whole)
        print(f"         {peak_bytes(many, index) / 1e6:7.1f} MB of memory for them at most")
        anew = seconds(lambda: tick(many, None))
        print(f"questions {anew / large:6.0f} x where nothing is kept on disk")
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
