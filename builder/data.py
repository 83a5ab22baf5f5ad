"""The record as Parquet, and as CSV: what covers all history is written anew each full hour, or
each build."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from builder.draft import Draft
from builder.gather import Context
from builder.rows import MonthRow, rows
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types.columns import Table


class Extent(NamedTuple):
    """How far a file of all history reaches, and what it is made from; None: all there is."""

    key: str
    last_height: int | None = None
    end_unix: int | None = None


def export_all(
    draft: Draft, reader: Reader, *, prices: Extent, quotes: Extent, csv: Extent, days_key: str
) -> None:
    """Add the files below `data/` to the draft, those of outputs aside.

    Args:
        draft: gets the files.
        reader: the record.
        prices: how far the Parquet file of prices reaches.
        quotes: how far that of quotes reaches.
        csv: how far the CSV file of prices and the files of hours reach.
        days_key: what the files of days are made from.
    """
    once = partial(_export, draft, reader)
    once("data/prices.parquet", prices.key, "prices", last=prices.last_height)
    once("data/exchange.parquet", quotes.key, "exchange", end=quotes.end_unix)
    once("data/prices.csv", csv.key, "prices", last=csv.last_height)
    once("data/hours.parquet", csv.key, "hours", last=csv.last_height)
    once("data/hours.csv", csv.key, "hours", last=csv.last_height)
    once("data/days.parquet", days_key, "days")
    once("data/days.csv", days_key, "days")


def export_outputs(draft: Draft, reader: Reader, context: Context) -> None:
    """Add a Parquet file of eligible outputs a calendar month."""
    for month in rows(reader, MonthRow, "months"):
        path = f"data/outputs/{month['month']}.parquet"
        bounds = {"first": month["first"], "end": month["end"]}
        _export(draft, reader, path, context.key(month), "outputs", **bounds)


def _export(
    draft: Draft, reader: Reader, path: str, key: str, name: Table, **bounds: int | None
) -> None:
    draft.once(path, key, lambda: _written(reader, path, name, bounds))


def _written(reader: Reader, path: str, name: Table, bounds: dict[str, int | None]) -> bytes:
    from builder.table_files import read_table, to_csv, to_parquet

    write = to_csv if path.endswith(".csv") else to_parquet
    return write(read_table(reader, name, **bounds))
