"""The 95% interval of a window's price: it holds the market's mean as often as it says, and is
cheap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.eligible import is_round_btc
from oracle.core.price import price_window
from oracle.core.window import Window
from oracle.estimate.interval import REPLICATES, quantile, resample_blocks, window_interval
from oracle.estimate.spot import spot_price
from tests.helpers.simulated_windows import simulated_window

PRICE_USD = 50_000.0


def interval_of(window: Window) -> tuple[float, float]:
    price = price_window(window)
    assert price.price_usd is not None
    assert price.rough_price_usd is not None
    return window_interval(
        price.points.block_index, price.points.prices_usd, price.rough_price_usd, price.price_usd
    )


def width_of(window: Window) -> float:
    low, high = interval_of(window)
    return float(np.log(high / low))


def test_each_replicate_has_as_many_blocks_as_there_are() -> None:
    assert resample_blocks(144).sum(axis=1).tolist() == [144.0] * REPLICATES


def test_replicates_are_the_same_every_time() -> None:
    np.testing.assert_array_equal(resample_blocks(36), resample_blocks(36))


def test_the_stream_of_replicates_is_frozen() -> None:
    assert resample_blocks(6)[:3].astype(int).tolist() == [
        [3, 2, 0, 0, 0, 1],
        [0, 1, 1, 1, 2, 1],
        [1, 1, 1, 0, 2, 1],
    ]


def test_the_interval_holds_the_price() -> None:
    window, _, _ = simulated_window(1)
    low, high = interval_of(window)
    assert low < (price_window(window).price_usd or 0) < high


def test_the_same_window_gives_the_same_bytes() -> None:
    window, _, _ = simulated_window(1)
    assert interval_of(window) == interval_of(window)


def test_one_block_has_a_wider_interval_than_the_day_it_is_part_of() -> None:
    day = np.random.default_rng(1).normal(0, 0.002, 20_000)
    heights = np.repeat(np.arange(100), 200)
    whole = window_interval(heights, PRICE_USD * np.exp(day), PRICE_USD, PRICE_USD)
    single = window_interval(heights[:200], PRICE_USD * np.exp(day[:200]), PRICE_USD, PRICE_USD)
    assert single[1] - single[0] > whole[1] - whole[0]


def test_a_market_that_moved_has_a_wider_interval_than_one_that_stood() -> None:
    noise = np.random.default_rng(1).normal(0, 0.002, 20_000)
    heights = np.repeat(np.arange(100), 200)
    moved = PRICE_USD * np.exp(noise + np.linspace(-0.02, 0.02, 20_000))
    calm = window_interval(heights, PRICE_USD * np.exp(noise), PRICE_USD, PRICE_USD)
    wild = window_interval(heights, moved, PRICE_USD, PRICE_USD)
    assert wild[1] - wild[0] > 2 * (calm[1] - calm[0])


def test_heights_may_start_anywhere_and_have_gaps() -> None:
    window, _, _ = simulated_window(1)
    price = price_window(window)
    block, prices = price.points.block_index, price.points.prices_usd
    assert window_interval(block * 2 + 800_000, prices, 84_000, 84_000)[0] > 0


def test_the_real_window_is_known_to_about_a_percent(shared: Path) -> None:
    table = pq.read_table(shared / "data" / "window_937665.parquet")
    heights, values = table["height"].to_numpy(), table["value_sats"].to_numpy()
    blocks, index = np.unique(heights, return_inverse=True)
    times = np.zeros(len(blocks), np.int64)
    window = Window(
        blocks.astype(np.int32), times, index.astype(np.int32), values, is_round_btc(values)
    )
    assert 0.01 < width_of(window) < 0.03


@pytest.mark.slow
def test_the_interval_of_200_simulated_windows_holds_the_mean_of_the_market() -> None:
    windows = [simulated_window(1000 + seed) for seed in range(200)]
    held = [
        low <= mean <= high for window, mean, _ in windows for low, high in [interval_of(window)]
    ]
    assert 0.90 <= np.mean(held) <= 0.995


@pytest.mark.slow
def test_the_spot_interval_of_simulated_windows_holds_the_market_at_the_end() -> None:
    windows = [simulated_window(1000 + seed) for seed in range(100)]
    points = [(window, price_window(window), now) for window, _, now in windows]
    spots = [
        (
            spot_price(
                window.block_heights[price.points.block_index],
                price.points.prices_usd,
                price.price_usd,
            ),
            now,
        )
        for window, price, now in points
    ]
    held = [(spot.low_usd or 0) <= now <= (spot.high_usd or 0) for spot, now in spots]
    assert 0.88 <= np.mean(held) <= 0.995


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.025, 0.3, 0.5, 0.975, 1.0]),
)
def test_a_quantile_is_numpys_to_the_last_bit(values: list[float], share: float) -> None:
    assert quantile(np.sort(values), share) == np.quantile(values, share)
