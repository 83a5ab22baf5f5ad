"""Transactions as JSON objects: Bitcoin Core's (verbosity 2) and esplora's, recognised by their
keys.

Both become the same eligible outputs as the raw bytes of the same block. A transaction list is one
window: a coin made and spent within the list says nothing new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np

from oracle.core.block import OP_RETURN_CODE, Rule, first_broken_rule
from oracle.core.eligible import is_round_btc
from oracle.core.params import PARAMETERS as P
from oracle.core.params import SATS_PER_BTC
from oracle.core.window import Window
from oracle.errors import RequestError

Json = Mapping[str, Any]


class Dialect(NamedTuple):
    """Where one kind of server puts what the rules need."""

    name: str
    script_key: str
    witness_key: str
    foreign_input_keys: frozenset[str]

    def is_coinbase(self, vin: Json, where: str) -> bool:
        """Tell whether an input makes new coins."""
        foreign = self.foreign_input_keys.intersection(vin)
        if foreign:
            raise RequestError(
                f"{where} has {min(foreign)} in a list of {self.name}'s; give one kind"
            )
        prevout = vin.get("txid"), vin.get("vout")
        return "coinbase" in vin or vin.get("is_coinbase") is True or prevout == COINBASE_PREVOUT

    def value_sats(self, vout: Json, where: str) -> int:
        """Return an output's value; Core gives BTC decimals, esplora sats."""
        value = _get(vout, "value", where)
        if self is ESPLORA:
            if type(value) is not int or value < 0:
                raise RequestError(f"{where}: value must be a whole number of sats, not {value!r}")
            return value
        return btc_to_sats(value, where)

    def starts_with_op_return(self, vout: Json, where: str) -> bool:
        """Tell whether an output's script starts with OP_RETURN; an empty script does not."""
        script = _get(vout, self.script_key, where)
        if self is CORE:
            if not isinstance(script, Mapping):
                raise RequestError(f"{where}: scriptPubKey must be an object with hex")
            if "hex" not in script and isinstance(script.get("asm"), str):
                return str(script["asm"]).startswith("OP_RETURN")
            script = _get(script, "hex", f"{where}.scriptPubKey")
        return _hex_bytes(script, where)[:1] == bytes([OP_RETURN_CODE])


CORE = Dialect(
    "Bitcoin Core",
    "scriptPubKey",
    "txinwitness",
    frozenset({"witness", "is_coinbase", "scriptsig"}),
)
ESPLORA = Dialect(
    "esplora", "scriptpubkey", "witness", frozenset({"txinwitness", "coinbase", "scriptSig"})
)
COINBASE_PREVOUT = "00" * 32, 0xFFFF_FFFF


def btc_to_sats(value: Any, where: str) -> int:
    """Return sats of a BTC decimal (float, int, Decimal or its text) without float error."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise RequestError(f"{where}: value must be an amount in BTC, not {value!r}")
    try:
        sats = (
            Decimal(str(value)) * SATS_PER_BTC
        )  # str of a float is the shortest text that means it
    except InvalidOperation:
        sats = Decimal("NaN")
    if not sats.is_finite() or sats < 0 or sats != sats.to_integral_value():
        raise RequestError(
            f"{where}: value must be an amount in BTC with at most 8 decimals, not {value!r}"
        )
    return int(sats)


def read_transactions(transactions: Sequence[Json]) -> tuple[Window, Counter[Rule]]:
    """Return the window of a list of transactions in chain order, and how many each rule left out.

    Raises:
        RequestError: a missing key, a wrong type, or both dialects in one list; names transaction
            and key.
    """
    seen: set[str] = set()
    left_out: Counter[Rule] = Counter()
    values: list[int] = []
    dialect: Dialect | None = None
    for i, transaction in enumerate(transactions):
        where = f"transaction {i}"
        if not isinstance(transaction, Mapping):
            raise RequestError(f"{where} must be an object, not {type(transaction).__name__}")
        txid = _text(transaction, "txid", where)
        where = f"transaction {txid}"
        inputs = _list_of(transaction, "vin", where)
        outputs = _list_of(transaction, "vout", where)
        dialect = _dialect_of(outputs, where, dialect)
        seen.add(txid)
        rule = _broken_rule(dialect, inputs, outputs, where, seen)
        pair = [dialect.value_sats(vout, f"{where}: vout[{n}]") for n, vout in enumerate(outputs)]
        if rule is None:
            values.extend(value for value in pair if P.min_value_sats < value < P.max_value_sats)
        else:
            left_out[rule] += 1
    return _one_block_window(np.array(values, dtype=np.int64)), left_out


def _broken_rule(
    dialect: Dialect, inputs: list[Json], outputs: list[Json], where: str, seen: set[str]
) -> Rule | None:
    parents = []
    is_coinbase = False
    largest_witness = 0
    for n, vin in enumerate(inputs):
        at = f"{where}: vin[{n}]"
        if dialect.is_coinbase(vin, at):
            is_coinbase = True
            continue
        parents.append(_text(vin, "txid", at))
        items = vin.get(dialect.witness_key) or []
        if not isinstance(items, list | tuple):
            raise RequestError(f"{at}: {dialect.witness_key} must be a list of hex texts")
        largest_witness = max(largest_witness, sum(len(_hex_bytes(item, at)) for item in items))
    op_returns = [
        dialect.starts_with_op_return(vout, f"{where}: vout[{n}]") for n, vout in enumerate(outputs)
    ]
    is_wrong = is_coinbase or any(op_returns) or largest_witness > P.max_witness_bytes
    if len(inputs) > P.max_inputs or len(outputs) != P.outputs or is_wrong:
        return first_broken_rule(len(inputs), len(outputs), is_coinbase, any(op_returns))
    return Rule.SAME_WINDOW if not seen.isdisjoint(parents) else None


def _dialect_of(outputs: list[Json], where: str, before: Dialect | None) -> Dialect:
    for n, vout in enumerate(outputs):
        found = [dialect for dialect in (CORE, ESPLORA) if dialect.script_key in vout]
        if len(found) != 1:
            which = (
                "both scriptPubKey and scriptpubkey"
                if found
                else "neither scriptPubKey nor scriptpubkey"
            )
            raise RequestError(
                f"{where}: vout[{n}] has {which}; give Bitcoin Core's or esplora's transactions"
            )
        if before is not None and found[0] is not before:
            raise RequestError(
                f"{where}: vout[{n}] has {found[0].script_key} in a list of {before.name}'s; "
                f"give one kind"
            )
        before = found[0]
    if before is None:
        raise RequestError(f"{where}: vout is empty; every transaction has an output")
    return before


def _list_of(transaction: Json, key: str, where: str) -> list[Json]:
    items = _get(transaction, key, where)
    if not isinstance(items, Sequence) or not all(isinstance(item, Mapping) for item in items):
        raise RequestError(f"{where}: {key} must be a list of objects")
    return list(items)


def _get(item: Json, key: str, where: str) -> Any:
    if key not in item:
        raise RequestError(f"{where}: {key} is missing")
    return item[key]


def _text(item: Json, key: str, where: str) -> str:
    value = _get(item, key, where)
    if not isinstance(value, str):
        raise RequestError(f"{where}: {key} must be a text, not {value!r}")
    return value


def _hex_bytes(text: Any, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise RequestError(f"{where}: {text!r} is not hex") from None


def _one_block_window(value_sats: np.ndarray[Any, np.dtype[np.int64]]) -> Window:
    return Window(
        block_heights=np.zeros(1, np.int32),
        block_times_unix=np.zeros(1, np.int64),
        block_index=np.zeros(len(value_sats), np.int32),
        value_sats=value_sats,
        is_round=is_round_btc(value_sats),
    )
