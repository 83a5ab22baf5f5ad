"""A whole block from its bytes, verified, with what the price rules need of each transaction.

The loop over transactions is the hot path of the product: it moves a position over the bytes and builds no
object for an input or an output, except the previous txids and values of the few that may become eligible.
Reads past the end surface as IndexError, so each byte is bounded without a check of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from operator import eq

from oracle.core.params import PARAMETERS
from oracle.core.wire import HEADER_BYTES, Header, parse_header, read_compact_size, sha256d
from oracle.errors import ParseError, VerificationError

MIN_INPUT_BYTES = 41  # previous output 36, script size 1, sequence 4
MIN_OUTPUT_BYTES = 9  # value 8, script size 1
MIN_TRANSACTION_BYTES = 60
OP_RETURN = 0x6A
COINBASE_PREVOUT = bytes(32) + b"\xff\xff\xff\xff"
_LARGE_WITNESS = PARAMETERS.max_witness_bytes
_MAX_INPUTS, _OUTPUTS = PARAMETERS.max_inputs, PARAMETERS.outputs


class Rule(StrEnum):
    """Why a transaction is left out: the first rule of step 2 that it breaks, in this order."""

    INPUTS = "more_than_5_inputs"
    OUTPUTS = "not_2_outputs"
    COINBASE = "coinbase"
    OP_RETURN = "op_return"
    WITNESS = "large_witness"
    SAME_WINDOW = "spends_same_window"


@dataclass(frozen=True, slots=True)
class Payment:
    """A transaction that passes every rule a block can decide alone."""

    parents: list[bytes]  # previous txids, internal order
    values_sats: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """A parsed and verified block; txids in internal order, chain order."""

    header: Header
    size_bytes: int
    txids: list[bytes]
    outputs: int
    payments: list[Payment]
    left_out: Counter[Rule]


def parse_block(data: bytes, *, expected_hash: str | None = None, height: int | str | None = None) -> Block:
    """Parse and verify one block as on the wire (with or without witness).

    Args:
        data: the block, nothing before or behind it.
        expected_hash: the hash that was asked for, display order; None when it is not known.
        height: only for error texts; any name of the block will do.

    Raises:
        ParseError: the bytes are not one block; carries the height (or hash) and the offset.
        VerificationError: hash, target or merkle root is not what it must be.
    """
    name = height if height is not None else expected_hash
    header = parse_header(data, block=name)
    _verify_header(header, expected_hash, name)
    reader = _TransactionReader(data)
    try:
        reader.read_all()
    except IndexError:
        raise ParseError("the bytes end in the middle", block=name, offset=len(data)) from None
    except ValueError as error:
        raise ParseError(str(error), block=name, offset=reader.position) from None
    _verify_merkle_root(header, reader.txids, name)
    return Block(header, len(data), reader.txids, reader.outputs, reader.payments, reader.left_out)


def _verify_header(header: Header, expected_hash: str | None, name: int | str | None) -> None:
    if expected_hash is not None and header.hash != expected_hash:
        raise VerificationError(f"its hash is {header.hash}, not {expected_hash}", block=name, offset=0)
    if int(header.hash, 16) > header.target:
        raise VerificationError("its hash does not meet the target in its bits", block=name, offset=0)


def _verify_merkle_root(header: Header, txids: list[bytes], name: int | str | None) -> None:
    root, is_mutated = merkle_root(txids)
    if root[::-1].hex() != header.merkle_root:
        raise VerificationError("its transactions do not give the merkle root", block=name, offset=36)
    if is_mutated:  # CVE-2012-2459: doubled transactions give the same root as the true block
        raise VerificationError("its merkle tree repeats transactions", block=name, offset=36)


def merkle_root(leaves: list[bytes]) -> tuple[bytes, bool]:
    """Return the merkle root of at least one leaf, and whether two real neighbours are equal."""
    level, is_mutated = leaves, False
    while len(level) > 1:
        left, right = level[::2], level[1::2]
        is_mutated = is_mutated or any(map(eq, left, right))
        if len(left) > len(right):
            right.append(left[-1])
        level = [sha256(sha256(a + b).digest()).digest() for a, b in zip(left, right, strict=True)]
    return level[0], is_mutated


class _TransactionReader:
    """Moves once over a block's transactions; `position` is where it stands when something is wrong."""

    __slots__ = ("data", "left_out", "outputs", "payments", "position", "txids")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = HEADER_BYTES
        self.txids: list[bytes] = []
        self.outputs = 0
        self.payments: list[Payment] = []
        self.left_out: Counter[Rule] = Counter()

    def read_all(self) -> None:
        transactions = self._count("transaction", MIN_TRANSACTION_BYTES)
        seen: set[bytes] = set()
        for _ in range(transactions):
            self._read_transaction(seen)
        if self.position != len(self.data):
            raise ValueError(f"{len(self.data) - self.position} bytes are left over")

    def _count(self, thing: str, min_bytes: int) -> int:
        count, position = read_compact_size(self.data, self.position)
        if count == 0:
            raise ValueError(f"it has no {thing}")
        if count * min_bytes > len(self.data) - position:
            raise ValueError(f"{count} {thing}s do not fit into the bytes that follow")
        self.position = position
        return count

    def _read_transaction(self, seen: set[bytes]) -> None:
        data, start = self.data, self.position
        self.position = body = start + 4
        is_segwit = data[body] == 0
        if is_segwit:
            if data[body + 1] != 1:
                raise ValueError("a transaction has no input, or an unknown flag")
            self.position = body = body + 2
        inputs = self._count("input", MIN_INPUT_BYTES)
        parents, coinbase = self._read_inputs(inputs)
        outputs = self._count("output", MIN_OUTPUT_BYTES)
        values_sats, has_op_return = self._read_outputs(outputs)
        witness = end = self.position
        largest_witness = 0
        if is_segwit:
            largest_witness = self._read_witnesses(inputs)
            end = self.position
            if end - witness == inputs:
                raise ValueError("a transaction announces a witness and has none")
        if end + 4 > len(data):
            raise IndexError
        self.position = end + 4
        self.outputs += outputs
        bare = data[start : end + 4]
        if is_segwit:
            bare = data[start : start + 4] + data[body:witness] + data[end : end + 4]
        txid = sha256d(bare)
        self.txids.append(txid)
        seen.add(txid)
        rule = first_broken_rule(inputs, outputs, coinbase, has_op_return, largest_witness)
        if rule is None and not seen.isdisjoint(parents):
            rule = Rule.SAME_WINDOW
        if rule is None:
            self.payments.append(Payment(parents, values_sats))
        else:
            self.left_out[rule] += 1

    def _read_inputs(self, inputs: int) -> tuple[list[bytes], Rule | None]:
        data, position = self.data, self.position
        parents: list[bytes] = []
        rule = None
        keep = inputs <= _MAX_INPUTS
        for _ in range(inputs):
            if keep:
                parent = data[position : position + 32]
                parents.append(parent)
                if parent == COINBASE_PREVOUT[:32] and data[position : position + 36] == COINBASE_PREVOUT:
                    rule = Rule.COINBASE
            size = data[position + 36]
            if size < 0xFD:
                position += 41 + size
            else:
                size, position = read_compact_size(data, position + 36)
                position += size + 4
        self.position = position
        return parents, rule

    def _read_outputs(self, outputs: int) -> tuple[tuple[int, int], bool]:
        data, position = self.data, self.position
        first = position
        has_op_return = False
        for _ in range(outputs):
            value_at = position
            size = data[position + 8]
            if size < 0xFD:
                position += 9
            else:
                size, position = read_compact_size(data, position + 8)
            if size and data[position] == OP_RETURN:
                has_op_return = True
            position += size
        self.position = position
        pair = (
            int.from_bytes(data[first : first + 8], "little"),
            int.from_bytes(data[value_at : value_at + 8], "little"),
        )
        return pair, has_op_return

    def _read_witnesses(self, inputs: int) -> int:
        data, position = self.data, self.position
        largest = 0
        for _ in range(inputs):
            items = data[position]
            position += 1
            if items >= 0xFD:
                items, position = read_compact_size(data, position - 1)
            total = 0
            for _ in range(items):
                size = data[position]
                position += 1
                if size >= 0xFD:
                    size, position = read_compact_size(data, position - 1)
                position += size
                total += size
            largest = max(largest, total)
        self.position = position
        return largest


def first_broken_rule(
    inputs: int, outputs: int, coinbase: Rule | None, has_op_return: bool, largest_witness: int
) -> Rule | None:
    """Return the first rule of step 2 that a transaction breaks, the spends within the window aside."""
    if inputs > _MAX_INPUTS:
        return Rule.INPUTS
    if outputs != _OUTPUTS:
        return Rule.OUTPUTS
    if coinbase:
        return coinbase
    if has_op_return:
        return Rule.OP_RETURN
    return Rule.WITNESS if largest_witness > _LARGE_WITNESS else None
