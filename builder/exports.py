"""The record as Parquet and CSV. Whole-history files cost little a build: the closed part is carried over.

Rows far below the tip do not change any more. They make up a *closed* file, which is a published file of its
own, made again about once a month; the whole file is its bytes with the newest rows put after them. A Parquet
file is row groups and, at its end, a list of where they lie: so the closed row groups are copied as they are
and the two lists joined. Whoever starts from an empty folder gets the same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, partial
from importlib.resources import files

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from builder.draft import Draft, fingerprint
from builder.history import Settled
from builder.record import DAY_SECONDS, Row
from oracle.core.params import ALGORITHM_VERSION
from oracle.reader import Reader

MAGIC = b"PAR1"
FORMAT = "1"  # goes into the fingerprints: raise it when a column changes
CLOSED_BLOCKS, DEPTH_BLOCKS = (4032, 200)  # closed parts end at multiples of four weeks of blocks, well below the tip
CLOSED_SECONDS, DEPTH_SECONDS = 28 * DAY_SECONDS, 2 * DAY_SECONDS

TIME = pa.timestamp("ms", "UTC")


@cache
def schema_of(name: str) -> pa.Schema:
    """Return the Arrow schema of prices, days, exchange or outputs; each field with its `comment` and `unit`."""
    columns = json.loads(files("builder.schema").joinpath("columns.json").read_bytes())[name]
    return pa.schema([_field(column) for column in columns])


def _field(column: Mapping[str, str]) -> pa.Field:
    kind = TIME if column["type"] == "timestamp" else pa.type_for_alias(column["type"])
    return pa.field(column["name"], kind, metadata={key: column[key] for key in ("comment", "unit")})


WORDS = ("hash", "algorithm_version", "spot_reason", "window_reason")
CSV_WITHOUT = ("hash", "algorithm_version")  # a third of the bytes; the Parquet file has them


def export_all(
    draft: Draft, reader: Reader, days: Sequence[Row], settled: Settled, *, with_outputs: bool = False
) -> None:
    """Add all files below `data/` to the draft."""
    _export_prices(draft, reader, settled)
    _export_exchange(draft, reader)
    draft.once("data/days.parquet", settled.days_key, lambda: to_parquet(_days(days)))
    draft.once("data/days.csv", settled.days_key, lambda: to_csv(_days(days)))
    if with_outputs:
        _export_outputs(draft, reader)


def _days(days: Sequence[Row]) -> pa.Table:
    rows = [{**row, "date": date.fromisoformat(row["date"])} for row in days]
    return _typed(pa.table({name: [row[name] for row in rows] for name in schema_of("days").names}), "days")


def _export_prices(draft: Draft, reader: Reader, settled: Settled) -> None:
    tip = reader.row("tip")
    end = tip["height"] + 1 if tip else 0
    closed_end = max(0, end - DEPTH_BLOCKS) // CLOSED_BLOCKS * CLOSED_BLOCKS
    key = _key(closed_end, reader.row("closed_prices", end=closed_end))
    rows = partial(price_table, reader)
    draft.once("data/closed/prices.parquet", key, lambda: to_parquet(rows(0, closed_end)))
    draft.once("data/closed/prices.csv", key, lambda: to_csv(rows(0, closed_end)))
    closed = draft.read("data/closed/prices.parquet")
    draft.add("data/prices.parquet", append_parquet(closed, rows(closed_end, end)))

    def csv() -> bytes:
        newest = rows(closed_end, settled.last_height + 1)
        return draft.read("data/closed/prices.csv") + to_csv(newest, header=False)

    draft.once("data/prices.csv", settled.key, csv)


def _export_exchange(draft: Draft, reader: Reader) -> None:
    newest = reader.row("exchange")
    end = newest["sampled_at_unix"] + 1 if newest else 0
    closed_end = max(0, end - DEPTH_SECONDS) // CLOSED_SECONDS * CLOSED_SECONDS
    key = _key(closed_end, reader.row("closed_exchange", end=closed_end))

    def rows(first: int, end: int) -> pa.Table:
        return _typed(reader.table("exchange_rows", first, end), "exchange")

    draft.once("data/closed/exchange.parquet", key, lambda: to_parquet(rows(0, closed_end)))
    closed = draft.read("data/closed/exchange.parquet")
    draft.add("data/exchange.parquet", append_parquet(closed, rows(closed_end, end)))


def _export_outputs(draft: Draft, reader: Reader) -> None:
    for month in reader.rows("months"):
        path = f"data/outputs/{month['month']}.parquet"
        draft.once(path, _key(month), partial(_outputs, reader, month["first_unix"], month["end_unix"]))


def _outputs(reader: Reader, first_unix: int, end_unix: int) -> bytes:
    return to_parquet(_typed(reader.table("output_rows", first_unix, end_unix), "outputs"))


def price_table(reader: Reader, first_height: int, end_height: int) -> pa.Table:
    """Return the published rows of heights from first to below end."""
    return _typed(reader.table("price_rows", first_height, end_height), "prices")


def read_prices(draft: Draft) -> pa.Table:
    """Return the table of `data/prices.parquet` without its long texts; empty when the draft has no such file."""
    if not draft.paths("data/prices.parquet"):
        return schema_of("prices").empty_table()
    columns = [column for column in schema_of("prices").names if column not in WORDS]
    return pq.read_table(pa.BufferReader(draft.read("data/prices.parquet")), columns=columns)


def _key(*facts: object) -> str:
    return fingerprint((FORMAT, ALGORITHM_VERSION, *facts))


def _typed(table: pa.Table, name: str) -> pa.Table:
    return table.select(schema_of(name).names).cast(schema_of(name))


def to_parquet(table: pa.Table) -> bytes:
    """Return a Parquet file."""
    return bytes(_write(table, MAGIC).to_pybytes())


def append_parquet(closed: bytes, table: pa.Table) -> bytes:
    """Return a Parquet file with the row groups of a closed one, byte for byte, and one more."""
    whole = _write(table, _without_footer(closed))
    footer = pq.read_metadata(io.BytesIO(closed))
    footer.append_row_groups(pq.read_metadata(pa.BufferReader(whole)))
    written = io.BytesIO()
    footer.write_metadata_file(written)
    return b"".join((_without_footer(whole), written.getbuffer()[len(MAGIC) :]))


def _write(table: pa.Table, before: bytes | memoryview) -> pa.Buffer:
    # No dictionaries: nearly every value is a new one. Row groups are written after what comes before them.
    sink = pa.BufferOutputStream()
    split = {field.name: "BYTE_STREAM_SPLIT" for field in table.schema if pa.types.is_floating(field.type)}
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", use_dictionary=False, column_encoding=split
    ) as writer:
        sink.write(before[len(MAGIC) :])  # the writer has begun with these four bytes itself
        writer.write_table(table, row_group_size=max(1, table.num_rows))
    return sink.getvalue()


def _without_footer(parquet: bytes | pa.Buffer) -> memoryview:
    view = memoryview(parquet)
    return view[: -8 - int.from_bytes(view[-8:-4], "little")]


def to_csv(table: pa.Table, *, header: bool = True) -> bytes:
    """Return the same rows as CSV: prices to the cent, times in ISO 8601, no block hashes."""
    columns = {name: _for_csv(table[name]) for name in table.column_names if name not in CSV_WITHOUT}
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(columns), sink, pyarrow.csv.WriteOptions(include_header=header))
    return bytes(sink.getvalue().to_pybytes())


def _for_csv(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        return pc.round(column, 4)
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
    return column
