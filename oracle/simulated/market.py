"""The market of a simulated chain: its price, its quotes, and when its blocks arrive."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from oracle.sources import Quote

NAME = "simulated"
DAY_SECONDS = 86_400
DAY_MINUTES = 1440
DAY_BLOCKS = 144  # a mean
QUOTE_EVERY_SECONDS = 300
QUOTE_NOISE = 0.0003  # of the price: exchanges differ by about so much
# Currencies of one dollar, about as in 2025.
EXCHANGE_RATES = {"EUR": 0.92, "GBP": 0.79, "CAD": 1.37, "CHF": 0.88, "AUD": 1.52, "JPY": 149.0}


class SimulationSettings(NamedTuple):
    """What a simulated chain follows from.

    `payment_fraction` is the share of transactions that pay a round dollar amount (0.0: no signal,
    all else alike); `transactions_per_block` is a mean. Each of `forks` is (height, salt): from
    there on blocks are others.
    """

    seed: int = 21
    start_unix: int = 1_761_955_200
    first_height: int = 900_000
    transactions_per_block: int = 150
    payment_fraction: float = 0.25
    start_price_usd: float = 84_000.0
    annual_volatility: float = 0.55
    forks: tuple[tuple[int, int], ...] = ()


class SimulatedMarket:
    """Price and block arrivals of a chain, drawn a day at a time, each from its own seed."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self._log_prices = [float(np.log(settings.start_price_usd))]  # one a minute
        self._arrivals_unix = [settings.start_unix]
        self._drawn_until_unix = settings.start_unix
        self._lock = threading.RLock()

    def market_price_usd(self, time_unix: float) -> float:
        """Return the true price of one bitcoin at any time; before the start it is the start
        price."""
        self._draw_until(time_unix)
        minute, rest = divmod(max(0.0, time_unix - self.settings.start_unix) / 60, 1)
        before, after = self._log_prices[int(minute) : int(minute) + 2]
        return float(np.exp(before + rest * (after - before)))

    def quote(self, time_unix: float) -> Quote:
        """Return the newest exchange quote at a time: whole dollars, a new one every five
        minutes."""
        quoted_at_unix = int(time_unix) // QUOTE_EVERY_SECONDS * QUOTE_EVERY_SECONDS
        noise = np.random.default_rng((self.settings.seed, 2, quoted_at_unix)).standard_normal()
        price_usd = self.market_price_usd(quoted_at_unix) * (1 + QUOTE_NOISE * float(noise))
        currencies = {name: float(round(price_usd * rate)) for name, rate in EXCHANGE_RATES.items()}
        return Quote(float(round(price_usd)), quoted_at_unix, NAME, currencies)

    def height_at(self, time_unix: float) -> int:
        """Return the height of the newest block that has arrived; one below the first when none
        has."""
        self._draw_until(time_unix)
        return self.settings.first_height - 1 + bisect_right(self._arrivals_unix, time_unix)

    def arrival_unix(self, height: int) -> int:
        """Return when a block was found."""
        while height - self.settings.first_height >= len(self._arrivals_unix):
            self._draw_until(self._drawn_until_unix)
        return self._arrivals_unix[height - self.settings.first_height]

    def _draw_until(self, time_unix: float) -> None:
        with self._lock:
            while self._drawn_until_unix <= max(time_unix, self.settings.start_unix):
                self._draw_day(
                    np.random.default_rng((self.settings.seed, 1, self._drawn_until_unix))
                )
                self._drawn_until_unix += DAY_SECONDS

    def _draw_day(self, rng: np.random.Generator) -> None:
        """Draw calm and wild days, fat-tailed minutes; blocks 600 s apart, some days with a gap of
        two hours."""
        wildness = np.exp(0.45 * rng.standard_normal() - 0.45**2)
        minute_deviation = wildness * self.settings.annual_volatility / np.sqrt(365 * DAY_MINUTES)
        steps = minute_deviation * rng.standard_t(4, DAY_MINUTES) / np.sqrt(2)
        self._log_prices += (self._log_prices[-1] + np.cumsum(steps)).tolist()
        drawn = rng.integers(1, DAY_SECONDS, rng.poisson(DAY_BLOCKS))
        seconds = np.array(sorted(set(drawn.tolist())))  # numpy.unique loads masked arrays
        is_in_gap = np.abs(seconds - rng.integers(0, 8 * DAY_SECONDS)) < 3600
        self._arrivals_unix += (self._drawn_until_unix + seconds[~is_in_gap]).tolist()
