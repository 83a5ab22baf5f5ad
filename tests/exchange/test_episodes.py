"""Episodes: one start and one end each, whatever the numbers do in between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.exchange.episodes import RECENT_TICKS, Episode, Moment, next_episode

THRESHOLD = {"divergence": 2.0, "low_confidence": 0.3}


def moments(values: Sequence[float | None], leg: str | None = "spot") -> list[Moment]:
    return [Moment(600 * (i + 1), 100 + i, value, leg) for i, value in enumerate(values)]


def followed(kind: str, values: Sequence[float | None]) -> list[Episode]:
    """All episodes of a history, told tick by tick as the runs do."""
    rows = moments(values)
    episodes: list[Episode] = []
    for count in range(1, len(rows) + 1):
        is_open = bool(episodes) and episodes[-1].ended_at_unix is None
        before = episodes.pop() if is_open else None
        after = next_episode(
            kind, before, rows[max(0, count - RECENT_TICKS) : count], THRESHOLD[kind]
        )
        episodes += [after] if after else []
    return episodes


def spans(kind: str, values: Sequence[float | None]) -> list[tuple[int, int | None]]:
    """Index of the first and the last-plus-one tick of each episode."""
    found = followed(kind, values)
    return [
        (e.start_height - 100, None if e.end_height is None else e.end_height - 100) for e in found
    ]


def test_a_small_divergence_is_no_episode() -> None:
    assert spans("divergence", [0, 1.99, -1.99]) == []


@pytest.mark.parametrize("percent", [2.0, -2.0, 50.0])
def test_a_divergence_at_the_threshold_starts_an_episode_at_once(percent: float) -> None:
    assert spans("divergence", [0, percent]) == [(1, None)]


def test_an_episode_ends_with_the_first_of_three_calm_ticks() -> None:
    assert spans("divergence", [0, 3, 3, 1, 1, 1, 0]) == [(1, 3)]


def test_two_calm_ticks_do_not_end_it() -> None:
    assert spans("divergence", [3, 1, 1]) == [(0, None)]


def test_calm_ticks_must_be_in_a_row() -> None:
    assert spans("divergence", [3, 1, 1, 3, 1, 1]) == [(0, None)]


def test_just_below_the_threshold_is_not_calm() -> None:
    assert spans("divergence", [3, 1.7, 1.7, 1.7, 1.7]) == [(0, None)]


def test_a_flicker_around_the_threshold_is_one_episode() -> None:
    assert spans("divergence", [1.9, 2.1, 1.7, 2.2, 1.5, 2.0, 1.9, 1.5, 1.4, 1.3, 1.2]) == [(1, 7)]


def test_ticks_without_a_fresh_quote_count_neither_way() -> None:
    assert spans("divergence", [3, 1, None, 1, None, None, 1]) == [(0, 1)]


def test_without_quotes_an_episode_stays_open() -> None:
    assert spans("divergence", [3, None, None, None, None]) == [(0, None)]


def test_after_its_end_another_episode_may_start() -> None:
    assert spans("divergence", [3, 0, 0, 0, 3, 0, 0, 0]) == [(0, 1), (4, 5)]


def test_a_divergence_that_changes_sides_is_one_episode() -> None:
    assert spans("divergence", [3, -3, 3]) == [(0, None)]


def test_the_peak_is_signed_and_the_farthest_from_zero() -> None:
    [episode] = followed("divergence", [2.5, -4.5, 3.0, 0, 0, 0])
    assert episode.peak_percent == -4.5


def test_the_leg_is_that_of_the_peak() -> None:
    rows = [
        Moment(600, 1, 2.5, "spot"),
        Moment(1200, 2, 3.5, "window"),
        Moment(1800, 3, 3.0, "spot"),
    ]
    episode = next_episode("divergence", None, rows[:1], 2.0)
    episode = next_episode("divergence", episode, rows[:2], 2.0)
    episode = next_episode("divergence", episode, rows, 2.0)
    assert episode is not None
    assert (episode.leg, episode.peak_percent) == ("window", 3.5)


def test_ticks_before_its_start_do_not_end_an_episode() -> None:
    # As after a reorg that replaced the row which started it.
    episode = Episode(
        "divergence", started_at_unix=10_000, start_height=110, leg="spot", peak_percent=3.0
    )
    assert next_episode("divergence", episode, moments([0, 0, 0, 0]), 2.0) == episode


def test_the_same_tick_twice_changes_nothing() -> None:
    rows = moments([0, 3, 4])
    once = next_episode("divergence", next_episode("divergence", None, rows[:2], 2.0), rows, 2.0)
    assert next_episode("divergence", once, rows, 2.0) == once


def test_no_rows_are_no_episode() -> None:
    assert next_episode("divergence", None, [], 2.0) is None


def test_low_confidence_is_an_episode_from_the_first_of_six_ticks() -> None:
    assert spans("low_confidence", [0.5, 0.1, 0.2, 0.1, 0.1, 0.0, 0.29]) == [(1, None)]


def test_five_ticks_of_low_confidence_are_none() -> None:
    assert spans("low_confidence", [0.1] * 5 + [0.3] + [0.1] * 5) == []


def test_low_confidence_is_over_with_the_first_of_three_good_ticks() -> None:
    assert spans("low_confidence", [0.1] * 6 + [0.3, 0.2, 0.3, 0.4, 0.5]) == [(0, 8)]


def test_low_confidence_has_no_peak_in_percent() -> None:
    [episode] = followed("low_confidence", [0.1] * 7)
    assert episode.peak_percent is None


VALUES = st.lists(st.none() | st.floats(-5, 5), max_size=60)


@given(values=VALUES)
def test_episodes_never_overlap_and_only_the_last_may_be_open(values: list[float | None]) -> None:
    edges = [edge for span in spans("divergence", values) for edge in span]
    closed = [edge for edge in edges if edge is not None]
    assert closed == sorted(set(closed))
    assert None not in edges[:-1]


@given(values=VALUES)
def test_every_large_divergence_is_inside_an_episode(values: list[float | None]) -> None:
    found = spans("divergence", values)
    large = [i for i, value in enumerate(values) if value is not None and abs(value) >= 2.0]
    assert all(any(start <= i < (end or len(values)) for start, end in found) for i in large)
