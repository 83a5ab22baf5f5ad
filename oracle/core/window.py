"""The eligible outputs of a window of consecutive blocks, by the same-window rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oracle.core.eligible import BlockFacts


@dataclass(frozen=True, slots=True)
class Window:
    """The eligible outputs of consecutive blocks; output arrays share one length, block arrays
    another."""

    block_heights: NDArray[np.int32]
    block_times_unix: NDArray[np.int64]
    block_index: NDArray[np.int32]  # of each output: which entry of the block arrays it belongs to
    value_sats: NDArray[np.int64]
    is_round: NDArray[np.bool_]


def form_window(blocks: Sequence[BlockFacts]) -> Window:
    """Form the window of at least one block, in chain order, by the same-window rule."""
    first_height = blocks[0].height
    kept = [facts.parent_height < first_height for facts in blocks]
    sizes = [int(np.count_nonzero(keep)) for keep in kept]
    return Window(
        block_heights=np.array([facts.height for facts in blocks], dtype=np.int32),
        block_times_unix=np.array([facts.time_unix for facts in blocks], dtype=np.int64),
        block_index=np.repeat(np.arange(len(blocks), dtype=np.int32), sizes),
        value_sats=np.concatenate(
            [f.value_sats[keep] for f, keep in zip(blocks, kept, strict=True)]
        ),
        is_round=np.concatenate([f.is_round[keep] for f, keep in zip(blocks, kept, strict=True)]),
    )
