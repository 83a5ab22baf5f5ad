"""The on-chain price of bitcoin, from the blocks of your own node.

`block bytes -> eligible outputs -> window -> price -> store -> JSON -> pages -> release`

The first four steps are pure and live in `oracle.core`; `oracle.tick` runs them for every new block
and records the result in `oracle.record.store`; the package `builder` makes the site from there.
`oracle.cli` is the command. As a library:

    from oracle import UTXOracleCalculator, spot_price
"""

from importlib.metadata import version

from oracle.calculator import PriceCalculator, UTXOracleCalculator
from oracle.estimate.spot import SpotPrice, spot_price

__version__ = version("onchain-oracle")
__all__ = ["PriceCalculator", "SpotPrice", "UTXOracleCalculator", "__version__", "spot_price"]
