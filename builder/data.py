"""The record as Parquet, and as CSV: what covers all history is written anew each full hour, or
each build."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from builder.api.head import head
from builder.draft import Draft, dump, with_others
from builder.gather import Context, Gathered
from builder.rows import MonthRow, PriceMonthRow, rows
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import PriceMonth, PriceMonths
    from builder.api.types.columns import Table

MONTHS = "data/prices/"
MONTHS_LIST = "api/price-months.json"


class Extent(NamedTuple):
    """How far a file of all history reaches, and what it is made from; None: all there is."""

    key: str
    last_height: int | None = None
    end_unix: int | None = None


class Source(NamedTuple):
    """The record, and the licence under which its numbers are given to others."""

    reader: Reader
    licence: str | None


def export_all(
    draft: Draft, source: Source, *, prices: Extent, quotes: Extent, csv: Extent, days_key: str
) -> None:
    """Add the files below `data/` to the draft, those of outputs aside.

    Args:
        draft: gets the files.
        source: the record.
        prices: how far the Parquet file of prices reaches.
        quotes: how far that of quotes reaches.
        csv: how far the CSV file of prices and the files of hours reach.
        days_key: what the files of days are made from.
    """
    once = partial(_export, draft, source)
    once("data/prices.parquet", prices.key, "prices", last=prices.last_height, month=None)
    once("data/exchange.parquet", quotes.key, "exchange", end=quotes.end_unix)
    once("data/prices.csv", csv.key, "prices", last=csv.last_height, month=None)
    once("data/hours.parquet", csv.key, "hours", last=csv.last_height)
    once("data/hours.csv", csv.key, "hours", last=csv.last_height)
    once("data/days.parquet", days_key, "days")
    once("data/days.csv", days_key, "days")


def export_price_months(
    draft: Draft, source: Source, gathered: Gathered, context: Context, prices: Extent
) -> None:
    """Add a Parquet file of prices a calendar month, and the list of them.

    The file of a month that is over stays the same to the byte, whatever is added behind it, so
    that a reader of byte ranges may keep what it has. While no price is new nothing is asked.
    """
    if draft.carry_with(MONTHS_LIST, prices.key, MONTHS):
        return
    months = rows(source.reader, PriceMonthRow, "price_months", last=prices.last_height)
    if not months:
        return
    for month in months:
        bounds = {"last": prices.last_height, "month": month["month"]}
        path = f"{MONTHS}{month['month']}.parquet"
        _export(draft, source, path, context.key(month), "prices", **bounds)
    key = with_others(prices.key, len(months))
    draft.once(MONTHS_LIST, key, lambda: dump(_price_months(draft, gathered, months)))


def _price_months(draft: Draft, gathered: Gathered, months: Sequence[PriceMonthRow]) -> PriceMonths:
    newest = months[-1]
    return {
        **head(gathered, newest["last_unix"], newest["algorithm_version"]),
        "months": [_price_month(draft, month) for month in months],
    }


def _price_month(draft: Draft, month: PriceMonthRow) -> PriceMonth:
    path = f"{MONTHS}{month['month']}.parquet"
    entry = draft.entries[path]
    return {
        "month": month["month"],
        "path": f"/{path}",
        "rows": month["rows"],
        "first_height": month["first_height"],
        "last_height": month["last_height"],
        "size_bytes": entry["size_bytes"],
        "sha256": entry["sha256"],
    }


def export_outputs(draft: Draft, source: Source, context: Context) -> None:
    """Add a Parquet file of eligible outputs a calendar month."""
    for month in rows(source.reader, MonthRow, "months"):
        path = f"data/outputs/{month['month']}.parquet"
        bounds = {"first": month["first"], "end": month["end"]}
        _export(draft, source, path, context.key(month), "outputs", **bounds)


def _export(
    draft: Draft, source: Source, path: str, key: str, name: Table, **bounds: int | str | None
) -> None:
    draft.once(path, key, lambda: _written(source, path, name, bounds))


def _written(source: Source, path: str, name: Table, bounds: dict[str, int | str | None]) -> bytes:
    from builder.table_files import read_table, to_csv, to_parquet

    write = to_csv if path.endswith(".csv") else to_parquet
    return write(read_table(source.reader, name, source.licence, **bounds))
