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


def txid_table(txids: dict[int, list[bytes]]) -> pa.Table:
    """Return a row a block: its txids, 32 bytes each, one after the other."""
    return pa.table({"height": list(txids), "txids": [b"".join(block) for block in txids.values()]})
