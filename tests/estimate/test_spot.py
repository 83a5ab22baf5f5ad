"""The spot price from price points: right on clear points, silent on unclear ones, never an
exception."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from oracle import SpotPrice, spot_price
from oracle.errors import RequestError
from oracle.estimate.limits import Limits
from oracle.estimate.spot import CHOSEN_LOG, REACH_CELLS, STEP, _deviation, _move

Floats = NDArray[np.float64]
Heights = NDArray[np.int64]
MARKET_USD = 60_000.0


def points(
    per_block: int = 60, blocks: int = 24, peak: float = 0.35, drift: float = 0.0, seed: int = 1
) -> tuple[Heights, Floats]:
    """Points around a market that drifts by `drift` (log) over the blocks and ends at
    MARKET_USD."""
    rng = np.random.default_rng(seed)
    heights = np.repeat(np.arange(800_000, 800_000 + blocks), per_block)
    market = drift * (heights - heights[-1]) / blocks
    near = market + 0.001 * rng.standard_t(3, len(heights))
    even = rng.uniform(-0.12, 0.12, len(heights))
    return heights, MARKET_USD * np.exp(np.where(rng.random(len(heights)) < peak, near, even))


def error_of(spot: SpotPrice) -> float:
    assert spot.price_usd is not None
    return abs(spot.price_usd / MARKET_USD - 1)


def is_valid(spot: SpotPrice) -> bool:
    """Whether its confidence would do by the default settings."""
    return Limits().judge(spot.price_usd, spot.confidence)[0]


def test_a_clear_peak_gives_the_market_price() -> None:
    assert error_of(spot_price(*points(), MARKET_USD * 1.02)) < 0.001


def test_a_clear_peak_is_valid_with_high_confidence() -> None:
    spot = spot_price(*points(), MARKET_USD * 1.02)
    assert (is_valid(spot), spot.reason) == (True, None)
    assert spot.confidence > 0.9


def test_the_interval_holds_the_price() -> None:
    spot = spot_price(*points(), MARKET_USD)
    assert spot.low_usd is not None
    assert spot.price_usd is not None
    assert spot.high_usd is not None
    assert spot.low_usd <= spot.price_usd <= spot.high_usd


def test_it_says_which_blocks_and_how_many_points_it_used() -> None:
    spot = spot_price(*points(per_block=10, blocks=100), MARKET_USD)
    assert (spot.first_height, spot.last_height, spot.points) == (800_064, 800_099, 360)


def test_the_same_points_give_the_same_answer() -> None:
    assert spot_price(*points(), MARKET_USD) == spot_price(*points(), MARKET_USD)


def test_the_order_of_the_points_does_not_matter() -> None:
    heights, prices = points()
    assert spot_price(heights[::-1], prices[::-1], MARKET_USD) == spot_price(
        heights, prices, MARKET_USD
    )


def test_lists_are_as_good_as_arrays() -> None:
    heights, prices = points()
    assert spot_price(heights.tolist(), prices.tolist(), MARKET_USD) == spot_price(
        heights, prices, MARKET_USD
    )


def test_a_market_that_falls_ten_percent_in_a_day_is_followed() -> None:
    heights, prices = points(blocks=144, drift=-0.10)
    assert error_of(spot_price(heights, prices, MARKET_USD * np.exp(0.05))) < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_what_chance_does_is_what_leaving_out_each_block_shows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks, cells = 12, 2 * REACH_CELLS + 1
    weights = np.exp(rng.normal(0, 0.5, (blocks, cells)))
    foreseen, now = _forward(weights)
    offset = np.arange(-REACH_CELLS, REACH_CELLS + 1) * STEP - now
    chosen = np.abs(offset) < CHOSEN_LOG

    def mean_without(left_out: int | None) -> float:
        heard = weights.copy()
        if left_out is not None:
            heard[left_out] = 1.0
        before, _ = _forward(heard)
        belief = (before[-1] * heard[-1])[chosen]
        return float(belief @ offset[chosen] / belief.sum())

    shifts = np.array([mean_without(i) for i in range(blocks)]) - mean_without(None)
    expected = np.sqrt((blocks - 1) / blocks * np.square(shifts).sum())
    assert _deviation(foreseen, weights, now) == pytest.approx(expected, rel=1e-6)


def _forward(weights: Floats) -> tuple[Floats, float]:
    """What is foreseen of each block, without what keeps cells from zero, and the last top."""
    belief = np.full(weights.shape[1], 1 / weights.shape[1])
    foreseen = []
    for weight in weights:
        foreseen.append(_move(belief))
        belief = foreseen[-1] * weight
        belief /= belief.sum()
    return np.array(foreseen), (int(belief.argmax()) - REACH_CELLS) * STEP


def test_a_moving_market_has_a_wider_interval_than_a_calm_one() -> None:
    calm = spot_price(*points(), MARKET_USD)
    wild = spot_price(*points(drift=-0.06), MARKET_USD)
    assert wild.high_usd - wild.low_usd > 2 * (calm.high_usd - calm.low_usd)  # type: ignore[operator]


def test_empty_blocks_at_the_end_widen_the_look_back() -> None:
    heights, prices = points()
    kept = (heights < heights[-1] - 9) | (np.arange(len(heights)) >= len(heights) - 3)
    spot = spot_price(heights[kept], prices[kept], MARKET_USD)
    assert is_valid(spot)
    assert error_of(spot) < 0.002


def test_a_hundred_points_in_six_blocks_are_followed_with_the_blocks_before() -> None:
    assert error_of(spot_price(*points(per_block=17), MARKET_USD)) < 0.002


def test_points_without_a_peak_have_a_confidence_below_the_threshold() -> None:
    spot = spot_price(*points(peak=0.0), MARKET_USD)
    assert not is_valid(spot)


def test_a_peak_that_is_gone_for_a_dozen_blocks_is_not_valid() -> None:
    before, after = points(blocks=144), points(blocks=12, peak=0.0)
    heights = np.concatenate((before[0], after[0] + 144))
    assert not is_valid(spot_price(heights, np.concatenate((before[1], after[1])), MARKET_USD))


def test_a_guide_far_from_the_market_gives_no_valid_price() -> None:
    assert not is_valid(spot_price(*points(), MARKET_USD * 2))


def test_it_is_trusted_no_further_than_its_guide() -> None:
    assert spot_price(*points(), MARKET_USD, guide_confidence=0.2).confidence <= 0.2


def test_a_few_points_are_no_spot_price() -> None:
    heights, prices = points(per_block=1, blocks=12)
    spot = spot_price(heights, prices, MARKET_USD)
    assert spot.price_usd is None
    assert spot.reason is not None
    assert spot.reason.startswith("only 12 price points")


def test_no_points_are_no_spot_price() -> None:
    spot = spot_price([], [], MARKET_USD)
    assert (spot.price_usd, spot.confidence) == (None, 0.0)


@pytest.mark.parametrize("guide", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_without_a_usable_guide_there_is_no_spot_price(guide: float | None) -> None:
    assert spot_price(*points(), guide) == SpotPrice(
        reason="there is no guide price to look around"
    )


def test_points_that_are_no_prices_are_left_out() -> None:
    heights, prices = points()
    with_rubbish = np.concatenate((prices, [np.nan, np.inf, 0.0, -5.0]))
    spot = spot_price(np.concatenate((heights, [heights[-1]] * 4)), with_rubbish, MARKET_USD)
    assert spot == spot_price(heights, prices, MARKET_USD)


def test_one_price_repeated_by_everyone_is_one_witness_a_block() -> None:
    heights, prices = points(peak=0.0)
    robot = np.where(np.arange(len(prices)) % 3 == 0, MARKET_USD * 1.03, prices)
    last_two = heights >= heights[-1] - 1
    assert not is_valid(spot_price(heights[last_two], robot[last_two], MARKET_USD))


@pytest.mark.parametrize(
    ("heights", "prices"),
    [([1, 2], [1.0]), ([[1], [2]], [1.0, 2.0]), (["one"], [1.0]), ([1], [object()])],
    ids=["unequal", "nested", "words", "objects"],
)
def test_arrays_that_do_not_match_are_a_request_error(
    heights: list[object], prices: list[object]
) -> None:
    with pytest.raises(RequestError, match="two arrays of numbers of one length"):
        spot_price(heights, prices, MARKET_USD)  # type: ignore[arg-type]


# --- Real points ---


@pytest.fixture(scope="module")
def real_days(shared: Path) -> tuple[Floats, list[SpotPrice], Floats]:
    """Exchange closes, spot prices from each day's points, and their errors, for 111 real days."""
    with (shared / "data" / "daily_prices.csv").open() as file:
        rows = {row["date"]: row for row in csv.DictReader(file)}
    table = pq.read_table(shared / "data" / "price_points.parquet")
    heights, prices = table["height"].to_numpy(), table["price_usd"].to_numpy()
    dates = np.asarray(table["date"].combine_chunks().dictionary_decode().to_pylist())
    names, starts = np.unique(dates, return_index=True)
    pieces = [
        slice(start, end) for start, end in zip(starts, [*starts[1:], len(dates)], strict=True)
    ]
    guides = [float(rows[str(name)]["onchain_price_usd"]) for name in names]
    closes = np.array([float(rows[str(name)]["exchange_close_usd"]) for name in names])
    spots = [
        spot_price(heights[piece], prices[piece], guide)
        for piece, guide in zip(pieces, guides, strict=True)
    ]
    errors = np.array([spot.price_usd for spot in spots]) / closes - 1
    return closes, spots, np.abs(errors)


@pytest.mark.slow
def test_real_days_end_within_a_tenth_of_a_percent_of_the_exchange(
    real_days: tuple[Floats, list[SpotPrice], Floats],
) -> None:
    assert np.median(real_days[2]) < 0.0011


@pytest.mark.slow
def test_one_real_day_in_twenty_ends_half_a_percent_off(
    real_days: tuple[Floats, list[SpotPrice], Floats],
) -> None:
    assert np.quantile(real_days[2], 0.95) < 0.0050


@pytest.mark.slow
def test_no_real_day_is_wildly_missed_and_all_are_valid(
    real_days: tuple[Floats, list[SpotPrice], Floats],
) -> None:
    assert real_days[2].max() < 0.03
    assert all(is_valid(spot) for spot in real_days[1])


@pytest.mark.slow
def test_the_interval_holds_the_close_of_nearly_every_real_day(
    real_days: tuple[Floats, list[SpotPrice], Floats],
) -> None:
    low = np.array([spot.low_usd for spot in real_days[1]])
    high = np.array([spot.high_usd for spot in real_days[1]])
    assert 0.90 <= np.mean((low <= real_days[0]) & (real_days[0] <= high)) <= 0.99
