"""Calculators that are not ours: what ORACLE_CALCULATOR names in tests, good ones and bad ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oracle.calculator import UTXOracleCalculator
from oracle.core.price import PricePoints, WindowPrice, price_window
from oracle.core.window import Window


class OneDollarMore:
    """The published price and a dollar on top."""

    algorithm_version = "one-dollar-more"

    def price_window(self, window: Window) -> WindowPrice:
        price = price_window(window)
        more = price.price_usd and price.price_usd + 1
        return WindowPrice(
            price.outputs, more, price.reason, price.rough, price.points, price.spread
        )

    def calculate_price_for_transactions(self, txs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"price_usd": float(len(txs)), "confidence": 1.0}


class Speechless:
    """Never has a price."""

    algorithm_version = "speechless"

    def price_window(self, window: Window) -> WindowPrice:
        return WindowPrice(len(window.value_sats), reason="nothing to say")

    def calculate_price_for_transactions(self, txs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"price_usd": None, "confidence": 0.0}


class Always(Speechless):
    """One price, whatever the blocks hold, with twenty points a block at it."""

    algorithm_version = "always"
    price_usd = 77_777.0

    def price_window(self, window: Window) -> WindowPrice:
        index = np.repeat(np.arange(len(window.block_heights), dtype=np.int32), 20)
        points = PricePoints(index, np.full(len(index), self.price_usd))
        return WindowPrice(len(window.value_sats), self.price_usd, points=points)


class AlwaysOfOurs(UTXOracleCalculator):
    """Ours with another way to price a window."""

    algorithm_version = "always-of-ours"

    def price_window(self, window: Window) -> WindowPrice:  # type: ignore[override]
        return Always().price_window(window)


class WithoutPoints(Speechless):
    def price_window(self, window: Window) -> WindowPrice:
        return WindowPrice(len(window.value_sats), 77_777.0)


class NotANumber(Speechless):
    def price_window(self, window: Window) -> WindowPrice:
        return WindowPrice(len(window.value_sats), float("nan"))


class NoWindow(Speechless):
    price_window = None  # type: ignore[assignment]


class NoTransactions(Speechless):
    calculate_price_for_transactions = "not a method"  # type: ignore[assignment]


class NoVersion(Speechless):
    algorithm_version = 9  # type: ignore[assignment]


class NeedsArguments(Speechless):
    def __init__(self, where: str) -> None:
        self.where = where


class Breaks(Speechless):
    def __init__(self) -> None:
        raise OSError("a library is missing")


not_a_class = 5
