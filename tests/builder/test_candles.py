"""Candles of the spot price, against the same worked out from the published prices, block by
block."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date as Date

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from builder.data import Extent, Source, export_all
from builder.draft import Draft
from builder.rows import CandleRow, rows
from oracle.chain import midnight_unix
from oracle.record.reader import Reader
from tests.helpers.made_history import make_history

DAY_SECONDS = 86_400
CANDLE = ("open", "high", "low", "close", "mean")
DAYS = 3


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Some days of prices, some of which are not valid, one of which has none at all."""
    with make_history(days=DAYS, outputs_per_block=0) as made:
        made.execute("UPDATE prices SET spot_is_valid = false WHERE height % 7 = 3")
        made.execute(
            "UPDATE prices SET spot_usd = NULL, spot_is_valid = false WHERE height % 29 = 5"
        )
        made.execute("UPDATE prices SET time_unix = time_unix - 1500 WHERE height % 11 = 2")
        [(first, last)] = made.execute(
            "SELECT first_height, last_height FROM days ORDER BY date LIMIT 1"
        ).fetchall()
        made.execute(
            f"UPDATE prices SET spot_is_valid = false WHERE height BETWEEN {first} AND {last}"
        )
        yield made


@pytest.fixture(scope="module")
def draft(connection: duckdb.DuckDBPyConnection) -> Draft:
    made = Draft()
    extent = Extent("key")
    source = Source(Reader(connection), None)
    export_all(made, source, prices=extent, quotes=extent, csv=extent, days_key="key")
    return made


def frame(draft: Draft, name: str) -> pd.DataFrame:
    return pq.read_table(io.BytesIO(draft.read(f"data/{name}.parquet"))).to_pandas()


def candle(prices: list[tuple[int, float]], start_unix: int, end_unix: int | None) -> dict:
    """Work a candle out of times and prices in the order of the chain; without an end the last
    price counts for nothing more."""
    usd = [price for _, price in prices]
    moments, newest = [], start_unix
    for time_unix, _ in prices:
        newest = max(newest, time_unix)
        moments.append(newest if end_unix is None else min(newest, end_unix))
    stands = [
        later - at
        for at, later in zip(moments, [*moments[1:], end_unix or moments[-1]], strict=True)
    ]
    weighed = sum(price * seconds for price, seconds in zip(usd, stands, strict=True))
    mean = weighed / sum(stands) if sum(stands) else usd[-1]
    return dict(zip(CANDLE, (usd[0], max(usd), min(usd), usd[-1], mean), strict=True))


def valid_prices(draft: Draft) -> list[tuple[int, int, float]]:
    """Height, time and spot price of each valid one."""
    prices = frame(draft, "prices")
    valid = prices[prices["spot_is_valid"] & prices["spot_usd"].notna()]
    times_unix = valid["time"].astype("int64") // 1000
    return list(zip(valid["height"], times_unix, valid["spot_usd"], strict=True))


def test_the_candle_of_a_day_is_what_its_valid_spot_prices_did(draft: Draft) -> None:
    days = frame(draft, "days")
    prices = valid_prices(draft)
    compared = 0
    for day in days.to_dict("records"):
        inside = [
            (time_unix, usd)
            for height, time_unix, usd in prices
            if day["first_height"] <= height <= day["last_height"]
        ]
        assert day["spot_blocks"] == len(inside) or (not inside and pd.isna(day["spot_blocks"]))
        if inside:
            start = midnight_unix(day["date"])
            expected = candle(inside, start, start + DAY_SECONDS)
            found = {name: day[f"spot_{name}_usd"] for name in CANDLE}
            assert found == pytest.approx(expected, abs=1e-4)
            compared += 1
    assert compared == len(days) - 1 > 0


def test_a_day_without_a_valid_spot_price_has_no_candle(draft: Draft) -> None:
    first = frame(draft, "days").iloc[0]
    assert all(pd.isna(first[f"spot_{name}_usd"]) for name in CANDLE)


def test_the_candle_of_an_hour_is_what_the_spot_prices_that_came_in_it_did(draft: Draft) -> None:
    hours = frame(draft, "hours").to_dict("records")
    prices = valid_prices(draft)
    came: dict[int, list[tuple[int, float]]] = {}
    newest = 0
    for _, time_unix, usd in prices:
        newest = max(newest, time_unix)
        came.setdefault(newest // 3600, []).append((newest, usd))
    assert [int(hour["time"].timestamp()) // 3600 for hour in hours] == sorted(came)
    last = max(came)
    for hour in hours:
        number = int(hour["time"].timestamp()) // 3600
        usd = [price for _, price in came[number]]
        found = (
            hour["spot_open_usd"],
            hour["spot_high_usd"],
            hour["spot_low_usd"],
            hour["spot_close_usd"],
        )
        assert found == (usd[0], max(usd), min(usd), usd[-1])
        assert hour["spot_blocks"] == len(usd)
        if number != last:  # its last price stands to the end of the hour, or to the next one
            expected = candle(came[number], number * 3600, (number + 1) * 3600)["mean"]
            assert hour["spot_mean_usd"] == pytest.approx(expected, abs=1e-4)


def test_the_candle_of_one_day_alone_is_that_among_all(connection) -> None:
    reader = Reader(connection)
    everything = rows(reader, CandleRow, "candles", first=0, last=10**8)
    assert everything
    for row in everything:
        [(last,)] = connection.execute(
            "SELECT last_height FROM days WHERE date = ?", [Date.fromisoformat(row["date"])]
        ).fetchall()
        assert rows(reader, CandleRow, "candles", first=last, last=last) == [row]
