"""The tables and objects that somebody else's site publishes, as rows that can be compared.

A Parquet file is looked at before it is read: what it claims to hold is bounded. What is wrong with
the rows by themselves, and where the JSON files say something else, is told at once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oracle.verify.compare import VERDICTS, Published
from oracle.verify.elsewhere import ASK_THEM, DAY_LIST, DAYS, LATEST, PRICES, STATUS
from oracle.verify.finding import Finding, Verification
from oracle.verify.recompute import FOR_A_PUBLISHER, Row, is_same, shown
from oracle.verify.selection import Chosen, DaySpan

MAX_ROWS = 5_000_000  # a century of blocks
MAX_UNPACKED_BYTES = 2_000_000_000


class Tables:
    """The published tables of a site, as rows."""

    def __init__(self, files: dict[str, bytes], found: Verification) -> None:
        """Read them, and note what is wrong with them by themselves."""
        self.prices = _rows(files, PRICES, found)
        self.days = _rows(files, DAYS, found)
        self._by_height = {row["height"]: row for row in self.prices}
        self._by_day = {row["date"]: row for row in self.days}
        count = len(self.prices)
        found.note("rows of the site", count, _wrong_order(self.prices, "height", PRICES))
        found.note("days of the site", len(self.days), _wrong_order(self.days, "date", DAYS))
        found.note("rows of the site", 0, _left_out(self.prices, files))
        found.note("rows of the site", 0, self._wrong_objects(files))

    def heights(self) -> list[int]:
        """Return the heights that have a price, ascending."""
        return sorted(self._by_height)

    def spans(self) -> list[DaySpan]:
        """Return the days, ascending."""
        return [
            DaySpan(row["date"], row["first_height"], row["last_height"])
            for _, row in sorted(self._by_day.items())
        ]

    def published(self, chosen: Chosen) -> Published:
        """Return the chosen rows, without what the publisher's settings decide."""
        days: dict[date, Row] = dict(self._by_day)
        prices: dict[int, Row] = {height: self._by_height[height] for height in chosen.heights}
        return Published(prices, days, advice=FOR_A_PUBLISHER, without=VERDICTS)

    def _wrong_objects(self, files: dict[str, bytes]) -> Iterator[Finding]:
        """Yield where latest.json and days.json do not say what the tables say."""
        latest = _object(files, LATEST)
        tip = latest.get("tip")
        row = self._by_height.get(tip.get("height")) if isinstance(tip, dict) else None
        for leg in ("spot", "window"):
            said = latest.get(leg)
            if row is not None and isinstance(said, dict):
                price = said.get("price_usd")
                if not is_same(price, row.get(f"{leg}_usd")):
                    place = f"{leg}.price_usd of {LATEST}"
                    yield Finding(place, shown(price), shown(row.get(f"{leg}_usd")), ASK_THEM)
        listed = _object(files, DAY_LIST).get("days")
        for said in listed if isinstance(listed, list) else []:
            yield from self._wrong_day(said)

    def _wrong_day(self, said: object) -> Iterator[Finding]:
        match said:
            case {"date": str(text), "price_usd": price}:
                row = next((row for day, row in self._by_day.items() if str(day) == text), None)
                expected = row["price_usd"] if row else None
                if not is_same(price, expected):
                    place = f"{text[:10]} of {DAY_LIST}"
                    yield Finding(place, shown(price), f"{shown(expected)} of {DAYS}", ASK_THEM)
            case _:
                yield Finding(f"an entry of {DAY_LIST}", "no day", "one", ASK_THEM)


def _object(files: dict[str, bytes], path: str) -> dict[str, Any]:
    try:
        said = json.loads(files.get(path, b"{}"))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _rows(files: dict[str, bytes], path: str, found: Verification) -> list[dict[str, Any]]:
    if path not in files:
        found.unchecked.append(f"{path}: the site has no such file that is what it should be")
        return []
    try:
        return _parsed(files[path])
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        miss = Finding(path, f"unreadable ({reason})", "a Parquet file as documented", ASK_THEM)
        found.note("files of the site", 0, [miss])
        return []


def _parsed(data: bytes) -> list[dict[str, Any]]:
    file = pq.ParquetFile(io.BytesIO(data))
    metadata = file.metadata
    groups = range(metadata.num_row_groups)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in groups)
    if metadata.num_rows > MAX_ROWS or unpacked > MAX_UNPACKED_BYTES:
        raise ValueError(f"{metadata.num_rows} rows, {unpacked} bytes: more than there can be")
    table = file.read()
    key = "height" if "height" in table.column_names else "date"
    kinds = {"height": pa.types.is_integer, "date": pa.types.is_date}
    if not kinds[key](table.schema.field(key).type):
        raise ValueError(f"its column {key} is of another type")
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        if "time" in row:
            row["time_unix"] = int(row.pop("time").timestamp())
    return rows


def _wrong_order(rows: list[dict[str, Any]], key: str, path: str) -> Iterator[Finding]:
    for number, (before, row) in enumerate(pairwise(rows), 1):
        if not before[key] < row[key]:
            expected = f"above {before[key]}, that of the row before"
            yield Finding(f"{key} of row {number} of {path}", shown(row[key]), expected, ASK_THEM)


def _left_out(rows: list[dict[str, Any]], files: dict[str, bytes]) -> Iterator[Finding]:
    """Yield heights without a row between others, unless the site says that there is a gap."""
    gaps = _object(files, STATUS).get("gaps")
    known = [gap for gap in gaps if isinstance(gap, dict)] if isinstance(gaps, list) else []
    for before, row in pairwise(rows):
        first, last = before["height"] + 1, row["height"] - 1
        is_said = any(
            isinstance(gap.get("first_height"), int) and first <= gap["first_height"] <= last
            for gap in known
        )
        if first <= last and not is_said:
            yield Finding(f"{first} to {last} in {PRICES}", "left out", "there", ASK_THEM)
