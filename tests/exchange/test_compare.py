"""The two legs of the comparison, and when samples cover a span."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.exchange.compare import MEAN_SLOTS, MIN_SLOTS, compare, exchange_mean, percent_above

DAY = 86_400
SLOT = DAY // MEAN_SLOTS
NOTHING = dict.fromkeys(("spot_usd", "window_usd", "exchange_usd", "exchange_mean_usd"))


def mean(
    times: object, prices: object = 100.0, first: int = 0, last: int = DAY - 1
) -> float | None:
    times_unix = np.array(times, np.int64)
    return exchange_mean(
        times_unix, np.broadcast_to(np.array(prices, float), times_unix.shape), first, last
    )


@pytest.mark.parametrize(
    ("price", "exchange", "percent"), [(103, 100, 3.0), (97, 100, -3.0), (100, 100, 0.0)]
)
def test_the_divergence_is_the_onchain_price_above_the_exchange_price(price, exchange, percent):
    assert percent_above(price, exchange) == percent


@pytest.mark.parametrize(("price", "exchange"), [(None, 100.0), (100.0, None), (None, None)])
def test_without_one_side_there_is_no_divergence(price, exchange):
    assert percent_above(price, exchange) is None


def test_the_spot_leg_comes_first():
    sides = {
        "spot_usd": 102.0,
        "window_usd": 99.0,
        "exchange_usd": 100.0,
        "exchange_mean_usd": 100.0,
    }
    found = compare(**sides, threshold_percent=2.0)
    assert (found.spot_percent, found.window_percent) == (2.0, -1.0)
    assert (found.headline_percent, found.leg) == (2.0, "spot")


def test_the_window_leg_stands_in():
    found = compare(
        **NOTHING | {"window_usd": 99.0, "exchange_mean_usd": 100.0}, threshold_percent=2.0
    )
    assert (found.headline_percent, found.leg) == (-1.0, "window")


def test_without_an_exchange_there_is_no_headline():
    found = compare(**NOTHING | {"spot_usd": 102.0, "window_usd": 99.0}, threshold_percent=2.0)
    assert (found.headline_percent, found.leg, found.is_large) == (None, None, False)


@pytest.mark.parametrize(
    ("spot_usd", "is_large"), [(102.0, False), (102.01, True), (97.99, True), (98.0, False)]
)
def test_large_is_beyond_the_threshold_either_way(spot_usd, is_large):
    found = compare(
        **NOTHING | {"spot_usd": spot_usd, "exchange_usd": 100.0}, threshold_percent=2.0
    )
    assert found.is_large is is_large


def test_a_mean_needs_samples_in_three_quarters_of_the_slots():
    assert mean([slot * SLOT for slot in range(MIN_SLOTS)]) == 100.0
    assert mean([slot * SLOT for slot in range(MIN_SLOTS - 1)]) is None


def test_many_samples_in_one_slot_count_as_much_as_one_in_another():
    times = [slot * SLOT for slot in range(MEAN_SLOTS)] + [1] * 1000
    prices = [100.0] * MEAN_SLOTS + [2500.0] * 1000
    assert mean(times, prices) == pytest.approx(
        100 + (2500 * 1000 + 100) / 1001 / MEAN_SLOTS - 100 / MEAN_SLOTS
    )


def test_both_ends_of_the_span_are_in_it():
    times = [*range(SLOT, DAY - SLOT, SLOT), 0, DAY - 1]
    assert mean(times, [100.0] * (MEAN_SLOTS - 2) + [148.0, 148.0]) == pytest.approx(104.0)


def test_samples_outside_of_the_span_are_left_out():
    inside = [slot * SLOT for slot in range(MEAN_SLOTS)]
    assert mean([*inside, -1, DAY], [100.0] * MEAN_SLOTS + [9e9, 9e9]) == 100.0


def test_no_samples_give_no_mean():
    assert mean([]) is None


def test_a_span_without_length_has_no_mean():
    assert mean([5], first=5, last=5) is None


def test_the_order_of_the_samples_does_not_matter():
    times = np.arange(0, DAY, 600)
    prices = 100 + np.sin(times)
    order = np.random.default_rng(1).permutation(len(times))
    assert mean(times[order], prices[order]) == pytest.approx(mean(times, prices), rel=1e-12)
