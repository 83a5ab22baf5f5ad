"""The record as Parquet, and as CSV: what covers all history is written anew each full hour, or
each build."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import pyarrow as pa

from builder.api.types.columns import COLUMNS, Column, Table
from builder.draft import Draft
from builder.gather import Context
from builder.rows import MonthRow, rows
from oracle.record.reader import Reader

CSV_WITHOUT = ("hash", "algorithm_version")
"""A third of the bytes; the Parquet file has them."""


class Extent(NamedTuple):
    """How far a file of all history reaches, and what it is made from; None: all there is."""

    key: str
    last_height: int | None = None
    end_unix: int | None = None


@cache
def schema_of(name: Table) -> pa.Schema:
    """Return the Arrow schema of price, day, exchange or output rows; each field with its
    `comment` and `unit`."""
    return pa.schema([_field(column) for column in COLUMNS[name]])


def _field(column: Column) -> pa.Field:
    is_moment = column.kind == "timestamp"
    kind = pa.timestamp("ms", "UTC") if is_moment else pa.type_for_alias(column.kind)
    return pa.field(column.name, kind, metadata={"comment": column.comment, "unit": column.unit})


def export_all(
    draft: Draft, reader: Reader, *, prices: Extent, quotes: Extent, csv: Extent, days_key: str
) -> None:
    """Add the files below `data/` to the draft, those of outputs aside.

    Args:
        draft: gets the files.
        reader: the record.
        prices: how far the Parquet file of prices reaches.
        quotes: how far that of quotes reaches.
        csv: how far the CSV file of prices reaches.
        days_key: what the files of days are made from.
    """
    days = cache(partial(read_table, reader, "days"))
    newest_prices = partial(read_table, reader, "prices", last=prices.last_height)
    newest_quotes = partial(read_table, reader, "exchange", end=quotes.end_unix)
    earlier_prices = partial(read_table, reader, "prices", last=csv.last_height)
    _export(draft, "data/prices.parquet", prices.key, to_parquet, newest_prices)
    _export(draft, "data/exchange.parquet", quotes.key, to_parquet, newest_quotes)
    _export(draft, "data/prices.csv", csv.key, to_csv, earlier_prices)
    _export(draft, "data/days.parquet", days_key, to_parquet, days)
    _export(draft, "data/days.csv", days_key, to_csv, days)


def export_outputs(draft: Draft, reader: Reader, context: Context) -> None:
    """Add a Parquet file of eligible outputs a calendar month."""
    for month in rows(reader, MonthRow, "months"):
        outputs = partial(read_table, reader, "outputs", first=month["first"], end=month["end"])
        path = f"data/outputs/{month['month']}.parquet"
        _export(draft, path, context.key(month), to_parquet, outputs)


def _export(
    draft: Draft,
    path: str,
    key: str,
    written: Callable[[pa.Table], bytes],
    make: Callable[[], pa.Table],
) -> None:
    draft.once(path, key, lambda: written(make()))


def read_table(reader: Reader, name: Table, **parameters: int | None) -> pa.Table:
    """Return the published columns of prices, days, exchange samples or outputs, in their types."""
    schema = schema_of(name)
    table = reader.table(f"table_of_{name}", **parameters)
    columns = [_typed(table[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _typed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in its published type; numbers of milliseconds are times as they are.

    To cast takes pyarrow.compute, which takes as long to load as duckdb.
    """
    if column.type == kind:
        return column
    if pa.types.is_timestamp(kind) and column.type == pa.int64():
        return pa.chunked_array([chunk.view(kind) for chunk in column.chunks], kind)
    return column.cast(kind)


def to_parquet(table: pa.Table) -> bytes:
    """Return a Parquet file. No dictionaries: nearly every value is a new one."""
    import pyarrow.parquet as pq  # where it is needed: many builds carry these files over

    split = {
        field.name: "BYTE_STREAM_SPLIT"
        for field in table.schema
        if pa.types.is_floating(field.type)
    }
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, column_encoding=split)
    return bytes(sink.getvalue().to_pybytes())


def to_csv(table: pa.Table) -> bytes:
    """Return the same rows as CSV: prices to the cent, times in ISO 8601, no block hashes."""
    from pyarrow import csv  # as above

    columns = {
        name: _for_csv(table[name]) for name in table.column_names if name not in CSV_WITHOUT
    }
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def _for_csv(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc  # as above: it takes a third as long as all of pyarrow

    if pa.types.is_floating(column.type):
        return pc.round(column, 4)
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
    return column
