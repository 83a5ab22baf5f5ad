"""The price calculator as an object: ours, and how another one replaces it.

`ORACLE_CALCULATOR=package.module:Class` names any class that can be made without arguments and has
the two methods and the version of `PriceCalculator`. Everything that prices a window goes through
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from oracle.core.params import ALGORITHM_VERSION
from oracle.core.price import price_window
from oracle.dialects import read_transactions
from oracle.errors import SettingsError
from oracle.estimate.limits import DEFAULT_LIMITS, Limits
from oracle.estimate.window import PriceCalculator, estimate_window

DEFAULT_CALCULATOR = "oracle.calculator:UTXOracleCalculator"
__all__ = ["DEFAULT_CALCULATOR", "PriceCalculator", "UTXOracleCalculator", "load_calculator"]


class UTXOracleCalculator:
    """The published v9.1 method, from windows of eligible outputs or from transactions as JSON
    objects."""

    algorithm_version = ALGORITHM_VERSION

    price_window = staticmethod(price_window)  # the core's, by which the estimate knows it

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits

    def calculate_price_for_transactions(self, txs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the price of a list of transactions taken as one window.

        Args:
            txs: Bitcoin Core's verbosity-2 transactions, or esplora's, in chain order.

        Returns:
            price_usd (float, or None with a `reason`), confidence (0 to 1), is_valid,
            rough_price_usd, outputs and points (counts), left_out (transactions a rule),
            algorithm_version.

        Raises:
            RequestError: a missing key, a wrong type or mixed dialects; names the transaction and
                the key.
        """
        window, left_out = read_transactions(txs)
        estimate = estimate_window(window, self, self.limits)
        return {
            "price_usd": estimate.price_usd,
            "confidence": estimate.confidence,
            "is_valid": estimate.is_valid,
            "reason": estimate.reason,
            "rough_price_usd": estimate.price.rough_price_usd,
            "outputs": estimate.price.outputs,
            "points": len(estimate.price.points.prices_usd),
            "left_out": {rule.value: count for rule, count in left_out.items()},
            "algorithm_version": self.algorithm_version,
        }


def load_calculator(path: str = DEFAULT_CALCULATOR) -> PriceCalculator:
    """Return an instance of the class that a setting names.

    Raises:
        SettingsError: it cannot be imported, made, or lacks a method; says which.
    """
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise _wrong(path, f"write it as package.module:Class, for example {DEFAULT_CALCULATOR}")
    try:
        calculator = getattr(import_module(module_name), class_name)()
    except ImportError as error:
        raise _wrong(
            path, f"cannot be imported ({error}); is the package installed here?"
        ) from error
    except AttributeError as error:
        raise _wrong(path, f"cannot be found ({error})") from error
    except Exception as error:  # somebody else's code may raise anything
        raise _wrong(path, f"cannot be made without arguments ({error})") from error
    for name in ("price_window", "calculate_price_for_transactions"):
        if not callable(getattr(calculator, name, None)):
            raise _wrong(path, f"has no method {name}; docs/calculator.md describes the protocol")
    if not isinstance(getattr(calculator, "algorithm_version", None), str):
        raise _wrong(
            path, "has no text algorithm_version; docs/calculator.md describes the protocol"
        )
    return calculator  # type: ignore[no-any-return]  # just checked: it has what the protocol names


def _wrong(path: str, problem: str) -> SettingsError:
    return SettingsError([f"ORACLE_CALCULATOR={path}: {problem}"])
