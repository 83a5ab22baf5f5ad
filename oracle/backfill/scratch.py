"""One chunk of the past: the tick's own way from blocks to rows, into a database that is thrown
away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from oracle.backfill.stretches import Chunk
from oracle.calculator import PriceCalculator
from oracle.errors import BlockNotFoundError
from oracle.plan import Plan
from oracle.record.history import cut_out
from oracle.record.store import Store
from oracle.sources import BlockSource, ChainTip, Health, QuoteSource
from oracle.tick import Tick, TickRules

if TYPE_CHECKING:
    import pyarrow as pa

Reading = Callable[[int], None]  # told the bytes of each block that is read


class Piece(NamedTuple):
    """What became of a chunk: its rows by table."""

    chunk: Chunk
    tables: dict[str, pa.Table]


class UpTo:
    """A source whose chain ends at a height, however much longer it is."""

    def __init__(self, source: BlockSource, height: int, reading: Reading) -> None:
        self._source = source
        self._height = height
        self._reading = reading

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._source.name

    def network(self) -> str:
        """Return the network of the source."""
        return self._source.network()

    def tip(self) -> ChainTip:
        """Return the block at the height."""
        (block_hash,) = self._source.hashes(self._height, self._height)
        return ChainTip(self._height, block_hash)

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights."""
        return self._source.hashes(first_height, last_height)

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights."""
        return self._source.headers(first_height, last_height)

    def block(self, block_hash: str) -> bytes:
        """Return one block."""
        data = self._source.block(block_hash)
        self._reading(len(data))
        return data

    def probe(self) -> Health:
        """Ask the source how it is."""
        return self._source.probe()

    def close(self) -> None:
        """Leave the source open: it serves other chunks."""


class _Given(NamedTuple):
    """A planner that was told what to read."""

    what: Plan

    def plan(self) -> Plan:
        return self.what

    def without(self, plan: Plan, height: int, error: BlockNotFoundError) -> Plan:
        """Go without nothing: what cannot be had is for the caller to know."""
        del plan, height
        raise error


class Terms(NamedTuple):
    """What is the same for all chunks."""

    calculator: PriceCalculator
    rules: TickRules
    network: str
    now_unix: int
    scratch: Path


def read_chunk(chunk: Chunk, bounded: UpTo, quotes: QuoteSource | None, terms: Terms) -> Piece:
    """Read, verify, price and compare a chunk as a tick that catches up does.

    Raises:
        SourceError: the source failed; with a `BlockNotFoundError` it lacks a block.
        ParseError: it handed over a wrong block.
    """
    with tempfile.TemporaryDirectory(dir=terms.scratch) as folder:
        path = Path(folder, "scratch.duckdb")
        with Store(path, network=terms.network) as store:
            tick = Tick(store, bounded, quotes, terms.calculator, terms.rules, terms.now_unix)
            tick.catch_up(_Given(Plan(bounded.tip(), None, chunk.warm_up)))
            tick.write()
        return Piece(chunk, cut_out(path, chunk.first, chunk.last))
