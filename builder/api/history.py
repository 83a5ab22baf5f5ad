"""The history files: every tick of a week, and per-block rows thinned for longer ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.draft import fingerprint
from builder.gather import DAY_SECONDS, Context, Record, Row, Snapshot, head
from oracle.record.reader import Reader

HOUR_SECONDS = 3600
RECENT_TICKS = 300  # two days of them at least: a deeper reorg changes the days too
SHORT_RANGES = {"24h": DAY_SECONDS, "7d": 7 * DAY_SECONDS}
LONG_RANGES = {
    "30d": (30, 3600),
    "1y": (365, 6 * 3600),
    "all": (None, DAY_SECONDS),
}  # days, thinning step
COLUMNS = (
    *(
        "time_unix",
        "height",
        "spot_usd",
        "spot_low_usd",
        "spot_high_usd",
        "window_usd",
        "exchange_usd",
    ),
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
    key = fingerprint((days_key, hour_unix, newest["height"], ticks[-RECENT_TICKS:]))
    return Settled(key, days_key, hour_unix, newest["height"])


def short_history(name: str, record: Record, context: Context) -> Snapshot:
    """Return `/api/history/24h.json` or `7d`: every tick."""
    first_unix = context.now_unix - SHORT_RANGES[name]
    rows = [row for row in record.ticks if row["time_unix"] >= first_unix]
    rule = "every tick, and every block that was caught up"
    return {**head(record.facts, context.now_unix), **_history(name, first_unix, None, rule, rows)}


def long_history(name: str, record: Record, reader: Reader, settled: Settled) -> Snapshot:
    """Return `/api/history/30d.json`, `1y` or `all`: blocks up to a full hour, thinned."""
    days, step = LONG_RANGES[name]
    first_unix = None if days is None else settled.hour_unix - days * DAY_SECONDS
    rule = (
        f"of each {step // 3600} h: the last block with a valid price, and the last "
        f"without; up to a full hour"
    )
    rows = reader.rows("thinned", first=first_unix or 0, step=step, last=settled.last_height)
    return {**head(record.facts, settled.hour_unix), **_history(name, first_unix, step, rule, rows)}


def _history(
    name: str, first: int | None, step: int | None, rule: str, rows: Sequence[Row]
) -> Snapshot:
    about = {
        "range": name,
        "first_unix": first,
        "step_seconds": step,
        "thinning": rule,
        "rows": len(rows),
    }
    return about | {column: [row[column] for row in rows] for column in COLUMNS}
