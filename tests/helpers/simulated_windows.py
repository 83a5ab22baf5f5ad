"""Windows of the simulated chain's market and value mix, without its wire format: made in
milliseconds."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from oracle.core.eligible import is_round_btc
from oracle.core.window import Window
from oracle.simulated.draw import PAYMENT_DELAYS_SECONDS, draw_values
from oracle.simulated.market import SimulatedMarket, SimulationSettings

BLOCKS = 144
DAY_SECONDS = 86_400


def block_values(
    market: SimulatedMarket, height: int, payments: int, fraction: float
) -> NDArray[np.int64]:
    """The values of so many two-output payments of one block, this fraction of them in round
    dollars."""
    now = market.arrival_unix(height)
    prices = np.array([market.market_price_usd(now - delay) for delay in PAYMENT_DELAYS_SECONDS])
    rng = np.random.default_rng((market.settings.seed, height))
    values = draw_values(rng, 2 * payments, np.arange(0, 2 * payments, 2), prices, fraction)
    return np.asarray(values[(values > 1000) & (values < 10**13)])


@cache
def simulated_window(
    seed: int, *, fraction: float = 0.25, payments: int = 40, blocks: int = BLOCKS, first: int = 0
) -> tuple[Window, float, float]:
    """A window of `blocks` blocks, the mean of the market over it, and the market at its end."""
    market = SimulatedMarket(SimulationSettings(seed=seed))
    heights = np.arange(
        market.settings.first_height + first, market.settings.first_height + first + blocks
    )
    values = [block_values(market, int(height), payments, fraction) for height in heights]
    value_sats = np.concatenate(values)
    times = np.array([market.arrival_unix(int(height)) for height in heights])
    mean = np.mean(
        [market.market_price_usd(t) for t in np.linspace(times[0] - 600, times[-1], 300)]
    )
    window = Window(
        block_heights=heights.astype(np.int32),
        block_times_unix=times,
        block_index=np.repeat(np.arange(blocks, dtype=np.int32), [len(v) for v in values]),
        value_sats=value_sats,
        is_round=is_round_btc(value_sats),
    )
    return window, float(mean), market.market_price_usd(float(times[-1]))
