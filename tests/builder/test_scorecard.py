"""The scorecard: errors against the exchange, computed again by other means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from builder.api.history import last_full_hour
from builder.api.scorecard import EDGES_PERCENT, make_scorecard
from builder.gather import gather
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, make_history


@pytest.fixture(scope="module")
def record() -> Iterator[duckdb.DuckDBPyConnection]:
    """Nine days; nobody changes them."""
    with make_history(days=9, outputs_per_block=0) as connection:
        yield connection


def card(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    reader = Reader(connection)
    record = gather(reader, END_UNIX)
    return make_scorecard(record, reader, last_full_hour(record, context(END_UNIX), ""))["legs"]


def compared(connection: duckdb.DuckDBPyConnection, since_unix: int = 0) -> list[tuple[float, ...]]:
    """Valid spot prices and the exchange price at the first tick with that tip, by plain SQL."""
    return connection.execute(
        """SELECT p.spot_usd, p.spot_low_usd, p.spot_high_usd, d.exchange_usd FROM prices p JOIN
        (SELECT height, min(time_unix) AS time_unix FROM divergences GROUP BY height) f USING
        (height) JOIN divergences d ON d.height = f.height AND d.time_unix = f.time_unix WHERE
        p.spot_is_valid AND p.time_unix >= ?""",
        [since_unix],
    ).fetchall()


def test_median_and_rmse_are_those_of_plain_arithmetic(record: duckdb.DuckDBPyConnection) -> None:
    percent = [100 * (spot - exchange) / exchange for spot, _, _, exchange in compared(record)]
    spot = card(record)["spot"]["periods"]["all"]
    assert spot["n"] == len(percent)
    assert spot["median_percent"] == pytest.approx(statistics.median(map(abs, percent)), abs=1e-4)
    assert spot["rmse_percent"] == pytest.approx(
        math.sqrt(statistics.fmean(x * x for x in percent)), abs=1e-4
    )
    assert spot["bias_percent"] == pytest.approx(statistics.fmean(percent), abs=1e-4)
    assert spot["worst_percent"] == pytest.approx(max(percent, key=abs), abs=1e-4)


def test_the_share_inside_the_interval_counts_exchange_prices_between_its_ends(
    record: duckdb.DuckDBPyConnection,
) -> None:
    inside = [low <= exchange <= high for _, low, high, exchange in compared(record)]
    share = card(record)["spot"]["periods"]["all"]["inside_interval_share"]
    assert share == pytest.approx(statistics.fmean(inside), abs=1e-4)


def test_a_period_counts_the_blocks_since_then(record: duckdb.DuckDBPyConnection) -> None:
    periods = card(record)["spot"]["periods"]
    assert periods["1d"]["n"] == len(compared(record, END_UNIX - 86_400))
    assert (
        periods["1d"]["n"]
        < periods["7d"]["n"]
        < periods["30d"]["n"]
        == periods["365d"]["n"]
        == periods["all"]["n"]
    )


def test_the_baseline_is_yesterday_and_much_worse(record: duckdb.DuckDBPyConnection) -> None:
    spot = card(record)["spot"]["periods"]["7d"]
    assert spot["baseline"]["median_percent"] > 3 * spot["median_percent"]


def test_the_first_day_has_no_baseline_but_later_ones_do(record: duckdb.DuckDBPyConnection) -> None:
    spot = card(record)["spot"]["periods"]["all"]
    assert spot["n"] - 160 < spot["baseline"]["n"] < spot["n"] - 130


def test_days_are_compared_with_their_exchange_mean(record: duckdb.DuckDBPyConnection) -> None:
    rows = record.execute("SELECT price_usd, exchange_mean_usd FROM days").fetchall()
    day = card(record)["day"]["periods"]["all"]
    assert day["n"] == len(rows)
    assert day["median_percent"] == pytest.approx(
        statistics.median(abs(p / m - 1) * 100 for p, m in rows), abs=1e-4
    )


def test_an_invalid_day_is_not_counted() -> None:
    with make_history(days=9, outputs_per_block=0) as connection:
        connection.execute(
            "UPDATE days SET is_valid = false WHERE date = (SELECT min(date) FROM days)"
        )
        counted = connection.execute("SELECT count(*) - 1 FROM days").fetchone()
        assert (card(connection)["day"]["periods"]["all"]["n"],) == counted


def test_the_distribution_counts_every_comparison_once(record: duckdb.DuckDBPyConnection) -> None:
    window = card(record)["window"]
    assert sum(window["distribution"]["counts"]) == window["periods"]["all"]["n"]
    assert window["distribution"]["edges_percent"] == EDGES_PERCENT


def test_without_comparisons_every_figure_is_null() -> None:
    with make_history(days=2, exchange=False, outputs_per_block=0) as connection:
        nothing = card(connection)["spot"]["periods"]["all"]
    assert (nothing.pop("n"), nothing["baseline"].pop("n")) == (0, 0)
    assert {*nothing.pop("baseline").values(), *nothing.values()} == {None}


def test_an_empty_record_has_an_empty_scorecard() -> None:
    with make_history(days=0) as connection:
        legs = card(connection)
    assert [leg["periods"]["all"]["n"] for leg in legs.values()] == [0, 0, 0]
    assert legs["spot"]["periods"]["1d"]["inside_interval_share"] is None


def test_without_an_exchange_price_nothing_is_compared() -> None:
    with make_history(days=3, exchange=False, outputs_per_block=0) as connection:
        assert [leg["periods"]["all"]["n"] for leg in card(connection).values()] == [0, 0, 0]
