"""What a record says of the exchange, completed afterwards: comparisons and days that had no quote
when they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from oracle.record.connect import connect, transaction, translated
from oracle.record.sql import statements
from oracle.rows import ExchangeOfDay, StoredDivergence, StoredPrices

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]


class Lacking(NamedTuple):
    """A comparison without an exchange price or mean, with its price and the span of its
    window."""

    moment: StoredDivergence
    price: StoredPrices
    window_span_unix: tuple[int, int]


class Amended(NamedTuple):
    """How many quotes, comparisons and days were added to or completed."""

    quotes: int = 0
    comparisons: int = 0
    days: int = 0


def lacking(path: Path, first_unix: int, last_unix: int) -> list[Lacking]:
    """Return the comparisons of an inclusive span of time that lack something of the exchange,
    oldest first."""
    span = {"first": first_unix, "last": last_unix}
    with translated(path), connect(path, read_only=True) as db:
        moments = cast("list[StoredDivergence]", _rows(db, "lacking", span))
        prices = cast("list[StoredPrices]", _rows(db, "lacking_prices", span))
        spans = {row["height"]: row for row in _rows(db, "lacking_spans", span)}
    by_height = {price["height"]: price for price in prices}
    return [
        Lacking(
            moment, by_height[height], (spans[height]["first_unix"], spans[height]["last_unix"])
        )
        for moment in moments
        if (height := moment["height"]) in by_height and height in spans
    ]


def unpriced(path: Path, first_unix: int, last_unix: int) -> dict[int, int]:
    """Return the times of the blocks without a price in an inclusive span, by height: the quotes of
    them are in the means of the prices that come after."""
    span = {"first": first_unix, "last": last_unix}
    with translated(path), connect(path, read_only=True) as db:
        return {row["height"]: row["time_unix"] for row in _rows(db, "unpriced", span)}


def days_lacking(path: Path, first: date, last: date) -> dict[date, ExchangeOfDay]:
    """Return what is known of the exchange on those days of an inclusive range of dates that lack
    something of it."""
    with translated(path), connect(path, read_only=True) as db:
        rows = _rows(db, "lacking_days", {"first": first, "last": last})
    return {
        row["date"]: {
            "exchange_mean_usd": row["exchange_mean_usd"],
            "exchange_close_usd": row["exchange_close_usd"],
        }
        for row in rows
    }


def amend(
    path: Path,
    samples: Sequence[Mapping[str, object]],
    moments: Sequence[StoredDivergence],
    days: Mapping[date, ExchangeOfDay],
) -> Amended:
    """Add quotes and complete comparisons and days, in one transaction.

    Raises:
        StoreError: the database cannot be written.
    """
    tables: dict[str, list[Mapping[str, object]]] = {
        "exchange_samples": list(samples),
        "moments": [dict(row) for row in moments],
        "days": [{"date": day, **found} for day, found in days.items()],
    }
    with translated(path), connect(path) as db:
        for name, rows in tables.items():
            if rows:
                db.register(f"new_{name}", pa.Table.from_pylist(rows))
        with transaction(db):
            for name, rows in tables.items():
                if rows:
                    db.execute(statements()[f"amend_{name}"])
    return Amended(len(tables["exchange_samples"]), len(tables["moments"]), len(tables["days"]))


def _rows(db: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, object]) -> list[Row]:
    found = db.sql(statements()[name], params=dict(parameters)).to_arrow_table()
    return cast("list[Row]", found.to_pylist())
