"""The history files: every tick of a week, and per-block rows thinned for longer ranges."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from builder.api.head import head, newest_version
from builder.draft import fingerprint
from builder.gather import DAY_SECONDS, Context, Gathered
from builder.rows import MomentRow, rows
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Columns, History, LongRange, ShortRange

HOUR_SECONDS = 3600
LONG_RECORD_BLOCKS = 60_000
"""More than a year of them: from here on what covers all history is made anew each midnight, and
the build of a full hour costs the same however long the record is."""

RECENT_TICKS = 300
"""Two days of them at least: a deeper reorg changes the days too."""

SHORT_RANGES: dict[ShortRange, int] = {"24h": DAY_SECONDS, "7d": 7 * DAY_SECONDS}
"""How many seconds each covers."""


class Thinning(NamedTuple):
    """How a long range is thinned: so many days (None: all), one step after the other."""

    days: int | None
    step_seconds: int


LONG_RANGES: dict[LongRange, Thinning] = {
    "30d": Thinning(30, HOUR_SECONDS),
    "1y": Thinning(365, 6 * HOUR_SECONDS),
    "all": Thinning(None, DAY_SECONDS),
}


class Full(NamedTuple):
    """What the files of long stretches are made from: the blocks known at the last full hour, or at
    the last midnight.

    So they are made anew once in that time, not at each block, and stay the same in between.
    """

    key: str
    time_unix: int
    last_height: int
    algorithm_version: str


def last_full_hour(gathered: Gathered, context: Context, days_key: str) -> Full:
    """Find the newest block that was known at the last full hour.

    Args:
        gathered: has the ticks of a week.
        context: the time.
        days_key: changes when a final day does.
    """
    return _last_full(HOUR_SECONDS, gathered, context, days_key)


def whole_record(gathered: Gathered, context: Context, days_key: str) -> Full:
    """Find the newest block of the files that cover all history: of the last full hour, or, where
    that is long, of the last midnight."""
    is_long = gathered.counts["blocks"] >= LONG_RECORD_BLOCKS
    return _last_full(DAY_SECONDS if is_long else HOUR_SECONDS, gathered, context, days_key)


def _last_full(span_seconds: int, gathered: Gathered, context: Context, days_key: str) -> Full:
    time_unix = context.now_unix // span_seconds * span_seconds
    ticks = [tick for tick in gathered.ticks if tick["time_unix"] < time_unix]
    last_height = gathered.tip["height"] if gathered.tip else -1
    version = newest_version(gathered, context)
    if ticks:
        last_height = ticks[-1]["height"]
        version = ticks[-1]["algorithm_version"]
    key = fingerprint((days_key, time_unix, last_height, version, ticks[-RECENT_TICKS:]))
    return Full(key, time_unix, last_height, version)


def short_history(name: ShortRange, gathered: Gathered, context: Context) -> History:
    """Return `/api/history/24h.json` or `7d`: every tick."""
    first_unix = context.now_unix - SHORT_RANGES[name]
    return {
        **head(gathered, context.now_unix, newest_version(gathered, context)),
        "range": name,
        "first_unix": first_unix,
        "step_seconds": None,
        "thinning": "every tick, and every block that was caught up",
        **_columns([tick for tick in gathered.ticks if tick["time_unix"] >= first_unix]),
    }


def long_history(name: LongRange, gathered: Gathered, reader: Reader, full: Full) -> History:
    """Return `/api/history/30d.json`, `1y` or `all`: blocks up to a full hour or day, thinned."""
    thinning = LONG_RANGES[name]
    first_unix = None
    if thinning.days is not None:
        first_unix = full.time_unix - thinning.days * DAY_SECONDS
    moments = rows(
        reader,
        MomentRow,
        "thinned",
        first=first_unix or 0,
        step=thinning.step_seconds,
        last=full.last_height,
    )
    return {
        **head(gathered, full.time_unix, full.algorithm_version),
        "range": name,
        "first_unix": first_unix,
        "step_seconds": thinning.step_seconds,
        "thinning": f"of each {thinning.step_seconds // HOUR_SECONDS} h: the last block with a "
        f"valid price, and the last without; up to a full hour",
        **_columns(moments),
    }


def _columns(moments: Sequence[MomentRow]) -> Columns:
    return {
        "rows": len(moments),
        "time_unix": [moment["time_unix"] for moment in moments],
        "height": [moment["height"] for moment in moments],
        "spot_usd": [moment["spot_usd"] for moment in moments],
        "spot_low_usd": [moment["spot_low_usd"] for moment in moments],
        "spot_high_usd": [moment["spot_high_usd"] for moment in moments],
        "window_usd": [moment["window_usd"] for moment in moments],
        "exchange_usd": [moment["exchange_usd"] for moment in moments],
        "divergence_percent": [moment["divergence_percent"] for moment in moments],
        "leg": [moment["leg"] for moment in moments],
        "confidence": [moment["confidence"] for moment in moments],
        "is_valid": [moment["is_valid"] for moment in moments],
        "points": [moment["points"] for moment in moments],
    }


def history_csv(history: History) -> bytes:
    """Return the rows of a history as CSV, with times as spreadsheets read them; each line says
    which chain it is of."""
    names = ["time", *(name for name in _columns(()) if name not in {"rows", "time_unix"})]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "network", "is_simulated"])
    columns = [history[name] for name in names[1:]]  # type: ignore[literal-required]
    moments = zip(history["time_unix"], *columns, strict=True)
    chain = (history["network"], _word(history["is_demo"]))
    for time_unix, *values in moments:
        writer.writerow([spreadsheet_time(time_unix), *map(_word, values), *chain])
    return text.getvalue().encode()


def spreadsheet_time(time_unix: int) -> str:
    """Return a moment in UTC as spreadsheets read it."""
    return f"{datetime.fromtimestamp(time_unix, UTC):%Y-%m-%d %H:%M:%S}"


def _word(value: object) -> object:
    return str(value).upper() if isinstance(value, bool) else value
