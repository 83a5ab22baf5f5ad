"""Drawn charts: what ends up where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.api.types import DayPrice, Episode, History, Picture
from builder.pages.charts import steps
from builder.pages.charts.chart import Chart, draw
from builder.pages.charts.errors import error_chart, spread_chart
from builder.pages.charts.histogram import histogram_chart
from builder.pages.charts.moments import (
    GAP_SECONDS,
    MAX_COLUMNS,
    Moment,
    drawn_moments,
    history_moments,
)
from builder.pages.charts.prices import days_chart, history_chart
from builder.pages.charts.scale import DAY_SECONDS, Scale, ticks, time_ticks
from builder.pages.charts.shapes import band, line
from builder.pages.environment import environment
from tests.helpers.page_samples import NOW, snapshots
from tests.helpers.steady import steady

DAY = DAY_SECONDS
UP = Scale(0, 10, 100, flip=True)


def history_rows(**changes: list[object]) -> list[Moment]:
    columns: dict[str, list[object]] = {
        "time_unix": [NOW - 1800, NOW - 1200, NOW - 600, NOW],
        "spot_usd": [100.0, 101.0, 102.0, 103.0],
        "spot_low_usd": [99.0, 100.0, 101.0, 102.0],
        "spot_high_usd": [101.0, 102.0, 103.0, 104.0],
        "exchange_usd": [100.0, 100.5, 101.0, 101.5],
        "divergence_percent": [0.0, 0.5, 1.0, 1.5],
        "is_valid": [True] * 4,
    }
    return history_moments(cast(History, {**columns, **changes}))


def moments(*times_unix: float) -> list[Moment]:
    return [Moment(time_unix) for time_unix in times_unix]


def episode(started_unix: int, ended_unix: int | None) -> Episode:
    return cast(Episode, {"started_at_unix": started_unix, "ended_at_unix": ended_unix})


def drawn(rows: list[Moment], episodes: Sequence[Episode] = ()) -> str:
    return svg(history_chart(rows, episodes, start_unix=NOW - 1800, end_unix=NOW, limit=2.0))


def svg(chart: Chart) -> str:
    source = '{% import "chart.html" as drawing %}{{ drawing.draw(chart) }}'
    return environment().from_string(source).render(chart=draw(chart))


def week() -> list[DayPrice]:
    return list(snapshots(days=8)["api/days.json"]["days"])


def test_a_scale_runs_from_its_low_to_its_high_end() -> None:
    assert [Scale(10, 20)(v) for v in (10, 15, 20)] == [0.0, 500.0, 1000.0]


def test_a_flipped_scale_puts_high_values_on_top() -> None:
    assert Scale(0, 10, 100, flip=True)(10) == 0.0


def test_a_scale_without_extent_does_not_divide_by_zero() -> None:
    assert Scale(5, 5)(5) == 0.0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (99_350, 105_210, [100_000, 102_000, 104_000]),
        (-3.2, 3.2, [-2, 0, 2]),
        (0.1, 0.2, [0.1, 0.12, 0.14, 0.16, 0.18, 0.2]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(Scale(low, high)) == pytest.approx(expected)


@pytest.mark.parametrize("days", [0.5, 1, 3, 7, 14, 30, 90, 119, 121, 400, 800, 4000])
def test_a_time_axis_has_at_most_nine_marks_of_any_length(days: float) -> None:
    assert 1 <= len(time_ticks(Scale(NOW - days * DAY, NOW))) <= 9


def test_a_week_is_marked_at_midnights() -> None:
    marks = time_ticks(Scale(NOW - 7 * DAY, NOW))
    assert [label for _, label in marks] == [
        "Oct 3",
        "Oct 4",
        "Oct 5",
        "Oct 6",
        "Oct 7",
        "Oct 8",
        "Oct 9",
    ]
    assert {at % DAY for at, _ in marks} == {0}


def test_two_years_are_marked_at_firsts_of_months() -> None:
    labels = [label for _, label in time_ticks(Scale(NOW - 730 * DAY, NOW))]
    assert labels[0] == "Jan 2024"
    assert labels[-1] == "Sep 2025"


def test_a_missing_value_lifts_the_pen() -> None:
    path = line(UP, [(0, 1), (10, 2), (20, None), (30, 3), (40, 4)])
    assert re.sub(r"[^ML]", "", path) == "MLML"


def test_a_lone_value_between_gaps_is_a_dot() -> None:
    assert line(UP, [(0, None), (10, 5), (20, None)]) == "M10 50h0"


def test_no_values_draw_no_path() -> None:
    assert line(UP, [(0, None)]) == ""


def test_a_band_is_one_closed_shape_for_each_run() -> None:
    shape = band(UP, [(0, 1, 2), (10, 1, 2), (20, None, 2), (30, 1, 2), (40, 1, 2)])
    assert shape.count("M") == shape.count("Z") == 2


def test_a_history_gives_one_moment_for_each_row() -> None:
    history = snapshots()["api/history/7d.json"]
    found = history_moments(history)
    assert [moment.time_unix for moment in found] == history["time_unix"]
    assert [moment.percent for moment in found] == history["divergence_percent"]


def test_a_silence_of_hours_is_a_gap() -> None:
    rows = moments(0, 600, 600 + GAP_SECONDS + 1)
    kept = [row for _, row in drawn_moments(rows, Scale(0, 20_000))]
    assert kept.index(None) == len(kept) - 2


def test_many_rows_are_thinned_to_what_a_screen_shows() -> None:
    rows = moments(*range(20_000))
    assert len(list(drawn_moments(rows, Scale(0, 20_000)))) <= MAX_COLUMNS + 1


def test_thinning_keeps_the_last_row() -> None:
    rows = moments(*range(20_000))
    assert list(drawn_moments(rows, Scale(0, 20_000)))[-1][1] == rows[-1]


def test_places_never_go_backwards() -> None:
    rows = moments(*range(0, 90_000, 600))
    places = [x for x, _ in drawn_moments(rows, Scale(0, 90_000))]
    assert all(a <= b for a, b in pairwise(places))


def test_the_history_has_both_prices_the_interval_and_the_difference() -> None:
    chart = drawn(history_rows())
    kinds = re.findall(r'<path class="([^"]+)"', chart)
    assert kinds == ["band", "line onchain", "line exchange", "limit", "line difference"]


def test_an_invalid_price_is_a_hollow_point() -> None:
    chart = drawn(history_rows(is_valid=[True, False, True, True]))
    assert chart.count('class="hollow"') == 1


def test_without_an_exchange_there_is_no_second_line() -> None:
    nothing: list[object] = [None] * 4
    chart = drawn(history_rows(exchange_usd=nothing, divergence_percent=nothing))
    assert "line exchange" not in chart
    assert "line difference" not in chart


def test_an_episode_is_shaded_where_it_was() -> None:
    chart = drawn(history_rows(), [episode(NOW - 900, NOW - 450)])
    assert '<path class="episode" d="M500 0V110H750V0Z"/>' in chart


def test_an_episode_that_goes_on_is_shaded_to_the_edge() -> None:
    chart = drawn(history_rows(), [episode(NOW - 900, None)])
    assert '<path class="episode" d="M500 0V110H1000V0Z"/>' in chart


def test_an_episode_before_the_range_is_not_drawn() -> None:
    chart = drawn(history_rows(), [episode(NOW - 9000, NOW - 8000)])
    assert "episode" not in chart


def test_a_day_without_a_price_breaks_the_lines() -> None:
    days = week()
    days[-2]["price_usd"] = None
    onchain = re.search(r'class="line onchain" d="([^"]+)"', svg(days_chart(days)))
    assert onchain is not None
    assert onchain[1].count("M") == 2


def test_the_difference_always_shows_both_limits() -> None:
    chart = drawn(history_rows())
    assert "+2%" in chart
    assert "\N{MINUS SIGN}2%" in chart


def test_the_histogram_names_every_dollar_amount_once() -> None:
    window = snapshots()["api/window.json"]
    amounts = window["stencil"]["amounts"]
    chart = svg(histogram_chart(window))
    named = re.findall(r">(\$[\d,]+)<", chart)
    assert sorted(named) == sorted({f"${a['usd']:,}" for a in amounts})


def test_a_histogram_without_bins_is_empty_but_stands() -> None:
    day = {"histogram": {"first_bin": 201, "weights": []}, "stencil": None}
    assert svg(histogram_chart(cast(Picture, day))).startswith("<svg")


def test_bars_count_only_bins_that_hold_something() -> None:
    chart = svg(spread_chart([-1.0, -0.5, 0.0, 0.5, 1.0], [0, 3, 2, 0], 2.0))
    bars = re.search(r'class="bars" d="([^"]+)"', chart)
    assert bars is not None
    assert bars[1].count("M") == 2


def test_accuracy_shows_valid_comparisons_only() -> None:
    rows = history_rows(
        is_valid=[True, False, True, True], divergence_percent=[0.1, 9.0, None, -0.2]
    )
    points = re.search(r'class="points" d="([^"]+)"', svg(error_chart(rows, 2.0)))
    assert points is not None
    assert points[1].count("M") == 2


def test_the_same_numbers_draw_the_same_bytes() -> None:
    assert drawn(history_rows()) == drawn(history_rows())


def test_charts_carry_no_inline_style() -> None:
    assert "style=" not in drawn(history_rows())


# The steps of the method


@steady(60)
@given(st.lists(st.floats(1000, 100_000), min_size=1, max_size=30))
def test_the_curve_of_distances_is_that_of_each_price_to_all(prices: list[float]) -> None:
    ordered = sorted(prices)
    plainly = [sum(abs(one - other) for other in ordered) / len(ordered) for one in ordered]
    assert steps.mean_distances(ordered) == pytest.approx(plainly, abs=1e-6 * max(ordered))


def test_cleaning_is_shown_over_what_was_there() -> None:
    picture = cast(Picture, snapshots()["api/window.json"])
    raw, cleaned = steps.raw_chart(picture).panes[0], steps.cleaned_chart(picture).panes[0]
    removed, kept = (dict(cleaned.shapes)[kind] for kind in ("removed", "bars"))
    assert dict(raw.shapes)["bars"] == removed != kept
    assert raw.y == cleaned.y


def test_the_best_slide_is_marked_where_it_puts_a_hundred_dollars() -> None:
    picture = cast(Picture, snapshots()["api/window.json"])
    chart = steps.sliding_chart(picture)
    assert picture["stencil"] is not None
    at = chart.x(601 + picture["stencil"]["slide"])
    assert dict(chart.panes[1].shapes)["best"].startswith(f"M{at:g} 0V")


def test_without_a_stencil_there_is_nothing_to_slide() -> None:
    picture = {**cast(Picture, snapshots()["api/window.json"]), "stencil": None}
    assert len(steps.sliding_chart(cast(Picture, picture)).panes) == 1
