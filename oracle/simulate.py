"""A simulated chain and its market: what runs when no node is configured, and what the tests stand on.

One seed gives one chain: real wire-format blocks with valid headers at the regtest target, a price that moves
like a market, exchange quotes of that market, and output values mixed as in real blocks. Only headers depend
on each other; any block's body follows from (seed, height) alone, so old bodies are never needed to go on.
Inputs are invented: nothing here would survive a node's signature checks, and nothing needs to.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oracle.sources import Quote

REGTEST_BITS = 0x207FFFFF
NO_HASH = "0" * 64
HEADER_SIZE = 80
DAY_SECONDS = 86_400
QUOTE_SECONDS = 300

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
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


def sha256d(data: bytes) -> bytes:
    """Return the double SHA-256 of some bytes."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def compact_size(number: int) -> bytes:
    """Return a count or length in the wire format's variable size."""
    if number < 0xFD:
        return bytes((number,))
    return b"\xfd" + struct.pack("<H", number) if number <= 0xFFFF else b"\xfe" + struct.pack("<I", number)


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
    for outpoint, script in inputs:
        parts += outpoint, compact_size(len(script)), script, b"\xfd\xff\xff\xff"
    parts.append(compact_size(len(outputs)))
    for value_sats, script in outputs:
        parts += value_sats.to_bytes(8, "little"), compact_size(len(script)), script
    stripped = b"".join((*parts, b"\0\0\0\0"))
    if not witnesses:
        return Transaction(stripped, stripped)
    stacks = [_pushes(items) for items in witnesses]
    return Transaction(stripped, b"".join((stripped[:4], b"\0\1", stripped[4:-4], *stacks, b"\0\0\0\0")))


def _pushes(items: Sequence[bytes]) -> bytes:
    return compact_size(len(items)) + b"".join([compact_size(len(item)) + item for item in items])


def coinbase_transaction(
    height: int, transactions: Sequence[Transaction] = (), tag: bytes = b"simulated"
) -> Transaction:
    """Make a block's coinbase: BIP34 height, subsidy, and the commitment to the others' witness."""
    leaves = [bytes(32), *(sha256d(transaction.raw) for transaction in transactions)]
    commitment = sha256d(merkle_root(leaves) + bytes(32))
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    script = bytes((len(number),)) + number + bytes((len(tag),)) + tag
    outputs = [(312_500_000, b"\0\x14" + sha256d(tag)[:20]), (0, b"\x6a\x24\xaa\x21\xa9\xed" + commitment)]
    return serialize_transaction([(bytes(32) + b"\xff" * 4, script)], outputs, [[bytes(32)]])


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the merkle root over 32-byte leaves in wire order."""
    level = list(leaves)
    while len(level) > 1:
        level += level[-1:] * (len(level) % 2)
        level = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def build_header(prev_hash: str, root: bytes, time_unix: int, bits: int = REGTEST_BITS) -> bytes:
    """Return an 80-byte header whose nonce was searched until the hash meets the target in `bits`."""
    start = (
        struct.pack("<I", 0x20000000)
        + bytes.fromhex(prev_hash)[::-1]
        + root
        + struct.pack("<II", time_unix, bits)
    )
    target = (bits & 0x7FFFFF) << 8 * ((bits >> 24) - 3)
    headers = (start + struct.pack("<I", nonce) for nonce in count())
    return next(header for header in headers if int.from_bytes(sha256d(header), "little") <= target)


def build_block(
    prev_hash: str, time_unix: int, transactions: Sequence[Transaction], bits: int = REGTEST_BITS
) -> bytes:
    """Return a block with these transactions, the coinbase first among them, on a parent in display order."""
    root = merkle_root([transaction.txid for transaction in transactions])
    return build_header(prev_hash, root, time_unix, bits) + _body(transactions)


def _body(transactions: Sequence[Transaction]) -> bytes:
    return compact_size(len(transactions)) + b"".join([transaction.raw for transaction in transactions])


def header_hash(header: bytes) -> str:
    """Return the block hash of a header (or of a block's first 80 bytes) in display order."""
    return sha256d(header[:HEADER_SIZE])[::-1].hex()


def payment_transaction(values_sats: Sequence[int], entropy: bytes) -> Transaction:
    """Make a one-input segwit payment; two values make it eligible. Its coin follows from `entropy`."""
    coin = sha256d(entropy)
    outputs = [(int(value), b"\0\x14" + coin[:20]) for value in values_sats]
    return serialize_transaction([(coin + bytes(4), b"")], outputs, [[bytes(71), bytes(33)]])


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


# --- The market and the clock ----------------------------------------


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
    payment_fraction: float = 0.36
    start_price_usd: float = 95_000.0
    annual_volatility: float = 0.55


class SimulatedMarket:
    """Price and block arrivals of a chain, a day at a time, each from its own seed."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self._first_day = settings.start_unix // DAY_SECONDS
        self._log_prices: list[Floats] = []
        self._arrivals: list[Int64s] = []
        self._blocks_before = [0]
        self._lock = threading.RLock()

    def price_usd(self, time_unix: float) -> float:
        """Return the market price of one bitcoin; before the chain's start it is the start price."""
        minutes = max(0.0, time_unix - self.settings.start_unix) / 60
        day = int(minutes // 1440)
        self._grow(day)
        return float(np.exp(np.interp(minutes - day * 1440, np.arange(1441), self._log_prices[day])))

    def height_at(self, time_unix: float) -> int:
        """Return the height of the newest block that has arrived; one below the first when none has."""
        if time_unix < self.settings.start_unix:
            return self.settings.first_height - 1
        day = int(time_unix // DAY_SECONDS) - self._first_day
        self._grow(day)
        arrived = self._blocks_before[day] + int(np.searchsorted(self._arrivals[day], time_unix, "right"))
        return self.settings.first_height + arrived - 1

    def arrival_unix(self, height: int) -> int:
        """Return when a block was found."""
        index = height - self.settings.first_height
        while self._blocks_before[-1] <= index:
            self._grow(len(self._arrivals))
        day = bisect_right(self._blocks_before, index) - 1
        return int(self._arrivals[day][index - self._blocks_before[day]])

    def _grow(self, day: int) -> None:
        with self._lock:
            while len(self._arrivals) <= day:
                rng = np.random.default_rng((self.settings.seed, 1, self._first_day + len(self._arrivals)))
                self._log_prices.append(self._price_path(rng))
                self._arrivals.append(self._day_of_arrivals(rng))
                self._blocks_before.append(self._blocks_before[-1] + len(self._arrivals[-1]))

    def _price_path(self, rng: Rng) -> Floats:
        """Draw 1441 log prices from midnight to midnight; calm and wild days, fat-tailed minutes."""
        start = self._log_prices[-1][-1] if self._log_prices else np.log(self.settings.start_price_usd)
        day_scale = np.exp(0.45 * rng.standard_normal() - 0.45**2)
        minute_scale = self.settings.annual_volatility / np.sqrt(365 * 1440) / np.sqrt(2)
        steps = day_scale * minute_scale * rng.standard_t(4, 1440)
        return np.concatenate(([start], start + np.cumsum(steps)))

    def _day_of_arrivals(self, rng: Rng) -> Int64s:
        """Draw a day's block times: a Poisson process, 600 s apart, now and then with a gap of two hours."""
        seconds = np.unique(rng.integers(1, DAY_SECONDS, rng.poisson(144)))
        gap_start = rng.integers(0, DAY_SECONDS) if rng.random() < 0.12 else DAY_SECONDS
        seconds = seconds[(seconds < gap_start) | (seconds > gap_start + 7200)]
        if not self._arrivals:
            seconds = np.concatenate(([0], seconds))
        return np.asarray(seconds + (self._first_day + len(self._arrivals)) * DAY_SECONDS, np.int64)


EXCHANGE_RATES = {"EUR": 0.92, "GBP": 0.79, "CAD": 1.37, "CHF": 0.88, "AUD": 1.52, "JPY": 149.0}


# --- Values: round dollars, round bitcoin, everything else ----------------------------------------

# Fitted to the 66,647 eligible outputs of mainnet blocks 937,665..937,808: log10(BTC) of what is neither a
# round dollar nor a round bitcoin amount, as normal distributions (weight, mean, standard deviation).
BACKGROUND = ((0.35, -3.3, 0.55), (0.45, -2.5, 0.8), (0.20, -1.0, 0.9))
ROUND_BTC_FRACTION = 0.17
ROUND_BTC_DIGITS = np.array(
    [10, 10, 10, 10, 12, 15, 15, 20, 20, 20, 25, 30, 30, 30, 40, 50, 50, 50, 60, 70, 80]
)
ROUND_BTC_EXPONENTS = np.array([2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 7])  # of ten, in sats
# fmt: off
DOLLARS = np.array([
    1, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000,
    5000, 10000,
])
DOLLAR_WEIGHTS = np.array([
    12, 30, 78, 42, 78, 40, 60, 40, 110, 15, 120, 45, 55, 20, 42, 22, 43, 10, 10, 38, 12, 19, 9, 10, 6,
])
# fmt: on
EDGE_SATS = np.array([999, 1000, 1001, 10**13 - 1, 10**13, 10**13 + 1])
PAYMENT_DELAYS_SECONDS = (60, 180, 300, 600, 900, 1200, 1800, 3600)


def draw_values(rng: Rng, total: int, pay_at: Int64s, prices_usd: Floats, payment_fraction: float) -> Int64s:
    """Draw output values in sats: background everywhere, at `pay_at` also round dollars and round bitcoin.

    Args:
        rng: consumed alike whatever `payment_fraction` is: a chain without signal differs in nothing else.
        total: the number of outputs.
        pay_at: indices of the outputs that may be the payment of their transaction.
        prices_usd: the prices at which payers convert.
        payment_fraction: the share of `pay_at` that are round dollars.
    """
    weights, means, deviations = np.array(BACKGROUND).T
    part = rng.choice(len(weights), total, p=weights)
    values = 10 ** (8 + means[part] + deviations[part] * rng.standard_normal(total))
    size = len(pay_at)
    dollars = rng.choice(DOLLARS, size, p=DOLLAR_WEIGHTS / DOLLAR_WEIGHTS.sum()) / rng.choice(
        prices_usd, size
    )
    dollars *= np.exp(_slippage(rng, size)) * 1e8
    bitcoins = rng.choice(ROUND_BTC_DIGITS, size) * 10.0 ** rng.choice(ROUND_BTC_EXPONENTS, size)
    edges = rng.choice(EDGE_SATS, size)
    kind = rng.random(size)
    values[pay_at] = np.select(
        [kind < payment_fraction, kind > 0.999, kind > 0.999 - ROUND_BTC_FRACTION],
        [dollars, edges, bitcoins],
        values[pay_at],
    )
    return np.asarray(np.maximum(values, 330), np.int64)


def _slippage(rng: Rng, size: int) -> Floats:
    """Draw by how much payers miss the round amount: most by little, some by fees and other prices."""
    narrow = 0.002 * rng.standard_normal(size)
    wide = 0.003 + rng.laplace(0.0, 0.007, size)
    return np.where(rng.random(size) < 0.7, narrow, wide)


# --- Transactions ----------------------------------------


class Shape(NamedTuple):
    """A kind of transaction: its share, how many inputs and outputs, and what is special about it."""

    share: float
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    spends_recent: bool = False
    has_op_return: bool = False
    witness: tuple[tuple[int, int], ...] = ()


SHAPES = (
    Shape(0.38, (1, 5), (2, 2)),
    Shape(0.27, (1, 3), (2, 2), spends_recent=True),
    Shape(0.09, (1, 3), (1, 1)),
    Shape(0.08, (1, 3), (3, 40)),
    Shape(0.05, (1, 2), (2, 3), has_op_return=True),
    Shape(0.02, (6, 40), (1, 2)),
    Shape(0.003, (41, 260), (1, 2)),
    Shape(0.03, (1, 1), (2, 2), witness=((495, 505),)),
    Shape(0.03, (1, 2), (2, 2), witness=((245, 255), (247, 253))),
    Shape(0.047, (1, 1), (1, 2), witness=((64, 64), (200, 2000), (33, 33))),
)
PAYMENT = SHAPES[:1]
# (input script, witness items) in bytes: p2wpkh, p2tr, p2sh-p2wpkh, p2wsh 2 of 3, p2pkh
INPUTS = ((0, (71, 33)), (0, (64,)), (23, (72, 33)), (0, (0, 72, 72, 105)), (107, ()))
INPUT_WEIGHTS = (0.5, 0.2, 0.1, 0.05, 0.15)
LEGACY_INPUT = INPUTS[4]
# (start, random bytes, end): p2wpkh, p2tr, p2pkh, p2sh, p2wsh, empty
OUTPUTS = (
    (b"\0\x14", 20, b""),
    (b"\x51\x20", 32, b""),
    (b"\x76\xa9\x14", 20, b"\x88\xac"),
    (b"\xa9\x14", 20, b"\x87"),
    (b"\0\x20", 32, b""),
    (b"", 0, b""),
)
OUTPUT_WEIGHTS = (0.5, 0.2, 0.13, 0.13, 0.035, 0.005)


class _Noise:
    """Random bytes in small pieces from few draws."""

    def __init__(self, rng: Rng) -> None:
        self._rng, self._bytes, self._at = rng, b"", 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._bytes):
            self._bytes, self._at = self._rng.bytes(max(size, 1 << 15)), 0
        self._at += size
        return self._bytes[self._at - size : self._at]


def _draw_counts(rng: Rng, bounds: Int64s) -> Int64s:
    """Draw a whole number within each (low, high) row, low ones more often."""
    low, high = bounds.T
    return np.asarray(low + (high - low + 1) * rng.random(len(low)) ** 2.5, np.int64)


def draw_transactions(
    rng: Rng,
    size: int,
    shapes: Sequence[Shape],
    prices_usd: Floats,
    *,
    payment_fraction: float,
    coins: Sequence[bytes] = (),
) -> list[Transaction]:
    """Draw transactions of the given shapes; `coins` are the recent txids that some of them spend."""
    shares = np.array([shape.share for shape in shapes])
    which = rng.choice(len(shapes), size, p=shares / shares.sum())
    input_counts = _draw_counts(rng, np.array([shape.inputs for shape in shapes])[which])
    output_counts = _draw_counts(rng, np.array([shape.outputs for shape in shapes])[which])
    starts = np.cumsum(output_counts) - output_counts
    pay_at = starts + (rng.random(size) < 0.5) * (output_counts > 1)
    values = iter(draw_values(rng, int(output_counts.sum()), pay_at, prices_usd, payment_fraction).tolist())
    scripts = iter(rng.choice(len(OUTPUTS), int(output_counts.sum()), p=OUTPUT_WEIGHTS).tolist())
    input_kinds = rng.choice(len(INPUTS), size, p=INPUT_WEIGHTS).tolist()
    noise = _Noise(rng)
    transactions = []
    for i, (n_in, n_out) in enumerate(zip(input_counts.tolist(), output_counts.tolist(), strict=True)):
        shape = shapes[which[i]]
        outputs = [(value, _output_script(noise, next(scripts))) for value in islice(values, n_out)]
        if shape.has_op_return:
            outputs[-1] = (0, b"\x6a\x14" + noise.take(20))
        sizes = _input_sizes(rng, shape, n_in, INPUTS[input_kinds[i]])
        coin = coins[int(rng.integers(len(coins)))] if shape.spends_recent and coins else None
        transactions.append(_assemble(noise, sizes, outputs, coin))
    return transactions


def _output_script(noise: _Noise, kind: int) -> bytes:
    start, size, end = OUTPUTS[kind]
    return start + noise.take(size) + end


def _input_sizes(
    rng: Rng, shape: Shape, number: int, kind: tuple[int, tuple[int, ...]]
) -> list[tuple[int, tuple[int, ...]]]:
    """Return (input script, witness items) sizes of every input, a legacy one among many."""
    if shape.witness:
        return [(0, tuple(int(rng.integers(low, high + 1)) for low, high in shape.witness))] * number
    return [kind] * (number - 1) + [LEGACY_INPUT if number > 2 else kind]


def _assemble(
    noise: _Noise,
    sizes: list[tuple[int, tuple[int, ...]]],
    outputs: list[tuple[int, bytes]],
    coin: bytes | None,
) -> Transaction:
    inputs = [(noise.take(33) + b"\0\0\0", noise.take(script)) for script, _ in sizes]
    if coin:
        inputs[-1] = (coin + b"\0\0\0\0", inputs[-1][1])
    witnesses = [[noise.take(size) for size in items] for _, items in sizes]
    return serialize_transaction(inputs, outputs, witnesses if any(witnesses) else ())


# --- The chain ----------------------------------------


class SimulatedChain:
    """A chain that grows as it is asked for, from its settings and the headers that are known already."""

    def __init__(
        self,
        settings: SimulationSettings | None = None,
        headers: bytes = b"",
        forks: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self.settings = settings or SimulationSettings()
        self.market = SimulatedMarket(self.settings)
        self.forks = forks
        self._headers = bytearray(headers)
        self._heights: dict[str, int] = {}
        self._sources: dict[int, list[Transaction]] = {}
        self._bodies: dict[int, list[Transaction]] = {}
        self._lock = threading.RLock()

    def forked(self, from_height: int, salt: int) -> SimulatedChain:
        """Return a chain of the same market that shares all blocks below a height and none from there on."""
        self._grow(from_height - 1)
        shared = bytes(self._headers[: HEADER_SIZE * (from_height - self.settings.first_height)])
        return SimulatedChain(self.settings, shared, (*self.forks, (from_height, salt)))

    def block(self, height: int) -> bytes:
        """Return one block as on the wire."""
        return self.header(height) + _body(self.transactions(height))

    def header(self, height: int) -> bytes:
        """Return the 80 bytes of a block's header."""
        self._grow(height)
        at = HEADER_SIZE * (height - self.settings.first_height)
        return bytes(self._headers[at : at + HEADER_SIZE])

    def headers(self, last_height: int) -> bytes:
        """Return all headers from the first up to a height, joined."""
        self._grow(last_height)
        return bytes(self._headers[: HEADER_SIZE * (last_height + 1 - self.settings.first_height)])

    @property
    def known_headers(self) -> int:
        """How many headers have been made or given."""
        return len(self._headers) // HEADER_SIZE

    def is_consistent(self) -> bool:
        """Whether the first and the last known header commit to the bodies that these settings make."""
        ends = {self.settings.first_height, self.settings.first_height + self.known_headers - 1}
        return all(self.header(end)[36:68] == self._merkle_root(end) for end in ends)

    def height_of(self, block_hash: str) -> int | None:
        """Return the height of a block that is known by its hash; None when there is no such block."""
        with self._lock:
            for index in range(len(self._heights), self.known_headers):
                height = self.settings.first_height + index
                self._heights[self.block_hash(height)] = height
        return self._heights.get(block_hash)

    def block_hash(self, height: int) -> str:
        """Return a block's hash in display order."""
        return header_hash(self.header(height))

    def time_unix(self, height: int) -> int:
        """Return the time in a block's header: about when it was found, out of order now and then."""
        return int(struct.unpack_from("<I", self.header(height), 68)[0])

    def height_at(self, time_unix: float) -> int:
        """Return the height of the newest block that has arrived; one below the first when none has."""
        return self.market.height_at(time_unix)

    def market_price_usd(self, time_unix: float) -> float:
        """Return the true market price of one bitcoin at any time."""
        return self.market.price_usd(time_unix)

    def quote(self, time_unix: float) -> Quote:
        """Return the newest exchange quote at a time: whole dollars, a new one every five minutes."""
        slot = int(time_unix) // QUOTE_SECONDS
        noise = np.random.default_rng((self.settings.seed, 2, slot)).standard_normal()
        price_usd = self.market.price_usd(slot * QUOTE_SECONDS) * (1 + 0.0003 * float(noise))
        currencies = {name: float(round(price_usd * rate)) for name, rate in EXCHANGE_RATES.items()}
        return Quote(float(round(price_usd)), slot * QUOTE_SECONDS, "simulated", currencies)

    def transactions(self, height: int) -> list[Transaction]:
        """Return a block's transactions, the coinbase first, from seed and height alone."""
        if height not in self._bodies:
            _remember(self._bodies, height, self._draw_body(height), limit=200)
        return self._bodies[height]

    def _draw_body(self, height: int) -> list[Transaction]:
        sources = self._source_transactions(height)
        payments = list(sources)
        if sources:
            rng = self._rng(height, 4)
            mean = self.settings.transactions_per_block - len(sources)
            size = int(mean * np.exp(0.6 * rng.standard_normal() - 0.18)) + 1
            coins = [
                coin for parent in self._parents(rng, height) for coin in self._source_transactions(parent)
            ]
            txids = [coin.txid for coin in coins]
            payments += self._draw(rng, height, size, SHAPES, txids)
        tag = b"simulated/%d" % self._salt(height)
        return [coinbase_transaction(height, payments, tag), *payments]

    def _parents(self, rng: Rng, height: int) -> list[int]:
        """Draw the blocks whose coins this block spends: itself, its parent, a recent and an old one."""
        parents = (height, height - 1, height - int(rng.integers(2, 30)), height - int(rng.integers(30, 400)))
        return [max(parent, self.settings.first_height) for parent in parents]

    def _source_transactions(self, height: int) -> list[Transaction]:
        """Return a block's first payments, which spend nothing recent; other transactions spend them."""
        if height not in self._sources:
            rng = self._rng(height, 3)
            size = 0 if rng.random() < 0.004 else max(4, self.settings.transactions_per_block // 6)
            drawn = self._draw(rng, height, size, PAYMENT, ())
            _remember(self._sources, height, drawn, limit=600)
        return self._sources[height]

    def _draw(
        self, rng: Rng, height: int, size: int, shapes: Sequence[Shape], coins: Sequence[bytes]
    ) -> list[Transaction]:
        arrival = self.market.arrival_unix(height)
        prices_usd = np.array([self.market.price_usd(arrival - delay) for delay in PAYMENT_DELAYS_SECONDS])
        fraction = self.settings.payment_fraction
        return draw_transactions(rng, size, shapes, prices_usd, payment_fraction=fraction, coins=coins)

    def _rng(self, height: int, stream: int) -> Rng:
        return np.random.default_rng((self.settings.seed, stream, height, self._salt(height)))

    def _salt(self, height: int) -> int:
        return next((salt for start, salt in reversed(self.forks) if height >= start), 0)

    def _grow(self, height: int) -> None:
        with self._lock:
            for new in range(self.settings.first_height + self.known_headers, height + 1):
                prev_hash = header_hash(bytes(self._headers[-HEADER_SIZE:])) if self._headers else NO_HASH
                self._headers += build_header(prev_hash, self._merkle_root(new), self._stamp(new))

    def _merkle_root(self, height: int) -> bytes:
        return merkle_root([transaction.txid for transaction in self.transactions(height)])

    def _stamp(self, height: int) -> int:
        """Return a new header's time: a miner's clock, but later than the median of the eleven before."""
        rng = self._rng(height, 5)
        late = rng.integers(0, 30) if rng.random() < 0.985 else rng.integers(-120, 1500)
        offset = int(late) if height > self.settings.first_height else 0
        recent = self._headers[-11 * HEADER_SIZE :]
        times = sorted(time_unix for (time_unix,) in struct.iter_unpack("<68xI8x", recent))
        median = times[len(times) // 2] if times else 0
        return max(self.market.arrival_unix(height) - offset, median + 1)


def _remember(cache: dict[int, list[Transaction]], key: int, value: list[Transaction], *, limit: int) -> None:
    """Put into a cache and let the oldest entry go when it is full."""
    cache[key] = value
    if len(cache) > limit:
        cache.pop(next(iter(cache)))
