"""Which quotes are believed: near anything known, or within bounds where nothing is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.estimate.limits import Limits
from oracle.exchange.belief import suspicion

LIMITS = Limits()
USD = st.floats(100.0, 100_000_000.0)


@pytest.mark.parametrize("price_usd", [1e-300, 0.01, 99.99, 100_000_001.0, 1e18, 1e308])
def test_a_price_outside_the_bounds_is_not_believed_whatever_else_is_known(price_usd: float):
    assert "ORACLE_QUOTE_M" in (suspicion(price_usd, [price_usd], LIMITS) or "")


@given(USD)
def test_where_nothing_else_is_known_any_price_within_bounds_is_believed(price_usd: float):
    assert suspicion(price_usd, [], LIMITS) is None


@given(USD, st.lists(USD))
def test_one_known_price_within_the_factor_is_enough(price_usd: float, others: list[float]):
    assert suspicion(price_usd, [*others, price_usd / 1.99], LIMITS) is None
    assert suspicion(price_usd, [*others, price_usd * 1.99], LIMITS) is None


@given(USD, st.lists(st.floats(2.01, 1000.0), min_size=1), st.booleans())
def test_a_price_beyond_the_factor_from_all_is_not_believed(
    price_usd: float, factors: list[float], is_above: bool
):
    known = [price_usd * factor if is_above else price_usd / factor for factor in factors]
    assert suspicion(price_usd, known, LIMITS)


def test_the_reason_names_the_nearest_price_and_the_factor():
    said = suspicion(1_000_000.0, [100_000.0, 90_000.0], LIMITS)
    assert said == "all else that is known is more than 2 times away, the nearest $100,000"


def test_bounds_and_factor_are_settings():
    narrow = Limits(quote_min_usd=1.0, quote_max_usd=100_000.0, quote_max_factor=1.1)
    assert suspicion(99_999.0, [], narrow) is None
    assert suspicion(100_001.0, [], narrow)
    assert suspicion(80_000.0, [90_000.0], narrow)
