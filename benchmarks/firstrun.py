"""What the first run costs beside drawing and reading its blocks: `python -m benchmarks.firstrun`.

It is `oracle build` on an empty folder without any setting, as `make site` runs it. Beside it the
blocks of such a chain are drawn and read to outputs, and nothing else: what is above that is
pricing, recording and making the site. At most 4.5 times is the budget, by the clock, in one run.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.startup import ORACLE, child
from oracle.core.block import parse_block
from oracle.core.eligible import RecentTxids, digest_block
from oracle.simulated.source import SimulatedSource
from oracle.wiring import SITE_DAYS

BUDGET = 4.5


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        child(ORACLE, "build", cwd=folder)
        first = time.perf_counter() - started
        [database] = folder.rglob("*.duckdb")
        with duckdb.connect(str(database), read_only=True) as connection:
            rows = connection.execute("SELECT height FROM blocks").fetchall()
        started = time.perf_counter()
        source = SimulatedSource(now=time.time, history_days=SITE_DAYS)
        tip = source.tip()  # draws the chain
        first_height = tip.height - len(rows) + 1
        hashes = source.hashes(first_height, tip.height)
        recent = RecentTxids()
        for height, block_hash in enumerate(hashes, first_height):
            digest_block(parse_block(source.block(block_hash)), height, recent)
        reading = time.perf_counter() - started
    print(f"first run: {len(rows):,} blocks, {first:.0f} s")
    beside = f"{reading:.0f} s; at most {BUDGET:g}"
    print(f"  {first / reading:.2f} x drawing such a chain and reading its blocks ({beside})")


if __name__ == "__main__":
    main()
