"""Parquet and CSV files, read back with DuckDB, pyarrow and pandas."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastparquet import ParquetFile

from builder.api.history import last_full_hour
from builder.data import (
    MONTHS_LIST,
    Extent,
    Source,
    export_all,
    export_outputs,
    export_price_months,
)
from builder.draft import Draft
from builder.gather import gather
from builder.site import Output, build_site
from builder.table_files import schema_of, to_csv
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, add_block, make_history

DAYS_MADE = 40  # in three months


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Forty days; nobody changes them."""
    with make_history(days=DAYS_MADE, outputs_per_block=5) as made:
        yield made


def exported(
    connection: duckdb.DuckDBPyConnection, now_unix: int = END_UNIX, draft: Draft | None = None
) -> Draft:
    reader, draft = Reader(connection), draft or Draft()
    record = gather(reader, now_unix)
    now = context(now_unix)
    hour = last_full_hour(record, now, "days")
    hourly = Extent(hour.key, hour.last_height, hour.time_unix)
    newest = Extent("newest")
    source = Source(reader, "CC0-1.0")
    export_all(draft, source, prices=newest, quotes=newest, csv=hourly, days_key="days")
    export_price_months(draft, source, record, now, newest)
    export_outputs(draft, Source(reader, None), now)
    return draft


@pytest.fixture(scope="module")
def draft(connection: duckdb.DuckDBPyConnection) -> Draft:
    """The files of the forty days; nobody changes them."""
    return exported(connection)


@pytest.fixture(scope="module")
def folder(draft: Draft, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as files on disk."""
    made = tmp_path_factory.mktemp("data")
    for path, data in draft.files.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(data)
    return made / "data"


def table(draft: Draft, path: str) -> pa.Table:
    return pq.read_table(io.BytesIO(draft.read(path)))


def test_prices_have_every_block_of_the_record_to_the_last_digit(
    folder: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    rows = duckdb.sql(
        f"SELECT height, hash, spot_usd, window_usd FROM '{folder}/prices.parquet'"
    ).fetchall()
    assert (
        rows
        == connection.execute(
            "SELECT height, hash, spot_usd, window_usd FROM prices ORDER BY height"
        ).fetchall()
    )


def test_pandas_reads_prices_with_times_and_numbers(folder: Path) -> None:
    frame = pd.read_parquet(folder / "prices.parquet")
    assert str(frame["time"].dtype) == "datetime64[ms, UTC]"
    assert frame["spot_usd"].dtype == "float64"
    assert frame["spot_is_valid"].dtype == "bool"
    assert len(frame) == DAYS_MADE * 144


def test_pyarrow_finds_units_and_comments_in_the_schema(draft: Draft) -> None:
    field = table(draft, "data/prices.parquet").schema.field("spot_usd")
    assert field.metadata[b"unit"] == b"USD per BTC"
    assert field.metadata[b"comment"] == b"price from the last few blocks"


@pytest.mark.parametrize("path", ["prices", "days", "hours", "exchange", "outputs/2025-10"])
def test_every_column_has_a_comment(draft: Draft, path: str) -> None:
    assert all(field.metadata[b"comment"] for field in table(draft, f"data/{path}.parquet").schema)


@pytest.mark.parametrize("path", ["prices", "days", "hours", "exchange"])
def test_files_are_sorted_and_packed_with_zstd(draft: Draft, path: str) -> None:
    whole = table(draft, f"data/{path}.parquet")
    metadata = pq.read_metadata(io.BytesIO(draft.read(f"data/{path}.parquet")))
    packed = {metadata.row_group(0).column(i).compression for i in range(metadata.num_columns)}
    keys = whole.column(0).to_pylist()
    assert keys == sorted(keys)
    assert packed == {"ZSTD"}


def test_prices_come_with_the_first_comparison_at_each_tip(
    folder: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    height, exchange, percent = duckdb.sql(
        f"SELECT height, exchange_usd, spot_percent FROM '{folder}/prices.parquet' ORDER BY 1 "
        f"DESC LIMIT 1 OFFSET 9"
    ).fetchall()[0]
    first = connection.execute(
        "SELECT exchange_usd, spot_percent FROM divergences WHERE height = ? ORDER BY "
        "time_unix LIMIT 1",
        [height],
    ).fetchone()
    assert first == (exchange, percent)


def test_days_have_dates(folder: Path) -> None:
    kinds = duckdb.sql(
        f"SELECT typeof(date), count(*) FROM '{folder}/days.parquet' GROUP BY 1"
    ).fetchall()
    assert kinds == [("DATE", DAYS_MADE - 1)]


def test_exchange_samples_have_their_times(
    folder: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    newest = duckdb.sql(
        f"SELECT epoch(max(sampled_at)), count(*) FROM '{folder}/exchange.parquet'"
    ).fetchall()
    assert (
        newest
        == connection.execute(
            "SELECT max(sampled_at_unix), count(*) FROM exchange_samples"
        ).fetchall()
    )


def test_outputs_are_published_by_month(
    folder: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    assert sorted(p.name for p in (folder / "outputs").iterdir()) == [
        "2025-08.parquet",
        "2025-09.parquet",
        "2025-10.parquet",
    ]
    count = duckdb.sql(
        f"SELECT count(*), sum(value_sats) FROM '{folder}/outputs/*.parquet'"
    ).fetchall()
    assert count == connection.execute("SELECT count(*), sum(value_sats) FROM outputs").fetchall()


def price_months(draft: Draft) -> dict[str, dict[str, Any]]:
    return {one["month"]: one for one in json.loads(draft.read(MONTHS_LIST))["months"]}


def test_the_months_together_are_the_whole(draft: Draft) -> None:
    months = price_months(draft)
    assert sorted(months) == list(months) == ["2025-08", "2025-09", "2025-10"]
    parts = [table(draft, one["path"][1:]) for one in months.values()]
    whole = table(draft, "data/prices.parquet")
    assert pa.concat_tables(parts).equals(whole.replace_schema_metadata(parts[0].schema.metadata))
    assert [part.num_rows for part in parts] == [one["rows"] for one in months.values()]
    for part, (month, one) in zip(parts, months.items(), strict=True):
        heights = part["height"].to_pylist()
        assert (heights[0], heights[-1]) == (one["first_height"], one["last_height"])
        assert {f"{time:%Y-%m}" for time in part["time"].to_pylist()} == {month}


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "pandas": pd.read_parquet,
    "polars": lambda path: pl.read_parquet(path).to_pandas(),
    "fastparquet": lambda path: ParquetFile(io.BytesIO(path.read_bytes())).to_pandas(),
    "duckdb": lambda path: duckdb.sql(f"FROM '{path}'").df(),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("path", ["prices", "prices/2025-09", "days", "hours", "exchange"])
def test_every_common_reader_finds_the_same(folder: Path, path: str, name: str) -> None:
    file = folder / f"{path}.parquet"
    expected = pq.read_table(file)
    found = READERS[name](file)
    assert list(found.columns) == expected.column_names
    assert len(found) == expected.num_rows > 0
    for column in expected.schema:
        values = expected[column.name]
        read = found[column.name]
        assert read.isna().sum() == values.null_count, column.name
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            assert read.dropna().tolist() == values.drop_null().to_pylist(), column.name
        if pa.types.is_timestamp(column.type):
            seconds = [moment.timestamp() for moment in values.drop_null().to_pylist()]
            assert [moment.timestamp() for moment in read.dropna()] == seconds, column.name
        if pa.types.is_string(column.type):
            assert read.dropna().astype(str).tolist() == values.drop_null().to_pylist()


def test_the_list_of_months_has_sizes_and_hashes(draft: Draft) -> None:
    for one in price_months(draft).values():
        data = draft.read(one["path"][1:])
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one["size_bytes"], one["sha256"])


def test_a_month_that_is_over_keeps_its_file(tmp_path: Path) -> None:
    with make_history(days=40, outputs_per_block=0) as connection:
        site = Output(tmp_path)
        before = build_site(Reader(connection), site, context()).folder
        after = build_site(Reader(connection), site, context(add_block(connection))).folder
        connection.execute(
            "UPDATE divergences SET exchange_usd = exchange_usd + 1 "
            "WHERE time_unix = (SELECT min(time_unix) FROM divergences)"
        )
        amended = build_site(Reader(connection), site, context(add_block(connection))).folder
    files = [
        {path.name: path.stat().st_ino for path in (folder / "data/prices").iterdir()}
        for folder in (before, after, amended)
    ]
    names = ["2025-08.parquet", "2025-09.parquet", "2025-10.parquet"]
    assert [sorted(found) for found in files] == [names] * 3
    assert [files[0][name] == files[1][name] for name in names] == [True, True, False]
    assert [files[1][name] == files[2][name] for name in names] == [False, True, False]


def test_without_a_new_price_no_month_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_history(days=3, outputs_per_block=0) as connection:
        first = build_site(Reader(connection), Output(tmp_path), context()).folder
        monkeypatch.setattr("builder.data.rows", lambda *_, **__: 1 / 0)
        again = build_site(Reader(connection), Output(tmp_path), context()).folder
        assert (again / MONTHS_LIST).read_bytes() == (first / MONTHS_LIST).read_bytes()
        next((again / "data/prices").iterdir()).unlink()
        with pytest.raises(ZeroDivisionError):  # one that was lost is made anew
            build_site(Reader(connection), Output(tmp_path), context())


def test_csv_has_the_same_rows_with_times_and_truths_that_spreadsheets_read(folder: Path) -> None:
    frame, parquet = pd.read_csv(folder / "prices.csv"), pd.read_parquet(folder / "prices.parquet")
    assert list(frame["height"]) == list(parquet["height"])
    assert frame["spot_usd"].to_numpy() == pytest.approx(
        parquet["spot_usd"].to_numpy(), abs=0.0001, nan_ok=True
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", frame["time"].iloc[0])
    assert pd.Timestamp(frame["time"].iloc[0], tz="UTC") == parquet["time"].iloc[0].floor("s")
    assert {
        line.rpartition(",")[2] for line in (folder / "prices.csv").read_text().splitlines()
    } == {'"is_simulated"', '"TRUE"'}


@pytest.mark.parametrize("name", ["prices", "days", "hours", "exchange"])
def test_each_row_says_of_which_chain_it_is(folder: Path, name: str) -> None:
    frame = pd.read_parquet(folder / f"{name}.parquet")
    assert set(frame["network"]) == {"simulated"}
    assert set(frame["is_simulated"]) == {True}


def test_a_parquet_file_says_of_itself_what_it_is(draft: Draft) -> None:
    metadata = table(draft, "data/prices.parquet").schema.metadata
    heights = table(draft, "data/prices.parquet")["height"]
    assert (metadata[b"network"], metadata[b"is_simulated"]) == (b"simulated", b"true")
    assert int(metadata[b"rows"]) == len(heights)
    assert int(metadata[b"first_height"]) == heights[0].as_py()
    assert int(metadata[b"last_height"]) == heights[-1].as_py()
    assert metadata[b"algorithm_version"]
    assert metadata[b"licence"] == b"CC0-1.0"
    assert table(draft, "data/days.parquet").schema.metadata[b"newest"] == b"2025-10-08"


def test_days_as_csv_are_the_days(folder: Path) -> None:
    frame = pd.read_csv(folder / "days.csv")
    assert list(frame["date"]) == [
        str(day) for day in pd.read_parquet(folder / "days.parquet")["date"]
    ]


def test_the_same_record_gives_the_same_bytes(
    connection: duckdb.DuckDBPyConnection, draft: Draft
) -> None:
    again = exported(connection)
    assert {p: hashlib.sha256(d).digest() for p, d in again.files.items()} == {
        p: hashlib.sha256(d).digest() for p, d in draft.files.items()
    }


def test_an_empty_record_gives_empty_files_with_all_columns() -> None:
    with make_history(days=0) as connection:
        draft = exported(connection)
    assert table(draft, "data/prices.parquet").schema.names == schema_of("prices").names
    assert table(draft, "data/exchange.parquet").schema.names == schema_of("exchange").names
    assert table(draft, "data/prices.parquet").num_rows == 0
    assert table(draft, "data/prices.parquet").schema.metadata[b"is_simulated"] == b"true"


def test_prices_have_a_new_block_at_once_and_their_csv_at_the_next_full_hour() -> None:
    with make_history(days=2, outputs_per_block=0) as connection:
        now_unix = add_block(connection)
        soon, later = exported(connection, now_unix), exported(connection, now_unix + 3600)
        newest = connection.execute("SELECT max(height) FROM prices").fetchone()[0]
    assert [table(d, "data/prices.parquet")["height"][-1].as_py() for d in (soon, later)] == [
        newest,
        newest,
    ]
    assert [last_height(d.read("data/prices.csv")) for d in (soon, later)] == [newest - 1, newest]


def last_height(csv: bytes) -> int:
    return int(csv.decode().splitlines()[-1].split(",")[0])


def test_reasons_with_commas_survive_the_csv() -> None:
    rows = pa.table({"reason": ['low, "very" low']})
    assert pd.read_csv(io.BytesIO(to_csv(rows)))["reason"][0] == 'low, "very" low'


@pytest.mark.parametrize("name", ["prices", "days", "hours", "exchange", "outputs"])
def test_names_of_amounts_carry_their_unit(name: str) -> None:
    priced = [field.name for field in schema_of(name) if field.metadata[b"unit"] == b"USD per BTC"]
    assert all(name.endswith("_usd") for name in priced)
