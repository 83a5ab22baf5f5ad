"""The txids that a record remembers, searched as they are stored.

A block asks for a few thousand of the 865,000 that two days of mainnet make. A dictionary of them
all takes longer to make, and more memory, than everything else that one new block needs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Set
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from oracle.core.eligible import RecentTxids

TXID_BYTES = 32
STARTS = 1 << 20
"""So many beginnings of txids are told apart in a search: of those that are not looked for, one in
some 400 begins like one of the few thousand that are."""


class RememberedTxids(RecentTxids):
    """Those of blocks that are read, in a dictionary, and those of recorded blocks, as bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._stored_at: dict[int, bytes] = {}
        self._index: _Index | None = None  # made when it is first asked for
        self._is_start = np.zeros(STARTS, dtype=np.bool_)  # of what is asked for; else all False

    def add_stored(self, height: int, txids: bytes) -> None:
        """Remember a recorded block's txids, which stand one after the other."""
        self._stored_at[height] = txids
        self._index = None

    def __contains__(self, height: int) -> bool:
        return height in self._stored_at or height in self._txids_at

    def at(self, height: int) -> list[bytes]:
        """Return the txids of a block that was read."""
        return self._txids_at[height]

    def made_at(self, txids: Set[bytes]) -> dict[bytes, int]:
        """Return by txid the newest height that made it, of those that a remembered block made."""
        found = self._among_stored(txids)
        for txid, height in super().made_at(txids).items():
            found[txid] = max(height, found.get(txid, height))
        return found

    def forget_below(self, height: int) -> None:
        """Forget the blocks below a height."""
        super().forget_below(height)
        for old in [known for known in self._stored_at if known < height]:
            del self._stored_at[old]

    def _among_stored(self, wanted: Set[bytes]) -> dict[bytes, int]:
        if not (wanted and self._stored_at):
            return {}
        self._index = self._index or _Index(self._stored_at)
        asked = _starts(b"".join(wanted))
        self._is_start[asked] = True
        places = np.flatnonzero(self._is_start[self._index.starts])
        self._is_start[asked] = False
        found = {}
        for height, place in self._index.blocks_of(places.tolist()):
            txid = self._stored_at.get(height, b"")[place * TXID_BYTES : (place + 1) * TXID_BYTES]
            if txid in wanted:
                found[txid] = height
        return found


class _Index:
    """The beginnings of all stored txids in one array, in the order of the chain. Blocks that are
    forgotten stay in it: a run reads many blocks, and forgets one with each."""

    def __init__(self, stored_at: dict[int, bytes]) -> None:
        self._heights = sorted(stored_at)
        parts = [_starts(stored_at[height]) for height in self._heights]
        self.starts = np.concatenate(parts)
        self._firsts = [0, *accumulate(map(len, parts))]

    def blocks_of(self, places: list[int]) -> Iterator[tuple[int, int]]:
        """Yield for each place the height of its block, and which of its txids it is."""
        for place in places:
            block = bisect_right(self._firsts, place) - 1
            yield self._heights[block], place - self._firsts[block]


def _starts(txids: bytes) -> NDArray[np.uint32]:
    """Return some bits of each txid; hashes that agree in them are few."""
    words = np.frombuffer(txids, dtype="<u4")
    return words[:: TXID_BYTES // words.itemsize] % np.uint32(STARTS)
