"""Confidence: high where the price is right, low where it is not, and near zero where there is no
signal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from oracle.core.block import parse_block
from oracle.core.eligible import RecentTxids, digest_block, is_round_btc
from oracle.core.price import WindowPrice, price_window
from oracle.core.window import Window, form_window
from oracle.estimate.confidence import window_confidence
from oracle.estimate.limits import Limits
from tests.helpers.simulated_windows import simulated_window
from tests.helpers.vectors import block_index, chain_facts, expected

LIMITS = Limits(confidence_threshold=0.3, min_price_usd=10_000.0, max_price_usd=500_000.0)


def confidence_of(window: Window) -> float:
    return window_confidence(window, price_window(window))


def first_blocks(window: Window, blocks: int) -> Window:
    kept = window.block_index < blocks
    return Window(
        block_heights=window.block_heights[:blocks],
        block_times_unix=window.block_times_unix[:blocks],
        block_index=window.block_index[kept],
        value_sats=window.value_sats[kept],
        is_round=window.is_round[kept],
    )


def mean_confidence(fraction: float) -> float:
    return float(
        np.mean([confidence_of(simulated_window(seed, fraction=fraction)[0]) for seed in range(12)])
    )


def mean_confidence_in_the_market(blocks: int) -> float:
    """How much the first blocks of 20 windows believe in the true price, whatever the method
    answers for them."""
    simulated = [simulated_window(seed) for seed in range(20)]
    windows = [
        (first_blocks(window, blocks), WindowPrice(0, price_usd=mean))
        for window, mean, _ in simulated
    ]
    return float(np.mean([window_confidence(window, market) for window, market in windows]))


def vector_window(folder: Path, name: str, answer: int = 0) -> Window:
    vector = expected(folder)[name]
    facts = chain_facts(folder, name, vector["first_height"])
    start = vector["answers"][answer]["first_height"] - vector["first_height"]
    return form_window(facts[start : start + vector["answers"][answer]["blocks"]])


def real_window(shared: Path) -> Window:
    table = pq.read_table(shared / "data" / "window_937665.parquet")
    values = table["value_sats"].to_numpy()
    heights, index = np.unique(table["height"].to_numpy(), return_inverse=True)
    times = np.zeros(len(heights), np.int64)
    return Window(
        heights.astype(np.int32), times, index.astype(np.int32), values, is_round_btc(values)
    )


# --- Signal and none ---


@pytest.mark.slow
def test_of_a_hundred_windows_without_signal_at_most_five_reach_the_threshold() -> None:
    confidences = [confidence_of(simulated_window(seed, fraction=0.0)[0]) for seed in range(100)]
    assert np.count_nonzero(np.array(confidences) >= 0.3) <= 5


@pytest.mark.slow
def test_more_signal_never_means_less_confidence() -> None:
    confidences = [mean_confidence(fraction) for fraction in (0.0, 0.01, 0.03, 0.06, 0.12, 0.25)]
    assert np.diff(confidences).min() >= -0.01
    assert confidences[-1] > 0.95


@pytest.mark.slow
def test_more_blocks_never_mean_less_confidence_in_the_right_price() -> None:
    confidences = [mean_confidence_in_the_market(blocks) for blocks in (1, 4, 12, 36, 144)]
    assert np.diff(confidences).min() >= -0.01


def test_an_amount_that_a_robot_repeats_is_no_signal() -> None:
    window = simulated_window(3, fraction=0.0)[0]
    robot = np.where(np.arange(len(window.value_sats)) % 40 == 0, 118_431, window.value_sats)
    assert confidence_of(replace(window, value_sats=robot)) < 0.3


def test_no_price_has_no_confidence() -> None:
    assert window_confidence(simulated_window(1)[0], WindowPrice(0, reason="none")) == 0.0


def test_amounts_all_outside_the_histogram_have_no_confidence() -> None:
    window = replace(
        simulated_window(1)[0], value_sats=np.full(len(simulated_window(1)[0].value_sats), 10**12)
    )
    assert window_confidence(window, WindowPrice(0, price_usd=50_000.0)) == 0.0


def test_a_wrong_price_of_a_clear_window_has_no_confidence() -> None:
    window = simulated_window(1)[0]
    price = price_window(window)
    assert window_confidence(window, replace(price, price_usd=2 * (price.price_usd or 0))) < 0.01


def test_the_same_window_gives_the_same_confidence() -> None:
    assert confidence_of(simulated_window(2)[0]) == confidence_of(simulated_window(2)[0])


# --- Real and exact inputs ---


def test_the_real_window_is_trusted(shared: Path) -> None:
    assert confidence_of(real_window(shared)) > 0.8


@pytest.mark.parametrize("name", ["recent_small", "recent_high_price", "days"])
def test_strong_vectors_are_trusted(shared: Path, name: str) -> None:
    assert confidence_of(vector_window(shared / "vectors", name)) > 0.8


@pytest.mark.slow
def test_the_dense_vector_is_trusted(shared: Path) -> None:
    assert confidence_of(vector_window(shared / "vectors", "recent_dense")) > 0.8


def test_a_price_that_is_the_double_of_the_market_is_not_trusted(shared: Path) -> None:
    assert confidence_of(vector_window(shared / "vectors", "recent_low_price")) < 0.05


def test_a_weak_signal_is_trusted_less_than_a_strong_one(shared: Path) -> None:
    assert 0.05 < confidence_of(vector_window(shared / "vectors", "recent_weak_signal")) < 0.8


@pytest.mark.parametrize("spread", [0.3, 0.5])
def test_the_real_window_with_its_amounts_blurred_is_not_trusted(
    shared: Path, spread: float
) -> None:
    window = real_window(shared)
    blur = np.exp(spread * np.random.default_rng(1).standard_normal(len(window.value_sats)))
    blurred = np.where(
        window.is_round, window.value_sats, (window.value_sats * blur).astype(np.int64)
    )
    assert confidence_of(replace(window, value_sats=blurred)) < 0.3


def test_single_real_blocks_with_a_right_price_rank_above_those_with_a_wrong_one(
    shared: Path,
) -> None:
    rows = [
        row
        for row in block_index(shared / "blocks")
        if int(row["height"]) >= 696394 and row["exchange_day_low_usd"]
    ]
    data = [(shared / "blocks" / f"{row['height']}.bin").read_bytes() for row in rows]
    windows = [form_window([digest_block(parse_block(block), 1, RecentTxids())]) for block in data]
    confidence = np.array([confidence_of(window) for window in windows])
    price = np.array([float(row["alone_price_usd"]) for row in rows])
    low = np.array([float(row["exchange_day_low_usd"]) for row in rows])
    high = np.array([float(row["exchange_day_high_usd"]) for row in rows])
    is_right = (price > 0.95 * low) & (price < 1.05 * high)
    assert np.mean(confidence[is_right][:, None] > confidence[~is_right]) >= 0.9


# --- What is called valid ---


def test_a_trusted_price_within_the_limits_is_valid() -> None:
    assert LIMITS.judge(68_150.0, 0.97) == (True, None)


def test_confidence_below_the_threshold_is_not_valid() -> None:
    assert LIMITS.judge(68_150.0, 0.12) == (False, "confidence 0.12 is below the threshold of 0.30")


def test_confidence_at_the_threshold_is_valid() -> None:
    assert LIMITS.judge(68_150.0, 0.3) == (True, None)


@pytest.mark.parametrize("price_usd", [9_999.0, 500_001.0])
def test_a_price_outside_the_limits_is_not_valid(price_usd: float) -> None:
    reason = f"${price_usd:,.0f} lies outside the believable $10,000 to $500,000"
    assert LIMITS.judge(price_usd, 1.0) == (False, reason)
