"""A simulated chain: what runs when no node is configured, and what the tests stand on.

One seed gives one chain: real wire-format blocks with valid headers at the regtest target, a price
that moves like a market, exchange quotes of that market, and output values mixed as in real blocks.
Only headers depend on each other; any block's body follows from (seed, height) alone, so old bodies
are never needed to go on.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from oracle.simulated.draw import PAYMENT_DELAYS_SECONDS, Rng, draw_payments
from oracle.simulated.market import SimulatedMarket, SimulationSettings
from oracle.simulated.serialise import (
    Transaction,
    block_body,
    build_header,
    coinbase_transaction,
    header_hash,
    transactions_root,
)

NO_HASH = "0" * 64
MEDIAN_HEADERS = 11  # a header's time must be later than the median of so many before it
BODIES_KEPT = 3000  # 25 kB each, packed
SOURCES_KEPT = 600  # two windows
ZLIB_LEVEL = 1
# A miner's clock: mostly up to this late, now and then off by more.
LATE_SECONDS = (0, 30)
RIGHT_CLOCK_FRACTION = 0.985
WRONG_CLOCK_SECONDS = (-120, 1500)
EMPTY_BLOCK_FRACTION = 0.004
FEWEST_SOURCES = 4
SOURCES_SHARE = 6  # one in so many transactions spends nothing recent
SIZE_DEVIATION = 0.6  # of the logarithm of how many transactions there are
PARENTS_WITHIN_BLOCKS = 300
PARENTS = 3


class SimulatedChain(SimulatedMarket):
    """A chain that grows as it is asked for, from its settings and the headers that are known
    already.

    `known` holds the headers that have been given or made so far, from the first on; `heights`
    those of their hashes. A first run asks for all headers, then for each block: bodies are kept,
    packed, not drawn twice.
    """

    def __init__(self, settings: SimulationSettings, known: Iterable[bytes] = ()) -> None:
        super().__init__(settings)
        self.known = list(known)
        self.heights = {
            header_hash(header): i for i, header in enumerate(self.known, settings.first_height)
        }
        self._bodies = lru_cache(BODIES_KEPT)(self._draw_body)
        self._sources = lru_cache(SOURCES_KEPT)(self._draw_sources)

    def forked(self, from_height: int, salt: int) -> SimulatedChain:
        """Return a chain of the same market that shares all blocks below a height and none from
        there on."""
        settings = self.settings._replace(forks=(*self.settings.forks, (from_height, salt)))
        return SimulatedChain(settings, self.headers(self.settings.first_height, from_height - 1))

    def is_consistent(self) -> bool:
        """Whether the last known header commits to the body that these settings make."""
        height = self.settings.first_height + len(self.known) - 1
        return bool(self.known) and self.known[-1][36:68] == self._bodies(height)[0]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return the 80-byte headers of an inclusive range of heights."""
        lowest = self.settings.first_height
        with self._lock:
            for height in range(lowest + len(self.known), last_height + 1):
                prev_hash = next(reversed(self.heights), NO_HASH)
                header = build_header(prev_hash, self._bodies(height)[0], self._stamp(height))
                self.known.append(header)
                self.heights[header_hash(header)] = height
        return self.known[first_height - lowest : last_height - lowest + 1]

    def block_hash(self, height: int) -> str:
        """Return a block's hash in display order."""
        return header_hash(self.headers(height, height)[0])

    def block(self, height: int) -> bytes:
        """Return one block as on the wire."""
        return self.headers(height, height)[0] + zlib.decompress(self._bodies(height)[1])

    def _stamp(self, height: int) -> int:
        """Return a new header's time: a miner's clock, but later than the median before it."""
        rng = self._rng(height, 5)
        is_right = rng.random() < RIGHT_CLOCK_FRACTION
        late = int(rng.integers(*(LATE_SECONDS if is_right else WRONG_CLOCK_SECONDS)))
        arrival_unix = self.arrival_unix(height)
        if not self.known:
            return arrival_unix
        recent = sorted(
            int.from_bytes(header[68:72], "little") for header in self.known[-MEDIAN_HEADERS:]
        )
        return max(arrival_unix - late, recent[len(recent) // 2] + 1)

    def _draw_body(self, height: int) -> tuple[bytes, bytes]:
        transactions = self.transactions(height)
        packed = zlib.compress(block_body(transactions), ZLIB_LEVEL)
        return transactions_root(transactions), packed

    def transactions(self, height: int) -> list[Transaction]:
        """Draw a block's transactions."""
        payments = self._sources(height)
        if payments:
            payments = payments + self._draw_spenders(height, len(payments))
        tag = self._rng(height, 6).bytes(4)
        return [coinbase_transaction(height, payments, tag), *payments]

    def _draw_spenders(self, height: int, sources: int) -> list[Transaction]:
        """Draw the payments after a block's sources; they spend sources of this block and of
        others."""
        rng = self._rng(height, 4)
        mean = self.settings.transactions_per_block - sources
        # of a lognormal distribution around that mean
        scale = np.exp(SIZE_DEVIATION * rng.standard_normal() - SIZE_DEVIATION**2 / 2)
        lags = [0, *rng.integers(1, PARENTS_WITHIN_BLOCKS, PARENTS).tolist()]
        coins: list[bytes] = []
        for lag in lags:
            parent = max(height - lag, self.settings.first_height)
            coins += [transaction.txid for transaction in self._sources(parent)]
        return self._draw(rng, height, int(mean * scale), coins)

    def _draw_sources(self, height: int) -> list[Transaction]:
        """Draw a block's first payments: nothing recent is spent by them, they are what others
        spend."""
        rng = self._rng(height, 3)
        if rng.random() < EMPTY_BLOCK_FRACTION:
            return []
        mean = self.settings.transactions_per_block // SOURCES_SHARE
        return self._draw(rng, height, max(FEWEST_SOURCES, mean))

    def _draw(
        self, rng: Rng, height: int, size: int, coins: Sequence[bytes] = ()
    ) -> list[Transaction]:
        """Draw so many transactions at the prices before a block's arrival."""
        now_unix = self.arrival_unix(height)
        prices_usd = [self.market_price_usd(now_unix - delay) for delay in PAYMENT_DELAYS_SECONDS]
        return draw_payments(rng, size, coins, np.array(prices_usd), self.settings.payment_fraction)

    def _rng(self, height: int, stream: int) -> Rng:
        salts = [salt for start, salt in self.settings.forks if height >= start]
        newest = salts[-1] if salts else 0
        return np.random.default_rng((self.settings.seed, stream, height, newest))
