"""What a row of each table says, from the values that a tick has. Pure; `oracle/record/sql/` has
the columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from oracle.chain import MEDIAN_BLOCKS, mediantime
from oracle.core.eligible import BlockFacts
from oracle.estimate.window import Estimate, SpotEstimate
from oracle.sources import Quote

Row = dict[str, Any]
STATED = (
    "low_usd",
    "high_usd",
    "confidence",
    "is_valid",
    "reason",
    "first_height",
    "last_height",
    "points",
)
BLOCK = ("height", "hash", "prev_hash", "time_unix", "size_bytes", "transactions", "outputs")


def take(found: object, names: Sequence[str], prefix: str = "") -> Row:
    """Return the named attributes of an object as a row."""
    return {f"{prefix}{name}": getattr(found, name) for name in names}


def block_row(chain: Sequence[BlockFacts], source: str, bits: int | None = None) -> Row:
    """Return the row of the newest of some consecutive blocks."""
    facts = chain[-1]
    return take(facts, BLOCK) | {
        "mediantime_unix": mediantime([block.time_unix for block in chain[-MEDIAN_BLOCKS:]]),
        "eligible_outputs": len(facts.value_sats),
        "left_out": json.dumps(
            {rule.value: count for rule, count in sorted(facts.left_out.items())}
        ),
        "source": source,
        "bits": bits,
    }


def price_row(
    facts: BlockFacts, window: Estimate, spot: SpotEstimate, algorithm_version: str
) -> Row:
    """Return the row of the prices as of a block."""
    return {
        **take(facts, ("height", "hash", "time_unix")),
        "algorithm_version": algorithm_version,
        "window_usd": window.price_usd,
        **take(window, ("rough_usd", "outputs", *STATED), "window_"),
        "spot_usd": spot.price_usd,
        **take(spot, STATED, "spot_"),
    }


def day_row(
    day: date,
    blocks: Sequence[BlockFacts],
    estimate: Estimate,
    algorithm_version: str,
    exchange: Row,
) -> Row:
    """Return the row of a UTC day; `exchange` has its mean and close."""
    return {
        "date": day,
        "algorithm_version": algorithm_version,
        **take(estimate, ("price_usd", "rough_usd", "outputs", *STATED)),
        "first_hash": blocks[0].hash,
        "last_hash": blocks[-1].hash,
        "blocks": len(blocks),
        **exchange,
    }


def sample_row(quote: Quote, sampled_at_unix: int, *, is_stale: bool) -> Row:
    """Return the row of an exchange quote that stands for a moment."""
    return {
        "sampled_at_unix": sampled_at_unix,
        **take(quote, ("quoted_at_unix", "price_usd", "source")),
        "is_stale": is_stale,
        "currencies": json.dumps(quote.currencies, sort_keys=True),
    }


def run_row(
    started_unix: int, ended_unix: int, outcome: str, *, error: Row | None = None, **facts: Any
) -> Row:
    """Return the row of a run and how it ended; `facts` are columns of `runs` that a failed one
    may lack."""
    unknown = {"blocks_added": 0, "blocks_replaced": 0, "tip_height": None, "source": None}
    return {
        "started_at_unix": started_unix,
        "ended_at_unix": ended_unix,
        "outcome": outcome,
        "error": json.dumps(error) if error else None,
        **unknown,
        **facts,
        "sources": json.dumps(facts.get("sources", [])),
        "remarks": json.dumps(facts.get("remarks", [])),
    }
