"""Which prices are worked out again: those asked for, and by default the newest and some others."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.errors import NoDataError, RequestError
from oracle.verify.recompute import stretches
from oracle.verify.selection import Asked, DaySpan, choose

FIRST_DAY = date(2025, 1, 1)
HEIGHTS = list(range(1000, 1000 + 20 * 144))
DAYS = [
    DaySpan(FIRST_DAY + timedelta(days=i), 1000 + 144 * i, 1000 + 144 * i + 143) for i in range(20)
]


def test_a_day_is_its_blocks_and_its_own_price() -> None:
    chosen = choose(HEIGHTS, DAYS, Asked(date(2025, 1, 3), date(2025, 1, 3)))
    assert chosen.days == [date(2025, 1, 3)]
    assert chosen.heights == list(range(1288, 1432))


def test_a_span_without_its_end_goes_to_the_newest_day() -> None:
    chosen = choose(HEIGHTS, DAYS, Asked(date(2025, 1, 19), None))
    assert chosen.days == [date(2025, 1, 19), date(2025, 1, 20)]
    assert chosen.heights == HEIGHTS[-288:]


def test_days_the_wrong_way_round_are_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="is after"):
        choose(HEIGHTS, DAYS, Asked(date(2025, 1, 3), date(2025, 1, 2)))


def test_days_that_are_not_published_are_told_with_those_that_are() -> None:
    with pytest.raises(NoDataError, match="there are: 2025-01-01 to 2025-01-20"):
        choose(HEIGHTS, DAYS, Asked(date(2024, 1, 3), date(2024, 1, 4)))


@given(st.integers(1, 4000))
def test_the_newest_are_the_newest_and_the_days_that_end_among_them(count: int) -> None:
    chosen = choose(HEIGHTS, DAYS, Asked(last=count))
    assert chosen.heights == HEIGHTS[-count:]
    lowest = chosen.heights[0]
    assert chosen.days == [span.day for span in DAYS if span.last_height >= lowest]


@given(st.integers(1, 4000))
def test_a_sample_is_of_what_there_is_each_once(count: int) -> None:
    chosen = choose(HEIGHTS, DAYS, Asked(sample=count))
    assert len(chosen.heights) == len(set(chosen.heights)) == min(count, len(HEIGHTS))
    assert set(chosen.heights) <= set(HEIGHTS)


def test_a_young_record_is_tried_whole_and_of_an_old_one_the_newest_window_and_some_others() -> (
    None
):
    assert choose(HEIGHTS[:2000], DAYS, Asked()).heights == HEIGHTS[:2000]
    chosen = choose(HEIGHTS, DAYS, Asked())
    assert set(HEIGHTS[-144:]) <= set(chosen.heights)
    assert 144 < len(chosen.heights) <= 144 + 12


@given(st.sets(st.integers(200, 3000), min_size=1, max_size=30))
def test_what_is_read_covers_every_window_and_nothing_twice(heights: set[int]) -> None:
    spans = stretches(heights)
    read = [height for first, last in spans for height in range(first, last + 1)]
    assert len(read) == len(set(read))
    wanted = {below for height in heights for below in range(height - 144, height + 1)}
    assert set(read) == wanted
