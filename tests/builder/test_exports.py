"""Parquet and CSV files, read back with DuckDB, pyarrow and pandas."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builder.api.history import last_full_hour
from builder.data import Extent, export_all, export_outputs
from builder.draft import Draft
from builder.gather import gather
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
    export_all(draft, reader, prices=newest, quotes=newest, csv=hourly, days_key="days")
    export_outputs(draft, reader, now)
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
