"""Which heights a record lacks, and in which chunks they are read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from oracle.plan import KEPT_BLOCKS

# What a block is made from besides itself: the txids of so many blocks before it, and their facts.
WARM_UP_BLOCKS = KEPT_BLOCKS
# Two weeks: reading the blocks before a chunk once more costs a seventh of it, and a chunk in
# memory some megabytes.
CHUNK_BLOCKS = 2016


class Chunk(NamedTuple):
    """Consecutive heights to record together; below `lowest` there is nothing to read."""

    first: int
    last: int
    lowest: int = 0

    @property
    def warm_up(self) -> int:
        """The first height to read: from there on all is known that the chunk's rows stand on."""
        return max(self.lowest, self.first - WARM_UP_BLOCKS)

    @property
    def to_read(self) -> int:
        """How many blocks are read for it."""
        return self.last + 1 - self.warm_up


def missing(first: int, last: int, known: Set[int]) -> Iterator[Chunk]:
    """Yield the stretches of an inclusive range of heights that are not known, the newest first."""
    end: int | None = None
    for height in range(last, first - 1, -1):
        if height in known:
            if end is not None:
                yield Chunk(height + 1, end)
            end = None
        elif end is None:
            end = height
    if end is not None:
        yield Chunk(first, end)


def size_for(stretches: Iterable[Chunk], jobs: int) -> int:
    """Return how many blocks a chunk may have so that so many processes have something to do, and
    no less than are read before each."""
    blocks = sum(stretch.last + 1 - stretch.first for stretch in stretches)
    return max(WARM_UP_BLOCKS, -(-blocks // jobs))


def chunks_of(
    stretches: Iterable[Chunk],
    known: Set[int],
    priced: Set[int],
    settled: int,
    size: int = CHUNK_BLOCKS,
) -> Iterator[Chunk]:
    """Yield the chunks of some stretches, the newest first.

    Where the block above a stretch has no price, the record began there without knowing what was
    before: its first blocks, up to the newest settled one, are read once more with the stretch, to
    know their parents and to have a price.
    """
    for stretch in stretches:
        last = stretch.last
        if last + 1 in known and last + 1 not in priced:
            highest = min(settled, stretch.last + WARM_UP_BLOCKS)
            while last + 1 in known and last < highest:
                last += 1
        while last >= stretch.first:
            first = max(stretch.first, min(last, stretch.last) - size + 1)
            yield Chunk(first, last)
            last = first - 1
