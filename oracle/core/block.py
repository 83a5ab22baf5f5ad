"""A whole block from its bytes, verified, with what the price rules need of each transaction.

`read_transactions` is the hot path of the product: one loop moves a position over the bytes and
builds no object for an input or an output, except the prevouts of the transactions that may become
eligible. Reads past the end surface as IndexError, so each byte is bounded without a check of its
own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from oracle.core.params import PARAMETERS as P
from oracle.core.wire import HEADER_BYTES, Header, merkle_root, parse_header, read_compact_size
from oracle.core.witness import witness_problem
from oracle.errors import ParseError, VerificationError

MIN_TRANSACTION_BYTES = 60  # one input and one output without scripts
MIN_INPUT_BYTES = 41  # outpoint, an empty script's size, sequence
MIN_OUTPUT_BYTES = 9  # value, an empty script's size
OP_RETURN_CODE = 0x6A  # a script that begins with it can never be spent
COINBASE_PREVOUT = bytes(32) + b"\xff\xff\xff\xff"


class Rule(StrEnum):
    """Why a transaction is left out: the first rule of step 2 that it breaks, in this order."""

    INPUTS = "more_than_5_inputs"
    OUTPUTS = "not_2_outputs"
    COINBASE = "coinbase"
    OP_RETURN = "op_return"
    WITNESS = "large_witness"
    SAME_WINDOW = "spends_same_window"


@dataclass(slots=True)
class Block:
    """A parsed and verified block, everything in chain order.

    A payment is a transaction that passes every rule a block can decide alone: its parents are the
    txids that its inputs spend, and its two values stand side by side in `payment_sats`. Txids are
    in internal order.
    """

    header: Header
    size_bytes: int
    outputs: int = 0
    txids: list[bytes] = field(default_factory=list)
    payment_parents: list[list[bytes]] = field(default_factory=list)
    payment_sats: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    left_out: Counter[Rule] = field(default_factory=Counter)


def parse_block(
    data: bytes,
    *,
    expected_hash: str | None = None,
    height: int | str | None = None,
    hashes_witness: bool = True,
) -> Block:
    """Parse and verify one block as on the wire (with or without witness).

    Args:
        data: the block, nothing before or behind it.
        expected_hash: the hash that was asked for, display order; None when it is not known.
        height: only for error texts; any name of the block will do.
        hashes_witness: compare the witnesses with the commitment to them, which nearly doubles the
            hashing; else only that both are there.

    Raises:
        ParseError: the bytes are not one block; carries the height (or hash) and the offset.
        VerificationError: hash, target, merkle root or witness is not what it must be.
    """
    name = height if height is not None else expected_hash
    header = parse_header(data, block=name)
    if expected_hash is not None and header.hash != expected_hash:
        raise VerificationError(
            f"its hash is {header.hash}, not {expected_hash}", block=name, offset=0
        )
    if int(header.hash, 16) > header.target:
        raise VerificationError(
            "its hash does not meet the target in its bits", block=name, offset=0
        )
    block = Block(header, len(data))
    try:
        starts = read_transactions(data, block)
    except IndexError:
        raise ParseError("the bytes end in the middle", block=name, offset=len(data)) from None
    except ParseError as error:
        raise ParseError(error.problem, block=name, offset=error.offset) from None
    _verify_transactions(data, block, starts, name, hashes_witness)
    return block


def _verify_transactions(
    data: bytes, block: Block, starts: list[int], name: int | str | None, hashes_witness: bool
) -> None:
    root, is_mutated = merkle_root(block.txids)
    if root[::-1].hex() != block.header.merkle_root:
        raise VerificationError(
            "its transactions do not give the merkle root", block=name, offset=36
        )
    if is_mutated:  # CVE-2012-2459: doubled transactions give the same root as the true block
        raise VerificationError("its merkle tree repeats transactions", block=name, offset=36)
    problem = witness_problem(data, block.header, starts, block.txids, is_hashed=hashes_witness)
    if problem:
        raise VerificationError(problem, block=name, offset=starts[0])


def first_broken_rule(inputs: int, outputs: int, is_coinbase: bool, has_op_return: bool) -> Rule:
    """Return the first rule of step 2 that a transaction breaks which is no payment; the last is
    the witness."""
    if inputs > P.max_inputs:
        return Rule.INPUTS
    if outputs != P.outputs:
        return Rule.OUTPUTS
    if is_coinbase:
        return Rule.COINBASE
    return Rule.OP_RETURN if has_op_return else Rule.WITNESS


def _count(data: bytes, position: int, min_bytes: int) -> tuple[int, int]:
    """Read how many things follow; a count that cannot fit is refused before anything loops over
    it."""
    count, behind = read_compact_size(data, position)
    if not 0 < count * min_bytes <= len(data) - behind:
        problem = (
            "nothing where something must be"
            if not count
            else f"{count} things do not fit into the bytes"
        )
        raise ParseError(problem, offset=position)
    return count, behind


def values_at(data: bytes, places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the output values that stand at some places of a block."""
    eight = np.frombuffer(data, np.uint8)[places[:, None] + np.arange(8)]
    return np.asarray(eight.view("<u8").reshape(-1), np.uint64)


def read_transactions(data: bytes, block: Block) -> list[int]:  # noqa: C901, PLR0912, PLR0915 - the hot path is one loop
    """Read all transactions into the block; return where each begins.

    Another that finds the same may stand in for it: `oracle.faster` has one.
    """
    max_inputs, max_witness_bytes = P.max_inputs, P.max_witness_bytes
    txids, seen, left_out = block.txids, set[bytes](), block.left_out
    starts: list[int] = []
    places: list[int] = []  # where the values of payments stand
    all_outputs = 0
    transactions, position = _count(data, HEADER_BYTES, MIN_TRANSACTION_BYTES)
    for _ in range(transactions):
        start = position
        starts.append(start)
        body = position = start + 4
        is_segwit = data[body] == 0
        if is_segwit:
            if data[body + 1] != 1:
                raise ParseError("a transaction has no input, or an unknown flag", offset=body)
            body = position = start + 6
        inputs = data[position]
        position += 1
        if not 0 < inputs < 0xFD:
            inputs, position = _count(data, body, MIN_INPUT_BYTES)
        is_small = inputs <= max_inputs
        prevouts = []
        for _ in range(inputs):
            if is_small:
                prevouts.append(data[position : position + 36])
            size = data[position + 36]
            position += 41 + size
            if size >= 0xFD:
                size, position = read_compact_size(data, position - size - 5)
                position += 4 + size
        outputs = data[position]
        position += 1
        if not 0 < outputs < 0xFD:
            outputs, position = _count(data, position - 1, MIN_OUTPUT_BYTES)
        all_outputs += outputs
        first_output = position
        has_op_return = False
        for _ in range(outputs):
            last_output = position
            size = data[position + 8]
            position += 9
            if size >= 0xFD:
                size, position = read_compact_size(data, position - 1)
            if size and data[position] == OP_RETURN_CODE:
                has_op_return = True
            position += size
        witness, largest_witness = position, 0
        if is_segwit:
            for _ in range(inputs):
                items, total = data[position], 0
                position += 1
                if items >= 0xFD:
                    items, position = read_compact_size(data, position - 1)
                for _ in range(items):
                    size = data[position]
                    position += 1
                    if size >= 0xFD:
                        size, position = read_compact_size(data, position - 1)
                    position += size
                    total += size
                if total > largest_witness:  # noqa: PLR1730 - max() costs a call
                    largest_witness = total
            if position - witness == inputs:
                raise ParseError("a transaction announces a witness and has none", offset=witness)
        position += 4
        if position > len(data):
            raise IndexError
        if is_segwit:
            bare = data[start : start + 4] + data[body:witness] + data[position - 4 : position]
        else:
            bare = data[start:position]
        txid = sha256(sha256(bare).digest()).digest()
        txids.append(txid)
        seen.add(txid)
        is_coinbase = COINBASE_PREVOUT in prevouts
        if (
            not is_small
            or outputs != 2
            or is_coinbase
            or has_op_return
            or largest_witness > max_witness_bytes
        ):
            left_out[first_broken_rule(inputs, outputs, is_coinbase, has_op_return)] += 1
            continue
        parents = [prevout[:32] for prevout in prevouts]
        if not seen.isdisjoint(parents):
            left_out[Rule.SAME_WINDOW] += 1
        else:
            block.payment_parents.append(parents)
            places += first_output, last_output
    block.outputs = all_outputs
    block.payment_sats = values_at(data, np.array(places, np.int64))
    if position != len(data):
        raise ParseError(f"{len(data) - position} bytes are left over", offset=position)
    return starts
