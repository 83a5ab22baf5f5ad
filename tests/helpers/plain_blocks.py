"""Blocks read and written the slow, plain way: a second opinion on the product's parser and rules.

Written from the serialisation and from the rules as published, with an object for everything and no
regard for speed; it shares nothing with `oracle`. It also says a transaction in the words of
Bitcoin Core and esplora.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

COINBASE = (bytes(32), 0xFFFF_FFFF)
MAX_SIZE = 0x0200_0000


class NotABlockError(Exception):
    """The bytes are no block, whatever their header says."""


def double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@dataclass(frozen=True)
class Input:
    parent: bytes = bytes(range(32))
    index: int = 0
    script: bytes = b""
    sequence: int = 0xFFFF_FFFD
    witness: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Output:
    value_sats: int = 50_000
    script: bytes = b"\0\x14" + bytes(20)


@dataclass(frozen=True)
class Transaction:
    inputs: tuple[Input, ...] = (Input(),)
    outputs: tuple[Output, ...] = (Output(), Output())
    version: int = 2
    lock_time: int = 0

    @property
    def is_segwit(self) -> bool:
        return any(spent.witness for spent in self.inputs)

    @property
    def stripped(self) -> bytes:
        return struct.pack("<I", self.version) + self._body() + struct.pack("<I", self.lock_time)

    @property
    def raw(self) -> bytes:
        if not self.is_segwit:
            return self.stripped
        witness = b"".join(
            counted([sized(item) for item in spent.witness]) for spent in self.inputs
        )
        return (
            struct.pack("<I", self.version)
            + b"\0\1"
            + self._body()
            + witness
            + struct.pack("<I", self.lock_time)
        )

    @property
    def txid(self) -> bytes:
        return double_sha256(self.stripped)

    def _body(self) -> bytes:
        inputs = [
            spent.parent
            + struct.pack("<I", spent.index)
            + sized(spent.script)
            + struct.pack("<I", spent.sequence)
            for spent in self.inputs
        ]
        return counted(inputs) + counted(
            [struct.pack("<Q", o.value_sats) + sized(o.script) for o in self.outputs]
        )


def compact(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    if number <= 0xFFFF:
        return b"\xfd" + struct.pack("<H", number)
    if number <= 0xFFFF_FFFF:
        return b"\xfe" + struct.pack("<I", number)
    return b"\xff" + struct.pack("<Q", number)


def sized(content: bytes) -> bytes:
    return compact(len(content)) + content


def counted(items: list[bytes]) -> bytes:
    return compact(len(items)) + b"".join(items)


@dataclass
class Bytes:
    """Bytes read one after the other; reading past the end is an error."""

    data: bytes
    position: int = 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.position:
            raise NotABlockError("the end")
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        first = self.number(1)
        if first < 0xFD:
            return first
        number = self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])
        if number < {0xFD: 0xFD, 0xFE: 0x1_0000, 0xFF: 0x1_0000_0000}[first] or number > MAX_SIZE:
            raise NotABlockError("a count")
        return number

    def sized(self) -> bytes:
        return self.take(self.compact())


def read_block(data: bytes) -> tuple[bytes, list[Transaction]]:
    """Return header and transactions of a well-formed block; whether they belong together is not
    asked."""
    stream = Bytes(data)
    header = stream.take(80)
    transactions = [_transaction(stream) for _ in range(stream.compact())]
    if not transactions or stream.position != len(data):
        raise NotABlockError("empty, or bytes left over")
    return header, transactions


def _transaction(stream: Bytes) -> Transaction:
    version = stream.number(4)
    inputs = [_input(stream) for _ in range(stream.compact())]
    is_segwit = not inputs
    if is_segwit:
        if stream.number(1) != 1:
            raise NotABlockError("a flag")
        inputs = [_input(stream) for _ in range(stream.compact())]
    outputs = [Output(stream.number(8), stream.sized()) for _ in range(stream.compact())]
    if is_segwit:
        stacks = [tuple(stream.sized() for _ in range(stream.compact())) for _ in inputs]
        inputs = [
            replace(spent, witness=witness) for spent, witness in zip(inputs, stacks, strict=True)
        ]
    transaction = Transaction(tuple(inputs), tuple(outputs), version, stream.number(4))
    if not inputs or not outputs or transaction.is_segwit is not is_segwit:
        raise NotABlockError("nothing where something must be")
    return transaction


def _input(stream: Bytes) -> Input:
    return Input(stream.take(32), stream.number(4), stream.sized(), stream.number(4))


# --- Blocks that verify -------------------------------------


def merkle_root(txids: list[bytes]) -> bytes:
    while len(txids) > 1:
        txids = txids + txids[-1:] if len(txids) % 2 else txids
        txids = [double_sha256(txids[i] + txids[i + 1]) for i in range(0, len(txids), 2)]
    return txids[0]


def sealed(
    body: bytes, txids: list[bytes], prev_hash: bytes = bytes(32), time_unix: int = 1_700_000_000
) -> bytes:
    """Return any body behind a header with this merkle root that meets the regtest target."""
    start = struct.pack("<I32s32sII", 4, prev_hash, merkle_root(txids), time_unix, 0x207F_FFFF)
    nonce = 0
    while double_sha256(start + struct.pack("<I", nonce))[31] > 0x7F:
        nonce += 1
    return start + struct.pack("<I", nonce) + body


def block_of(
    *transactions: Transaction, prev_hash: bytes = bytes(32), time_unix: int = 1_700_000_000
) -> bytes:
    """Return a block of exactly these transactions."""
    txids = [transaction.txid for transaction in transactions]
    return sealed(
        counted([transaction.raw for transaction in transactions]), txids, prev_hash, time_unix
    )


def resealed(data: bytes) -> bytes:
    """Return a well-formed block with the header that its transactions ask for."""
    transactions = read_block(data)[1]
    return sealed(data[80:], [transaction.txid for transaction in transactions])


def is_witness_proven(
    header: bytes, transactions: list[Transaction], is_hashed: bool = True
) -> bool:
    """Tell whether the coinbase commits to the witnesses (BIP141); chains at the regtest target may
    leave it."""
    is_made = header[72:76] == struct.pack("<I", 0x207F_FFFF)
    coinbase = transactions[0]
    scripts = [output.script for output in coinbase.outputs]
    commitments = [s[6:38] for s in scripts if s[:6].hex() == "6a24aa21a9ed" and len(s) >= 38]
    has_witness = any(transaction.is_segwit for transaction in transactions)
    if not commitments:
        return is_made or not has_witness
    reserved = coinbase.inputs[0].witness
    if not has_witness or len(reserved) != 1 or len(reserved[0]) != 32:
        return False
    if not is_hashed or (is_made and commitments[-1] == bytes(32)):
        return True
    wtxids = [bytes(32)] + [double_sha256(transaction.raw) for transaction in transactions[1:]]
    return double_sha256(merkle_root(wtxids) + reserved[0]) == commitments[-1]


# --- The rules as published ---------------------------------


@dataclass
class Walk:
    """What a walk over transactions in chain order keeps."""

    value_sats: list[int] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    seen: set[bytes] = field(default_factory=set)

    def over(self, transactions: Iterable[Transaction]) -> Walk:
        """Walk on."""
        for transaction in transactions:
            self.seen.add(transaction.txid)
            rule = broken_rule(transaction, self.seen)
            if rule:
                self.left_out[rule] += 1
            else:
                self.value_sats += [
                    o.value_sats for o in transaction.outputs if 1e-5 < o.value_sats / 1e8 < 1e5
                ]
        return self


def broken_rule(transaction: Transaction, seen: set[bytes]) -> str | None:
    """Return the first rule that a transaction breaks, if any."""
    spent = transaction.inputs
    rules: list[tuple[str, Callable[[], bool]]] = [
        ("more_than_5_inputs", lambda: len(spent) > 5),
        ("not_2_outputs", lambda: len(transaction.outputs) != 2),
        ("coinbase", lambda: any((s.parent, s.index) == COINBASE for s in spent)),
        ("op_return", lambda: any(o.script[:1] == b"\x6a" for o in transaction.outputs)),
        ("large_witness", lambda: any(sum(map(len, s.witness)) > 500 for s in spent)),
        ("spends_same_window", lambda: any(s.parent in seen for s in spent)),
    ]
    return next((name for name, is_broken in rules if is_broken()), None)


# --- Other servers' words -----------------------------------


def btc_float(sats: int) -> float:
    """Return what a JSON reader makes of the decimal that Bitcoin Core writes."""
    return float(f"{sats // 10**8}.{sats % 10**8:08d}")


def btc_decimal(sats: int) -> Decimal:
    return Decimal(sats).scaleb(-8)


def as_core(transaction: Transaction, amount: Callable[[int], Any] = btc_float) -> dict[str, Any]:
    """Return what `getblock HASH 2` says of a transaction, as far as anybody reads it."""
    return {
        "txid": transaction.txid[::-1].hex(),
        "version": transaction.version,
        "vin": [_core_input(spent) for spent in transaction.inputs],
        "vout": [
            {
                "value": amount(o.value_sats),
                "n": n,
                "scriptPubKey": {"asm": _asm(o.script), "hex": o.script.hex()},
            }
            for n, o in enumerate(transaction.outputs)
        ],
        "locktime": transaction.lock_time,
    }


def _core_input(spent: Input) -> dict[str, Any]:
    witness = {"txinwitness": [item.hex() for item in spent.witness]} if spent.witness else {}
    if (spent.parent, spent.index) == COINBASE:
        return {"coinbase": spent.script.hex(), **witness, "sequence": spent.sequence}
    script = {"asm": "", "hex": spent.script.hex()}
    start = {"txid": spent.parent[::-1].hex(), "vout": spent.index, "scriptSig": script}
    return {**start, **witness, "sequence": spent.sequence}


def as_esplora(transaction: Transaction) -> dict[str, Any]:
    """Return what `GET /block/HASH/txs` says of a transaction, as far as anybody reads it."""
    return {
        "txid": transaction.txid[::-1].hex(),
        "version": transaction.version,
        "vin": [
            {
                "txid": spent.parent[::-1].hex(),
                "vout": spent.index,
                "prevout": None,
                "scriptsig": spent.script.hex(),
                "witness": [item.hex() for item in spent.witness],
                "is_coinbase": (spent.parent, spent.index) == COINBASE,
                "sequence": spent.sequence,
            }
            for spent in transaction.inputs
        ],
        "vout": [
            {
                "scriptpubkey": o.script.hex(),
                "scriptpubkey_asm": _asm(o.script),
                "value": o.value_sats,
            }
            for o in transaction.outputs
        ],
        "locktime": transaction.lock_time,
    }


def _asm(script: bytes) -> str:
    return "OP_RETURN" if script[:1] == b"\x6a" else script.hex()
