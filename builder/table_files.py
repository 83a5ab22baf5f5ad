"""A table of the record as the bytes of a Parquet or a CSV file. Loaded where one is written: most
builds carry these files over, and pyarrow takes as long to load as all else that a build needs."""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq

from builder.api.types.columns import COLUMNS, Column, Table
from builder.rows import FactRow, rows
from oracle import DISTRIBUTION, __version__
from oracle.record.reader import Reader

NEWEST_AND_OLDEST = (
    ("first_height", ("height", "first_height"), 0),
    ("last_height", ("height", "last_height"), -1),
    ("newest", ("time", "sampled_at", "date"), -1),
    ("algorithm_version", ("algorithm_version",), -1),
)
"""What a Parquet file says of itself: the key, the columns that may have it, and of which row."""

CSV_WITHOUT = (
    "hash",
    "first_hash",
    "last_hash",
    "algorithm_version",
    "spot_first_height",
    "spot_last_height",
    "window_first_height",
    "window_last_height",
    "compared_at",
)
"""A half of the bytes; the Parquet file has them."""


@cache
def schema_of(name: Table) -> pa.Schema:
    """Return the Arrow schema of price, day, exchange or output rows; each field with its
    `comment` and `unit`."""
    return pa.schema([_field(column) for column in COLUMNS[name]])


def _field(column: Column) -> pa.Field:
    is_moment = column.kind == "timestamp"
    kind = pa.timestamp("ms", "UTC") if is_moment else pa.type_for_alias(column.kind)
    return pa.field(column.name, kind, metadata={"comment": column.comment, "unit": column.unit})


def read_table(
    reader: Reader, name: Table, licence: str | None, **parameters: int | str | None
) -> pa.Table:
    """Return the published columns of prices, days, exchange samples or outputs, in their types."""
    schema = schema_of(name)
    table = reader.table(f"table_of_{name}", **parameters)
    columns = [_typed(table[field.name], field.type) for field in schema]
    typed = pa.Table.from_arrays(columns, schema=schema)
    return typed.replace_schema_metadata(_about(reader, typed, licence))


def _about(reader: Reader, table: pa.Table, licence: str | None) -> dict[str, str]:
    """Return what a file says of itself; of a table without rows, too.

    The moment it was written is not there: the same record gives the same bytes. The newest row is.
    """
    facts = {fact["name"]: fact["value"] for fact in rows(reader, FactRow, "facts")}
    about = {
        "network": facts.get("network", "unknown"),
        "is_simulated": str(facts.get("is_demo", "false").lower() == "true").lower(),
        "rows": str(table.num_rows),
        "licence": licence or "not stated",
        "product": f"{DISTRIBUTION} {__version__}",
    }
    for key, names, place in NEWEST_AND_OLDEST:
        name = next((name for name in names if name in table.column_names), None)
        if name is not None and table.num_rows:
            about[key] = str(table[name][place].as_py())
    return about


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
    """Return a Parquet file. No dictionaries: nearly every value is a new one. Numbers are plain:
    split into streams of bytes they would take a twentieth less, and fastparquet cannot read it."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return bytes(sink.getvalue().to_pybytes())


def to_csv(table: pa.Table) -> bytes:
    """Return the same rows as CSV, as spreadsheets read it: four decimals, times in UTC without T
    and Z, TRUE and FALSE, no block hashes."""
    from pyarrow import csv

    columns = {
        name: _for_csv(table[name]) for name in table.column_names if name not in CSV_WITHOUT
    }
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def _for_csv(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc  # it takes a third as long as all of pyarrow

    if pa.types.is_floating(column.type):
        return pc.round(column, 4)
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("s", "UTC")), "%Y-%m-%d %H:%M:%S")
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "TRUE", "FALSE")
    return column
