"""What a row of each table says, from the values that a tick has. Pure; `oracle/sql/` has the columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from oracle.chain import MEDIAN_BLOCKS, mediantime
from oracle.compare import Comparison
from oracle.core.eligible import BlockFacts
from oracle.core.spot import SpotPrice
from oracle.estimate import Estimate
from oracle.sources import Quote

Row = dict[str, Any]


def block_row(chain: Sequence[BlockFacts], source: str) -> Row:
    """Return the row of the newest of some consecutive blocks."""
    facts = chain[-1]
    return {
        "height": facts.height,
        "hash": facts.hash,
        "prev_hash": facts.prev_hash,
        "time_unix": facts.time_unix,
        "mediantime_unix": mediantime([block.time_unix for block in chain[-MEDIAN_BLOCKS:]]),
        "size_bytes": facts.size_bytes,
        "transactions": facts.transactions,
        "outputs": facts.outputs,
        "eligible_outputs": len(facts.value_sats),
        "left_out": json.dumps({rule.value: count for rule, count in sorted(facts.left_out.items())}),
        "source": source,
    }


def price_row(facts: BlockFacts, window: Estimate, spot: SpotPrice, algorithm_version: str) -> Row:
    """Return the row of the prices as of a block."""
    return {
        "height": facts.height,
        "hash": facts.hash,
        "time_unix": facts.time_unix,
        "algorithm_version": algorithm_version,
        "window_usd": window.price_usd,
        "window_low_usd": window.low_usd,
        "window_high_usd": window.high_usd,
        "window_rough_usd": window.price.rough_price_usd,
        "window_confidence": window.confidence,
        "window_is_valid": window.is_valid,
        "window_reason": window.reason,
        "window_first_height": window.window.first_height,
        "window_last_height": window.window.last_height,
        "window_outputs": window.price.outputs,
        "window_points": len(window.price.points.prices_usd),
        "spot_usd": spot.price_usd,
        "spot_low_usd": spot.low_usd,
        "spot_high_usd": spot.high_usd,
        "spot_confidence": spot.confidence,
        "spot_is_valid": spot.is_valid,
        "spot_reason": spot.reason,
        "spot_first_height": spot.first_height,
        "spot_last_height": spot.last_height,
        "spot_points": spot.points,
    }


def day_row(day: date, blocks: Sequence[BlockFacts], estimate: Estimate, algorithm_version: str, exchange: Row) -> Row:
    """Return the row of a UTC day; `exchange` has its mean and close."""
    return {
        "date": day,
        "algorithm_version": algorithm_version,
        "price_usd": estimate.price_usd,
        "low_usd": estimate.low_usd,
        "high_usd": estimate.high_usd,
        "rough_usd": estimate.price.rough_price_usd,
        "confidence": estimate.confidence,
        "is_valid": estimate.is_valid,
        "reason": estimate.reason,
        "first_height": blocks[0].height,
        "last_height": blocks[-1].height,
        "first_hash": blocks[0].hash,
        "last_hash": blocks[-1].hash,
        "blocks": len(blocks),
        "outputs": estimate.price.outputs,
        "points": len(estimate.price.points.prices_usd),
        **exchange,
    }


def sample_row(quote: Quote, sampled_at_unix: int, *, is_stale: bool) -> Row:
    """Return the row of an exchange quote that stands for a moment."""
    return {
        "sampled_at_unix": sampled_at_unix,
        "quoted_at_unix": quote.quoted_at_unix,
        "price_usd": quote.price_usd,
        "is_stale": is_stale,
        "source": quote.source,
        "currencies": json.dumps(quote.currencies, sort_keys=True),
    }


def divergence_row(comparison: Comparison, time_unix: int, height: int) -> Row:
    """Return the row of a comparison at a moment."""
    return {"time_unix": time_unix, "height": height, **asdict(comparison)}


def run_row(
    started_unix: int,
    ended_unix: int,
    outcome: str,
    *,
    blocks_added: int = 0,
    blocks_replaced: int = 0,
    tip_height: int | None = None,
    source: str | None = None,
    error: Row | None = None,
    sources: Sequence[Row] = (),
) -> Row:
    """Return the row of a run and how it ended."""
    return {
        "started_at_unix": started_unix,
        "ended_at_unix": ended_unix,
        "outcome": outcome,
        "blocks_added": blocks_added,
        "blocks_replaced": blocks_replaced,
        "tip_height": tip_height,
        "source": source,
        "error": json.dumps(error) if error else None,
        "sources": json.dumps(list(sources)),
    }
