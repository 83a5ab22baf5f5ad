"""From a window's outputs to its price: as the plain way has it to the last bit, and never
nonsense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from oracle.core.eligible import is_round_btc
from oracle.core.histogram import EDGES, clean_histogram, count_amounts
from oracle.core.params import SATS_PER_BTC
from oracle.core.price import PricePoints, WindowPrice, central_output, find_points, price_window
from oracle.core.stencil import SLIDES, find_rough_price, slide_price_usd
from oracle.core.window import Window, form_window
from tests.helpers import plain_price as plain
from tests.helpers.steady import steady
from tests.helpers.vectors import chain_facts, expected

RECENT = ["recent_small", "recent_low_price", "recent_high_price", "recent_weak_signal"]


def window_of(values_sats: Sequence[int]) -> Window:
    """Return a window of one block with these outputs."""
    values = np.array(values_sats, dtype=np.int64)
    return Window(
        np.zeros(1, np.int32),
        np.zeros(1, np.int64),
        np.zeros(len(values), np.int32),
        values,
        is_round_btc(values),
    )


def paid_at(price_usd: float, count: int, seed: int = 1) -> list[int]:
    """Return outputs of which half are round dollars at a price and half anything."""
    rng = Random(seed)
    dollars = [
        round(1e8 * rng.choice(plain.USD) / (price_usd * rng.gauss(1, 0.002)))
        for _ in range(count // 2)
    ]
    return [
        value for dollar in dollars for value in (dollar, round(10 ** rng.gauss(5.5, 0.8)) + 1001)
    ]


def says(price: WindowPrice) -> plain.PlainPrice:
    """Return what our price says in the words of the plain one."""
    return plain.PlainPrice(
        price.rough_price_usd,
        price.price_usd,
        price.rough.best_slide if price.rough else None,
        price.points.prices_usd.tolist(),
        price.spread,
    )


# --- As the plain way has it --------------------------------


@pytest.mark.parametrize("name", ["recent_small", "days"])
@steady(4)
@given(start=st.integers(0, 100), length=st.integers(1, 40))
def test_a_small_window_has_the_price_of_the_plain_way_to_the_last_bit(
    shared: Path, name: str, start: int, length: int
) -> None:
    first = expected(shared / "vectors")[name]["first_height"]
    window = form_window(chain_facts(shared / "vectors", name, first)[start : start + length])
    assert says(price_window(window)) == plain.price_of(window.value_sats.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("name", RECENT)
def test_a_whole_window_has_the_price_of_the_plain_way_to_the_last_bit(
    shared: Path, name: str
) -> None:
    window = form_window(chain_facts(shared / "vectors", name, 840_000)[1:-1])
    assert says(price_window(window)) == plain.price_of(window.value_sats.tolist())


@steady(25)
@given(
    st.lists(
        st.integers(1001, 10**13 - 1) | st.integers(1001, 10**9) | st.integers(1001, 10**6),
        max_size=40,
    )
)
@example([])
@example([1001])
@example([10**13 - 1])
def test_any_few_outputs_have_the_price_of_the_plain_way_to_the_last_bit(
    values_sats: list[int],
) -> None:
    assert says(price_window(window_of(values_sats))) == plain.price_of(values_sats)


@pytest.mark.parametrize(
    "price_usd", [5_500, 9_200, 15_000, 28_000, 68_150, 111_652, 250_000, 480_000]
)
def test_any_price_is_found_as_the_plain_way_finds_it(price_usd: float) -> None:
    values_sats = paid_at(price_usd, 400)
    assert says(price_window(window_of(values_sats))) == plain.price_of(values_sats)


@pytest.mark.parametrize("price_usd", [28_000, 68_150, 111_652, 250_000])
def test_payments_at_a_price_give_about_that_price(price_usd: float) -> None:
    assert price_window(window_of(paid_at(price_usd, 4000))).price_usd == pytest.approx(
        price_usd, rel=0.01
    )


def test_the_order_of_outputs_changes_the_order_of_points_and_nothing_else() -> None:
    values = paid_at(68_000, 1000)
    there, back = price_window(window_of(values)), price_window(window_of(values[::-1]))
    assert (there.price_usd, there.rough_price_usd) == (back.price_usd, back.rough_price_usd)
    assert sorted(there.points.prices_usd) == sorted(back.points.prices_usd)


# --- No price -----------------------------------------------


@pytest.mark.parametrize("values", [[], [10**10] * 50, [10**13 - 1], [50_000] * 100])
def test_an_empty_histogram_gives_no_price_and_the_reason(values: list[int]) -> None:
    price = price_window(window_of(values))
    assert (price.price_usd, price.rough_price_usd, price.outputs) == (None, None, len(values))
    assert price.reason == "no eligible output between 0.00001 and 100 BTC"


@pytest.mark.parametrize("value_sats", [500_000_000, 9_876_543_210])
def test_amounts_where_no_stencil_reaches_give_no_price_and_the_reason(value_sats: int) -> None:
    price = price_window(window_of([value_sats] * 100))
    assert (price.price_usd, price.rough_price_usd) == (None, None)
    assert price.reason == "no amount lies where round dollar amounts could be"


def test_round_amounts_alone_give_a_rough_price_but_no_point() -> None:
    price = price_window(window_of([11_000] * 100))
    assert price.rough_price_usd is not None
    assert (price.price_usd, len(price.points.prices_usd)) == (None, 0)
    assert (
        price.reason
        == f"no price point lies within 5% of the rough price of ${price.rough_price_usd:,}"
    )


def test_points_that_all_lie_outside_the_bounds_give_no_price_and_the_reason() -> None:
    price = price_window(window_of([2_009_003, 43_551_687]))
    assert (price.price_usd, price.rough_price_usd, len(price.points.prices_usd)) == (
        None,
        22_901,
        1,
    )
    assert price.reason == "no price point lies within 5% of the rough price of $22,901"


def test_a_window_without_price_has_no_spread_and_no_chart() -> None:
    price = price_window(window_of([]))
    assert (price.spread, price.chart_half_height, len(price.points.block_index)) == (None, None, 0)


@pytest.mark.parametrize(
    "value_sats", [1001, 1234, 123_456, 7_654_321, 99_999_999, 100_000_001, 999_999_999]
)
def test_a_single_output_is_no_exception(value_sats: int) -> None:
    price = price_window(window_of([value_sats]))
    assert (price.price_usd is None) is (price.reason is not None)


@steady(60)
@given(st.lists(st.integers(1001, 10**13 - 1) | st.integers(1001, 10**8), max_size=30))
def test_a_price_is_a_positive_number_or_none_with_a_reason(values_sats: list[int]) -> None:
    price = price_window(window_of(values_sats))
    numbers = [price.price_usd, price.spread, price.chart_half_height]
    are_numbers = [
        number is not None and math.isfinite(number) and number >= 0 for number in numbers
    ]
    assert are_numbers == [price.reason is None] * 3


@steady(60)
@given(st.lists(st.integers(1001, 10**13 - 1) | st.integers(1001, 10**8), max_size=30))
def test_a_price_lies_within_five_percent_of_the_rough_price(values_sats: list[int]) -> None:
    price = price_window(window_of(values_sats))
    ratio = (price.price_usd or 1) / (price.rough_price_usd or 1) if price.price_usd else 1
    assert 0.95 < ratio < 1.05


def test_the_chart_is_between_five_and_twenty_percent_high(shared: Path) -> None:
    heights = [
        price_window(
            form_window(chain_facts(shared / "vectors", name, 840_000)[1:-1])
        ).chart_half_height
        for name in RECENT
    ]
    assert heights == [0.05, 0.05, 0.05, 0.2]


# --- The steps ----------------------------------------------


@given(
    arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 10**13)),
    st.lists(st.integers(1, len(EDGES) - 1), min_size=1, max_size=30),
)
def test_amounts_are_counted_as_a_search_among_the_edges_would(
    anywhere: NDArray[np.int64], edges: list[int]
) -> None:
    at_edges = np.ceil(EDGES[edges] * SATS_PER_BTC).astype(np.int64)
    value_sats = np.concatenate((anywhere, at_edges - 1, at_edges, at_edges + 1))
    bins = np.searchsorted(EDGES, value_sats / SATS_PER_BTC, side="right") - 1
    assert count_amounts(value_sats).tolist() == np.bincount(bins, minlength=len(EDGES)).tolist()


def test_the_edges_are_those_of_the_plain_way() -> None:
    assert EDGES.tolist() == plain.EDGES


def test_an_amount_on_an_edge_falls_into_the_bin_that_starts_there() -> None:
    counts = count_amounts(np.array([100_000, 99_999]))
    assert (counts[601], counts[600], counts.sum()) == (1, 1, 2)


@pytest.mark.parametrize("slide", [-141, -1, 0, 34, 200])
def test_a_slide_stands_for_the_price_at_which_its_bin_is_a_hundred_dollars(slide: int) -> None:
    assert slide_price_usd(slide) == plain.slide_price(slide)


def test_the_slides_are_the_342_of_the_method() -> None:
    assert (SLIDES[0], SLIDES[-1], len(SLIDES)) == (-141, 200, 342)


def test_no_bin_weighs_more_than_its_cap() -> None:
    shares = clean_histogram(count_amounts(np.array([147_000] * 1000)))
    assert shares is not None
    assert shares.max() == 0.008


def test_cleaning_leaves_the_counts_alone() -> None:
    counts = count_amounts(np.array([147_000, 100_000]))
    before = counts.copy()
    clean_histogram(counts)
    assert (counts == before).all()


def test_a_histogram_without_anything_has_no_rough_price() -> None:
    assert find_rough_price(np.zeros(2401)) is None


def test_every_slide_has_a_score_of_the_plain_way(shared: Path) -> None:
    window = form_window(chain_facts(shared / "vectors", "recent_small", 840_000)[1:20])
    shares = clean_histogram(count_amounts(window.value_sats))
    assert shares is not None
    rough = find_rough_price(shares)
    listed = shares.tolist()
    smooth = [
        plain.score(listed, s, plain.SMOOTH) * 0.65 if s < 150 else 0.0 for s in range(-141, 201)
    ]
    scores = [
        plain.score(listed, s, plain.SPIKE) + extra
        for s, extra in zip(range(-141, 201), smooth, strict=True)
    ]
    assert rough is not None
    assert rough.scores.tolist() == scores


def test_an_amount_may_be_a_point_of_two_dollar_amounts_in_their_order() -> None:
    points = find_points(window_of([17_655]), 100_000)  # 0.00017655 BTC: $17.66
    assert points.prices_usd.tolist() == [usd / 0.00017655 for usd in (15, 20)]


def test_the_bounds_of_points_are_open() -> None:
    edge = round(1e8 * (1000 / 100_000) * 1.25)
    assert len(find_points(window_of([edge]), 100_000).prices_usd) == 0
    assert len(find_points(window_of([edge - 1]), 100_000).prices_usd) == 1


def test_points_know_their_block() -> None:
    values = np.array([147_300, 50_000, 147_300], dtype=np.int64)
    window = Window(
        np.array([7, 8], np.int32),
        np.zeros(2, np.int64),
        np.array([0, 0, 1], np.int32),
        values,
        is_round_btc(values),
    )
    assert find_points(window, 68_000).block_index.tolist() == [0, 1]


def test_points_between_bounds_leave_out_the_bounds() -> None:
    points = PricePoints(np.array([0, 1, 2], np.int32), np.array([10.0, 11.0, 12.0])).between(
        10.0, 12.0
    )
    assert (points.block_index.tolist(), points.prices_usd.tolist()) == ([1], [11.0])


def test_nothing_has_no_central_output() -> None:
    assert central_output(np.zeros(0)) is None


@pytest.mark.parametrize(
    ("prices", "central"),
    [([5.0], (5.0, 0.0)), ([3.0, 1.0, 2.0], (2.0, 1.0)), ([1.0, 2.0, 3.0, 10.0], (2.0, 1.0))],
)
def test_the_central_output_is_nearest_to_all_others(
    prices: list[float], central: tuple[float, float]
) -> None:
    assert central_output(np.array(prices)) == central


@steady(200)
@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60))
def test_any_central_output_is_that_of_the_plain_way(prices: list[float]) -> None:
    assert central_output(np.array(prices)) == plain.central_output(prices, 0, 1e7)
