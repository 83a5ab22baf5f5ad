"""The history files: every tick of a week, and per-block rows thinned for longer ranges. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from builder.draft import fingerprint
from builder.record import DAY_SECONDS, Context, Record, Row, Snapshot, head

Columns = Mapping[str, NDArray[Any]]

HOUR_SECONDS = 3600
RECENT_TICKS = 300  # two days of them at least: a deeper reorg changes the days too
SHORT_RANGES = {"24h": DAY_SECONDS, "7d": 7 * DAY_SECONDS}
LONG_RANGES = {"30d": (30, 3600), "1y": (365, 6 * 3600), "all": (None, DAY_SECONDS)}  # days, thinning step
COLUMNS = (
    *("time_unix", "height", "spot_usd", "spot_low_usd", "spot_high_usd", "window_usd", "exchange_usd"),
    *("divergence_percent", "leg", "confidence", "is_valid", "points"),
)


@dataclass(frozen=True, slots=True)
class Settled:
    """What the files that cover all history are made from: the blocks known at the last full hour.

    So they are made anew once an hour, not at each block, and stay the same in between.
    """

    key: str
    days_key: str  # changes when a final day does
    hour_unix: int
    last_height: int


def settle(record: Record, now_unix: int, days_key: str) -> Settled:
    """Find the newest block that was known at the last full hour."""
    hour_unix = now_unix // HOUR_SECONDS * HOUR_SECONDS
    ticks = [row for row in record.ticks if row["time_unix"] < hour_unix]
    newest = ticks[-1] if ticks else record.tip or {"height": -1}
    key = fingerprint((days_key, hour_unix, newest, ticks[-RECENT_TICKS:]))
    return Settled(key, days_key, hour_unix, newest["height"])


def short_history(name: str, record: Record, context: Context) -> Snapshot:
    """Return `/api/history/24h.json` or `7d`: every tick."""
    first_unix = context.now_unix - SHORT_RANGES[name]
    rows = [row for row in record.ticks if row["time_unix"] >= first_unix]
    rule = "every tick, and every block that was caught up"
    return {**head(record.facts, context.now_unix), **_history(name, first_unix, None, rule, rows)}


def long_history(name: str, record: Record, blocks: Callable[[], Columns], settled: Settled) -> Snapshot:
    """Return `/api/history/30d.json`, `1y` or `all`: blocks up to a full hour, thinned."""
    days, step = LONG_RANGES[name]
    hour_unix = settled.hour_unix
    first_unix = None if days is None else hour_unix - days * DAY_SECONDS
    rule = f"of each {step // 3600} h: the last block with a valid price, and the last without; up to a full hour"
    rows = thin(blocks(), first_unix or 0, step)
    return {**head(record.facts, hour_unix), **_history(name, first_unix, step, rule, rows)}


def _history(name: str, first: int | None, step: int | None, rule: str, rows: Sequence[Row]) -> Snapshot:
    about = {"range": name, "first_unix": first, "step_seconds": step, "thinning": rule, "rows": len(rows)}
    return about | {column: [row[column] for row in rows] for column in COLUMNS}


def thin(blocks: Columns, first_unix: int, step_seconds: int) -> list[Snapshot]:
    """Return the last valid and the last invalid block of each step since a time, oldest first."""
    bucket = np.maximum.accumulate(blocks["time_unix"]) // step_seconds
    kept = np.zeros(len(bucket), dtype=bool)
    for is_valid in (True, False):
        those = np.flatnonzero((blocks["is_valid"] == is_valid) & (blocks["time_unix"] >= first_unix))
        kept[those[np.diff(bucket[those], append=-1) != 0]] = True
    rows = zip(*(_plain(column, blocks[column][kept]) for column in COLUMNS), strict=True)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _plain(name: str, values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    rounded = values.round(2 if name.endswith("usd") else 4)
    return [None if value != value else value for value in rounded.tolist()]  # noqa: PLR0124 - NaN


def columns_of(prices: pa.Table, last_height: int) -> Columns:
    """Return the table of `data/prices.parquet` up to a height as columns: NaN for none, times in seconds.

    `confidence`, `is_valid` and `points` are those of the spot price, or of the window price without one.
    """
    known = prices.slice(0, int(np.searchsorted(prices["height"].to_numpy(), last_height, "right")))
    columns = {name: known[name].to_numpy() for name in known.column_names}
    has_spot = ~np.isnan(columns["spot_usd"])
    shown = {
        name: np.where(has_spot, columns[f"spot_{name}"], columns[f"window_{name}"])
        for name in ("confidence", "is_valid", "points")
    }
    return {
        **columns,
        **shown,
        "time_unix": columns["time"].astype("datetime64[s]").astype(np.int64),
        "divergence_percent": columns["headline_percent"],
    }
