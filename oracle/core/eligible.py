"""The eligible outputs of one block: facts of that block, whatever window it will be in.

The same-window rule depends on where a window starts. So each output remembers the height of the
newest block that made one of its transaction's inputs; `window.form_window` compares it with the
window's start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oracle.core.block import Block, Rule
from oracle.core.params import PARAMETERS as P
from oracle.core.params import SATS_PER_BTC

PARENT_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What the method needs of one block. Arrays have one entry an eligible output, in chain
    order."""

    height: int
    hash: str  # display order
    prev_hash: str
    time_unix: int  # header time
    size_bytes: int
    transactions: int
    outputs: int
    left_out: Counter[Rule]
    value_sats: NDArray[np.int64]
    is_round: NDArray[np.bool_]
    parent_height: NDArray[np.int32]  # PARENT_UNKNOWN where no recent block made an input


class RecentTxids:
    """Which recent block made which txid; forgets blocks below a height when told to."""

    def __init__(self) -> None:
        self._height_of: dict[bytes, int] = {}
        self._txids_at: dict[int, list[bytes]] = {}

    def add(self, height: int, txids: list[bytes]) -> None:
        """Remember a block's txids."""
        self._txids_at[height] = txids
        self._height_of.update(dict.fromkeys(txids, height))

    def made_at(self, txids: Set[bytes]) -> dict[bytes, int]:
        """Return by txid the newest height that made it, of those that a remembered block made."""
        return {txid: self._height_of[txid] for txid in txids & self._height_of.keys()}

    def forget_below(self, height: int) -> None:
        """Forget the blocks below a height."""
        for old in [known for known in self._txids_at if known < height]:
            for txid in self._txids_at.pop(old):
                self._height_of.pop(txid, None)


def digest_block(block: Block, height: int, recent: RecentTxids) -> BlockFacts:
    """Return the facts of a block and add its txids to `recent`, which holds the blocks before
    it."""
    made_at = recent.made_at({txid for spent in block.payment_parents for txid in spent})
    parents = np.full(len(block.payment_parents), PARENT_UNKNOWN, dtype=np.int32)
    for place, spent in enumerate(block.payment_parents):
        if not made_at.keys().isdisjoint(spent):
            parents[place] = max(made_at.get(txid, PARENT_UNKNOWN) for txid in spent)
    kept = is_within_limits(block.payment_sats)
    value_sats = block.payment_sats[kept].astype(np.int64)
    recent.add(height, block.txids)
    return BlockFacts(
        height=height,
        hash=block.header.hash,
        prev_hash=block.header.prev_hash,
        time_unix=block.header.time_unix,
        size_bytes=block.size_bytes,
        transactions=len(block.txids),
        outputs=block.outputs,
        left_out=block.left_out,
        value_sats=value_sats,
        is_round=is_round_btc(value_sats),
        parent_height=np.repeat(parents, P.outputs)[kept],
    )


def is_within_limits(value_sats: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which output values the method looks at: more than 0.00001 and less than 100,000 BTC."""
    return (value_sats > P.min_value_sats) & (value_sats < P.max_value_sats)


def _round_bounds() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    amounts = []
    for first, below, step in P.round_btc_ladders:
        amount = first
        while amount < below:
            amounts.append(amount)
            amount += step  # repeated addition on purpose: its rounding is part of the method
    rounds = np.array(amounts)
    reach = P.round_reach * rounds
    return rounds - reach, rounds + reach


_ROUND_LOW, _ROUND_HIGH = _round_bounds()


def is_round_btc(value_sats: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which amounts lie within 0.01% of a round BTC amount below one BTC (step 6)."""
    amounts = value_sats / SATS_PER_BTC
    nearest = np.searchsorted(_ROUND_LOW, amounts, side="left") - 1  # the last bound strictly below
    return np.asarray((nearest >= 0) & (amounts < _ROUND_HIGH[nearest]), dtype=np.bool_)
