"""What one more block of history costs to price, beside reading it: `python -m benchmarks.pricing`.

The window is the real one of the shared data (66,647 outputs), `--shared` or ORACLE_SHARED_DIR says
where; the block that is read is simulated, with 3,000 transactions. Steps are taken in turns, and
of each the fastest of some rounds counts, so that only the ratios are said.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from oracle.calculator import UTXOracleCalculator
from oracle.core.block import parse_block
from oracle.core.eligible import BlockFacts, RecentTxids, digest_block, is_round_btc
from oracle.core.histogram import clean_histogram, count_amounts
from oracle.core.params import PARAMETERS
from oracle.core.price import central_output
from oracle.core.stencil import find_rough_price
from oracle.core.window import form_window
from oracle.estimate.confidence import window_confidence
from oracle.estimate.interval import window_interval
from oracle.estimate.limits import DEFAULT_LIMITS
from oracle.estimate.window import estimate_spot, estimate_window
from oracle.simulated.chain import SimulatedChain
from oracle.simulated.market import SimulationSettings

TARGET = 0.3
UNSAVED = "what sliding cannot save"
PROJECT = Path(__file__).resolve().parent.parent


def real_blocks(shared: Path) -> list[BlockFacts]:
    """Return the blocks of the real window, its first one behind it as the tip."""
    table = pq.read_table(shared / "data" / "window_937665.parquet")
    heights = table["height"].to_numpy()
    times_unix = table["time"].to_numpy()
    values = table["value_sats"].to_numpy().astype(np.int64)
    blocks = []
    for height in np.unique(heights):
        here = heights == height
        blocks.append(_block(int(height), int(times_unix[here][0]), values[here]))
    first = blocks[0]
    return [*blocks, _block(blocks[-1].height + 1, first.time_unix, first.value_sats)]


def _block(height: int, time_unix: int, value_sats: np.ndarray) -> BlockFacts:
    outputs = len(value_sats)
    unknown = np.full(outputs, -1, np.int32)
    is_round = is_round_btc(value_sats)
    return BlockFacts(
        height, f"{height:064x}", f"{height - 1:064x}", time_unix, 0, 0, outputs, Counter(),
        value_sats, is_round, unknown,
    )  # fmt: skip


def fastest(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the seconds of each step's fastest round; they take turns."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("ORACLE_SHARED_DIR", str(PROJECT.parent / "shared"))
    parser.add_argument("--shared", type=Path, default=Path(default))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    blocks = real_blocks(options.shared)
    calculator = UTXOracleCalculator()
    window = form_window(blocks[:-1])
    guide = estimate_window(window, calculator, DEFAULT_LIMITS)
    price = guide.price
    assert price.price_usd is not None
    assert price.rough_price_usd is not None
    points = price.points
    rough_usd, price_usd = price.rough_price_usd, price.price_usd
    chain = SimulatedChain(SimulationSettings(transactions_per_block=3000))
    height = chain.settings.first_height
    raw = chain.block(height)
    histogram = clean_histogram(count_amounts(window.value_sats))
    assert histogram is not None
    reach = PARAMETERS.central_reach * rough_usd
    near = points.between(rough_usd - reach, rough_usd + reach).prices_usd
    ordered = np.sort(near)
    steps: dict[str, Callable[[], object]] = {
        "reading": lambda: digest_block(parse_block(raw), height, RecentTxids()),
        "forming the window": lambda: form_window(blocks[:-1]),
        # What depends on all outputs at once: no running histogram and no sorted points save it.
        # The central output is looked for twice, for the price and for the spread around it.
        UNSAVED: lambda: [find_rough_price(histogram), *map(central_output, (ordered, ordered))],
        "price": lambda: calculator.price_window(window),
        "interval": lambda: window_interval(
            points.block_index, points.prices_usd, rough_usd, price_usd
        ),
        "confidence": lambda: window_confidence(window, price),
        "spot with its interval": lambda: estimate_spot(blocks, guide, calculator, DEFAULT_LIMITS),
    }
    with threadpool_limits(1):
        found = fastest(steps, options.rounds)
    reading = found.pop("reading")
    unsaved = found.pop(UNSAVED)
    print(f"of reading a block of 3,000 transactions, at {len(window.value_sats)} outputs:")
    for name, spent in found.items():
        print(f"  {name}: {spent / reading:.2f}")
    scratch = found["forming the window"] + found["price"]
    print(f"  a window that slides would still take {unsaved / scratch:.2f} of one from scratch")
    print(f"  all of it: {sum(found.values()) / reading:.2f} (aim: {TARGET})")


if __name__ == "__main__":
    sys.exit(main())
