"""A simulated chain and its market: what runs when no node is configured, and what the tests stand
on.

One seed gives one chain: real wire-format blocks with valid headers at the regtest target, a price
that moves like a market, exchange quotes of that market, and output values mixed as in real blocks.
Only headers depend on each other; any block's body follows from (seed, height) alone, so old bodies
are never needed to go on. Inputs are invented: nothing here would survive a node's signature
checks, and nothing needs to.
"""

from __future__ import annotations

import struct
import threading
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.core.block import merkle_root
from oracle.core.wire import HEADER_BYTES, sha256d
from oracle.sources import Quote

REGTEST_BITS = 0x207FFFFF
NO_HASH = "0" * 64
DAY_SECONDS = 86_400

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Rng = np.random.Generator


# --- The wire format ----------------------------------------

VERSION, SEGWIT, LOCK_TIME, SEQUENCE = b"\x02\0\0\0", b"\0\1", bytes(4), b"\xfd\xff\xff\xff"


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
    return (
        b"\xfd" + struct.pack("<H", number)
        if number <= 0xFFFF
        else b"\xfe" + struct.pack("<I", number)
    )


def _with_size(content: bytes) -> bytes:
    return compact_size(len(content)) + content


def _with_count(items: Sequence[bytes]) -> bytes:
    return compact_size(len(items)) + b"".join(items)


def _transaction(inputs: Sequence[bytes], outputs: Sequence[bytes], witness: bytes) -> Transaction:
    content = _with_count(inputs) + _with_count(outputs)
    stripped = VERSION + content + LOCK_TIME
    return Transaction(
        stripped, VERSION + SEGWIT + content + witness + LOCK_TIME if witness else stripped
    )


def serialize_transaction(
    inputs: list[tuple[bytes, bytes]],
    outputs: list[tuple[int, bytes]],
    witnesses: Sequence[Sequence[bytes]] = (),
) -> Transaction:
    """Serialise a version 2 transaction; legacy when no witness is given.

    Args:
        inputs: (36-byte outpoint, input script) each.
        outputs: (value_sats, output script) each.
        witnesses: the witness items of every input, or nothing at all.
    """
    return _transaction(
        [outpoint + _with_size(script) + SEQUENCE for outpoint, script in inputs],
        [struct.pack("<q", value_sats) + _with_size(script) for value_sats, script in outputs],
        b"".join(_with_count([_with_size(item) for item in items]) for items in witnesses),
    )


def coinbase_transaction(
    height: int, others: Sequence[Transaction] = (), tag: bytes = b""
) -> Transaction:
    """Make a block's coinbase: BIP34 height, subsidy, and the commitment to the others' witness."""
    wtxids = [bytes(32), *(sha256d(transaction.raw) for transaction in others)]
    commitment = sha256d(merkle_root(wtxids)[0] + bytes(32))
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    script = _with_size(number) + _with_size(b"simulated" + tag)
    outputs = [(312_500_000, b"\0\x14" + bytes(20)), (0, b"\x6a\x24\xaa\x21\xa9\xed" + commitment)]
    return serialize_transaction([(bytes(32) + b"\xff" * 4, script)], outputs, [[bytes(32)]])


def payment_transaction(values_sats: Sequence[int], entropy: bytes) -> Transaction:
    """Make a one-input segwit payment; two values make it eligible. Its coin follows from
    `entropy`."""
    coin = sha256d(entropy)
    outputs = [(value_sats, b"\0\x14" + coin[:20]) for value_sats in values_sats]
    return serialize_transaction([(coin + bytes(4), b"")], outputs, [[bytes(71), bytes(33)]])


def build_header(prev_hash: str, root: bytes, time_unix: int, bits: int = REGTEST_BITS) -> bytes:
    """Return an 80-byte header whose nonce was searched until the hash meets the target in
    `bits`."""
    start = struct.pack(
        "<I32s32sII", 0x20000000, bytes.fromhex(prev_hash)[::-1], root, time_unix, bits
    )
    target = (bits & 0x7FFFFF) << 8 * ((bits >> 24) - 3)
    headers = (start + struct.pack("<I", nonce) for nonce in count())
    return next(header for header in headers if int.from_bytes(sha256d(header), "little") <= target)


def build_block(
    prev_hash: str, time_unix: int, transactions: Sequence[Transaction], bits: int = REGTEST_BITS
) -> bytes:
    """Return a block of these transactions, the coinbase first among them; `prev_hash` in display
    order."""
    return build_header(prev_hash, _root(transactions), time_unix, bits) + _body(transactions)


def _root(transactions: Sequence[Transaction]) -> bytes:
    return merkle_root([transaction.txid for transaction in transactions])[0]


def _body(transactions: Sequence[Transaction]) -> bytes:
    return _with_count([transaction.raw for transaction in transactions])


def header_hash(header: bytes) -> str:
    """Return the block hash of a header, or of a block that starts with it, in display order."""
    return sha256d(header[:HEADER_BYTES])[::-1].hex()


# --- The market and the clock -------------------------------

EXCHANGE_RATES = {"EUR": 0.92, "GBP": 0.79, "CAD": 1.37, "CHF": 0.88, "AUD": 1.52, "JPY": 149.0}


@dataclass(frozen=True, slots=True)
class SimulationSettings:
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
        quoted_at_unix = int(time_unix) // 300 * 300
        noise = np.random.default_rng((self.settings.seed, 2, quoted_at_unix)).standard_normal()
        price_usd = self.market_price_usd(quoted_at_unix) * (1 + 0.0003 * float(noise))
        currencies = {name: float(round(price_usd * rate)) for name, rate in EXCHANGE_RATES.items()}
        return Quote(float(round(price_usd)), quoted_at_unix, "simulated", currencies)

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

    def _draw_day(self, rng: Rng) -> None:
        """Draw calm and wild days, fat-tailed minutes; blocks 600 s apart, some days with a gap of
        two hours."""
        wildness = np.exp(0.45 * rng.standard_normal() - 0.45**2)
        minute_deviation = wildness * self.settings.annual_volatility / np.sqrt(365 * 1440)
        steps = minute_deviation * rng.standard_t(4, 1440) / np.sqrt(2)
        self._log_prices += (self._log_prices[-1] + np.cumsum(steps)).tolist()
        seconds = np.unique(rng.integers(1, DAY_SECONDS, rng.poisson(144)))
        is_in_gap = np.abs(seconds - rng.integers(0, 8 * DAY_SECONDS)) < 3600
        self._arrivals_unix += (self._drawn_until_unix + seconds[~is_in_gap]).tolist()


# --- Values: round dollars, round bitcoin, everything else ---

# All weights below are fitted to the 66,647 eligible outputs of mainnet blocks 937,665..937,808.
# What is neither round dollars nor round bitcoin, log10(BTC): normal distributions around -5.0,
# -4.5 .. 1.0 at the price of those blocks; at a higher price people move less bitcoin.
BACKGROUND_WEIGHTS = (330, 211, 523, 1116, 1536, 1368, 1113, 534, 395, 197, 189, 21, 51)
BACKGROUND_DEVIATION, BACKGROUND_PRICE_USD = 0.33, 68_150
ROUND_BTC_FRACTION = 0.17
ROUND_BTC_DIGITS = (
    10,
    10,
    10,
    10,
    12,
    15,
    15,
    20,
    20,
    20,
    25,
    30,
    30,
    30,
    40,
    50,
    50,
    50,
    60,
    70,
    80,
    90,
)
ROUND_BTC_SATS = (
    100,
    1000,
    1000,
    1000,
    10**4,
    10**4,
    10**4,
    10**4,
    10**5,
    10**5,
    10**6,
    10**6,
    10**7,
)
# fmt: off
DOLLARS = np.array([
    1, 5, 7, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 350, 400,
    500, 600, 700, 800, 1000, 1500, 2000, 3000, 5000, 10000
])
DOLLAR_WEIGHTS = (
    81, 275, 92, 653, 263, 655, 315, 442, 106, 239, 929, 169, 108, 123, 1009, 96, 275, 413, 127,
    307, 85, 142, 341, 70, 73, 46, 294, 62, 138, 53, 67, 34
)
# fmt: on
LIMIT_SATS = (999, 1000, 1001, 10**13 - 1, 10**13, 10**13 + 1)
PAYMENT_DELAYS_SECONDS = (60, 300, 600, 1200, 2400)


def draw_values(
    rng: Rng, total: int, pay_at: Int64s, prices_usd: Floats, payment_fraction: float
) -> Int64s:
    """Draw output values in sats: background everywhere, at `pay_at` also round dollars and round
    bitcoin.

    Args:
        rng: consumed alike whatever `payment_fraction` is: a chain without signal differs in
            nothing else.
        total: the number of outputs.
        pay_at: indices of the outputs that may be the payment of their transaction.
        prices_usd: the prices at which payers convert.
        payment_fraction: the share of `pay_at` that are round dollars.
    """
    centres = 8 - 5 + 0.5 * _choose(rng, BACKGROUND_WEIGHTS, total)
    values = (
        10 ** (centres + BACKGROUND_DEVIATION * rng.standard_normal(total))
        * BACKGROUND_PRICE_USD
        / prices_usd[0]
    )
    size = len(pay_at)
    coins = DOLLARS[_choose(rng, DOLLAR_WEIGHTS, size)] / rng.choice(prices_usd, size)
    # payers miss the round amount, most by little; some send more, with fees on top
    fees = rng.exponential(0.006, size) * (rng.random(size) < 0.08)
    dollars = 1e8 * coins * np.exp(0.001 * rng.standard_normal(size) + fees)
    bitcoins = rng.choice(ROUND_BTC_DIGITS, size) * rng.choice(ROUND_BTC_SATS, size)
    kind = rng.random(size)
    is_kind = [kind < payment_fraction, kind > 0.999, kind > 0.999 - ROUND_BTC_FRACTION]
    values[pay_at] = np.select(
        is_kind, [dollars, rng.choice(LIMIT_SATS, size), bitcoins], values[pay_at]
    )
    return np.asarray(np.rint(np.maximum(values, 330)), np.int64)


def _choose(rng: Rng, weights: Sequence[float], size: int) -> Int64s:
    """Draw so many indices of `weights`."""
    return np.asarray(
        np.searchsorted(np.cumsum(weights), rng.random(size) * np.sum(weights), "right")
    )


# --- Transactions -------------------------------------------


def _input(script_size: int, *item_sizes: int) -> tuple[bytes, bytes]:
    """Make what follows an input's outpoint, and its witness; "simulated" stands where signatures
    would."""
    script, *items = [
        _with_size((b"simulated " * 80)[:size]) for size in (script_size, *item_sizes)
    ]
    return script + SEQUENCE, _with_count(items)


LEGACY = _input(107)
# witnesses around the limit of 500 bytes, alone and in sum
LARGE_INPUTS = [_input(0, size) for size in range(495, 506)] + [
    _input(0, 250, size) for size in range(200, 601, 5)
]
# p2pkh, p2wpkh, p2tr, p2sh-p2wpkh, p2wsh 2 of 3
INPUTS = (
    LEGACY,
    _input(0, 71, 33),
    _input(0, 64),
    _input(23, 72, 33),
    _input(0, 0, 72, 72, 105),
    *LARGE_INPUTS,
)
INPUT_WEIGHTS = (15, 45, 20, 10, 5, *[5 / len(LARGE_INPUTS)] * len(LARGE_INPUTS))
# an output script's size and start, random bytes, end: OP_RETURN, p2wpkh, p2tr, p2pkh, p2sh, p2wsh,
# empty
OP_RETURN = 0
OUTPUT_STARTS = [
    bytes.fromhex(x) for x in ("166a14", "160014", "225120", "1976a914", "17a914", "220020", "00")
]
OUTPUT_SIZES = (20, 20, 32, 20, 20, 32, 0)
OUTPUT_ENDS = (b"", b"", b"", b"\x88\xac", b"\x87", b"", b"")
OUTPUT_WEIGHTS = (5, 48, 19, 12, 12, 3.5, 0.5)
# of transactions: have two outputs; of inputs: spend a coin of the last 300 blocks
PAIR_FRACTION, RECENT_FRACTION = 0.6, 0.28


def _draw_outpoints(rng: Rng, size: int, coins: Sequence[bytes]) -> Iterator[bytes]:
    """Draw what inputs spend: 36 bytes each, most of them a coin that nobody knows."""
    ink, choices = rng.bytes(33 * size), max(1, int(len(coins) / RECENT_FRACTION))
    for i, coin in enumerate(rng.integers(choices, size=size).tolist()):
        yield coins[coin] + bytes(4) if coin < len(coins) else ink[33 * i : 33 * i + 33] + bytes(3)


def _draw_outputs(rng: Rng, values_sats: Int64s) -> Iterator[bytes]:
    """Draw the scripts that values are sent to."""
    kinds, ink = _choose(rng, OUTPUT_WEIGHTS, len(values_sats)), rng.bytes(32 * len(values_sats))
    packed = np.where(kinds == OP_RETURN, 0, values_sats).astype("<i8").tobytes()
    for i, kind in enumerate(kinds.tolist()):
        script = OUTPUT_STARTS[kind] + ink[32 * i : 32 * i + OUTPUT_SIZES[kind]] + OUTPUT_ENDS[kind]
        yield packed[8 * i : 8 * i + 8] + script


def _payment(
    kind: tuple[bytes, bytes], outpoints: Sequence[bytes], outputs: Sequence[bytes]
) -> Transaction:
    kinds = [kind] * (len(outpoints) - 1) + [
        LEGACY if len(outpoints) > 2 else kind
    ]  # one legacy input among others
    inputs = [outpoint + script for outpoint, (script, _) in zip(outpoints, kinds, strict=True)]
    return _transaction(
        inputs, outputs, b"" if kind is LEGACY else b"".join([witness for _, witness in kinds])
    )


# --- The chain ----------------------------------------------


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
        self._bodies = lru_cache(3000)(self._draw_body)  # 25 kB each
        self._sources = lru_cache(600)(self._draw_sources)

    def forked(self, from_height: int, salt: int) -> SimulatedChain:
        """Return a chain of the same market that shares all blocks below a height and none from
        there on."""
        settings = replace(self.settings, forks=(*self.settings.forks, (from_height, salt)))
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
                self.known.append(
                    build_header(prev_hash, self._bodies(height)[0], self._stamp(height))
                )
                self.heights[header_hash(self.known[-1])] = height
        return self.known[first_height - lowest : last_height - lowest + 1]

    def block_hash(self, height: int) -> str:
        """Return a block's hash in display order."""
        return header_hash(self.headers(height, height)[0])

    def block(self, height: int) -> bytes:
        """Return one block as on the wire."""
        return self.headers(height, height)[0] + zlib.decompress(self._bodies(height)[1])

    def _stamp(self, height: int) -> int:
        """Return a new header's time: a miner's clock, but later than the median of the eleven
        before."""
        recent = sorted(int.from_bytes(header[68:72], "little") for header in self.known[-11:])
        rng = self._rng(height, 5)
        late = rng.integers(0, 30) if rng.random() < 0.985 else rng.integers(-120, 1500)
        arrival_unix = self.arrival_unix(height)
        return (
            max(arrival_unix - int(late), recent[len(recent) // 2] + 1) if recent else arrival_unix
        )

    def _draw_body(self, height: int) -> tuple[bytes, bytes]:
        transactions = self.transactions(height)
        return _root(transactions), zlib.compress(_body(transactions), 1)

    def transactions(self, height: int) -> list[Transaction]:
        """Draw a block's transactions."""
        payments = self._sources(height)
        if payments:
            rng = self._rng(height, 4)
            mean = self.settings.transactions_per_block - len(payments)
            size = int(mean * np.exp(0.6 * rng.standard_normal() - 0.18))
            parents = [
                max(height - lag, self.settings.first_height)
                for lag in (0, *rng.integers(1, 300, 3).tolist())
            ]
            coins = [coin.txid for parent in parents for coin in self._sources(parent)]
            payments = payments + self._draw(rng, height, size, coins)
        return [coinbase_transaction(height, payments, self._rng(height, 6).bytes(4)), *payments]

    def _draw_sources(self, height: int) -> list[Transaction]:
        """Draw a block's first payments: nothing recent is spent by them, they are what others
        spend."""
        rng = self._rng(height, 3)
        is_empty_block = rng.random() < 0.004
        return self._draw(
            rng, height, 0 if is_empty_block else max(4, self.settings.transactions_per_block // 6)
        )

    def _draw(
        self, rng: Rng, height: int, size: int, coins: Sequence[bytes] = ()
    ) -> list[Transaction]:
        """Draw so many transactions; some of them spend one of `coins`, given by their txids."""
        now_unix = self.arrival_unix(height)
        prices_usd = np.array(
            [self.market_price_usd(now_unix - delay) for delay in PAYMENT_DELAYS_SECONDS]
        )
        ins = np.minimum(1 + rng.pareto(1.6, size), 260).astype(np.int64)
        outs = np.minimum(1 + rng.pareto(1.0, size), 40).astype(np.int64)
        outs[rng.random(size) < PAIR_FRACTION] = 2
        pay_at = np.cumsum(outs) - outs + rng.integers(0, np.minimum(outs, 2))
        values_sats = draw_values(
            rng, int(outs.sum()), pay_at, prices_usd, self.settings.payment_fraction
        )
        outpoints, outputs = (
            _draw_outpoints(rng, int(ins.sum()), coins),
            _draw_outputs(rng, values_sats),
        )
        drawn = zip(
            _choose(rng, INPUT_WEIGHTS, size).tolist(), ins.tolist(), outs.tolist(), strict=True
        )
        return [
            _payment(INPUTS[i], list(islice(outpoints, n)), list(islice(outputs, m)))
            for i, n, m in drawn
        ]

    def _rng(self, height: int, stream: int) -> Rng:
        salt = next((salt for start, salt in reversed(self.settings.forks) if height >= start), 0)
        return np.random.default_rng((self.settings.seed, stream, height, salt))
