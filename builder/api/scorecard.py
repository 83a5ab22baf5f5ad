"""How far the on-chain prices were from the exchange, from recorded rows only.

Three legs: spot against the exchange price at the tip, window against the exchange mean of its
blocks, day against the exchange mean of its day. Valid prices only. The figures are made by
`site_scorecard` of `queries.sql`, and can be computed again from the published
`data/prices.parquet` and `data/days.parquet`.
"""

from __future__ import annotations

from builder.api.history import Settled
from builder.gather import Record, Snapshot, head
from oracle.record.reader import Reader

EDGES_PERCENT = [quarter / 4 for quarter in range(-12, 13)]
BASELINE = (
    "the same exchange price, or mean, of 24 hours earlier: what a reader of "
    "yesterday's paper would say"
)
COMPARED = {
    "spot": "spot price against the exchange price at the tip",
    "window": "window price against the exchange mean of its blocks",
    "day": "day price against the exchange mean of its day",
}


def scorecard(record: Record, reader: Reader, settled: Settled) -> Snapshot:
    """Return `/api/scorecard.json` as of a full hour."""
    legs: Snapshot = {name: {"compares": text, "periods": {}} for name, text in COMPARED.items()}
    for row in reader.rows("scorecard", hour=settled.hour_unix, last=settled.last_height):
        figures = {k: row[k] for k in ("inside_interval_share", "baseline")}
        legs[row["leg"]]["periods"][row["period"]] = {**row["errors"], **figures}
        # Rows come with the longest period last: the distribution is that of all comparisons.
        counts = [(row["bins"] or {}).get(place, 0) for place in range(len(EDGES_PERCENT) - 1)]
        legs[row["leg"]]["distribution"] = {"edges_percent": EDGES_PERCENT, "counts": counts}
    return {**head(record.facts, settled.hour_unix), "baseline": BASELINE, "legs": legs}
