"""What one tick writes, gathered before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, overload

from oracle.core.eligible import BlockFacts
from oracle.rows import (
    StoredBlock,
    StoredDay,
    StoredDivergence,
    StoredEpisode,
    StoredPrices,
    StoredRun,
    StoredSample,
)


@dataclass
class Batch:
    """Everything one tick writes; tables by name, each a list of rows keyed by column."""

    now_unix: int
    rewind_to: int | None = None  # rows above this height left the chain
    forget_txids_below: int = 0
    tables: dict[str, list[Mapping[str, object]]] = field(default_factory=dict)
    facts: list[BlockFacts] = field(default_factory=list)
    txids: dict[int, list[bytes]] = field(default_factory=dict)
    # Ended in this tick or still open; None leaves all as they are.
    episodes: list[StoredEpisode] | None = None

    @overload
    def add(self, table: Literal["blocks"], row: StoredBlock) -> None: ...
    @overload
    def add(self, table: Literal["prices"], row: StoredPrices) -> None: ...
    @overload
    def add(self, table: Literal["days"], row: StoredDay) -> None: ...
    @overload
    def add(self, table: Literal["exchange_samples"], row: StoredSample) -> None: ...
    @overload
    def add(self, table: Literal["divergences"], row: StoredDivergence) -> None: ...
    @overload
    def add(self, table: Literal["runs"], row: StoredRun) -> None: ...
    def add(self, table: str, row: Mapping[str, object]) -> None:
        """Add a row to a table."""
        self.tables.setdefault(table, []).append(row)

    def add_block(self, facts: BlockFacts, txids: list[bytes], *, forget_below: int) -> None:
        """Add a block's outputs and txids, and forget the txids of blocks below a height."""
        self.facts.append(facts)
        self.txids[facts.height] = txids
        self.forget_txids_below = forget_below
        for height in [height for height in self.txids if height < forget_below]:
            del self.txids[height]
