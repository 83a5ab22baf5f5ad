"""From blocks to estimates: the calculator says prices and points, the limits say what is valid."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from oracle import spot_price
from oracle.calculator import UTXOracleCalculator
from oracle.config import load_settings
from oracle.core.eligible import BlockFacts
from oracle.core.price import find_points, price_window
from oracle.core.window import form_window
from oracle.estimate.limits import Limits
from oracle.estimate.spot import LOOK_BACK_BLOCKS
from oracle.estimate.window import PriceCalculator, SpotEstimate, estimate_spot, estimate_window
from oracle.wiring import limits_of
from tests.helpers.swapped_calculator import Always, AlwaysOfOurs, NotANumber, WithoutPoints
from tests.helpers.vectors import chain_facts

PROJECT = Path(__file__).resolve().parents[2]
LIMITS = Limits()


@pytest.fixture(scope="module")
def blocks(shared: Path) -> list[BlockFacts]:
    """144 blocks and the tip, of a vector."""
    return chain_facts(shared / "vectors", "recent_small", 840_000)[1:]


def spot_of(blocks: list[BlockFacts], calculator: PriceCalculator) -> SpotEstimate:
    guide = estimate_window(form_window(blocks[:-1]), calculator, LIMITS)
    return estimate_spot(blocks, guide, calculator, LIMITS)


# --- Whose numbers --------------------------------------------


def test_our_spot_price_follows_the_points_around_the_guides_rough_price(blocks) -> None:
    guide = price_window(form_window(blocks[:-1]))
    window = form_window(blocks[1:])
    points = find_points(window, guide.rough_price_usd)
    late = points.block_index >= len(window.block_heights) - LOOK_BACK_BLOCKS
    heights = window.block_heights[points.block_index[late]]
    spot = spot_of(blocks, UTXOracleCalculator())
    found = spot_price(heights, points.prices_usd[late], guide.price_usd)
    assert (spot.price_usd, spot.points) == (found.price_usd, found.points)


@pytest.mark.parametrize("calculator", [Always(), AlwaysOfOurs()])
def test_another_calculators_spot_price_follows_its_own_points(blocks, calculator) -> None:
    spot = spot_of(blocks, calculator)
    assert spot.price_usd == pytest.approx(77_777.0, rel=1e-4)
    assert spot.points == 20 * LOOK_BACK_BLOCKS


def test_a_price_without_a_rough_price_has_its_interval_around_itself(blocks) -> None:
    estimate = estimate_window(form_window(blocks[:-1]), Always(), LIMITS)
    assert (estimate.price_usd, estimate.rough_usd) == (77_777.0, None)
    assert estimate.low_usd < 77_777.0 < estimate.high_usd


@pytest.mark.parametrize(
    ("calculator", "reason"),
    [
        (WithoutPoints(), "the calculator gave no price points near its price"),
        (NotANumber(), "the calculator gave something that is no price"),
    ],
)
def test_what_cannot_be_relied_on_is_no_price_with_a_reason(blocks, calculator, reason) -> None:
    estimate = estimate_window(form_window(blocks[:-1]), calculator, LIMITS)
    assert (estimate.price_usd, estimate.is_valid, estimate.reason) == (None, False, reason)
    assert spot_of(blocks, calculator).reason == "there is no window price to start from"


# --- The verdict ----------------------------------------------


def test_window_and_spot_are_judged_by_the_same_limits(blocks) -> None:
    strict = Limits(min_price_usd=100_000.0)
    guide = estimate_window(form_window(blocks[:-1]), UTXOracleCalculator(), strict)
    spot = estimate_spot(blocks, guide, UTXOracleCalculator(), strict)
    assert "outside the believable $100,000" in (guide.reason or "")
    assert "outside the believable $100,000" in (spot.reason or "")


def test_no_price_is_not_valid_for_the_reason_that_there_is_none() -> None:
    assert LIMITS.judge(None, 0.0, "nothing there") == (False, "nothing there")


def test_limits_without_settings_are_the_limits_of_settings_that_are_not_set() -> None:
    assert limits_of(load_settings({})) == Limits()


def default_numbers(tree: ast.Module) -> Iterator[str]:
    """Yield the name of each field, variable or argument that is given a number of its own."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.AnnAssign):
            pairs = [(ast.unparse(node.target), node.value)]
        elif isinstance(node, ast.Assign):
            pairs = [(ast.unparse(target), node.value) for target in node.targets]
        elif isinstance(node, ast.arguments):
            names = [argument.arg for argument in node.kwonlyargs]
            pairs = list(zip(names, node.kw_defaults, strict=True))
        yield from (name.lower() for name, value in pairs if value and is_number(value))


def is_number(value: ast.expr) -> bool:
    """Tell whether it is a number, or a call whose first argument is one, as in Field(0.3)."""
    given = value.args[0] if isinstance(value, ast.Call) and value.args else value
    return isinstance(given, ast.Constant) and isinstance(given.value, int | float)


def test_no_default_of_a_limit_is_written_twice() -> None:
    names = Limits._fields
    written = [
        (path.relative_to(PROJECT).as_posix(), name)
        for path in sorted([*PROJECT.glob("oracle/**/*.py"), *PROJECT.glob("builder/**/*.py")])
        for name in default_numbers(ast.parse(path.read_text()))
        if name.endswith(names)
    ]
    assert written == [("oracle/estimate/limits.py", name) for name in names]


# --- The same bits --------------------------------------------


def test_the_bits_do_not_depend_on_how_many_threads_multiply() -> None:
    rng = np.random.default_rng(4)
    heights = np.repeat(np.arange(800_000, 800_036), 400)
    prices = 60_000 * np.exp(rng.standard_t(3, len(heights)) * 0.02)
    with threadpool_limits(1):
        one = spot_price(heights, prices, 60_000.0)
    with threadpool_limits(2):
        assert spot_price(heights, prices, 60_000.0) == one
