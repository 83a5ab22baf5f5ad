"""The scorecard: errors against the exchange, computed again by other means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from itertools import pairwise
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


def whole_card(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    reader = Reader(connection)
    record = gather(reader, END_UNIX)
    hour = last_full_hour(record, context(END_UNIX), "")
    return make_scorecard(record, reader, hour, hour, None)


def card(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    return whole_card(connection)["legs"]


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


def spots_of_days(connection: duckdb.DuckDBPyConnection) -> dict[int, list[tuple[int, float]]]:
    """Valid spot prices of each final day: when their block came, and the price."""
    final = connection.execute("SELECT epoch(date)::BIGINT, first_height, last_height FROM days")
    days = final.fetchall()
    found = connection.execute(
        "SELECT height, time_unix, spot_usd FROM prices WHERE spot_is_valid ORDER BY height"
    )
    prices = {height: (at_unix, usd) for height, at_unix, usd in found.fetchall()}
    return {
        day_unix: [prices[height] for height in range(first, last + 1) if height in prices]
        for day_unix, first, last in days
    }


def test_a_close_is_compared_with_the_last_quote_of_the_day(
    record: duckdb.DuckDBPyConnection,
) -> None:
    quotes = record.execute(
        "SELECT quoted_at_unix, price_usd FROM exchange_samples WHERE NOT is_stale"
    ).fetchall()
    percents = []
    for day_unix, spots in spots_of_days(record).items():
        end_unix = day_unix + 86_400
        late = [quote for quote in quotes if end_unix - 7200 <= quote[0] < end_unix]
        if late:
            percents.append(100 * (spots[-1][1] / max(late)[1] - 1))
    close = card(record)["close"]["periods"]["all"]
    assert close["n"] == len(percents) > 5
    assert close["bias_percent"] == pytest.approx(statistics.fmean(percents), abs=2e-4)
    assert close["inside_interval_share"] is None


def test_a_quote_that_is_not_believed_is_no_close() -> None:
    with make_history(days=4, outputs_per_block=0) as connection:
        before = card(connection)["close"]["periods"]["all"]
        connection.execute("UPDATE exchange_samples SET suspicion = 'far off'")
        assert before["n"] > 0
        assert card(connection)["close"]["periods"]["all"]["n"] == 0


def test_a_mean_is_of_spot_prices_that_stand_until_the_next(
    record: duckdb.DuckDBPyConnection,
) -> None:
    found = record.execute("SELECT epoch(date)::BIGINT, exchange_mean_usd FROM days")
    means = dict(found.fetchall())
    percents = []
    for day_unix, spots in spots_of_days(record).items():
        starts = [max(at_unix, day_unix) for at_unix, _ in spots]
        spans = [end - start for start, end in pairwise([*starts, day_unix + 86_400])]
        weighted = sum(usd * span for span, (_, usd) in zip(spans, spots, strict=True))
        percents.append(100 * (weighted / sum(spans) / means[day_unix] - 1))
    mean = card(record)["mean"]["periods"]["all"]
    assert mean["n"] == len(percents)
    assert mean["median_percent"] == pytest.approx(statistics.median(map(abs, percents)), abs=2e-4)


def test_the_baseline_of_an_hour_is_nearer_than_that_of_a_day(
    record: duckdb.DuckDBPyConnection,
) -> None:
    spot = card(record)["spot"]["periods"]["all"]
    assert 0 < spot["baseline_hour"]["median_percent"] < spot["baseline"]["median_percent"]
    assert card(record)["day"]["periods"]["all"]["baseline_hour"]["n"] == 0


def test_years_and_numbers_of_points_divide_the_prices(record: duckdb.DuckDBPyConnection) -> None:
    made = whole_card(record)
    spots, days = (made["legs"][leg]["periods"]["all"]["n"] for leg in ("spot", "day"))
    assert sum(part["n"] for part in made["years"]["spot"]) == spots
    assert sum(part["n"] for part in made["years"]["day"]) == days
    assert sum(part["n"] for part in made["points"]) == spots


def test_prices_are_scored_by_how_many_points_they_had() -> None:
    with make_history(days=3, outputs_per_block=0) as connection:
        connection.execute("UPDATE prices SET spot_points = 24 + height % 3")
        few, some = whole_card(connection)["points"]
        connection.execute("UPDATE prices SET spot_points = 99999")
        [many] = whole_card(connection)["points"]
    ranges = [(part["points_from"], part["points_to"]) for part in (few, some, many)]
    assert ranges == [(0, 24), (25, 49), (12_800, None)]
    assert few["n"] + some["n"] == many["n"]
    assert some["n"] == pytest.approx(2 * few["n"], abs=2)


def test_reliability_sets_what_was_said_beside_what_happened() -> None:
    with make_history(days=3, outputs_per_block=0) as connection:
        heights = [row[0] for row in connection.execute("SELECT height FROM prices").fetchall()]
        half = heights[len(heights) // 2]
        connection.execute(
            "UPDATE prices SET spot_is_valid = false, spot_confidence = 0.3, "
            "spot_usd = spot_usd * 1.1 WHERE height <= ?",
            [half],
        )
        connection.execute(
            "UPDATE prices SET spot_is_valid = true, spot_confidence = 1.0 WHERE height > ?", [half]
        )
        low, high = whole_card(connection)["reliability"]
        valid = card(connection)["spot"]["periods"]["all"]["n"]
    assert (low["confidence_from"], low["confidence_to"]) == (0.2, 0.4)
    assert (low["said_share"], low["right_share"]) == (0.3, 0.0)
    assert (high["confidence_from"], high["said_share"], high["right_share"]) == (0.95, 1.0, 1.0)
    assert high["n"] == valid, "only the valid ones are scored"


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
    baselines = [nothing.pop("baseline"), nothing.pop("baseline_hour")]
    assert [one.pop("n") for one in (nothing, *baselines)] == [0, 0, 0]
    assert {value for one in (nothing, *baselines) for value in one.values()} == {None}


def test_an_empty_record_has_an_empty_scorecard() -> None:
    with make_history(days=0) as connection:
        legs = card(connection)
    assert [leg["periods"]["all"]["n"] for leg in legs.values()] == [0] * 5
    assert legs["spot"]["periods"]["1d"]["inside_interval_share"] is None


def test_without_an_exchange_price_nothing_is_compared() -> None:
    with make_history(days=3, exchange=False, outputs_per_block=0) as connection:
        assert [leg["periods"]["all"]["n"] for leg in card(connection).values()] == [0] * 5
