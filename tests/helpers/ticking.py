"""A record and the ticks that fill it: a small simulated chain whose tip a test moves, and what is
then recorded."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from oracle.calculator import UTXOracleCalculator
from oracle.core.eligible import BlockFacts
from oracle.core.price import WindowPrice
from oracle.core.window import Window, form_window
from oracle.errors import BlockNotFoundError
from oracle.estimate.limits import Limits
from oracle.estimate.window import Estimate, SpotEstimate
from oracle.record.store import Store
from oracle.simulated.chain import SimulatedChain
from oracle.simulated.market import SimulationSettings
from oracle.simulated.serialise import header_hash
from oracle.sources import ChainTip, Health, Quote
from oracle.tick import TickReport, TickRules, run_tick

FIRST = 900_000
SETTINGS = SimulationSettings(transactions_per_block=16, first_height=FIRST)
RULES = TickRules(first_run_blocks=150)
CALCULATOR = UTXOracleCalculator()
CHAIN_TABLES = ("blocks", "outputs", "prices", "days")
NO_COLUMNS: frozenset[str] = frozenset()
OF_THE_EXCHANGE = frozenset({"exchange_mean_usd", "exchange_close_usd"})


@cache
def small_chain() -> SimulatedChain:
    """The chain that tests share; its bodies are drawn once."""
    return SimulatedChain(SETTINGS)


@cache
def forked_chain(from_height: int) -> SimulatedChain:
    """The same chain up to a height, and other blocks from there on."""
    return small_chain().forked(from_height, 1)


class HeldSource:
    """A source of blocks (and quotes) whose tip is where the test puts it; `asked` lists the
    blocks it served."""

    def __init__(self, chain: SimulatedChain, height: int, name: str = "held") -> None:
        self.chain, self.height, self.name = chain, height, name
        self.asked: list[int] = []

    @property
    def time_unix(self) -> int:
        """A minute after the tip arrived."""
        return self.chain.arrival_unix(self.height) + 60

    def network(self) -> str:
        return "simulated"

    def tip(self) -> ChainTip:
        return ChainTip(self.height, self.chain.block_hash(self.height))

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        return [header_hash(header) for header in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        if first_height < self.chain.settings.first_height or last_height > self.height:
            raise BlockNotFoundError(f"no blocks {first_height} to {last_height}", source=self.name)
        return self.chain.headers(first_height, last_height)

    def block(self, block_hash: str) -> bytes:
        self.asked.append(self.chain.heights[block_hash])
        return self.chain.block(self.asked[-1])

    def probe(self) -> Health:
        return Health(self.name, "held:", is_reachable=True)

    def close(self) -> None:
        """Nothing is open."""

    def latest(self) -> Quote | None:
        return self.at(self.time_unix)

    def at(self, time_unix: int) -> Quote | None:
        return self.chain.quote(time_unix)


class PrunedSource(HeldSource):
    """A source that knows all hashes, and has no block below a height."""

    def __init__(self, chain: SimulatedChain, height: int, lowest: int, name: str = "held") -> None:
        super().__init__(chain, height, name)
        self.lowest = lowest

    def block(self, block_hash: str) -> bytes:
        if self.chain.heights[block_hash] < self.lowest:
            raise BlockNotFoundError(f"block {block_hash} is pruned", source=self.name)
        return super().block(block_hash)


def tick(
    path: Path,
    source: Any,
    quotes: Any = None,
    rules: TickRules = RULES,
    now_unix: int = 0,
    network: str = "simulated",
) -> TickReport:
    """Open the record, run one tick, close it; the time is a minute after the tip's arrival unless
    told."""
    with Store(path, network=network) as store:
        return run_tick(
            store, source, quotes, CALCULATOR, rules, now_unix=now_unix or source.time_unix
        )


def rows_of(path: Path, table: str, without: frozenset[str] = NO_COLUMNS) -> list[dict[str, Any]]:
    """Return a table's rows in the order in which they were written."""
    with duckdb.connect(str(path), read_only=True) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if name not in without} for row in rows]


def current(path: Path, table: str, without: frozenset[str] = NO_COLUMNS) -> list[dict[str, Any]]:
    """Return a table's rows of the current chain."""
    return [row for row in rows_of(path, table, without) if row["replaced_at_unix"] is None]


def record_of(path: Path, tables: Sequence[str] = CHAIN_TABLES) -> dict[str, list[dict[str, Any]]]:
    """Return everything that follows from the chain alone: which source served it and what an
    exchange said aside."""
    return {table: current(path, table, OF_THE_EXCHANGE | {"source"}) for table in tables}


def everything(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables but `runs`."""
    tables = (
        *CHAIN_TABLES,
        "recent_txids",
        "exchange_samples",
        "divergences",
        "episodes",
        "facts_of_database",
    )
    return {table: rows_of(path, table) for table in tables}


# Prices that take no time: a fingerprint of all that a window holds, so that any difference in it
# shows.


def window_fingerprint(window: Window, calculator: object, limits: Limits) -> Estimate:
    """Stand in for `estimate_window`."""
    parts = (
        window.block_heights,
        window.block_times_unix,
        window.block_index,
        window.value_sats,
        window.is_round,
    )
    price_usd = 50_000 + zlib.crc32(b"".join(part.tobytes() for part in parts)) / 2**20
    price = WindowPrice(len(window.value_sats), price_usd)
    return Estimate(price, window, price_usd, price_usd - 100, price_usd + 100, 0.9, True, None)


def spot_fingerprint(
    blocks: Sequence[BlockFacts], guide: Estimate, calculator: object, limits: Limits
) -> SpotEstimate:
    """Stand in for `estimate_spot`."""
    price_usd = window_fingerprint(form_window(blocks[-144:]), None, limits).price_usd
    return SpotEstimate(
        price_usd, price_usd, price_usd, 0.9, True, None, blocks[-36].height, blocks[-1].height, 99
    )
