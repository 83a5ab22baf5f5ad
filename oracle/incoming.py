"""New blocks on top of the recorded ones: fetched, verified, and known to follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from oracle.branches import rules_from
from oracle.chain import verify_continuity
from oracle.core.eligible import BlockFacts
from oracle.core.wire import Header
from oracle.errors import BlockNotFoundError, ChainMovedError, VerificationError
from oracle.fetch import read_block, read_blocks
from oracle.plan import KEPT_BLOCKS, Plan
from oracle.record.store import Store
from oracle.record.txids import RememberedTxids
from oracle.sources import BlockSource


class NewBlock(NamedTuple):
    """A block that came in: which source served it, its header's bits, its txids."""

    facts: BlockFacts
    served_by: str
    bits: int
    txids: list[bytes]


class Incoming:
    """The blocks of a plan, in order.

    `chain` holds the newest `KEPT_BLOCKS` of those that follow each other without a gap, the
    recorded ones before the new ones. `read_again` has the txids, by height, of recorded blocks
    whose txids had been forgotten.
    """

    def __init__(self, store: Store, source: BlockSource, plan: Plan, now_unix: int) -> None:
        self._store = store
        self._source = source
        self._tip = plan.tip
        self._now_unix = now_unix
        self.next_height = plan.first
        self.chain = [] if plan.starts_anew or plan.is_done else self._stored(plan.first - 1)
        self.read_again: dict[int, list[bytes]] = {}

    def _stored(self, newest: int) -> list[BlockFacts]:
        """Return the recorded blocks up to a height, without what lies behind a gap."""
        chain = self._store.facts(newest - KEPT_BLOCKS + 1, newest)
        lowest = newest - len(chain) + 1
        return [facts for i, facts in enumerate(chain, lowest) if facts.height == i]

    def read(self, last: int) -> Iterator[NewBlock]:
        """Yield the blocks from `next_height` up to a height.

        Raises:
            BlockNotFoundError: `next_height` cannot be had.
            ChainMovedError: the source's chain is no longer the one it was.
            VerificationError: a block is not what it should be.
        """
        first = self.next_height
        recent = self._recent_txids()
        hashes = self._source.hashes(first, last)
        if last == self._tip.height and hashes[-1] != self._tip.hash:
            raise ChainMovedError.between_questions(last)
        self._rules = rules_from(self._store, self._source, first, last, self._now_unix)
        blocks = read_blocks(self._source, hashes, first, recent, self._follow)
        for block_hash in hashes:
            with self._noticing_a_move(block_hash):
                facts, served_by = next(blocks)
                verify_continuity([*self.chain[-1:], facts])
            self.chain = [*self.chain[-KEPT_BLOCKS + 1 :], facts]
            recent.forget_below(facts.height - KEPT_BLOCKS + 1)
            self.next_height = facts.height + 1
            yield NewBlock(facts, served_by, self._bits, recent.at(facts.height))

    def _follow(self, height: int, header: Header) -> None:
        self._rules.follow(height, header)
        self._bits = header.bits

    @contextmanager
    def _noticing_a_move(self, block_hash: str) -> Iterator[None]:
        """Tell a chain that changed while it was read from a wrong or missing block."""
        try:
            yield
        except (BlockNotFoundError, VerificationError) as error:
            if self._is_next(block_hash):
                raise
            raise ChainMovedError.between_questions(self.next_height) from error

    def _is_next(self, block_hash: str) -> bool:
        try:
            return self._source.hashes(self.next_height, self.next_height) == [block_hash]
        except BlockNotFoundError:
            return False

    def _recent_txids(self) -> RememberedTxids:
        if not self.chain:
            return RememberedTxids()
        recent = self._store.recent_txids(self.chain[0].height, self.chain[-1].height)
        for facts in self.chain:
            if facts.height not in recent:  # a reorg went back behind what is kept: read it again
                block, _ = read_block(self._source, facts.height, facts.hash)
                recent.add(facts.height, block.txids)
                self.read_again[facts.height] = block.txids
        return recent
