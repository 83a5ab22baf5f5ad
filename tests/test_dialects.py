"""Transactions as Bitcoin Core and esplora say them: the same answer as the raw bytes, or what is
wrong and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.eligible import RecentTxids, digest_block
from oracle.core.window import form_window
from oracle.dialects import btc_to_sats, read_transactions
from oracle.errors import RequestError
from tests.helpers import plain_blocks as plain
from tests.helpers.steady import steady
from tests.helpers.vectors import parse_block, raw_blocks

Say = Callable[[plain.Transaction], dict[str, Any]]
SAYS: dict[str, Say] = {
    "core": plain.as_core,
    "core in decimals": lambda transaction: plain.as_core(transaction, plain.btc_decimal),
    "core in texts": lambda transaction: plain.as_core(
        transaction, lambda sats: f"{plain.btc_decimal(sats):.8f}"
    ),
    "esplora": plain.as_esplora,
}
BLOCKS = ["170", "150013", "255018", "757739", "951658"]
LARGE_BLOCKS = ["362500", "739990", "849236", "784588"]
KINDS = ["core", "esplora"]

PARENT = plain.Transaction((plain.Input(b"\x05" * 32),), lock_time=5)
CHILD = plain.Transaction(
    (plain.Input(PARENT.txid), plain.Input(b"\x06" * 32, witness=(bytes(64),)))
)
COINBASE = plain.Transaction(
    (plain.Input(bytes(32), 0xFFFF_FFFF, b"\x03abc", witness=(bytes(32),)),)
)


def same_as_raw(data: bytes, say: Say) -> None:
    """Assert that a block's transactions as JSON say what its bytes say."""
    facts = digest_block(parse_block(data), 0, RecentTxids())
    raw = form_window([facts])
    window, left_out = read_transactions(
        [say(transaction) for transaction in plain.read_block(data)[1]]
    )
    assert (window.value_sats.tolist(), window.is_round.tolist()) == (
        raw.value_sats.tolist(),
        raw.is_round.tolist(),
    )
    assert left_out == facts.left_out


# --- As the raw bytes ---------------------------------------


@pytest.mark.parametrize("kind", SAYS)
@pytest.mark.parametrize("height", BLOCKS)
def test_a_real_block_as_json_says_what_its_bytes_say(shared: Path, height: str, kind: str) -> None:
    same_as_raw((shared / "blocks" / f"{height}.bin").read_bytes(), SAYS[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("height", LARGE_BLOCKS)
def test_a_large_real_block_as_json_says_what_its_bytes_say(
    shared: Path, height: str, kind: str
) -> None:
    same_as_raw((shared / "blocks" / f"{height}.bin").read_bytes(), SAYS[kind])


@pytest.mark.parametrize("kind", SAYS)
@steady(15)
@given(number=st.integers(0, 140))
def test_a_simulated_block_as_json_says_what_its_bytes_say(
    shared: Path, number: int, kind: str
) -> None:
    same_as_raw(raw_blocks(shared / "vectors", "recent_small")[number], SAYS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_json_that_was_written_and_read_says_the_same(shared: Path, kind: str) -> None:
    data = (shared / "blocks" / "757739.bin").read_bytes()
    same_as_raw(data, lambda transaction: dict(json.loads(json.dumps(SAYS[kind](transaction)))))


@pytest.mark.parametrize("kind", KINDS)
def test_several_blocks_in_one_list_are_one_window(shared: Path, kind: str) -> None:
    transactions = [
        t for data in raw_blocks(shared / "vectors", "days")[:40] for t in plain.read_block(data)[1]
    ]
    walk = plain.Walk().over(transactions)
    window, left_out = read_transactions([SAYS[kind](transaction) for transaction in transactions])
    assert (window.value_sats.tolist(), left_out) == (walk.value_sats, walk.left_out)


def test_no_transactions_are_an_empty_window() -> None:
    window, left_out = read_transactions([])
    assert (len(window.value_sats), dict(left_out)) == (0, {})


# --- Each rule in each dialect ------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("transaction", "rule"),
    [
        (plain.Transaction((plain.Input(),) * 6), "more_than_5_inputs"),
        (plain.Transaction(outputs=(plain.Output(),)), "not_2_outputs"),
        (plain.Transaction(outputs=(plain.Output(),) * 3), "not_2_outputs"),
        (COINBASE, "coinbase"),
        (plain.Transaction(outputs=(plain.Output(), plain.Output(0, b"\x6a"))), "op_return"),
        (
            plain.Transaction(outputs=(plain.Output(0, b"\x6a\x01\x02"), plain.Output())),
            "op_return",
        ),
        (plain.Transaction((plain.Input(witness=(bytes(250), bytes(251))),)), "large_witness"),
    ],
)
def test_a_transaction_that_breaks_a_rule_is_counted_under_it(
    kind: str, transaction: plain.Transaction, rule: str
) -> None:
    window, left_out = read_transactions([SAYS[kind](transaction)])
    assert (len(window.value_sats), left_out) == (0, {rule: 1})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "transaction",
    [
        plain.Transaction((plain.Input(),) * 5),
        plain.Transaction(outputs=(plain.Output(script=b""), plain.Output(script=b"\x51\x6a"))),
        plain.Transaction(
            (
                plain.Input(witness=(bytes(250), bytes(250))),
                plain.Input(b"\x09" * 32, witness=(b"",)),
            )
        ),
        plain.Transaction((plain.Input(bytes(32), 0),)),
    ],
    ids=["5 inputs", "empty script", "500 bytes of witness", "the zero txid with another index"],
)
def test_a_transaction_at_the_edge_of_the_rules_is_kept(
    kind: str, transaction: plain.Transaction
) -> None:
    window, left_out = read_transactions([SAYS[kind](transaction)])
    assert (window.value_sats.tolist(), dict(left_out)) == ([50_000, 50_000], {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_spend_inside_the_list_is_left_out(kind: str) -> None:
    assert read_transactions([SAYS[kind](PARENT), SAYS[kind](CHILD)])[1] == {
        "spends_same_window": 1
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_before_its_parent_is_kept(kind: str) -> None:
    assert read_transactions([SAYS[kind](CHILD), SAYS[kind](PARENT)])[1] == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, 1000, 10**13, 2**63, 2**64 - 1])
def test_values_beyond_the_limits_are_dropped(kind: str, value: int) -> None:
    outputs = (plain.Output(value), plain.Output(1001))
    assert read_transactions([SAYS[kind](plain.Transaction(outputs=outputs))])[
        0
    ].value_sats.tolist() == [1001]


def test_the_asm_tells_an_op_return_where_core_gives_no_hex() -> None:
    said = plain.as_core(plain.Transaction(outputs=(plain.Output(), plain.Output(0, b"\x6a"))))
    said["vout"][0]["scriptPubKey"] = {"asm": "0 1234"}
    said["vout"][1]["scriptPubKey"] = {"asm": "OP_RETURN 1234"}
    assert read_transactions([said])[1] == {"op_return": 1}


def test_core_leaves_the_witness_of_a_legacy_input_out() -> None:
    assert "txinwitness" not in plain.as_core(PARENT)["vin"][0]
    assert read_transactions([plain.as_core(PARENT)])[1] == {}


@pytest.mark.parametrize("witness", [None, []])
def test_an_empty_witness_may_be_said_in_any_way(witness: object) -> None:
    said = plain.as_esplora(PARENT)
    said["vin"][0]["witness"] = witness
    assert read_transactions([said])[1] == {}


# --- Amounts ------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sats"),
    [
        (0.1, 10_000_000),
        (0.29, 29_000_000),
        (1e-08, 1),
        (1.1e-07, 11),
        (20999999.9769, 2_099_999_997_690_000),
        (0.00001001, 1001),
        (0, 0),
        (50, 5_000_000_000),
        (50.0, 5_000_000_000),
        ("0.00100000", 100_000),
        ("1e-5", 1000),
        (Decimal("0.12345678"), 12_345_678),
        (Decimal("1E+2"), 10_000_000_000),
    ],
)
def test_a_btc_decimal_of_any_type_is_whole_sats(value: object, sats: int) -> None:
    assert btc_to_sats(value, "here") == sats


@steady(300)
@given(st.integers(0, 21 * 10**14))
def test_no_amount_there_can_be_is_changed_by_a_float(sats: int) -> None:
    assert btc_to_sats(plain.btc_float(sats), "here") == sats


@steady(300)
@given(st.integers(0, 21 * 10**14))
def test_no_amount_there_can_be_is_changed_by_a_text_or_a_decimal(sats: int) -> None:
    assert (
        btc_to_sats(plain.btc_decimal(sats), "here")
        == btc_to_sats(str(plain.btc_decimal(sats)), "here")
        == sats
    )


BAD_AMOUNTS = [
    *(
        None,
        True,
        [],
        {},
        b"1",
        "",
        "much",
        "1,5",
        "nan",
        "NaN",
        "Infinity",
        float("nan"),
        float("inf"),
    ),
    *(
        -0.1,
        -1,
        "-1",
        Decimal("NaN"),
        Decimal("-Infinity"),
        0.123456789,
        "0.000000001",
        Decimal("1e-9"),
    ),
]


@pytest.mark.parametrize("value", BAD_AMOUNTS, ids=repr)
def test_what_is_no_amount_in_btc_is_an_error_that_names_transaction_and_key(value: object) -> None:
    said = plain.as_core(PARENT)
    said["vout"][1]["value"] = value
    with pytest.raises(
        RequestError,
        match=rf"^transaction {said['txid']}: vout\[1\]: value must be an amount in BTC",
    ):
        read_transactions([said])


@pytest.mark.parametrize(
    "value", [None, True, 0.5, 50_000.0, "50000", -1, Decimal(50_000)], ids=repr
)
def test_what_is_no_number_of_sats_is_an_error_that_names_transaction_and_key(
    value: object,
) -> None:
    said = plain.as_esplora(PARENT)
    said["vout"][0]["value"] = value
    with pytest.raises(
        RequestError, match=rf"^transaction {said['txid']}: vout\[0\]: value must be a whole number"
    ):
        read_transactions([said])


# --- What is missing, wrong or mixed ------------------------


def without(said: dict[str, Any], *path: Any) -> dict[str, Any]:
    """Return the object without the key at the end of a path."""
    *way, last = path
    item: Any = said
    for step in way:
        item = item[step]
    del item[last]
    return said


def with_value(said: dict[str, Any], value: object, *path: Any) -> dict[str, Any]:
    """Return the object with another value at the end of a path."""
    *way, last = path
    item: Any = said
    for step in way:
        item = item[step]
    item[last] = value
    return said


def refused(*transactions: Any) -> str:
    with pytest.raises(RequestError) as caught:
        read_transactions(transactions)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["vin", "vout"])
def test_a_missing_list_is_named(kind: str, key: str) -> None:
    assert (
        refused(without(SAYS[kind](CHILD), key))
        == f"transaction {CHILD.txid[::-1].hex()}: {key} is missing"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_txid_is_named_by_the_place_in_the_list(kind: str) -> None:
    assert (
        refused(SAYS[kind](PARENT), without(SAYS[kind](CHILD), "txid"))
        == "transaction 1: txid is missing"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "sentence"),
    [(("vin", 1, "txid"), "vin[1]: txid"), (("vout", 0, "value"), "vout[0]: value")],
)
def test_a_missing_key_is_named_with_its_transaction(
    kind: str, path: tuple[Any, ...], sentence: str
) -> None:
    said = refused(without(SAYS[kind](CHILD), *path))
    assert said == f"transaction {CHILD.txid[::-1].hex()}: {sentence} is missing"


def test_a_missing_script_of_core_is_named() -> None:
    said = with_value(plain.as_core(CHILD), {}, "vout", 1, "scriptPubKey")
    assert refused(said).endswith("vout[1].scriptPubKey: hex is missing")


@pytest.mark.parametrize(("kind", "key"), [("core", "scriptPubKey"), ("esplora", "scriptpubkey")])
def test_outputs_of_no_dialect_are_named(kind: str, key: str) -> None:
    said = refused(without(SAYS[kind](CHILD), "vout", 1, key))
    assert said.startswith(
        f"transaction {CHILD.txid[::-1].hex()}: vout[1] has neither scriptPubKey nor scriptpubkey"
    )


def test_outputs_of_both_dialects_at_once_are_named() -> None:
    said = with_value(plain.as_core(CHILD), "00", "vout", 0, "scriptpubkey")
    assert "vout[0] has both scriptPubKey and scriptpubkey" in refused(said)


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [("core", "esplora", "scriptpubkey"), ("esplora", "core", "scriptPubKey")],
)
def test_a_list_of_both_dialects_is_refused_and_the_first_foreign_key_named(
    first: str, second: str, key: str
) -> None:
    said = refused(SAYS[first](PARENT), SAYS[second](CHILD))
    assert said.startswith(f"transaction {CHILD.txid[::-1].hex()}: vout[0] has {key} in a list of ")


@pytest.mark.parametrize(("outside", "inside"), [("core", "esplora"), ("esplora", "core")])
def test_inputs_of_one_dialect_and_outputs_of_the_other_are_refused(
    outside: str, inside: str
) -> None:
    said = with_value(SAYS[outside](CHILD), SAYS[inside](CHILD)["vin"], "vin")
    assert refused(said).startswith(f"transaction {CHILD.txid[::-1].hex()}: vin[0] has ")


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        *[("core", "witness", []), ("core", "is_coinbase", False), ("core", "scriptsig", "")],
        *[
            ("esplora", "txinwitness", []),
            ("esplora", "coinbase", "03"),
            ("esplora", "scriptSig", {}),
        ],
    ],
)
def test_a_key_of_the_other_dialect_in_an_input_is_named(
    kind: str, key: str, value: object
) -> None:
    assert f"vin[1] has {key} in a list of" in refused(
        with_value(SAYS[kind](CHILD), value, "vin", 1, key)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("txid",), 5),
        (("txid",), ["ab"]),
        (("txid",), None),
        (("vin",), None),
        (("vin",), "text"),
        (("vin",), [1]),
        (("vout",), {}),
        (("vout",), []),
        (("vout",), ["text"]),
        (("vin", 0, "txid"), {}),
        (("vin", 0, "txid"), 7),
    ],
)
def test_a_value_of_a_wrong_type_is_an_error_that_names_its_key(
    kind: str, path: tuple[Any, ...], value: object
) -> None:
    said = refused(with_value(SAYS[kind](CHILD), value, *path))
    assert said.startswith("transaction ")
    assert str(path[-1]) in said


@pytest.mark.parametrize("witness", [7, "abcd", {"a": 1}])
@pytest.mark.parametrize(("kind", "key"), [("core", "txinwitness"), ("esplora", "witness")])
def test_a_witness_that_is_no_list_is_an_error_that_names_it(
    kind: str, key: str, witness: object
) -> None:
    said = refused(with_value(SAYS[kind](CHILD), witness, "vin", 1, key))
    assert (
        said == f"transaction {CHILD.txid[::-1].hex()}: vin[1]: {key} must be a list of hex texts"
    )


@pytest.mark.parametrize("item", ["zz", "abc", None, 5])
@pytest.mark.parametrize(("kind", "key"), [("core", "txinwitness"), ("esplora", "witness")])
def test_a_witness_item_that_is_no_hex_is_an_error(kind: str, key: str, item: object) -> None:
    assert refused(with_value(SAYS[kind](CHILD), [item], "vin", 1, key)).endswith(
        f"vin[1]: {item!r} is not hex"
    )


@pytest.mark.parametrize("script", ["zz", None, 5])
def test_a_script_that_is_no_hex_is_an_error(script: object) -> None:
    assert refused(with_value(plain.as_esplora(CHILD), script, "vout", 0, "scriptpubkey")).endswith(
        "is not hex"
    )


@pytest.mark.parametrize("script", ["0014", None, 5])
def test_a_script_of_core_that_is_no_object_is_an_error(script: object) -> None:
    said = refused(with_value(plain.as_core(CHILD), script, "vout", 0, "scriptPubKey"))
    assert said.endswith("vout[0]: scriptPubKey must be an object with hex")


@pytest.mark.parametrize("item", ["txid", 5, None, []])
def test_a_transaction_that_is_no_object_is_named_by_its_place(item: object) -> None:
    assert (
        refused(plain.as_core(PARENT), item)
        == f"transaction 1 must be an object, not {type(item).__name__}"
    )
