"""Which blocks belong together: the recent window, days by header times that are out of order, and
following."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.chain import (
    GENESIS_DATE,
    HeaderTimes,
    day_range,
    mediantime,
    midnight_unix,
    recent_range,
    span_text,
    utc_date,
    verify_continuity,
)
from oracle.errors import NoDataError, NotFinalError, OracleError, RequestError, VerificationError
from tests.helpers.steady import steady
from tests.helpers.vectors import chain_facts, expected

DAY = date(2024, 4, 20)
MIDNIGHT = 1_713_571_200
TEN_MINUTES, HOUR = 600, 3600


def times_of(times_unix: Sequence[int], first_height: int = 0) -> HeaderTimes:
    """Return what gives the times of a chain that begins at a height."""

    def header_times(low: int, high: int) -> Sequence[int]:
        assert low <= high <= first_height + len(times_unix) - 1
        return (
            times_unix[low - first_height : high - first_height + 1] if low >= first_height else []
        )

    return header_times


def range_of(day: date, times_unix: Sequence[int], first_height: int = 0) -> tuple[int, int]:
    return day_range(day, first_height + len(times_unix) - 1, times_of(times_unix, first_height))


def every(seconds: int, start_unix: int, count: int) -> list[int]:
    return [start_unix + seconds * i for i in range(count)]


# --- The recent window --------------------------------------


def test_the_recent_window_is_the_144_blocks_below_the_tip() -> None:
    assert recent_range(840_145) == (840_001, 840_144)


def test_a_chain_of_145_blocks_is_just_long_enough() -> None:
    assert recent_range(144) == (0, 143)


# --- Dates --------------------------------------------------


@pytest.mark.parametrize(
    ("time_unix", "day"),
    [(MIDNIGHT - 1, date(2024, 4, 19)), (MIDNIGHT, DAY), (MIDNIGHT + 86_399, DAY)],
)
def test_a_utc_date_changes_at_midnight_utc(time_unix: int, day: date) -> None:
    assert utc_date(time_unix) == day


def test_midnight_is_the_first_second_of_a_date() -> None:
    assert midnight_unix(DAY) == MIDNIGHT


@pytest.mark.parametrize(
    ("times", "median"), [([5], 5), ([1, 9], 9), ([3, 1, 2], 2), (list(range(11, 0, -1)), 6)]
)
def test_the_median_time_is_the_middle_of_the_last_eleven(times: list[int], median: int) -> None:
    assert mediantime(times) == median


# --- Days ---------------------------------------------------

THREE_DAYS = every(TEN_MINUTES, MIDNIGHT - 86_400, 3 * 144 + 30)


def test_a_day_is_from_the_first_block_past_midnight_to_the_last_before_the_next() -> None:
    assert range_of(DAY, THREE_DAYS) == (144, 287)


@pytest.mark.parametrize("first_height", [0, 1, 100, 840_000])
def test_heights_need_not_begin_at_zero(first_height: int) -> None:
    assert range_of(DAY, THREE_DAYS, first_height) == (first_height + 144, first_height + 287)


def test_a_straggler_stamped_before_midnight_is_not_in_the_day_that_starts_behind_it() -> None:
    times = [*THREE_DAYS]
    times[145] = MIDNIGHT - 5  # a block stamped past midnight comes before it
    assert range_of(DAY, times) == (146, 287)


def test_the_block_before_a_straggler_belongs_to_the_day_before() -> None:
    times = [*THREE_DAYS]
    times[145] = MIDNIGHT - 5
    assert range_of(DAY - timedelta(days=1), times) == (0, 143)


def test_a_clock_far_ahead_ends_the_day_early() -> None:
    times = [*THREE_DAYS]
    times[280] = (
        MIDNIGHT + 86_400 + 1
    )  # the first later block of another day, though the next one is back
    assert range_of(DAY, times) == (144, 279)


def test_clocks_out_of_order_inside_a_day_change_nothing() -> None:
    times = [*THREE_DAYS]
    times[200:204] = times[203:199:-1]
    assert range_of(DAY, times) == (144, 287)


def test_a_block_at_midnight_sharp_is_the_days_first() -> None:
    assert THREE_DAYS[144] == MIDNIGHT
    assert range_of(DAY, THREE_DAYS)[0] == 144


def test_a_day_six_blocks_deep_is_final() -> None:
    assert range_of(DAY, THREE_DAYS[: 288 + 6]) == (144, 287)


@pytest.mark.parametrize("on_top", [1, 5])
def test_a_day_not_yet_six_blocks_deep_is_not_final(on_top: int) -> None:
    with pytest.raises(
        NotFinalError, match=f"^{DAY} is not final yet: it needs 6 blocks on top, and the newest"
    ):
        range_of(DAY, THREE_DAYS[: 288 + on_top])


def test_a_day_that_is_still_going_on_is_not_final() -> None:
    with pytest.raises(NotFinalError, match=f"{DAY} is not final yet"):
        range_of(DAY, THREE_DAYS[:200])


@pytest.mark.parametrize("days", [2, 30, 3650])
def test_a_day_beyond_the_newest_block_is_not_there_yet(days: int) -> None:
    with pytest.raises(NotFinalError, match="is not in the data yet: the newest block is 293"):
        range_of(DAY + timedelta(days=days), THREE_DAYS[:294])


@pytest.mark.parametrize("day", [date(2009, 1, 2), date(2008, 12, 31), date(1, 1, 1)])
def test_a_day_before_the_first_block_ever_is_a_wrong_request(day: date) -> None:
    with pytest.raises(RequestError, match=f"^{day} is before the first bitcoin block"):
        range_of(day, THREE_DAYS)


@pytest.mark.parametrize("day", [GENESIS_DATE, date(2015, 6, 1), DAY - timedelta(days=2)])
def test_a_day_before_the_data_is_not_in_the_data(day: date) -> None:
    with pytest.raises(NoDataError, match=f"the data does not go back to the start of {day}"):
        range_of(day, THREE_DAYS, 840_000)


def test_a_day_in_whose_middle_the_data_begins_is_not_in_the_data() -> None:
    with pytest.raises(NoDataError, match=f"the data does not go back to the start of {DAY}"):
        range_of(DAY, THREE_DAYS[200:], 840_000)


def test_a_chain_that_begins_at_height_zero_goes_back_to_the_start_of_its_first_day() -> None:
    assert range_of(DAY, THREE_DAYS[200:]) == (0, 87)


def test_a_day_before_a_whole_chain_has_no_block() -> None:
    with pytest.raises(NoDataError, match=r"^2024-04-10 has no block$"):
        range_of(date(2024, 4, 10), THREE_DAYS)


def test_a_day_without_any_block_has_no_block() -> None:
    times = every(TEN_MINUTES, MIDNIGHT - 86_400, 144) + every(
        TEN_MINUTES, MIDNIGHT + 86_400 + 60, 50
    )
    with pytest.raises(NoDataError, match=f"^{DAY} has no block$"):
        range_of(DAY, times)


def test_a_day_without_any_block_is_not_the_same_day_of_a_later_month() -> None:
    later = midnight_unix(date(2024, 5, 20))
    times = every(TEN_MINUTES, MIDNIGHT - 86_400, 144) + every(TEN_MINUTES, later, 200)
    with pytest.raises(NoDataError, match=f"^{DAY} has no block$"):
        range_of(DAY, times)


def test_a_long_chain_is_searched_in_few_questions() -> None:
    times, questions = every(TEN_MINUTES, MIDNIGHT - 86_400 * 3000, 144 * 3010), []

    def header_times(low: int, high: int) -> Sequence[int]:
        questions.append(high - low + 1)
        return times[low : high + 1]

    assert day_range(DAY, len(times) - 1, header_times) == (144 * 3000, 144 * 3001 - 1)
    assert len(questions) < 60
    assert max(questions) <= 144


# --- Any clocks that a chain can have -----------------------


def plain_range(day: date, times_unix: Sequence[int]) -> tuple[int, int] | None:
    """Return the day's blocks by the rule as written, looking at every block; None when it has
    none yet."""
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    before = [height for height, time_unix in enumerate(times_unix) if time_unix < midnight]
    first = before[-1] + 1 if before else 0
    others = [
        height
        for height in range(first, len(times_unix))
        if datetime.fromtimestamp(times_unix[height], UTC).day != day.day
    ]
    if not others or others[0] == first or len(times_unix) - others[0] < 6:
        return None
    return first, others[0] - 1


def some_chain(seed: int) -> list[int]:
    """Return header times that consensus allows, wild ones: each later than the median of the
    eleven before."""
    rng = Random(seed)
    longest_wait, largest_error = (
        rng.choice([TEN_MINUTES, HOUR, 4 * HOUR]),
        rng.choice([0, TEN_MINUTES, 2 * HOUR]),
    )
    now, times = MIDNIGHT - rng.randrange(30 * HOUR), list[int]()
    for _ in range(rng.randrange(30, 400)):
        now += rng.randrange(longest_wait)
        floor = mediantime(times[-11:]) + 1 if times else 0
        times.append(max(now + rng.randint(-largest_error, largest_error), floor))
    return times


@steady(600)
@given(st.integers(0, 10**9), st.integers(-1, 4), st.sampled_from([0, 1, 700]))
def test_any_day_of_any_chain_is_the_one_found_by_looking_at_every_block(
    seed: int, offset: int, first_height: int
) -> None:
    times, day = some_chain(seed), DAY + timedelta(days=offset)
    try:
        low, high = range_of(day, times, first_height)
        found = (low - first_height, high - first_height)
    except OracleError:
        found = None
    begins_before = mediantime(times[:11]) < midnight_unix(day) or first_height == 0
    assert found == (plain_range(day, times) if begins_before else None)


# --- Following ----------------------------------------------


def test_blocks_that_follow_each_other_are_a_chain(shared: Path) -> None:
    first = expected(shared / "vectors")["recent_small"]["first_height"]
    verify_continuity(chain_facts(shared / "vectors", "recent_small", first))


def test_a_missing_block_breaks_the_chain_where_it_is_missing(shared: Path) -> None:
    facts = chain_facts(shared / "vectors", "recent_small", 840_000)
    with pytest.raises(
        VerificationError, match=f"^block 840006 at byte 4: it does not follow {facts[4].hash}$"
    ):
        verify_continuity([*facts[:5], *facts[6:9]])


def test_a_block_that_names_another_parent_breaks_the_chain(shared: Path) -> None:
    facts = chain_facts(shared / "vectors", "recent_small", 840_000)
    with pytest.raises(VerificationError, match="block 840001 at byte 4"):
        verify_continuity([facts[0], replace(facts[1], prev_hash="ab" * 32)])


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_blocks_always_follow(shared: Path, count: int) -> None:
    verify_continuity(chain_facts(shared / "vectors", "recent_small", 840_000)[:count])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 minutes"),
        (10_740, "179 minutes"),
        (10_800, "3 hours"),
        (258_000, "72 hours"),
        (259_200, "3 days"),
        (34_000_000, "394 days"),
        (1e9, "11,574 days"),
    ],
)
def test_a_length_of_time_is_told_in_the_unit_in_which_it_is_felt(
    seconds: float, words: str
) -> None:
    assert span_text(seconds) == words
