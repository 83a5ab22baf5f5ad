"""What a tick keeps of blocks beside their rows, as tables of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from oracle.core.eligible import BlockFacts
from oracle.record.store import OUTPUT_COLUMNS


def output_table(facts: Sequence[BlockFacts]) -> pa.Table:
    """Return a row an eligible output, in chain order."""
    if not facts:
        return pa.table({})
    columns = {name: np.concatenate([getattr(f, name) for f in facts]) for name in OUTPUT_COLUMNS}
    return pa.table(
        {
            "height": np.repeat([f.height for f in facts], [len(f.value_sats) for f in facts]),
            **columns,
        }
    )


# DuckDB keeps bytes up to 4,096 beside each other; longer ones it reads into blocks of 256 KiB
# each, which for two days of whole blocks takes four times the memory that they have.
TXIDS_A_ROW = 127


def txid_table(txids: dict[int, list[bytes]]) -> pa.Table:
    """Return rows of a block's txids, 32 bytes each, one after the other."""
    heights, rows = [], []
    for height, block in txids.items():
        for start in range(0, len(block), TXIDS_A_ROW):
            heights.append(height)
            rows.append(b"".join(block[start : start + TXIDS_A_ROW]))
    return pa.table({"height": pa.array(heights, pa.int32()), "txids": pa.array(rows, pa.binary())})
