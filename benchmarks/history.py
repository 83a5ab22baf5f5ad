"""What a tick with one new block costs on two years of history, beside one on a day.

    python -m benchmarks.history [DAYS] [--ticks N]

Both records are made up (tests/helpers/made_history.py): simulated per-block rows, with as many
outputs and txids in the newest blocks as real ones have. Ticks alternate between the two, each
opens and closes its database; the figure is the ratio of the medians, so that the machine does not
matter.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
from threadpoolctl import threadpool_limits

from oracle.calculator import UTXOracleCalculator
from oracle.core.wire import HEADER_BYTES
from oracle.errors import BlockNotFoundError
from oracle.record.sql import migrations
from oracle.record.store import Store
from oracle.record.tables import txid_table
from oracle.simulated.serialise import (
    build_block,
    coinbase_transaction,
    header_hash,
    payment_transaction,
)
from oracle.sources import ChainTip, Quote
from oracle.tick import KEPT_BLOCKS, SPARE_BLOCKS, TickRules, run_tick
from tests.helpers.made_history import BLOCK_SECONDS, make_history

TXIDS_A_BLOCK, OUTPUTS_A_BLOCK = 3500, 460  # as many as real ones have
PRICE_USD = 60_000


class OneMore:
    """A source that is one block ahead of a record."""

    name = "simulated"

    def __init__(self, height: int, prev_hash: str, time_unix: int) -> None:
        rng = np.random.default_rng(height)
        coins = rng.choice([10, 20, 50, 100, 200], OUTPUTS_A_BLOCK // 2) / PRICE_USD
        values = (
            np.rint(1e8 * coins * np.exp(0.002 * rng.standard_normal(len(coins))))
            .astype(int)
            .tolist()
        )
        paid = [
            payment_transaction((v, 54_321), b"%d/%d" % (height, n)) for n, v in enumerate(values)
        ]
        self._block = build_block(prev_hash, time_unix, [coinbase_transaction(height, paid), *paid])
        self.hash, self.prev_hash, self.height, self.time_unix = (
            header_hash(self._block),
            prev_hash,
            height,
            time_unix,
        )

    def tip(self) -> ChainTip:
        return ChainTip(self.height, self.hash)

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        return [
            {self.height: self.hash, self.height - 1: self.prev_hash}[h]
            for h in range(first_height, last_height + 1)
        ]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        if (first_height, last_height) != (self.height, self.height):
            raise BlockNotFoundError("only the newest block is here", source=self.name)
        return [self._block[:HEADER_BYTES]]

    def block(self, block_hash: str) -> bytes:
        assert block_hash == self.hash
        return self._block

    def latest(self) -> Quote:
        return Quote(float(PRICE_USD), self.time_unix, self.name)

    at = None


def make_record(path: Path, days: float) -> None:
    """Make a record of so many days, the txids of its newest blocks included."""
    connection = make_history(
        path, days=days, outputs_per_block=60, recent_outputs_per_block=OUTPUTS_A_BLOCK
    )
    rng = np.random.default_rng(1)
    [(tip,)] = connection.execute("SELECT max(height) FROM blocks").fetchall()
    heights = range(max(900_000, tip - KEPT_BLOCKS - SPARE_BLOCKS + 1), tip + 1)
    rows = txid_table({height: [rng.bytes(32) for _ in range(TXIDS_A_BLOCK)] for height in heights})
    connection.register("new_rows", rows)
    connection.execute("INSERT INTO recent_txids BY NAME SELECT * FROM new_rows")
    numbers = [number for number, _ in migrations()]
    connection.execute("CREATE TABLE migrations AS SELECT unnest($1)::INTEGER AS number", [numbers])
    connection.execute("UPDATE blocks SET left_out = '{}'")
    connection.close()


def tick_once(path: Path) -> float:
    """Tick with one new block; return the seconds from opening to closing the database."""
    with duckdb.connect(str(path), read_only=True) as connection:
        height, block_hash, time_unix = connection.execute(
            "SELECT height, hash, time_unix FROM now_blocks ORDER BY height DESC LIMIT 1"
        ).fetchone()
    source = OneMore(height + 1, block_hash, time_unix + BLOCK_SECONDS)
    started = time.perf_counter()
    with Store(path, network="simulated") as store:
        report = run_tick(
            store,
            source,
            source,
            UTXOracleCalculator(),
            TickRules(),
            now_unix=source.time_unix + 60,
        )
    seconds = time.perf_counter() - started
    assert report.blocks_added == 1 and report.price["height"] == height + 1
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("days", nargs="*", type=float, default=[1, 3, 730])
    parser.add_argument("--ticks", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        paths = {days: Path(folder, f"{days:g}.duckdb") for days in given.days}
        for days, path in paths.items():
            make_record(path, days)
        seconds: dict[float, list[float]] = {days: [] for days in paths}
        for number in range(given.ticks + 1):
            for days, path in paths.items():
                spent = tick_once(path)
                if number:  # the first finds cold caches
                    seconds[days].append(spent)
        base = statistics.median(seconds[given.days[0]])
        for days, path in paths.items():
            middle = statistics.median(seconds[days])
            size = path.stat().st_size / 1e6
            best = 1000 * min(seconds[days])
            print(
                f"{days:5g} days: {1000 * middle:6.0f} ms a tick (best {best:.0f}), "
                f"ratio {middle / base:.2f}, database {size:.0f} MB"
            )


if __name__ == "__main__":
    sys.exit(main())
