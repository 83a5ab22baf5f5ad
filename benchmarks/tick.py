"""A tick with one new block at mainnet size, and its memory, beside importing its libraries.

    python -m benchmarks.tick [--runs 5]

A simulated record holds 300 blocks of 3,000 transactions. A child process opens a copy of it and
takes in one more such block, which lies in a file: drawing it is no part of the figure. CPU time is
user and system time of the child; the ratio is the median of those of neighbouring runs. At most
3 times and 250 MB are wanted.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.startup import BUILD_LIBRARIES, child, ratio
from oracle.calculator import UTXOracleCalculator
from oracle.record.store import Store
from oracle.simulated.market import NAME, SimulationSettings
from oracle.simulated.source import SimulatedSource
from oracle.tick import TickRules, run_tick
from tests.helpers.no_pandas import NO_PANDAS

TRANSACTIONS = 3_000
BLOCKS = 300
THINNED = 12  # of so many outputs two stay: some 480 a block, as real ones have; ours have more
NOW_UNIX = 1_762_000_000
WANTED_TIMES = 3.0
WANTED_MB = 250
CHILD = (
    NO_PANDAS
    + """
import re
from pathlib import Path
from oracle.calculator import UTXOracleCalculator
from oracle.core.wire import parse_header
from oracle.record.store import Store
from oracle.sources import ChainTip
from oracle.tick import TickRules, run_tick

class Newest:
    name = "simulated"
    def __init__(self, folder, height):
        self.data, self.height = (folder / "block.bin").read_bytes(), height
        lines = (folder / "headers.bin").read_bytes()
        kept = [lines[i : i + 80] for i in range(0, len(lines), 80)]
        self.known = dict(enumerate(kept, height + 1 - len(kept)))
    def tip(self): return ChainTip(self.height, parse_header(self.data).hash)
    def headers(self, first, last): return [self.known[h] for h in range(first, last + 1)]
    def hashes(self, first, last): return [parse_header(h).hash for h in self.headers(first, last)]
    def block(self, block_hash): return self.data

folder, height, now_unix = sys.argv[1:]
with Store(Path(folder, "copy.duckdb")) as store:
    source = Newest(Path(folder), int(height))
    run_tick(store, source, None, UTXOracleCalculator(), TickRules(), now_unix=int(now_unix))
# not getrusage, which counts what the parent had when it forked
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
)


def make_record(folder: Path) -> int:
    """Record the blocks, put one more and all headers into files, and return its height."""
    settings = SimulationSettings(transactions_per_block=TRANSACTIONS)
    source = SimulatedSource(settings, now=lambda: NOW_UNIX, history_days=4)
    rules = TickRules(first_run_blocks=BLOCKS)
    with Store(folder / "record.duckdb", network=NAME) as store:
        tip = run_tick(
            store, source, None, UTXOracleCalculator(), rules, now_unix=NOW_UNIX
        ).tip.height
    with closing(duckdb.connect(str(folder / "record.duckdb"))) as record:
        record.execute(f"DELETE FROM outputs WHERE rowid % {THINNED} > 1")
    (folder / "block.bin").write_bytes(source.chain.block(tip + 1))
    headers = source.chain.headers(tip + 1 - BLOCKS, tip + 1)
    (folder / "headers.bin").write_bytes(b"".join(headers))
    return tip + 1


def tick(folder: Path, height: int) -> tuple[float, float]:
    """Return CPU seconds and peak megabytes of a child that takes a block into a copy."""
    shutil.copy(folder / "record.duckdb", folder / "copy.duckdb")
    ran = child(CHILD, str(folder), str(height), str(NOW_UNIX + 7200), cwd=folder)
    return ran.cpu_seconds, int(ran.out) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        height = make_record(folder)
        floors, seconds, megabytes = [], [], []
        for _ in range(runs):
            floors.append(child(BUILD_LIBRARIES, cwd=folder).cpu_seconds)
            cpu, peak = tick(folder, height)
            seconds.append(cpu)
            megabytes.append(peak)
        print(
            f"tick with one new block: {median(seconds):.3f} s of CPU, "
            f"{ratio(floors, seconds):.2f} times {BUILD_LIBRARIES!r} "
            f"(at most {WANTED_TIMES:g}); peak {median(megabytes):.0f} MB (at most {WANTED_MB})"
        )


if __name__ == "__main__":
    main()
