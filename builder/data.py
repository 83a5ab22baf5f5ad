"""The record as Parquet, and as CSV: what covers all history is written anew each full hour, or
each build."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from builder.api.history import Settled
from builder.draft import Draft, fingerprint
from oracle.core.params import ALGORITHM_VERSION
from oracle.record.reader import Reader

FORMAT = "2"  # goes into the fingerprints: raise it when a column changes
CSV_WITHOUT = ("hash", "algorithm_version")  # a third of the bytes; the Parquet file has them


@cache
def schema_of(name: str) -> pa.Schema:
    """Return the Arrow schema of price, day, exchange or output rows; each field with its
    `comment` and `unit`."""
    columns = json.loads(files("builder.api.schema").joinpath("columns.json").read_bytes())[name]
    return pa.schema([_field(column) for column in columns])


def _field(column: Mapping[str, str]) -> pa.Field:
    kind = (
        pa.timestamp("ms", "UTC")
        if column["type"] == "timestamp"
        else pa.type_for_alias(column["type"])
    )
    return pa.field(
        column["name"], kind, metadata={key: column[key] for key in ("comment", "unit")}
    )


def export_all(
    draft: Draft, reader: Reader, settled: Settled, newest: Settled, *, with_outputs: bool = False
) -> None:
    """Add all files below `data/` to the draft: Parquet up to what is `newest`, CSV up to what is
    settled."""
    days = cache(partial(read_table, reader, "days"))
    prices, quotes = partial(read_table, reader, "prices"), partial(read_table, reader, "exchange")
    _export(
        draft,
        "data/prices.parquet",
        newest.key,
        to_parquet,
        partial(prices, last=newest.last_height),
    )
    _export(
        draft,
        "data/exchange.parquet",
        newest.key,
        to_parquet,
        partial(quotes, end=newest.hour_unix),
    )
    _export(
        draft, "data/prices.csv", settled.key, to_csv, partial(prices, last=settled.last_height)
    )
    _export(draft, "data/days.parquet", settled.days_key, to_parquet, days)
    _export(draft, "data/days.csv", settled.days_key, to_csv, days)
    for month in reader.rows("months") if with_outputs else ():
        rows = partial(read_table, reader, "outputs", first=month["first"], end=month["end"])
        _export(draft, f"data/outputs/{month['month']}.parquet", make_key(month), to_parquet, rows)


def _export(
    draft: Draft,
    path: str,
    key: str,
    written: Callable[[pa.Table], bytes],
    make: Callable[[], pa.Table],
) -> None:
    draft.once(path, key, lambda: written(make()))


def make_key(*facts: object) -> str:
    """Return a text that changes with facts, with the algorithm and with the form of the files."""
    return fingerprint((FORMAT, ALGORITHM_VERSION, *facts))


def read_table(reader: Reader, name: str, **parameters: Any) -> pa.Table:
    """Return the published columns of prices, days, exchange samples or outputs, in their types."""
    return (
        reader.table(f"table_of_{name}", **parameters)
        .select(schema_of(name).names)
        .cast(schema_of(name))
    )


def to_parquet(table: pa.Table) -> bytes:
    """Return a Parquet file. No dictionaries: nearly every value is a new one."""
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
    columns = {
        name: _for_csv(table[name]) for name in table.column_names if name not in CSV_WITHOUT
    }
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def _for_csv(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        return pc.round(column, 4)
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
    return column
