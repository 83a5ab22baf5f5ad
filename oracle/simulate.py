"""A simulated chain and its market: what runs when no node is configured, and what the tests stand on.

One seed gives one chain: real wire-format blocks with valid headers at the regtest target, a price that moves
like a market, exchange quotes of that market, and output values mixed as in real blocks. Only headers depend
on each other; any block's body follows from (seed, height) alone, so old bodies are never needed to go on.
Inputs are invented: nothing here would survive a node's signature checks, and nothing needs to.
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.core.block import merkle_root
from oracle.core.wire import sha256d
from oracle.sources import Quote

REGTEST_BITS = 0x207FFFFF
NO_HASH = "0" * 64
HEADER_SIZE = 80
DAY_SECONDS = 86_400
QUOTE_SECONDS = 300

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Rng = np.random.Generator


# --- The wire format ----------------------------------------


class Transaction(NamedTuple):
    """A serialised transaction: without witness (what the txid covers) and as on the wire."""

    stripped: bytes
    raw: bytes

    @property
    def txid(self) -> bytes:
        """The 32 bytes of the txid in wire order."""
        return sha256d(self.stripped)


def compact_size(number: int) -> bytes:
    """Return a count or length below 2^32 in the wire format's variable size."""
    if number < 0xFD:
        return bytes((number,))
    return b"\xfd" + struct.pack("<H", number) if number <= 0xFFFF else b"\xfe" + struct.pack("<I", number)


def _with_size(content: bytes) -> bytes:
    return compact_size(len(content)) + content


def serialize_transaction(
    inputs: Sequence[tuple[bytes, bytes]],
    outputs: Sequence[tuple[int, bytes]],
    witnesses: Sequence[Sequence[bytes]] = (),
) -> Transaction:
    """Serialise a version 2 transaction; legacy when no witness is given.

    Args:
        inputs: (36-byte outpoint, input script) each.
        outputs: (value_sats, output script) each.
        witnesses: the witness items of every input, or nothing at all.
    """
    parts = [b"\x02\0\0\0", compact_size(len(inputs))]
    parts += [outpoint + _with_size(script) + b"\xfd\xff\xff\xff" for outpoint, script in inputs]
    parts.append(compact_size(len(outputs)))
    parts += [struct.pack("<q", value_sats) + _with_size(script) for value_sats, script in outputs]
    stripped = b"".join((*parts, bytes(4)))
    if not witnesses:
        return Transaction(stripped, stripped)
    stacks = [compact_size(len(items)) + b"".join(map(_with_size, items)) for items in witnesses]
    return Transaction(stripped, b"".join((stripped[:4], b"\0\1", stripped[4:-4], *stacks, bytes(4))))


def coinbase_transaction(height: int, others: Sequence[Transaction] = (), tag: bytes = b"") -> Transaction:
    """Make a block's coinbase: BIP34 height, subsidy, and the commitment to the others' witness."""
    wtxids = [bytes(32), *(sha256d(transaction.raw) for transaction in others)]
    commitment = sha256d(merkle_root(wtxids)[0] + bytes(32))
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    script = _with_size(number) + _with_size(b"simulated" + tag)
    outputs = [(312_500_000, b"\0\x14" + bytes(20)), (0, b"\x6a\x24\xaa\x21\xa9\xed" + commitment)]
    return serialize_transaction([(bytes(32) + b"\xff" * 4, script)], outputs, [[bytes(32)]])


def payment_transaction(values_sats: Sequence[int], entropy: bytes) -> Transaction:
    """Make a one-input segwit payment; two values make it eligible. Its coin follows from `entropy`."""
    coin = sha256d(entropy)
    outputs = [(value_sats, b"\0\x14" + coin[:20]) for value_sats in values_sats]
    return serialize_transaction([(coin + bytes(4), b"")], outputs, [[bytes(71), bytes(33)]])


def build_header(prev_hash: str, root: bytes, time_unix: int, bits: int = REGTEST_BITS) -> bytes:
    """Return an 80-byte header whose nonce was searched until the hash meets the target in `bits`."""
    start = struct.pack("<I32s32sII", 0x20000000, bytes.fromhex(prev_hash)[::-1], root, time_unix, bits)
    target = (bits & 0x7FFFFF) << 8 * ((bits >> 24) - 3)
    headers = (start + struct.pack("<I", nonce) for nonce in count())
    return next(header for header in headers if int.from_bytes(sha256d(header), "little") <= target)


def build_block(
    prev_hash: str, time_unix: int, transactions: Sequence[Transaction], bits: int = REGTEST_BITS
) -> bytes:
    """Return a block of these transactions, the coinbase first among them; `prev_hash` in display order."""
    return build_header(prev_hash, _root(transactions), time_unix, bits) + _body(transactions)


def _root(transactions: Sequence[Transaction]) -> bytes:
    return merkle_root([transaction.txid for transaction in transactions])[0]


def _body(transactions: Sequence[Transaction]) -> bytes:
    return compact_size(len(transactions)) + b"".join([transaction.raw for transaction in transactions])


def header_hash(header: bytes) -> str:
    """Return the block hash of a header, or of a block that starts with it, in display order."""
    return sha256d(header[:HEADER_SIZE])[::-1].hex()


def blocks_carrying(
    heights: Iterable[int],
    times_unix: Iterable[int],
    value_sats: Iterable[int],
    *,
    prev_hash: str = NO_HASH,
    last_height: int = 0,
) -> Iterator[bytes]:
    """Yield linked blocks whose eligible outputs are these rows; a height without rows is an empty block.

    The rows are in chain order and stay so. A block with an odd number of rows gets one output of 1 sat,
    which the method drops. Empty blocks go on up to `last_height`, stamped ten minutes after their parent.
    """
    rows: dict[int, tuple[int, list[int]]] = {}
    for height, time_unix, value in zip(heights, times_unix, value_sats, strict=True):
        rows.setdefault(int(height), (int(time_unix), []))[1].append(int(value))
    time_unix = 0
    for height in range(min(rows), max(*rows, last_height) + 1):
        time_unix, values = rows.get(height, (time_unix + 600, []))
        pairs = zip(values[::2], [*values[1::2], 1], strict=False)
        payments = [payment_transaction(pair, b"%d/%d" % (height, i)) for i, pair in enumerate(pairs)]
        block = build_block(prev_hash, time_unix, [coinbase_transaction(height, payments), *payments])
        prev_hash = header_hash(block)
        yield block


# --- The market and the clock -------------------------------

EXCHANGE_RATES = {"EUR": 0.92, "GBP": 0.79, "CAD": 1.37, "CHF": 0.88, "AUD": 1.52, "JPY": 149.0}


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """What a simulated chain follows from.

    `payment_fraction` is the share of transactions that pay a round dollar amount (0.0: no signal, all else
    alike); `transactions_per_block` is a mean.
    """

    seed: int = 21
    start_unix: int = 1_761_955_200
    first_height: int = 900_000
    transactions_per_block: int = 150
    payment_fraction: float = 0.25
    start_price_usd: float = 84_000.0
    annual_volatility: float = 0.55


class SimulatedMarket:
    """Price and block arrivals of a chain, a day at a time, each from its own seed."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self._log_prices: list[Floats] = []
        self._arrivals: list[Int64s] = []
        self._blocks_before = [0]
        self._lock = threading.RLock()

    def market_price_usd(self, time_unix: float) -> float:
        """Return the true price of one bitcoin at any time; before the start it is the start price."""
        day, second = divmod(max(0.0, time_unix - self.settings.start_unix), DAY_SECONDS)
        self._live_until(int(day))
        minute, rest = divmod(second / 60, 1)
        before, after = self._log_prices[int(day)][int(minute) : int(minute) + 2]
        return float(np.exp(before + rest * (after - before)))

    def quote(self, time_unix: float) -> Quote:
        """Return the newest exchange quote at a time: whole dollars, a new one every five minutes."""
        quoted_at_unix = int(time_unix) // QUOTE_SECONDS * QUOTE_SECONDS
        noise = np.random.default_rng((self.settings.seed, 2, quoted_at_unix)).standard_normal()
        price_usd = self.market_price_usd(quoted_at_unix) * (1 + 0.0003 * float(noise))
        currencies = {name: float(round(price_usd * rate)) for name, rate in EXCHANGE_RATES.items()}
        return Quote(float(round(price_usd)), quoted_at_unix, "simulated", currencies)

    def height_at(self, time_unix: float) -> int:
        """Return the height of the newest block that has arrived; one below the first when none has."""
        day = int(time_unix - self.settings.start_unix) // DAY_SECONDS
        if time_unix < self.settings.start_unix:
            return self.settings.first_height - 1
        self._live_until(day)
        arrived = self._blocks_before[day] + int(np.searchsorted(self._arrivals[day], time_unix, "right"))
        return self.settings.first_height + arrived - 1

    def arrival_unix(self, height: int) -> int:
        """Return when a block was found."""
        index = height - self.settings.first_height
        while self._blocks_before[-1] <= index:
            self._live_until(len(self._arrivals))
        day = bisect_right(self._blocks_before, index) - 1
        return int(self._arrivals[day][index - self._blocks_before[day]])

    def _live_until(self, last_day: int) -> None:
        with self._lock:
            for day in range(len(self._log_prices), last_day + 1):
                midnight = self.settings.start_unix + day * DAY_SECONDS
                rng = np.random.default_rng((self.settings.seed, 1, midnight))
                self._log_prices.append(self._price_path(rng))
                arrivals = _arrival_seconds(rng) if day else np.append(0, _arrival_seconds(rng))
                self._arrivals.append(midnight + arrivals)
                self._blocks_before.append(self._blocks_before[-1] + len(arrivals))

    def _price_path(self, rng: Rng) -> Floats:
        """Draw 1441 log prices, midnight to midnight: calm and wild days, fat-tailed minutes."""
        opening = self._log_prices[-1][-1] if self._log_prices else np.log(self.settings.start_price_usd)
        minute_deviation = self.settings.annual_volatility / np.sqrt(365 * 1440)
        wildness = np.exp(0.45 * rng.standard_normal() - 0.45**2)
        steps = wildness * minute_deviation * rng.standard_t(4, 1440) / np.sqrt(2)
        return np.asarray(opening + np.append(0, np.cumsum(steps)))


def _arrival_seconds(rng: Rng) -> Int64s:
    """Draw a day's block times: a Poisson process, 600 s apart, now and then with a gap of two hours."""
    seconds = np.unique(rng.integers(1, DAY_SECONDS, rng.poisson(144)))
    gap_start = rng.integers(0, DAY_SECONDS) if rng.random() < 0.12 else DAY_SECONDS
    return seconds[(seconds < gap_start) | (seconds > gap_start + 7200)]


# --- Values: round dollars, round bitcoin, everything else ---

# All weights below are fitted to the 66,647 eligible outputs of mainnet blocks 937,665..937,808.
# What is neither round dollars nor round bitcoin, log10(BTC): normal distributions around -5.0, -4.5 .. 1.0
# at the price of those blocks; at a higher price people move less bitcoin.
BACKGROUND_WEIGHTS = np.array([330, 211, 523, 1116, 1536, 1368, 1113, 534, 395, 197, 189, 21, 51])
BACKGROUND_DEVIATION = 0.33
BACKGROUND_PRICE_USD = 68_150
ROUND_BTC_FRACTION = 0.17
ROUND_BTC_DIGITS = (10, 10, 10, 10, 12, 15, 15, 20, 20, 20, 25, 30, 30, 30, 40, 50, 50, 50, 60, 70, 80, 90)
ROUND_BTC_SATS = (100, 1000, 1000, 1000, 10**4, 10**4, 10**4, 10**4, 10**5, 10**5, 10**6, 10**6, 10**7)
# fmt: off
DOLLARS, DOLLAR_WEIGHTS = np.array((
    (1, 5, 7, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 350, 400, 500, 600,
     700, 800, 1000, 1500, 2000, 3000, 5000, 10000),
    (81, 275, 92, 653, 263, 655, 315, 442, 106, 239, 929, 169, 108, 123, 1009, 96, 275, 413, 127, 307, 85,
     142, 341, 70, 73, 46, 294, 62, 138, 53, 67, 34),
))
# fmt: on
LIMIT_SATS = (999, 1000, 1001, 10**13 - 1, 10**13, 10**13 + 1)
PAYMENT_DELAYS_SECONDS = (60, 300, 600, 1200, 2400)


def draw_values(rng: Rng, total: int, pay_at: Int64s, prices_usd: Floats, payment_fraction: float) -> Int64s:
    """Draw output values in sats: background everywhere, at `pay_at` also round dollars and round bitcoin.

    Args:
        rng: consumed alike whatever `payment_fraction` is: a chain without signal differs in nothing else.
        total: the number of outputs.
        pay_at: indices of the outputs that may be the payment of their transaction.
        prices_usd: the prices at which payers convert.
        payment_fraction: the share of `pay_at` that are round dollars.
    """
    centre = -5 + 0.5 * _choose(rng, np.arange(len(BACKGROUND_WEIGHTS)), total, BACKGROUND_WEIGHTS)
    values = 10 ** (8 + centre + BACKGROUND_DEVIATION * rng.standard_normal(total))
    values *= BACKGROUND_PRICE_USD / prices_usd[0]
    size = len(pay_at)
    coins = _choose(rng, DOLLARS, size, DOLLAR_WEIGHTS) / rng.choice(prices_usd, size)
    dollars = 1e8 * coins * np.exp(_slippage(rng, size))
    bitcoins = rng.choice(ROUND_BTC_DIGITS, size) * rng.choice(ROUND_BTC_SATS, size)
    limits = rng.choice(LIMIT_SATS, size)
    kind = rng.random(size)
    is_kind = [kind < payment_fraction, kind > 0.999, kind > 0.999 - ROUND_BTC_FRACTION]
    values[pay_at] = np.select(is_kind, [dollars, limits, bitcoins], values[pay_at])
    return np.asarray(np.rint(np.maximum(values, 330)), np.int64)


def _slippage(rng: Rng, size: int) -> Floats:
    """Draw by how much payers miss the round amount: most by little, some send more, with fees on top."""
    fees = rng.exponential(0.006, size) * (rng.random(size) < 0.08)
    return np.asarray(0.001 * rng.standard_normal(size) + fees)


def _choose(rng: Rng, options: Int64s, size: int, weights: Sequence[float] | Int64s) -> Int64s:
    shares = np.array(weights) / np.sum(np.array(weights))
    return np.asarray(rng.choice(options, size, p=shares))


# --- Transactions -------------------------------------------

InputSizes = tuple[int, tuple[int, ...]]


class Shape(NamedTuple):
    """A kind of transaction: its weight, how many inputs and outputs, and what is special about it."""

    weight: float
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    spends_recent: bool = False
    has_op_return: bool = False
    witness: tuple[tuple[int, int], ...] = ()


PAYMENT = Shape(26, (1, 5), (2, 2))
SHAPES = (
    PAYMENT,
    Shape(36, (1, 3), (2, 2), spends_recent=True),
    Shape(10, (1, 3), (1, 1)),
    Shape(8, (1, 3), (3, 40)),
    Shape(10, (1, 2), (2, 3), has_op_return=True),
    Shape(2, (6, 40), (1, 2)),
    Shape(0.3, (41, 260), (1, 2)),
    Shape(3, (1, 1), (2, 2), witness=((495, 505),)),
    Shape(3, (1, 2), (2, 2), witness=((245, 255), (247, 253))),
    Shape(6, (1, 1), (1, 2), witness=((64, 64), (200, 700), (33, 33))),
)
# bytes of input script and witness items: p2wpkh, p2tr, p2sh-p2wpkh, p2wsh 2 of 3, p2pkh
INPUTS: tuple[InputSizes, ...] = ((0, (71, 33)), (0, (64,)), (23, (72, 33)), (0, (0, 72, 72, 105)), (107, ()))
INPUT_WEIGHTS = (50, 20, 10, 5, 15)
# start, random bytes, end of an output script: p2wpkh, p2tr, p2pkh, p2sh, p2wsh, empty
OUTPUT_STARTS = (b"\0\x14", b"\x51\x20", b"\x76\xa9\x14", b"\xa9\x14", b"\0\x20", b"")
OUTPUT_SIZES = (20, 32, 20, 20, 32, 0)
OUTPUT_ENDS = (b"", b"", b"\x88\xac", b"\x87", b"", b"")
OUTPUT_WEIGHTS = (50, 20, 13, 13, 3.5, 0.5)


def draw_transactions(
    rng: Rng,
    shapes: Sequence[Shape],
    *,
    size: int,
    coins: Sequence[bytes],
    values_of: Callable[[int, Int64s], Int64s],
) -> list[Transaction]:
    """Draw transactions.

    Args:
        rng: where all chance comes from.
        shapes: what there is to choose from.
        size: how many transactions.
        coins: recent txids that some of them spend.
        values_of: draws output values from their number and the indices of possible payments.
    """
    which = _choose(rng, np.arange(len(shapes)), size, [shape.weight for shape in shapes])
    n_in = _draw_counts(rng, np.array([shape.inputs for shape in shapes])[which])
    n_out = _draw_counts(rng, np.array([shape.outputs for shape in shapes])[which])
    pay_at = np.cumsum(n_out) - n_out + rng.integers(0, np.minimum(n_out, 2))
    values = values_of(int(n_out.sum()), pay_at)
    scripts = _choose(rng, np.arange(len(OUTPUT_STARTS)), len(values), OUTPUT_WEIGHTS)
    outputs = zip(values.tolist(), scripts.tolist(), strict=True)
    kinds = _choose(rng, np.arange(len(INPUTS)), size, INPUT_WEIGHTS)
    read = BytesIO(rng.bytes(900 * int(n_in.sum()) + 32 * len(values))).read
    drawn = zip(which.tolist(), kinds.tolist(), n_in.tolist(), n_out.tolist(), strict=True)
    return [
        _transaction(
            rng, read, shapes[i], [INPUTS[kind]] * inputs, list(islice(outputs, number)), coins=coins
        )
        for i, kind, inputs, number in drawn
    ]


def _draw_counts(rng: Rng, bounds: Int64s) -> Int64s:
    """Draw a whole number within each (low, high) row, low ones more often."""
    low, high = bounds.T
    return np.asarray(low + (high - low + 1) * rng.random(len(low)) ** 2.5, np.int64)


def _transaction(
    rng: Rng,
    read: Callable[[int], bytes],
    shape: Shape,
    sizes: list[InputSizes],
    values: list[tuple[int, int]],
    *,
    coins: Sequence[bytes],
) -> Transaction:
    if shape.witness:
        sizes = [(0, tuple(int(rng.integers(low, high + 1)) for low, high in shape.witness)) for _ in sizes]
    elif len(sizes) > 2:
        sizes[-1] = INPUTS[-1]  # a legacy input among segwit ones
    inputs = [(read(33) + bytes(3), read(script)) for script, _ in sizes]
    if shape.spends_recent and coins:
        inputs[0] = (coins[int(rng.integers(len(coins)))] + bytes(4), inputs[0][1])
    outputs = [(value, OUTPUT_STARTS[i] + read(OUTPUT_SIZES[i]) + OUTPUT_ENDS[i]) for value, i in values]
    if shape.has_op_return:
        outputs[-1] = (0, b"\x6a\x14" + read(20))
    witnesses = [[read(item) for item in items] for _, items in sizes]
    return serialize_transaction(inputs, outputs, witnesses if any(witnesses) else ())


# --- The chain ----------------------------------------------


class SimulatedChain(SimulatedMarket):
    """A chain that grows as it is asked for, from its settings and the headers that are known already."""

    def __init__(
        self, settings: SimulationSettings, headers: bytes = b"", forks: tuple[tuple[int, int], ...] = ()
    ) -> None:
        super().__init__(settings)
        self._forks = forks
        self._headers = bytearray(headers)
        self._heights: dict[str, int] = {}
        self.transactions = lru_cache(32)(self._draw_block)
        self._sources = lru_cache(600)(self._draw_sources)

    def forked(self, from_height: int, salt: int) -> SimulatedChain:
        """Return a chain of the same market that shares all blocks below a height and none from there on."""
        shared = self.headers(self.settings.first_height, from_height - 1)
        return SimulatedChain(self.settings, b"".join(shared), (*self._forks, (from_height, salt)))

    def block(self, height: int) -> bytes:
        """Return one block as on the wire."""
        return self.header(height) + _body(self.transactions(height))

    def header(self, height: int) -> bytes:
        """Return the 80 bytes of a block's header."""
        return self.headers(height, height)[0]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return the headers of an inclusive range of heights."""
        self._grow(last_height)
        starts = [
            HEADER_SIZE * (height - self.settings.first_height) for height in (first_height, last_height)
        ]
        return [
            bytes(self._headers[at : at + HEADER_SIZE]) for at in range(starts[0], starts[1] + 1, HEADER_SIZE)
        ]

    @property
    def known_headers(self) -> int:
        """How many headers have been made or given."""
        return len(self._headers) // HEADER_SIZE

    def is_consistent(self) -> bool:
        """Whether the first and the last known header commit to the bodies that these settings make."""
        ends = (self.settings.first_height, self.settings.first_height + self.known_headers - 1)
        return all(self.header(height)[36:68] == _root(self.transactions(height)) for height in ends)

    def block_hash(self, height: int) -> str:
        """Return a block's hash in display order."""
        return header_hash(self.header(height))

    def height_of(self, block_hash: str) -> int | None:
        """Return the height of a block of this chain; None when it has not made such a block."""
        with self._lock:
            for height in range(len(self._heights), self.known_headers):
                self._heights[self.block_hash(self.settings.first_height + height)] = height
        index = self._heights.get(block_hash)
        return None if index is None else self.settings.first_height + index

    def time_unix(self, height: int) -> int:
        """Return the time in a block's header: about when it was found, out of order now and then."""
        return int.from_bytes(self.header(height)[68:72], "little")

    def _grow(self, last_height: int) -> None:
        with self._lock:
            for height in range(self.settings.first_height + self.known_headers, last_height + 1):
                prev_hash = header_hash(bytes(self._headers[-HEADER_SIZE:])) if self._headers else NO_HASH
                self._headers += build_header(
                    prev_hash, _root(self.transactions(height)), self._stamp(height)
                )

    def _stamp(self, height: int) -> int:
        """Return a new header's time: a miner's clock, but later than the median of the eleven before."""
        if height == self.settings.first_height:
            return self.settings.start_unix
        rng = self._rng(height, 5)
        late = rng.integers(0, 30) if rng.random() < 0.985 else rng.integers(-120, 1500)
        recent = struct.iter_unpack("<68xI8x", self._headers[-11 * HEADER_SIZE :])
        times = sorted(time_unix for (time_unix,) in recent)
        return max(self.arrival_unix(height) - int(late), int(times[len(times) // 2]) + 1)

    def _draw_block(self, height: int) -> list[Transaction]:
        payments = self._sources(height)
        if payments:
            rng = self._rng(height, 4)
            mean = self.settings.transactions_per_block - len(payments)
            size = int(mean * np.exp(0.6 * rng.standard_normal() - 0.18))
            lags = (0, 1, rng.integers(2, 30), rng.integers(30, 400))
            parents = [max(height - int(lag), self.settings.first_height) for lag in lags]
            coins = [coin.txid for parent in parents for coin in self._sources(parent)]
            payments = payments + self._draw(rng, height, SHAPES, size, coins)
        return [coinbase_transaction(height, payments, b"%d" % self._salt(height)), *payments]

    def _draw_sources(self, height: int) -> list[Transaction]:
        """Draw a block's first payments: nothing recent is spent by them, they are what others spend."""
        rng = self._rng(height, 3)
        size = max(4, self.settings.transactions_per_block // 6) if rng.random() > 0.004 else 0
        return self._draw(rng, height, (PAYMENT,), size, ())

    def _draw(
        self, rng: Rng, height: int, shapes: Sequence[Shape], size: int, coins: Sequence[bytes]
    ) -> list[Transaction]:
        arrival_unix = self.arrival_unix(height)
        prices_usd = np.array(
            [self.market_price_usd(arrival_unix - delay) for delay in PAYMENT_DELAYS_SECONDS]
        )

        def values_of(total: int, pay_at: Int64s) -> Int64s:
            return draw_values(rng, total, pay_at, prices_usd, self.settings.payment_fraction)

        return draw_transactions(rng, shapes, size=size, coins=coins, values_of=values_of)

    def _rng(self, height: int, stream: int) -> Rng:
        return np.random.default_rng((self.settings.seed, stream, height, self._salt(height)))

    def _salt(self, height: int) -> int:
        return next((salt for start, salt in reversed(self._forks) if height >= start), 0)
