"""The on-chain price of bitcoin, from the blocks of your own node.

`block bytes -> eligible outputs -> window -> price -> store -> JSON -> pages -> release`

The first four steps are pure and live in `oracle.core`; `oracle.tick` runs them for every new block
and records the result in `oracle.record.store`; the package `builder` makes the site from there.
`oracle.cli` is the command. As a library:

    from oracle import UTXOracleCalculator, price_of_files, spot_price

A public name is loaded when it is asked for: a command that needs none of them starts sooner.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oracle.answer import answer_json, price_of_chain, price_of_files
    from oracle.calculator import UTXOracleCalculator
    from oracle.estimate.spot import SpotPrice, spot_price
    from oracle.estimate.window import PriceCalculator

    __version__: str

__all__ = [
    "PriceCalculator",
    "SpotPrice",
    "UTXOracleCalculator",
    "__version__",
    "answer_json",
    "price_of_chain",
    "price_of_files",
    "spot_price",
]
DISTRIBUTION = "onchain-oracle"
PLACES = {
    "PriceCalculator": "oracle.estimate.window",
    "SpotPrice": "oracle.estimate.spot",
    "UTXOracleCalculator": "oracle.calculator",
    "answer_json": "oracle.answer",
    "price_of_chain": "oracle.answer",
    "price_of_files": "oracle.answer",
    "spot_price": "oracle.estimate.spot",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version(DISTRIBUTION)
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
