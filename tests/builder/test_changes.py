"""What the spot price did over the last days, computed again by plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from builder.gather import gather
from builder.pages.views.changes import ExtremeDay, change_lines, extremes_of
from oracle.record.reader import Reader
from tests.builder.test_views import site_of
from tests.helpers.made_history import END_UNIX, make_history
from tests.helpers.page_samples import snapshots

DAY, HOUR = 86_400, 3_600


@pytest.fixture(scope="module")
def record() -> Iterator[duckdb.DuckDBPyConnection]:
    """Nine days: a week is there, thirty days are not."""
    with make_history(days=9, outputs_per_block=0) as connection:
        yield connection


@pytest.fixture
def changed(record: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """One that a test may change."""
    record.execute("BEGIN")
    yield record
    record.execute("ROLLBACK")


def changes(connection: duckdb.DuckDBPyConnection) -> dict[int, dict]:
    return {row["days"]: dict(row) for row in gather(Reader(connection), END_UNIX).changes}


def prices(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int, float, bool]]:
    return connection.execute(
        "SELECT height, time_unix, spot_usd, spot_is_valid FROM prices ORDER BY height"
    ).fetchall()


@pytest.mark.parametrize("days", [1, 7])
def test_a_change_is_from_the_newest_valid_price_of_then_to_that_of_now(record, days):
    *_, (_, newest_unix, newest_usd, _) = prices(record)
    start_unix = newest_unix - days * DAY
    valid = [(height, unix, usd) for height, unix, usd, is_valid in prices(record) if is_valid]
    from_height, _, from_usd = max(row for row in valid if row[1] <= start_unix)
    since = [usd for _, unix, usd in valid if unix > start_unix]
    assert changes(record)[days] == {
        "days": days,
        "from_usd": from_usd,
        "from_height": from_height,
        "percent": pytest.approx(100 * (newest_usd / from_usd - 1), abs=1e-4),
        "low_usd": min(since),
        "high_usd": max(since),
    }


def test_what_the_record_does_not_reach_is_not_known(record):
    unknown = dict.fromkeys(("from_usd", "from_height", "percent", "low_usd", "high_usd"))
    assert changes(record)[30] == {"days": 30, **unknown}


def test_a_price_that_is_not_valid_has_changed_by_nothing_that_one_could_say(changed):
    before = changes(changed)[1]
    [(newest,)] = changed.execute("SELECT max(height) FROM prices").fetchall()
    changed.execute("UPDATE prices SET spot_is_valid = false WHERE height = ?", [newest])
    after = changes(changed)[1]
    assert (after["percent"], after["from_usd"]) == (None, before["from_usd"])


def test_a_gap_at_its_beginning_leaves_a_change_unknown(changed):
    *_, (_, newest_unix, _, _) = prices(changed)
    start_unix = newest_unix - DAY
    changed.execute(
        "DELETE FROM prices WHERE time_unix BETWEEN ? AND ?", [start_unix - 3 * HOUR, start_unix]
    )
    assert changes(changed)[1]["from_usd"] is None
    assert changes(changed)[7]["from_usd"] is not None


def test_an_empty_record_has_no_changes():
    with make_history(days=1, outputs_per_block=0) as connection:
        connection.execute("DELETE FROM prices")
        assert changes(connection) == {}


def test_the_extremes_are_of_the_valid_days() -> None:
    made = snapshots(days=3)
    [first, *_] = made["api/days.json"]["days"]
    made["api/days.json"]["days"] = [
        {**first, "date": date, "price_usd": usd, "is_valid": is_valid}
        for date, usd, is_valid in (
            ("2025-10-01", 9.0, False),
            ("2025-10-02", 5.0, True),
            ("2025-10-03", 7.0, True),
        )
    ]
    found = extremes_of(site_of(made))
    assert found == ("2025-10-02", ExtremeDay(7.0, "2025-10-03"), ExtremeDay(5.0, "2025-10-02"))


def test_one_day_has_no_extremes() -> None:
    made = snapshots(days=3)
    made["api/days.json"]["days"] = made["api/days.json"]["days"][:1]
    assert extremes_of(site_of(made)) is None


def test_a_span_that_is_not_known_has_no_line() -> None:
    made = snapshots(days=3)
    made["api/latest.json"]["changes"][2].update(from_usd=None, percent=None)
    lines = change_lines(site_of(made).latest)
    assert [line.words for line in lines] == ["24 hours", "7 days"]
