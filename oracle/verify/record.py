"""The record looked at by itself: counts, links between blocks, work, and rows that are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from oracle.chain import day_range, utc_date
from oracle.core.params import PARAMETERS
from oracle.core.wire import target_of
from oracle.errors import NoDataError, RequestError
from oracle.plan import KEPT_BLOCKS
from oracle.record.reader import Reader
from oracle.verify.finding import Finding, Verification

HASH = re.compile(r"[0-9a-f]{64}")
Row = dict[str, Any]
RESTORE = "restore a backup from before this change"
AGAIN = "backfill this stretch anew, or restore a backup from before this change"
CHECKS = {  # the statement: what it is about, and what to do
    "doubled_blocks": ("blocks", RESTORE),
    "links": ("blocks", AGAIN),
    "output_counts": ("blocks", AGAIN),
    "doubled_prices": ("prices", RESTORE),
    "blocks_of_prices": ("prices", AGAIN),
    "windows_of_prices": ("prices", AGAIN),
    "missing_prices": ("prices", AGAIN),
    "doubled_days": ("days", RESTORE),
    "blocks_of_days": ("days", AGAIN),
    "percents": ("differences", RESTORE),
}
OF_A_WINDOW = ("windows_of_prices", "missing_prices")


def check_record(reader: Reader) -> Verification:
    """Look at all rows of the current chain; what follows from blocks is not worked out again.

    Args:
        reader: the open record.

    Raises:
        StoreError: it cannot be read.
    """
    found = Verification()
    counts = reader.rows("counts")[0]
    headers = reader.ask("all_headers")
    days = reader.ask("all_days")
    misses: dict[str, list[Finding]] = {"blocks": [], "prices": [], "days": [], "differences": []}
    for name, (kind, advice) in CHECKS.items():
        window = {"window": PARAMETERS.window_blocks} if name in OF_A_WINDOW else {}
        rows = reader.ask(f"check_{name}", **window)
        misses[kind] += [Finding(**row, advice=advice) for row in rows]
    misses["blocks"] += _weak(headers)
    misses["days"] += _missing_days(headers, {row["date"] for row in days})
    for kind, compared in {
        "blocks": counts["blocks"],
        "prices": counts["prices"],
        "days": counts["days"],
        "differences": len(misses["differences"]),
    }.items():
        found.note(f"{kind} of the record", compared, misses[kind])
    return found


def _weak(headers: Sequence[Row]) -> Iterator[Finding]:
    """Yield the blocks whose hash is none, or shows less work than their header asks for."""
    for row in headers:
        place = f"hash of block {row['height']}"
        if not HASH.fullmatch(row["hash"]):
            yield Finding(place, row["hash"][:80], "64 hexadecimal digits", AGAIN)
        elif row["bits"] is not None and int(row["hash"], 16) > target_of(row["bits"]):
            yield Finding(place, row["hash"], f"at most the target {row['bits']:08x}", AGAIN)


def _missing_days(headers: Sequence[Row], recorded: set[date]) -> Iterator[Finding]:
    """Yield the UTC days that are final, whose blocks are all recorded, and that have no row."""
    if not headers:
        return
    times = {row["height"]: row["time_unix"] for row in headers}
    tip_height = headers[-1]["height"]

    def header_times(first: int, last: int) -> list[int]:
        heights = range(first, last + 1)
        are_known = all(map(times.__contains__, heights))
        return [times[height] for height in heights] if are_known else []

    day = utc_date(headers[0]["time_unix"])
    while day <= utc_date(headers[-1]["time_unix"]):
        with suppress(NoDataError, RequestError):
            first, last = day_range(day, tip_height, header_times)
            # A tick holds so many blocks: of a longer day it may not have known the start.
            is_short = tip_height - first < KEPT_BLOCKS or last - first < KEPT_BLOCKS // 2
            if day not in recorded and is_short:
                yield Finding(f"day {day}", "absent", f"1 row of {first} to {last}", AGAIN)
        day += timedelta(days=1)
