"""The walk over a block's transactions, compiled: the optional extra `fast`.

It finds what the plain walk finds, in the same order. Whatever it does not like it leaves to the
plain one, which says what is wrong. Numba compiles it when it is first used (and keeps that on the
disk where it may), which pays for some hundred blocks and more. Where a process may not have memory
that it writes and runs, as in the hardened services, numba cannot be loaded, and the plain walk
does all the work.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from oracle.core.block import (
    MIN_INPUT_BYTES,
    MIN_OUTPUT_BYTES,
    MIN_TRANSACTION_BYTES,
    OP_RETURN_CODE,
    Block,
    Rule,
    values_at,
)
from oracle.core.block import read_transactions as read_plainly
from oracle.core.params import PARAMETERS as P
from oracle.core.wire import HEADER_BYTES, MAX_COMPACT_SIZE, merkle_root, sha256d
from oracle.core.witness import witness_root

Places = NDArray[np.int64]
HASH_BYTES = 32
MAX_INPUTS = P.max_inputs
MAX_WITNESS_BYTES = P.max_witness_bytes
OUTPUTS = P.outputs
# Why a transaction is no payment, in the order of the rules.
PAYMENT = 0
TOO_MANY_INPUTS = 1
NOT_TWO_OUTPUTS = 2
COINBASE = 3
HAS_OP_RETURN = 4
LARGE_WITNESS = 5
SAME_WINDOW = 6
RULES = dict(enumerate(Rule, 1))


def hash_by_hashlib(data: NDArray[np.uint8], starts: Places, ends: Places) -> bytes:
    """Return the double SHA-256 of each piece of data, one after the other."""
    bytes_of = data[: ends[-1]].tobytes()
    return b"".join(
        sha256d(bytes_of[start:end])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    )


hash_pieces = hash_by_hashlib
with suppress(Exception):  # no OpenSSL by its name: hashlib knows its own
    from oracle.openssl import hash_pieces, merkle_root, witness_root

__all__ = ["merkle_root", "read_transactions", "walk", "witness_root"]


class Walked(NamedTuple):
    """What the walk found of each transaction, and of payments where their bytes stand.

    `starts` are places in the block. `payments` says of each which transaction it is; `prevouts`
    and `values` are flat, for payments alone: each has two values, and the prevouts between its
    bound and the next.
    """

    starts: list[int]
    txids: list[bytes]
    kinds: list[int]
    outputs: int
    payments: list[int]
    prevouts: list[int]
    prevout_bounds: list[int]
    values: Places


def read_transactions(data: bytes, block: Block) -> list[int]:
    """Read all transactions into the block; return where each begins."""
    walked = walk(data)
    if walked is None:
        return read_plainly(data, block)
    parents = [data[at : at + 32] for at in walked.prevouts]
    spent = [parents[first:behind] for first, behind in pairwise(walked.prevout_bounds)]
    kinds = walked.kinds
    of_window = _spending_this_block(walked, parents, spent)
    for payment in of_window:
        kinds[walked.payments[payment]] = SAME_WINDOW
    kept = [payment for payment in range(len(spent)) if payment not in of_window]
    block.payment_parents = [spent[payment] for payment in kept]
    counts = Counter(kinds)  # in the order in which they are met
    block.left_out = Counter({RULES[kind]: counts[kind] for kind in counts if kind != PAYMENT})
    block.txids = walked.txids
    block.outputs = walked.outputs
    block.payment_sats = values_at(data, walked.values.reshape(-1, OUTPUTS)[kept].reshape(-1))
    return walked.starts


def _spending_this_block(
    walked: Walked, parents: list[bytes], spent: list[list[bytes]]
) -> set[int]:
    """Return which payments spend a transaction that stands before them in the block, or is
    them."""
    made_here = set(walked.txids).intersection(parents)
    if not made_here:
        return set()
    first_at: dict[bytes, int] = {}
    for place, txid in enumerate(walked.txids):
        if txid in made_here:
            first_at.setdefault(txid, place)
    return {
        payment
        for payment, (place, txids) in enumerate(zip(walked.payments, spent, strict=True))
        if not made_here.isdisjoint(txids)
        and min(first_at[txid] for txid in made_here.intersection(txids)) <= place
    }


def walk(data: bytes) -> Walked | None:
    """Walk over a block's transactions; None for a block that is not plainly one."""
    array = np.frombuffer(data, np.uint8)
    room = len(data) // MIN_TRANSACTION_BYTES + 1
    bare = np.empty(len(data), np.uint8)
    starts, ends, kinds = (np.empty(room, np.int64) for _ in range(3))
    counts, prevouts = np.empty(room, np.int64), np.empty(room * MAX_INPUTS, np.int64)
    values = np.empty(room * OUTPUTS, np.int64)
    arrays = (starts, ends, kinds, counts, prevouts, values)
    found, payments, spent, outputs = _walk(array, bare, arrays)
    if not found:
        return None
    bounds = np.append(0, ends[:found])
    hashes = hash_pieces(bare, bounds[:-1], bounds[1:])
    return Walked(
        starts[:found].tolist(),
        [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)],
        kinds[:found].tolist(),
        outputs,
        np.flatnonzero(kinds[:found] == PAYMENT).tolist(),
        prevouts[:spent].tolist(),
        [0, *np.cumsum(counts[:payments]).tolist()],
        values[: payments * OUTPUTS],
    )


@numba.njit(cache=True)
def _compact(data, position):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return a compact size and the place behind it; -1 for one that is not in its shortest form,
    or larger than any block."""
    size = len(data)
    if position >= size:
        return -1, position
    first = np.int64(data[position])
    if first < 0xFD:
        return first, position + 1
    width = 1 << (first - 0xFC)
    if width == 8 or position + 1 + width > size:
        return -1, position
    value = np.int64(0)
    for place in range(width):
        value |= np.int64(data[position + 1 + place]) << (8 * place)
    if value < (0xFD if width == 2 else 0x10000) or value > MAX_COMPACT_SIZE:
        return -1, position
    return value, position + 1 + width


@numba.njit(cache=True)
def _walk(data, bare, arrays):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0911, PLR0912, PLR0915 - the hot path is one loop  # pragma: no cover - compiled
    """Fill the arrays; return how many transactions, payments, prevouts of payments and outputs
    there are, or zeros."""
    starts, ends, kinds, counts, prevouts, values = arrays
    nothing = (0, 0, 0, 0)
    size = len(data)
    transactions, position = _compact(data, HEADER_BYTES)
    if not 0 < transactions <= (size - position) // MIN_TRANSACTION_BYTES:
        return nothing
    end, payments, spent, all_outputs = 0, 0, 0, 0
    for number in range(transactions):
        start = position
        starts[number] = start
        body = start + 4
        if body + 2 > size:
            return nothing
        is_segwit = data[body] == 0
        if is_segwit:
            if data[body + 1] != 1:
                return nothing
            body += 2
        inputs, position = _compact(data, body)
        if not 0 < inputs <= (size - position) // MIN_INPUT_BYTES:
            return nothing
        is_coinbase = False
        for place in range(inputs):
            if position + MIN_INPUT_BYTES > size:
                return nothing
            if inputs <= MAX_INPUTS:
                prevouts[spent + place] = position
                is_null = True
                for at in range(36):
                    if data[position + at] != (0 if at < 32 else 0xFF):
                        is_null = False
                        break
                is_coinbase |= is_null
            script, position = _compact(data, position + 36)
            if script < 0:
                return nothing
            position += script + 4
        if position > size:
            return nothing
        outputs, position = _compact(data, position)
        if not 0 < outputs <= (size - position) // MIN_OUTPUT_BYTES:
            return nothing
        all_outputs += outputs
        first_output, last_output = position, position
        has_op_return = False
        for _ in range(outputs):
            last_output = position
            script, position = _compact(data, position + 8)
            if script < 0 or position + script > size:
                return nothing
            if script and data[position] == OP_RETURN_CODE:
                has_op_return = True
            position += script
        witness, largest = position, 0
        if is_segwit:
            for _ in range(inputs):
                items, position = _compact(data, position)
                if items < 0:
                    return nothing
                total = 0
                for _ in range(items):
                    item, position = _compact(data, position)
                    if item < 0 or position + item > size:
                        return nothing
                    position += item
                    total += item
                largest = max(largest, total)
            if position - witness == inputs:
                return nothing
        position += 4
        if position > size:
            return nothing
        bare[end : end + 4] = data[start : start + 4]
        end += 4
        bare[end : end + witness - body] = data[body:witness]
        end += witness - body
        bare[end : end + 4] = data[position - 4 : position]
        end += 4
        ends[number] = end
        if inputs > MAX_INPUTS:
            kinds[number] = TOO_MANY_INPUTS
        elif outputs != OUTPUTS:
            kinds[number] = NOT_TWO_OUTPUTS
        elif is_coinbase:
            kinds[number] = COINBASE
        elif has_op_return:
            kinds[number] = HAS_OP_RETURN
        elif largest > MAX_WITNESS_BYTES:
            kinds[number] = LARGE_WITNESS
        else:
            kinds[number] = PAYMENT
            values[OUTPUTS * payments] = first_output
            values[OUTPUTS * payments + 1] = last_output
            counts[payments] = inputs
            payments += 1
            spent += inputs
    if position != size:
        return nothing
    return transactions, payments, spent, all_outputs
