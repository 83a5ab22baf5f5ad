"""The txids that a record remembers, searched as they are stored.

A block asks for a few thousand of the 865,000 that two days of mainnet make. A dictionary of them
all takes longer to make, and more memory, than everything else that one new block needs.
"""

from __future__ import annotations

from collections.abc import Set

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

    def add_stored(self, height: int, txids: bytes) -> None:
        """Remember a recorded block's txids, which stand one after the other."""
        self._stored_at[height] = txids

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
        is_start = np.zeros(STARTS, dtype=np.bool_)
        is_start[_starts(b"".join(wanted))] = True
        found = {}
        for height, txids in sorted(self._stored_at.items()):
            for place in np.flatnonzero(is_start[_starts(txids)]).tolist():
                txid = txids[place * TXID_BYTES : (place + 1) * TXID_BYTES]
                if txid in wanted:
                    found[txid] = height
        return found


def _starts(txids: bytes) -> NDArray[np.uint32]:
    """Return some bits of each txid; hashes that agree in them are few."""
    words = np.frombuffer(txids, dtype="<u4")
    return words[:: TXID_BYTES // words.itemsize] % np.uint32(STARTS)
