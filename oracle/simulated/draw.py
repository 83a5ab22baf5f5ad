"""Payments mixed as in real blocks: their values, and the scripts they are spent and sent with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.simulated.serialise import (
    SEQUENCE,
    Transaction,
    join_transaction,
    with_count,
    with_size,
)

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Rng = np.random.Generator

# --- Values: round dollars, round bitcoin, everything else ---

# All weights below are fitted to the 66,647 eligible outputs of mainnet blocks 937,665..937,808.
# What is neither round dollars nor round bitcoin: normal distributions of log10(sats), the first
# around this one, each next one so much higher; at a higher price people move less bitcoin.
BACKGROUND_FIRST_LOG10 = 8 - 5  # 0.00001 BTC
BACKGROUND_STEP_LOG10 = 0.5
BACKGROUND_WEIGHTS = (330, 211, 523, 1116, 1536, 1368, 1113, 534, 395, 197, 189, 21, 51)
BACKGROUND_DEVIATION_LOG10 = 0.33
BACKGROUND_PRICE_USD = 68_150  # of those blocks
# A round bitcoin amount is one of these times one of those sats; repeated are those seen more often
ROUND_BTC_FRACTION = 0.17
# fmt: off
ROUND_BTC_DIGITS = (
    10, 10, 10, 10, 12, 15, 15, 20, 20, 20, 25, 30, 30, 30, 40, 50, 50, 50, 60, 70, 80, 90,
)
ROUND_BTC_SATS = (
    100, 1000, 1000, 1000, 10**4, 10**4, 10**4, 10**4, 10**5, 10**5, 10**6, 10**6, 10**7,
)
DOLLARS = np.array([
    1, 5, 7, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 350, 400,
    500, 600, 700, 800, 1000, 1500, 2000, 3000, 5000, 10000
])
DOLLAR_WEIGHTS = (
    81, 275, 92, 653, 263, 655, 315, 442, 106, 239, 929, 169, 108, 123, 1009, 96, 275, 413, 127,
    307, 85, 142, 341, 70, 73, 46, 294, 62, 138, 53, 67, 34
)
# fmt: on
# Payers miss the round amount, most by little; some send more, with fees on top.
DOLLAR_NOISE = 0.001  # of the amount
FEES_FRACTION = 0.08  # of payments
FEES_MEAN = 0.006  # of the amount
# Amounts at the method's own limits, in one of a thousand payments: rare, but in every block.
LIMIT_SATS = (999, 1000, 1001, 10**13 - 1, 10**13, 10**13 + 1)
LIMIT_FRACTION = 0.001
DUST_SATS = 330  # below this nothing is relayed
PAYMENT_DELAYS_SECONDS = (60, 300, 600, 1200, 2400)  # from the payer's look at the price to a block


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
    chosen = _choose(rng, BACKGROUND_WEIGHTS, total)
    centres = BACKGROUND_FIRST_LOG10 + BACKGROUND_STEP_LOG10 * chosen
    deviations = BACKGROUND_DEVIATION_LOG10 * rng.standard_normal(total)
    values = 10 ** (centres + deviations) * BACKGROUND_PRICE_USD / prices_usd[0]
    size = len(pay_at)
    coins = DOLLARS[_choose(rng, DOLLAR_WEIGHTS, size)] / rng.choice(prices_usd, size)
    fees = rng.exponential(FEES_MEAN, size) * (rng.random(size) < FEES_FRACTION)
    dollars = 1e8 * coins * np.exp(DOLLAR_NOISE * rng.standard_normal(size) + fees)
    bitcoins = rng.choice(ROUND_BTC_DIGITS, size) * rng.choice(ROUND_BTC_SATS, size)
    kind = rng.random(size)
    is_dollars = kind < payment_fraction
    is_limit = kind > 1 - LIMIT_FRACTION
    is_bitcoins = kind > 1 - LIMIT_FRACTION - ROUND_BTC_FRACTION
    values[pay_at] = np.select(
        [is_dollars, is_limit, is_bitcoins],
        [dollars, rng.choice(LIMIT_SATS, size), bitcoins],
        values[pay_at],
    )
    return np.asarray(np.rint(np.maximum(values, DUST_SATS)), np.int64)


def _choose(rng: Rng, weights: Sequence[float], size: int) -> Int64s:
    """Draw so many indices of `weights`."""
    places = rng.random(size) * np.sum(weights)
    return np.asarray(np.searchsorted(np.cumsum(weights), places, "right"))


# --- Inputs and outputs -------------------------------------


class InputKind(NamedTuple):
    """What follows an input's outpoint, and its witness (of no item: a legacy input)."""

    script: bytes
    witness: bytes


def _input(script_bytes: int, *item_bytes: int) -> InputKind:
    """Make a kind of input by its sizes; "simulated" stands where signatures would."""
    filling = b"simulated " * 80
    items = [with_size(filling[:size]) for size in item_bytes]
    return InputKind(with_size(filling[:script_bytes]) + SEQUENCE, with_count(items))


P2PKH = _input(107)
P2WPKH = _input(0, 71, 33)
P2TR = _input(0, 64)
P2SH_P2WPKH = _input(23, 72, 33)
P2WSH_2_OF_3 = _input(0, 0, 72, 72, 105)
# Witnesses around the method's limit of 500 bytes, alone and in sum.
LARGE_INPUTS = (
    *(_input(0, size) for size in range(495, 506)),
    *(_input(0, 250, size) for size in range(200, 601, 5)),
)
LARGE_INPUTS_WEIGHT = 5
INPUTS = (P2PKH, P2WPKH, P2TR, P2SH_P2WPKH, P2WSH_2_OF_3, *LARGE_INPUTS)
LARGE_WEIGHTS = (LARGE_INPUTS_WEIGHT / len(LARGE_INPUTS),) * len(LARGE_INPUTS)
INPUT_WEIGHTS = (15, 45, 20, 10, 5, *LARGE_WEIGHTS)


class OutputKind(NamedTuple):
    """An output's script with its length in front: a start, random bytes, an end."""

    weight: float
    start: bytes
    random_bytes: int
    end: bytes = b""
    holds_value: bool = True


OUTPUTS = (
    OutputKind(5, bytes.fromhex("166a14"), 20, holds_value=False),  # OP_RETURN
    OutputKind(48, bytes.fromhex("160014"), 20),  # p2wpkh
    OutputKind(19, bytes.fromhex("225120"), 32),  # p2tr
    OutputKind(12, bytes.fromhex("1976a914"), 20, b"\x88\xac"),  # p2pkh
    OutputKind(12, bytes.fromhex("17a914"), 20, b"\x87"),  # p2sh
    OutputKind(3.5, bytes.fromhex("220020"), 32),  # p2wsh
    OutputKind(0.5, b"\0", 0),  # an empty script
)
OUTPUT_WEIGHTS = tuple(kind.weight for kind in OUTPUTS)
OUTPUT_INK_BYTES = 32  # drawn for each output, whatever its kind needs

PAIR_FRACTION = 0.6  # of transactions: have two outputs
RECENT_FRACTION = 0.28  # of inputs: spend a coin of the last 300 blocks
MOST_INPUTS = 260  # above 252 the count takes three bytes
MOST_OUTPUTS = 40
INPUTS_TAIL = 1.6  # of a Pareto distribution, as all of these
OUTPUTS_TAIL = 1.0
OUTPOINT_BYTES = 36
TXID_AND_INDEX_BYTES = 33  # of an outpoint that is drawn: the index is below 256


class Shapes(NamedTuple):
    """How many inputs and outputs each of some transactions has, and which output pays."""

    inputs: Int64s
    outputs: Int64s
    pay_at: Int64s

    @classmethod
    def draw(cls, rng: Rng, size: int) -> Shapes:
        """Draw the shapes of so many transactions."""
        inputs = np.minimum(1 + rng.pareto(INPUTS_TAIL, size), MOST_INPUTS).astype(np.int64)
        outputs = np.minimum(1 + rng.pareto(OUTPUTS_TAIL, size), MOST_OUTPUTS).astype(np.int64)
        outputs[rng.random(size) < PAIR_FRACTION] = 2
        first_at = np.cumsum(outputs) - outputs
        return cls(inputs, outputs, first_at + rng.integers(0, np.minimum(outputs, 2)))


def draw_payments(
    rng: Rng, size: int, coins: Sequence[bytes], prices_usd: Floats, payment_fraction: float
) -> list[Transaction]:
    """Draw so many transactions; some of their inputs spend one of `coins`, given by its txid."""
    shapes = Shapes.draw(rng, size)
    values_sats = draw_values(
        rng, int(shapes.outputs.sum()), shapes.pay_at, prices_usd, payment_fraction
    )
    outpoints = _draw_outpoints(rng, int(shapes.inputs.sum()), coins)
    outputs = _draw_outputs(rng, values_sats)
    kinds = _choose(rng, INPUT_WEIGHTS, size)
    transactions = []
    drawn = zip(kinds.tolist(), shapes.inputs.tolist(), shapes.outputs.tolist(), strict=True)
    for kind, spent, made in drawn:
        transactions.append(
            _payment(INPUTS[kind], list(islice(outpoints, spent)), list(islice(outputs, made)))
        )
    return transactions


def _draw_outpoints(rng: Rng, size: int, coins: Sequence[bytes]) -> Iterator[bytes]:
    """Draw what inputs spend: 36 bytes each, most of them a coin that nobody knows."""
    width = TXID_AND_INDEX_BYTES
    ink = rng.bytes(width * size)
    choices = max(1, int(len(coins) / RECENT_FRACTION))
    for i, coin in enumerate(rng.integers(choices, size=size).tolist()):
        drawn = coins[coin] if coin < len(coins) else ink[width * i : width * (i + 1)]
        yield drawn.ljust(OUTPOINT_BYTES, b"\0")


def _draw_outputs(rng: Rng, values_sats: Int64s) -> Iterator[bytes]:
    """Draw the scripts that values are sent to."""
    kinds = _choose(rng, OUTPUT_WEIGHTS, len(values_sats)).tolist()
    ink = rng.bytes(OUTPUT_INK_BYTES * len(values_sats))
    for i, (kind_index, value_sats) in enumerate(zip(kinds, values_sats.tolist(), strict=True)):
        kind = OUTPUTS[kind_index]
        value = value_sats if kind.holds_value else 0
        drawn = ink[OUTPUT_INK_BYTES * i :][: kind.random_bytes]
        yield value.to_bytes(8, "little") + kind.start + drawn + kind.end


def _payment(kind: InputKind, outpoints: Sequence[bytes], outputs: Sequence[bytes]) -> Transaction:
    """Make a payment of one kind of inputs; of three or more the last is a legacy one."""
    kinds = [kind] * len(outpoints)
    if len(outpoints) > 2:
        kinds[-1] = P2PKH
    inputs = [outpoint + each.script for outpoint, each in zip(outpoints, kinds, strict=True)]
    if kind is P2PKH:
        return join_transaction(inputs, outputs, b"")
    return join_transaction(inputs, outputs, b"".join(each.witness for each in kinds))
