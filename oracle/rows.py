"""What a row of each table holds, and how it is made from the values that a tick has. Pure.

`Stored...` is a row of a table as it is written and read back; `oracle/record/sql/` has the
columns. What the site asks are other questions, with classes of their own in `builder/rows.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, TypedDict

from oracle.chain import MEDIAN_BLOCKS, mediantime
from oracle.core.eligible import BlockFacts
from oracle.estimate.window import Estimate, SpotEstimate
from oracle.sources import Quote

Outcome = Literal["ok", "no_new_block", "failed"]


class StoredBlock(TypedDict):
    """A row of `blocks`."""

    height: int
    hash: str
    prev_hash: str
    time_unix: int
    mediantime_unix: int
    size_bytes: int
    transactions: int
    outputs: int
    eligible_outputs: int
    left_out: str  # JSON: transactions a rule
    source: str
    bits: int | None


class StoredPrices(TypedDict):
    """A row of `prices`: both prices as of a block."""

    height: int
    hash: str
    time_unix: int
    algorithm_version: str
    window_usd: float | None
    window_low_usd: float | None
    window_high_usd: float | None
    window_rough_usd: int | None
    window_confidence: float
    window_is_valid: bool
    window_reason: str | None
    window_first_height: int
    window_last_height: int
    window_outputs: int
    window_points: int
    spot_usd: float | None
    spot_low_usd: float | None
    spot_high_usd: float | None
    spot_confidence: float
    spot_is_valid: bool
    spot_reason: str | None
    spot_first_height: int | None
    spot_last_height: int | None
    spot_points: int


class ExchangeOfDay(TypedDict):
    """What the exchange said of a UTC day, None where the samples do not tell."""

    exchange_mean_usd: float | None
    exchange_close_usd: float | None


class StoredDay(ExchangeOfDay):
    """A row of `days`."""

    date: date
    algorithm_version: str
    price_usd: float | None
    low_usd: float | None
    high_usd: float | None
    rough_usd: int | None
    confidence: float
    is_valid: bool
    reason: str | None
    first_height: int
    last_height: int
    first_hash: str
    last_hash: str
    blocks: int
    outputs: int
    points: int


class StoredSample(TypedDict):
    """A row of `exchange_samples`."""

    sampled_at_unix: int
    quoted_at_unix: int
    price_usd: float
    is_stale: bool
    suspicion: str | None  # why it is not believed
    source: str
    currencies: str  # JSON: a price a currency


class StoredDivergence(TypedDict):
    """A row of `divergences`: the two legs of the comparison at a moment."""

    time_unix: int
    height: int
    spot_usd: float | None
    exchange_usd: float | None
    spot_percent: float | None
    window_usd: float | None
    exchange_mean_usd: float | None
    window_percent: float | None
    headline_percent: float | None
    leg: str | None
    is_large: bool


class RecentMoment(StoredDivergence):
    """A divergence beside the confidence of its window, None where that is gone."""

    window_confidence: float | None


class StoredEpisode(TypedDict):
    """A row of `episodes`."""

    kind: str
    leg: str | None
    started_at_unix: int
    ended_at_unix: int | None
    start_height: int
    end_height: int | None
    peak_percent: float | None


class StoredRun(TypedDict):
    """A row of `runs`."""

    started_at_unix: int
    ended_at_unix: int
    outcome: Outcome
    blocks_added: int
    blocks_replaced: int
    tip_height: int | None
    source: str | None
    error: str | None  # JSON: the published error object
    sources: str  # JSON: what the probe of each source said
    remarks: str  # JSON


def block_row(chain: Sequence[BlockFacts], source: str, bits: int | None = None) -> StoredBlock:
    """Return the row of the newest of some consecutive blocks."""
    facts = chain[-1]
    left_out = {rule.value: count for rule, count in sorted(facts.left_out.items())}
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
        "left_out": json.dumps(left_out),
        "source": source,
        "bits": bits,
    }


def price_row(
    facts: BlockFacts, window: Estimate, spot: SpotEstimate, algorithm_version: str
) -> StoredPrices:
    """Return the row of the prices as of a block."""
    return {
        "height": facts.height,
        "hash": facts.hash,
        "time_unix": facts.time_unix,
        "algorithm_version": algorithm_version,
        "window_usd": window.price_usd,
        "window_low_usd": window.low_usd,
        "window_high_usd": window.high_usd,
        "window_rough_usd": window.rough_usd,
        "window_confidence": window.confidence,
        "window_is_valid": window.is_valid,
        "window_reason": window.reason,
        "window_first_height": window.first_height,
        "window_last_height": window.last_height,
        "window_outputs": window.outputs,
        "window_points": window.points,
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


def day_row(
    day: date,
    blocks: Sequence[BlockFacts],
    estimate: Estimate,
    algorithm_version: str,
    exchange: ExchangeOfDay,
) -> StoredDay:
    """Return the row of a UTC day."""
    return {
        "date": day,
        "algorithm_version": algorithm_version,
        "price_usd": estimate.price_usd,
        "low_usd": estimate.low_usd,
        "high_usd": estimate.high_usd,
        "rough_usd": estimate.rough_usd,
        "confidence": estimate.confidence,
        "is_valid": estimate.is_valid,
        "reason": estimate.reason,
        "first_height": estimate.first_height,
        "last_height": estimate.last_height,
        "first_hash": blocks[0].hash,
        "last_hash": blocks[-1].hash,
        "blocks": len(blocks),
        "outputs": estimate.outputs,
        "points": estimate.points,
        **exchange,
    }


def sample_row(
    quote: Quote, sampled_at_unix: int, *, is_stale: bool, suspicion: str | None
) -> StoredSample:
    """Return the row of an exchange quote that stands for a moment."""
    return {
        "sampled_at_unix": sampled_at_unix,
        "quoted_at_unix": quote.quoted_at_unix,
        "price_usd": quote.price_usd,
        "is_stale": is_stale,
        "suspicion": suspicion,
        "source": quote.source,
        "currencies": json.dumps(dict(quote.currencies), sort_keys=True),
    }


def run_row(
    started_unix: int,
    ended_unix: int,
    outcome: Outcome,
    *,
    blocks_added: int = 0,
    blocks_replaced: int = 0,
    tip_height: int | None = None,
    source: str | None = None,
    error: Mapping[str, object] | None = None,
    sources: Sequence[Mapping[str, object]] = (),
    remarks: Sequence[Mapping[str, object]] = (),
) -> StoredRun:
    """Return the row of a run and how it ended; what a failed one does not know is left out."""
    return {
        "started_at_unix": started_unix,
        "ended_at_unix": ended_unix,
        "outcome": outcome,
        "blocks_added": blocks_added,
        "blocks_replaced": blocks_replaced,
        "tip_height": tip_height,
        "source": source,
        "error": json.dumps(error) if error else None,
        "sources": json.dumps(sources),
        "remarks": json.dumps(remarks),
    }
