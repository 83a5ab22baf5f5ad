"""The JSON objects: from rows of a made-up record to what readers are told."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import duckdb
import pandas as pd
import pytest

from builder.api.compat import mempool_history
from builder.api.head import iso
from builder.api.history import Full, history_csv, last_full_hour, long_history, short_history
from builder.api.latest import make_latest
from builder.api.picture import amounts_of, make_day, points_csv
from builder.api.status import make_status
from builder.gather import Context, Gathered, gather
from oracle.core.histogram import count_amounts
from oracle.core.price import price_window
from oracle.estimate.limits import Limits
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, add_block, add_failed_run, make_history

NOW = context(END_UNIX)
Connection = duckdb.DuckDBPyConnection


@pytest.fixture
def quiet() -> Iterator[Connection]:
    """Three ordinary days."""
    with make_history(days=3) as connection:
        yield connection


def read(connection: Connection, now_unix: int = END_UNIX) -> Gathered:
    return gather(Reader(connection), now_unix)


def latest_of(connection: Connection, context: Context = NOW) -> dict[str, Any]:
    return make_latest(read(connection, context.now_unix), context)


def hour_of(connection: Connection, now_unix: int) -> Full:
    return last_full_hour(read(connection, now_unix), context(now_unix), "")


def codes(latest: dict[str, Any]) -> set[str]:
    return {notice["code"] for notice in latest["notices"]}


def one(connection: Connection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def test_the_prices_shown_are_the_newest_rows_to_the_last_digit(quiet: Connection) -> None:
    latest = latest_of(quiet)
    row = one(
        quiet,
        "SELECT spot_usd, window_usd, window_low_usd FROM prices ORDER BY height DESC LIMIT 1",
    )
    shown = (
        latest["spot"]["price_usd"],
        latest["window"]["price_usd"],
        latest["window"]["low_usd"],
    )
    assert shown == row


def test_the_day_shown_is_the_newest_final_one(quiet: Connection) -> None:
    date, price = one(
        quiet, "SELECT strftime(date, '%Y-%m-%d'), price_usd FROM days ORDER BY date DESC LIMIT 1"
    )
    assert (latest_of(quiet)["day"]["date"], latest_of(quiet)["day"]["price_usd"]) == (date, price)


def test_replaced_rows_are_never_shown(quiet: Connection) -> None:
    quiet.execute(
        "UPDATE prices SET replaced_at_unix = 1 WHERE height = (SELECT max(height) FROM prices)"
    )
    quiet.execute(
        "UPDATE blocks SET replaced_at_unix = 1 WHERE height = (SELECT max(height) FROM blocks)"
    )
    below = one(quiet, "SELECT max(height) - 1 FROM blocks")
    assert latest_of(quiet)["tip"]["height"] == latest_of(quiet)["spot"]["last_height"] == below


def test_an_ordinary_record_is_ok_and_says_that_it_is_simulated(quiet: Connection) -> None:
    latest = latest_of(quiet)
    assert (latest["status"], codes(latest), latest["is_demo"]) == ("ok", {"simulated"}, True)


def test_ages_are_counted_from_the_time_of_the_build(quiet: Connection) -> None:
    latest = latest_of(quiet)
    assert latest["exchange"]["age_seconds"] == END_UNIX - latest["exchange"]["quoted_at_unix"]
    assert latest["tip"]["age_seconds"] == END_UNIX - latest["tip"]["time_unix"]


def test_a_header_time_in_the_future_is_no_negative_age(quiet: Connection) -> None:
    assert latest_of(quiet, context(END_UNIX - 7200))["tip"]["age_seconds"] == 0


def test_a_large_divergence_has_the_documented_message_and_its_start() -> None:
    with make_history(days=3, percent_off=3.2) as connection:
        divergence = latest_of(connection)["divergence"]
    assert divergence["is_large"]
    assert divergence["leg"] == "spot"
    assert (
        divergence["message"]
        == f"Large divergence detected: {divergence['headline_percent']:+.1f}%"
    )
    assert divergence["message"].startswith("Large divergence detected: +3.")
    assert divergence["since_unix"] == END_UNIX - 3 * 3600


def test_a_large_divergence_is_about_the_market_and_not_about_our_health() -> None:
    with make_history(days=3, percent_off=-4) as connection:
        assert latest_of(connection)["status"] == "ok"


def test_a_quote_that_is_stale_by_now_raises_no_warning() -> None:
    with make_history(days=3, percent_off=3.2) as connection:
        latest = latest_of(connection, context(END_UNIX, limits=Limits(quote_max_age_seconds=60)))
    assert latest["exchange"]["is_stale"]
    assert not latest["divergence"]["is_large"]
    assert latest["divergence"]["message"] is None
    assert codes(latest) == {"simulated", "stale_exchange"}
    assert latest["status"] == "degraded"


def test_a_quote_that_is_not_believed_is_told_and_compared_with_nothing() -> None:
    with make_history(days=3, percent_off=3.2) as connection:
        connection.execute("UPDATE exchange_samples SET suspicion = 'it is odd'")
        latest = latest_of(connection)
    assert (latest["exchange"]["is_suspect"], latest["exchange"]["reason"]) == (True, "it is odd")
    assert not latest["divergence"]["is_large"]
    assert codes(latest) == {"simulated", "suspect_exchange"}
    assert any("is not believed: it is odd." in notice["message"] for notice in latest["notices"])
    assert latest["status"] == "degraded"
    assert mempool_history({"days": []}, latest)["exchangeRates"] == {}


def test_low_confidence_is_said_with_its_reason_and_falls_back_to_the_window_leg() -> None:
    with make_history(days=3, last_spot_is_valid=False) as connection:
        latest = latest_of(connection)
    assert "low_confidence" in codes(latest)
    assert latest["divergence"]["leg"] == "window"
    assert any("confidence 0.12 is below 0.3" in notice["message"] for notice in latest["notices"])


def test_without_any_exchange_price_there_are_on_chain_prices_and_a_notice() -> None:
    with make_history(days=3, exchange=False) as connection:
        latest = latest_of(connection)
    assert latest["exchange"] is None
    assert latest["divergence"]["headline_percent"] is None
    assert latest["spot"]["price_usd"] > 0
    assert codes(latest) == {"simulated", "no_exchange"}
    assert latest["status"] == "ok"  # as its owner wants it


def test_no_price_at_all_is_said(quiet: Connection) -> None:
    quiet.execute(
        "UPDATE prices SET spot_usd = NULL, window_usd = NULL, window_reason = 'no payments', "
        "spot_is_valid = false, window_is_valid = false"
    )
    latest = latest_of(quiet)
    assert {"no_price", "low_confidence"} <= codes(latest)
    assert (latest["spot"]["price_usd"], latest["window"]["reason"]) == (None, "no payments")


def test_an_empty_database_says_that_there_is_no_data_yet() -> None:
    with make_history(days=0) as connection:
        latest = latest_of(connection)
    assert (latest["status"], latest["tip"], latest["spot"]) == ("failing", None, None)
    assert "no_data" in codes(latest)


def test_builds_that_stopped_make_the_site_stale(quiet: Connection) -> None:
    latest = latest_of(quiet, context(END_UNIX + 1900))
    assert (latest["status"], "stale" in codes(latest)) == ("stale", True)


def test_a_tip_of_many_hours_ago_makes_the_site_stale(quiet: Connection) -> None:
    quiet.execute(f"UPDATE runs SET ended_at_unix = {END_UNIX + 4 * 3600}")
    assert latest_of(quiet, context(END_UNIX + 4 * 3600))["status"] == "stale"


def test_a_failed_last_run_is_failing_with_its_message(quiet: Connection) -> None:
    error = '{"code": "SOURCE_UNAVAILABLE", "message": "nobody answers", "retry_after": 300, '
    quiet.execute(
        "INSERT INTO runs SELECT * REPLACE (? AS started_at_unix, ? AS ended_at_unix, "
        "'failed' AS outcome, ? AS error, '[]' AS sources) FROM runs LIMIT 1",
        [END_UNIX - 10, END_UNIX - 5, error + '"details": {}}'],
    )
    record = read(quiet)
    latest = make_latest(record, NOW)
    status = make_status(record, latest, NOW)
    assert (latest["status"], status["error"]["code"]) == ("failing", "SOURCE_UNAVAILABLE")
    assert any("nobody answers" in notice["message"] for notice in latest["notices"])
    assert status["last_error"] == status["error"]


@pytest.mark.parametrize("state", ["refused", "bad_answer"])
def test_a_source_that_answers_and_gives_no_blocks_degrades(quiet: Connection, state: str) -> None:
    told = 'replace(sources::VARCHAR, \'"state": "ok"\', ?)'
    quiet.execute(f"UPDATE runs SET sources = {told}::JSON", [f'"state": "{state}"'])
    latest = make_latest(read(quiet), NOW)
    assert "source_unreachable" in codes(latest)
    assert any("gives no blocks now" in notice["message"] for notice in latest["notices"])


def test_a_source_out_of_reach_and_a_gap_degrade(quiet: Connection) -> None:
    quiet.execute("UPDATE runs SET sources = replace(sources::VARCHAR, 'true', 'false')::JSON")
    quiet.execute("DELETE FROM blocks WHERE height = 900100")
    record = read(quiet)
    latest = make_latest(record, NOW)
    assert {"source_unreachable", "gaps"} <= codes(latest)
    assert make_status(record, latest, NOW)["gaps"] == [
        {"first_height": 900100, "last_height": 900100}
    ]


def test_status_tells_when_each_source_last_answered(quiet: Connection) -> None:
    record = read(quiet)
    source = make_status(record, make_latest(record, NOW), NOW)["sources"][0]
    assert (source["source"], source["last_success_at_unix"]) == ("simulated", END_UNIX - 55)


def test_the_next_build_is_due_one_interval_after_the_last_run_began(quiet: Connection) -> None:
    assert latest_of(quiet)["next_due_at_unix"] == END_UNIX - 60 + 600


def test_a_failure_keeps_the_numbers_and_turns_the_status(quiet: Connection) -> None:
    before = make_latest(read(quiet), NOW)
    error = {
        "code": "SOURCE_UNAVAILABLE",
        "message": "nobody answers",
        "retry_after": 300,
        "details": {},
    }
    later = context(END_UNIX + 600)
    add_failed_run(quiet, error, END_UNIX + 600)
    record = read(quiet, END_UNIX + 600)
    latest = make_latest(record, later)
    status = make_status(record, latest, later)
    assert latest["spot"] == before["spot"]
    assert (latest["status"], status["status"], status["error"]) == ("failing", "failing", error)
    assert latest["tip"]["age_seconds"] == before["tip"]["age_seconds"] + 600
    assert latest["notices"][0]["code"] == "failing"


def test_a_day_of_history_has_every_tick_of_it(quiet: Connection) -> None:
    history = short_history("24h", read(quiet), NOW)
    ticks = one(quiet, f"SELECT count(*) FROM divergences WHERE time_unix >= {END_UNIX - 86400}")
    assert history["rows"] == len(history["spot_usd"]) == ticks == 144


def test_history_says_to_the_cent_what_the_record_says(quiet: Connection) -> None:
    history = short_history("7d", read(quiet), NOW)
    rows = quiet.execute(
        "SELECT exchange_usd, headline_percent FROM divergences ORDER BY time_unix"
    ).fetchall()
    assert history["exchange_usd"] == pytest.approx([row[0] for row in rows], abs=0.0051)
    assert history["divergence_percent"] == pytest.approx([row[1] for row in rows], abs=0.000051)


def test_invalid_points_stay_in_history_and_are_marked() -> None:
    with make_history(days=3, last_spot_is_valid=False) as connection:
        history = short_history("24h", read(connection), NOW)
    assert history["is_valid"][-1] is False
    assert history["is_valid"][0] is True


def thinned(times: list[int], valid: list[bool], first: int = 0) -> list[dict[str, Any]]:
    """Thin blocks with these header times to one a hundred seconds."""
    with make_history(
        days=(len(times) + 0.5) / 144, outputs_per_block=0, exchange=False
    ) as connection:
        for place, (time_unix, is_valid) in enumerate(zip(times, valid, strict=True)):
            changed = [time_unix, is_valid, 900_000 + place]
            connection.execute(
                "UPDATE prices SET time_unix = ?, spot_is_valid = ? WHERE height = ?", changed
            )
        return Reader(connection).rows("thinned", first=first, step=100, last=10**6)


def places(rows: list[dict[str, Any]]) -> list[int]:
    return [row["height"] - 900_000 for row in rows]


def test_thinning_keeps_the_last_block_of_each_step() -> None:
    assert places(thinned([0, 10, 99, 100, 150, 310], [True] * 6)) == [2, 4, 5]


def test_thinning_keeps_the_last_invalid_block_of_each_step_too() -> None:
    assert places(thinned([0, 10, 20, 30], [True, False, False, True])) == [2, 3]


def test_thinning_takes_header_times_that_go_back_for_the_step_they_came_in() -> None:
    assert places(thinned([90, 110, 95, 120], [True] * 4)) == [0, 3]


def test_thinning_starts_at_the_beginning_of_the_range() -> None:
    assert places(thinned([0, 100, 200], [True] * 3, first=150)) == [2]


def test_an_absent_number_in_a_long_history_is_null() -> None:
    assert thinned([0], [True])[0]["exchange_usd"] is None


def test_long_histories_end_with_what_was_known_at_the_last_full_hour(quiet: Connection) -> None:
    record = read(quiet, END_UNIX + 1500)
    settled = hour_of(quiet, END_UNIX + 1500)
    history = long_history("30d", record, Reader(quiet), settled)
    assert settled.time_unix == END_UNIX
    assert history["generated_at"] == iso(END_UNIX)
    assert (
        history["height"][-1]
        == settled.last_height
        == one(quiet, "SELECT max(height) FROM divergences")
    )


def test_a_new_block_within_the_hour_settles_nothing_new(quiet: Connection) -> None:
    before = hour_of(quiet, END_UNIX + 1)
    now_unix = add_block(quiet)
    assert now_unix < END_UNIX + 3600
    assert hour_of(quiet, now_unix) == before


def test_a_reorg_of_settled_blocks_settles_anew(quiet: Connection) -> None:
    before = hour_of(quiet, END_UNIX + 1)
    quiet.execute(
        "UPDATE divergences SET headline_percent = 9 WHERE height = (SELECT max(height) FROM "
        "blocks)"
    )
    assert hour_of(quiet, END_UNIX + 1).key != before.key


def day_file(connection: Connection) -> dict[str, Any]:
    record = read(connection)
    return make_day(record, Reader(connection), record.days[0], NOW.calculator)


def test_a_day_file_prices_the_stored_outputs_again(quiet: Connection) -> None:
    day = day_file(quiet)
    window = Reader(quiet).window(day["first_height"], day["last_height"])
    assert day["rough_price_usd"] == price_window(window).rough_price_usd
    assert len(day["histogram"]["weights"]) == 1400
    assert 0 < max(day["histogram"]["weights"]) <= 0.008


def test_the_hundred_dollar_spike_of_the_stencil_lies_where_the_price_says(
    quiet: Connection,
) -> None:
    day = day_file(quiet)
    spike = next(a for a in day["stencil"]["amounts"] if a["usd"] == 100 and a["weight"] > 0.006)
    assert spike["value_btc"] == pytest.approx(100 / day["rough_price_usd"], rel=0.03)


def test_the_points_of_a_day_are_thinned_to_a_stated_limit(quiet: Connection) -> None:
    points = day_file(quiet)["price_points"]
    assert (
        points["shown"]
        == len(points["price_usd"])
        == len(points["height"])
        <= 2000
        < points["total"]
    )
    assert points["height"] == sorted(points["height"])


def test_the_grid_of_a_day_counts_every_point_near_its_price(quiet: Connection) -> None:
    day = day_file(quiet)
    window = Reader(quiet).window(day["first_height"], day["last_height"])
    price = price_window(window)
    reach = price.chart_half_height * price.price_usd
    near = price.points.between(price.price_usd - reach, price.price_usd + reach)
    grid = day["density"]
    assert sum(map(sum, grid["counts"])) == len(near.prices_usd)
    assert {len(column) for column in grid["counts"]} == {50}
    assert grid["low_usd"] == pytest.approx(price.price_usd - reach, abs=0.01)
    first = window.block_times_unix[near.block_index]
    inside = (first >= grid["first_unix"]) & (first < grid["first_unix"] + grid["step_seconds"])
    assert sum(grid["counts"][0]) == int(inside.sum())


def test_the_amounts_of_a_day_are_those_that_were_priced(quiet: Connection) -> None:
    record = read(quiet)
    row = record.days[0]
    found, value, shift = [0], 0, 0
    for byte in amounts_of(Reader(quiet), row):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(found[-1] + value)
            value, shift = 0, 0
    window = Reader(quiet).window(row["first_height"], row["last_height"])
    assert found[1:] == sorted(window.value_sats.tolist())


def test_the_hours_and_quotes_of_a_day_are_those_of_the_record(quiet: Connection) -> None:
    day = day_file(quiet)
    start = int(datetime.fromisoformat(f"{day['date']}T00:00Z").timestamp())
    blocks = quiet.execute(
        "SELECT time_unix // 3600 * 3600, spot_usd FROM prices WHERE spot_is_valid AND "
        f"height BETWEEN {day['first_height']} AND {day['last_height']} ORDER BY height"
    ).fetchall()
    by_hour: dict[int, list[float]] = {}
    for hour, usd in blocks:
        by_hour.setdefault(hour, []).append(usd)
    hours = day["hours"]
    assert hours["time_unix"] == list(by_hour)
    for column, pick in (("open", lambda p: p[0]), ("high", max), ("low", min)):
        assert hours[f"spot_{column}_usd"] == [round(pick(p), 2) for p in by_hour.values()]
    quotes = quiet.execute(
        "SELECT sampled_at_unix, round(price_usd, 2) FROM exchange_samples WHERE NOT is_stale AND "
        f"sampled_at_unix BETWEEN {start} AND {start + 86_399} ORDER BY 1"
    ).fetchall()
    assert list(zip(day["quotes"]["time_unix"], day["quotes"]["price_usd"], strict=True)) == quotes
    last = {at // 3600 * 3600: usd for at, usd in quotes}
    assert hours["exchange_usd"] == [last.get(hour) for hour in hours["time_unix"]]


def test_the_scores_are_highest_at_the_slide(quiet: Connection) -> None:
    stencil = day_file(quiet)["stencil"]
    assert len(stencil["scores"]) == 342
    best = stencil["scores"].index(max(stencil["scores"]))
    assert best + stencil["first_slide"] == stencil["slide"]


def test_what_cleaning_changed_is_told_with_what_it_was(quiet: Connection) -> None:
    day = day_file(quiet)
    window = Reader(quiet).window(day["first_height"], day["last_height"])
    counts = count_amounts(window.value_sats)
    total = counts[201:1601].sum()
    told = {change["bin"]: change["share"] for change in day["cleaned"]}
    assert {401, 601, 801} <= told.keys()
    assert all(share == pytest.approx(counts[b] / total, rel=1e-3) for b, share in told.items())


def test_a_day_file_names_its_first_and_last_block(quiet: Connection) -> None:
    day = day_file(quiet)
    row = one(quiet, f"SELECT hash, time_unix FROM blocks WHERE height = {day['first_height']}")
    assert (day["first_block"]["hash"], day["first_block"]["time_unix"]) == row
    assert day["last_block"]["height"] == day["last_height"]


def test_a_day_without_stored_outputs_still_has_a_file() -> None:
    with make_history(days=3, outputs_per_block=0) as connection:
        day = day_file(connection)
    assert (day["stencil"], day["histogram"]["weights"], day["price_points"]["total"]) == (
        None,
        [],
        0,
    )


def test_an_output_made_and_spent_within_the_window_is_left_out(quiet: Connection) -> None:
    whole = len(Reader(quiet).window(900100, 900110).value_sats)
    quiet.execute("UPDATE outputs SET parent_height = 900100 WHERE height = 900105")
    assert len(Reader(quiet).window(900100, 900110).value_sats) == whole - 60
    assert len(Reader(quiet).window(900101, 900110).value_sats) == whole - 60


def test_points_as_csv_have_a_header_and_a_line_each(quiet: Connection) -> None:
    day = day_file(quiet)
    lines = points_csv(day).decode().splitlines()
    assert lines[0] == "time,height,price_usd,network,is_simulated"
    assert re.fullmatch(r"2025-10-0\d \d\d:\d\d:\d\d,\d+,[\d.]+,simulated,TRUE", lines[1])
    assert all(line.endswith(",simulated,TRUE") for line in lines[1:])
    assert len(lines) == 1 + day["price_points"]["shown"]


# --- Wrong clocks, other branches ---------------------------

DAYS_AHEAD = END_UNIX + 3 * 86_400


def remark(connection: Connection, code: str, runs_ago: int = 0) -> None:
    """Let a run have something to say, and others with nothing follow it."""
    said = f'[{{"code": "{code}", "message": "mempool is on another branch"}}]'
    connection.execute("UPDATE runs SET remarks = ?", [said])
    for n in range(1, runs_ago + 1):
        connection.execute(
            "INSERT INTO runs SELECT * REPLACE (started_at_unix + 600 * ? AS started_at_unix, "
            "ended_at_unix + 600 * ? AS ended_at_unix, '[]' AS remarks) "
            "FROM runs ORDER BY rowid DESC LIMIT 1",
            [n, n],
        )


def test_a_run_with_a_clock_ahead_is_not_the_newest_until_its_time_has_come(
    quiet: Connection,
) -> None:
    quiet.execute(
        "INSERT INTO runs SELECT * REPLACE (? AS started_at_unix, ? AS ended_at_unix) FROM runs "
        "ORDER BY rowid DESC LIMIT 1",
        [DAYS_AHEAD, DAYS_AHEAD],
    )
    record = read(quiet)
    assert record.runs[0]["started_at_unix"] <= END_UNIX
    assert record.last_good_run is not None
    assert record.last_good_run["started_at_unix"] <= END_UNIX
    assert read(quiet, DAYS_AHEAD + 1).runs[0]["started_at_unix"] == DAYS_AHEAD


def test_a_quote_and_a_comparison_of_a_clock_ahead_are_not_those_of_now(quiet: Connection) -> None:
    before = latest_of(quiet)
    quiet.execute(
        "INSERT INTO exchange_samples SELECT * REPLACE (? AS sampled_at_unix, 1.0 AS price_usd) "
        "FROM exchange_samples LIMIT 1",
        [DAYS_AHEAD],
    )
    quiet.execute(
        "INSERT INTO divergences SELECT * REPLACE (? AS time_unix, 99.0 AS headline_percent) "
        "FROM divergences ORDER BY time_unix DESC LIMIT 1",
        [DAYS_AHEAD],
    )
    after = latest_of(quiet)
    assert (after["exchange"], after["divergence"]) == (before["exchange"], before["divergence"])
    assert DAYS_AHEAD not in [tick["time_unix"] for tick in read(quiet).ticks]


def test_a_clock_behind_the_newest_block_is_told(quiet: Connection) -> None:
    assert "clock" in codes(latest_of(quiet, context(END_UNIX - 2 * 86_400)))
    assert "clock" not in codes(latest_of(quiet))


def test_a_source_that_differs_is_told_while_it_does(quiet: Connection) -> None:
    remark(quiet, "source_differs")
    assert "source_differs" in codes(latest_of(quiet))
    remark(quiet, "source_differs", runs_ago=1)
    assert "source_differs" not in codes(latest_of(quiet, context(END_UNIX + 3600)))


def test_a_branch_with_less_work_that_was_followed_is_told_for_hours(quiet: Connection) -> None:
    remark(quiet, "less_work", runs_ago=5)
    latest = latest_of(quiet, context(END_UNIX + 12_000))
    told = [notice for notice in latest["notices"] if notice["code"] == "less_work"]
    assert [notice["message"] for notice in told] == ["mempool is on another branch."]


def test_the_csv_of_a_range_has_the_rows_of_its_json_and_the_chain_in_each(quiet):
    history = short_history("24h", read(quiet), NOW)
    frame = pd.read_csv(io.BytesIO(history_csv(history)), parse_dates=["time"])
    assert len(frame) == history["rows"] > 100
    moments = [moment.timestamp() for moment in frame["time"].dt.tz_localize("UTC")]
    assert moments == history["time_unix"]
    for name in ("height", "spot_usd", "exchange_usd", "confidence", "points", "leg"):
        ours = [None if pd.isna(value) else value for value in frame[name]]
        assert ours == history[name], name
    assert list(frame["is_valid"]) == history["is_valid"]
    assert set(frame["network"]) == {history["network"]}
    assert set(frame["is_simulated"]) == {history["is_demo"]}


def test_the_csv_of_a_range_without_rows_has_its_columns(quiet):
    history = short_history("24h", read(quiet), context(END_UNIX + 10 * 86_400))
    assert history["rows"] == 0
    [line] = history_csv(history).decode().splitlines()
    assert line.split(",")[:2] == ["time", "height"]
