"""The calculator as a library, and its replacement by another class."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import oracle
from oracle.calculator import DEFAULT_CALCULATOR, UTXOracleCalculator, load_calculator
from oracle.config import load_settings
from oracle.core.params import ALGORITHM_VERSION
from oracle.core.price import price_window
from oracle.core.window import form_window
from oracle.errors import RequestError, SettingsError
from oracle.estimate.window import Limits
from oracle.record.store import Store
from oracle.tick import TickRules, run_tick
from oracle.wiring import calculator_of
from tests.helpers import plain_blocks as plain
from tests.helpers.swapped_calculator import Always, OneDollarMore, Speechless
from tests.helpers.ticking import FIRST, HeldSource, current, small_chain
from tests.helpers.vectors import chain_facts, expected, raw_blocks

SWAPPED = "tests.helpers.swapped_calculator"


def transactions_of(shared: Path, say: Any = plain.as_core) -> list[dict[str, Any]]:
    """Return the transactions of the recent window of a vector, as JSON objects."""
    blocks = raw_blocks(shared / "vectors", "recent_small")[1:-1]
    return [say(transaction) for data in blocks for transaction in plain.read_block(data)[1]]


# --- Ours ---------------------------------------------------


@pytest.mark.parametrize("say", [plain.as_core, plain.as_esplora])
def test_transactions_of_a_window_have_its_published_price(shared: Path, say: Any) -> None:
    answer = expected(shared / "vectors")["recent_small"]["answers"][0]
    found = UTXOracleCalculator().calculate_price_for_transactions(transactions_of(shared, say))
    names = ("price", "rough_price", "outputs", "points")
    keys = ("price_usd", "rough_price_usd", "outputs", "points")
    assert [found[key] for key in keys] == [answer[name] for name in names]


def test_an_answer_says_how_sure_it_is_and_what_was_left_out(shared: Path) -> None:
    transactions = transactions_of(shared)
    found = UTXOracleCalculator().calculate_price_for_transactions(transactions)
    walk = plain.Walk().over(
        transaction
        for data in raw_blocks(shared / "vectors", "recent_small")[1:-1]
        for transaction in plain.read_block(data)[1]
    )
    assert found["left_out"] == walk.left_out
    assert 0.9 < found["confidence"] <= 1
    assert (found["is_valid"], found["reason"], found["algorithm_version"]) == (
        True,
        None,
        ALGORITHM_VERSION,
    )


def test_no_transactions_have_no_price_and_a_reason() -> None:
    found = UTXOracleCalculator().calculate_price_for_transactions([])
    assert (found["price_usd"], found["confidence"], found["is_valid"]) == (None, 0.0, False)
    assert found["reason"]


def test_a_handful_of_transactions_has_no_price_that_is_called_valid() -> None:
    few = [plain.as_core(plain.Transaction(lock_time=n)) for n in range(5)]
    found = UTXOracleCalculator().calculate_price_for_transactions(few)
    assert not found["is_valid"]
    assert math.isfinite(found["confidence"])


def test_a_price_outside_the_limits_is_given_but_not_valid(shared: Path) -> None:
    strict = UTXOracleCalculator(Limits(min_price_usd=100_000.0))
    found = strict.calculate_price_for_transactions(transactions_of(shared))
    assert (found["price_usd"], found["is_valid"]) == (67933.85959429899, False)
    assert "outside the believable" in found["reason"]


def test_a_wrong_transaction_is_an_error_that_names_it() -> None:
    with pytest.raises(RequestError, match="transaction 0: txid is missing"):
        UTXOracleCalculator().calculate_price_for_transactions([{}])


def test_the_calculator_is_a_name_of_the_package() -> None:
    assert oracle.UTXOracleCalculator is UTXOracleCalculator


def test_our_calculator_prices_a_window_as_the_core_does(shared: Path) -> None:
    window = form_window(chain_facts(shared / "vectors", "recent_small", 840_000)[1:-1])
    assert UTXOracleCalculator().price_window(window).price_usd == price_window(window).price_usd


# --- Another ------------------------------------------------


def test_the_default_is_ours() -> None:
    assert isinstance(load_calculator(), UTXOracleCalculator)
    assert load_settings({}).oracle_calculator == DEFAULT_CALCULATOR


def test_a_setting_swaps_in_another_class() -> None:
    settings = load_settings({"ORACLE_CALCULATOR": f"{SWAPPED}:OneDollarMore"})
    assert isinstance(calculator_of(settings), OneDollarMore)


def test_ours_gets_the_limits_of_the_settings() -> None:
    calculator = calculator_of(load_settings({"UTXORACLE_MIN_PRICE_USD": "20000"}))
    assert isinstance(calculator, UTXOracleCalculator)
    assert calculator.limits.min_price_usd == 20_000


def test_a_class_that_inherits_the_methods_will_do() -> None:
    assert isinstance(load_calculator(f"{SWAPPED}:Speechless"), Speechless)


WRONG = {
    "no_such_package.x:Y": "cannot be imported (No module named 'no_such_package'); is the "
    "package installed here?",
    f"{SWAPPED}x:Y": f"cannot be imported (No module named '{SWAPPED}x'); is the package "
    f"installed here?",
    f"{SWAPPED}:Missing": f"cannot be found (module '{SWAPPED}' has no attribute 'Missing')",
    f"{SWAPPED}:NoWindow": "has no method price_window; docs/calculator.md describes the protocol",
    f"{SWAPPED}:NoTransactions": "has no method calculate_price_for_transactions; "
    "docs/calculator.md describes the"
    " protocol",
    f"{SWAPPED}:NoVersion": "has no text algorithm_version; docs/calculator.md describes the "
    "protocol",
    f"{SWAPPED}:NeedsArguments": "cannot be made without arguments (NeedsArguments.__init__() "
    "missing 1 required"
    " positional argument: 'where')",
    "oracle.calculator": "write it as package.module:Class, for example "
    "oracle.calculator:UTXOracleCalculator",
    ":UTXOracleCalculator": "write it as package.module:Class, for example "
    "oracle.calculator:UTXOracleCalculator",
    "oracle.calculator:": "write it as package.module:Class, for example "
    "oracle.calculator:UTXOracleCalculator",
}


@pytest.mark.parametrize(("path", "problem"), WRONG.items())
def test_a_class_that_will_not_do_is_told_at_start_with_the_reason(path: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_calculator(path)
    assert caught.value.problems == [f"ORACLE_CALCULATOR={path}: {problem}"]


@pytest.mark.parametrize("name", ["Breaks", "not_a_class"])
def test_a_class_that_cannot_be_made_is_told_at_start(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^ORACLE_CALCULATOR={SWAPPED}:{name}: cannot be made"):
        load_calculator(f"{SWAPPED}:{name}")


def test_the_page_that_errors_name_exists_and_names_every_method() -> None:
    page = (Path(__file__).parent.parent / "docs" / "calculator.md").read_text()
    names = (
        "price_window",
        "calculate_price_for_transactions",
        "algorithm_version",
        "ORACLE_CALCULATOR",
    )
    assert [name for name in names if name not in page] == []


def test_with_another_class_nothing_in_the_database_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    source = HeldSource(small_chain(), FIRST + 146)
    with Store(path, network="simulated") as store:
        run_tick(
            store, source, None, Always(), TickRules(first_run_blocks=147),
            now_unix=source.time_unix,
        )  # fmt: skip
    rows = current(path, "prices")
    usd = [row[f"{leg}_usd"] for row in rows for leg in ("window", "spot")]
    assert len(usd) == 6
    assert usd == pytest.approx([Always.price_usd] * 6, rel=1e-4)
    assert {row["algorithm_version"] for row in rows} == {Always.algorithm_version}
    assert {row["window_points"] for row in rows} == {20 * 144}
    assert {row["spot_points"] for row in rows} == {20 * 36}
