"""The witness commitment: witnesses are proven like everything else, where a chain commits to
them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.block import parse_block
from oracle.core.wire import parse_header
from oracle.core.witness import FIRST_WITNESS_UNIX, read_coinbase, witness_problem, witness_root
from oracle.errors import VerificationError
from oracle.simulated.serialise import build_block, coinbase_transaction, payment_transaction
from tests.helpers import plain_blocks as plain
from tests.helpers.steady import steady

MARK = bytes.fromhex("6a24aa21a9ed")
PAYMENTS = [payment_transaction((30_000, 40_000), bytes([n])) for n in range(5)]
BLOCK = build_block("11" * 32, 1_700_000_123, [coinbase_transaction(5, PAYMENTS), *PAYMENTS])
# Real blocks of main with witnesses, of 2020 to 2026; 525000 and 500000 are of SegWit's first year.
WITH_WITNESS = ["500000", "525000", "625000", "739990", "757739", "849250", "951658"]
WITHOUT = ["170", "150013", "255018", "362500"]


def stripped(data: bytes, keeps_coinbase: bool = False) -> bytes:
    """Return a block as a source sends it that leaves the witnesses out."""
    header, transactions = plain.read_block(data)
    kept = transactions[0].raw if keeps_coinbase else transactions[0].stripped
    return header + plain.counted([kept, *(tx.stripped for tx in transactions[1:])])


def refusal(data: bytes, hashes_witness: bool = True) -> str:
    with pytest.raises(VerificationError) as caught:
        parse_block(data, hashes_witness=hashes_witness)
    return caught.value.problem


def with_coinbase(*scripts: bytes, witness: tuple[bytes, ...] = (), others: bool = True) -> bytes:
    """Return a block whose coinbase has these output scripts and this witness."""
    spent = plain.Input(bytes(32), 0xFFFF_FFFF, b"\x03abc", witness=witness)
    coinbase = plain.Transaction((spent,), tuple(plain.Output(1, script) for script in scripts))
    segwit = plain.Transaction((plain.Input(witness=(bytes(71),)),))
    return plain.block_of(coinbase, *([segwit] if others else []))


def commitment_to(data: bytes, reserved: bytes) -> bytes:
    """Return the script that commits to a block's witnesses, worked out the plain way."""
    transactions = plain.read_block(data)[1]
    wtxids = [bytes(32), *(plain.double_sha256(tx.raw) for tx in transactions[1:])]
    return MARK + plain.double_sha256(plain.merkle_root(wtxids) + reserved)


# --- Real blocks --------------------------------------------


@pytest.mark.parametrize("height", WITH_WITNESS)
def test_a_real_blocks_witnesses_are_those_that_it_commits_to(shared: Path, height: str) -> None:
    data = (shared / "blocks" / f"{height}.bin").read_bytes()
    transactions = plain.read_block(data)[1]
    assert commitment_to(data, transactions[0].inputs[0].witness[0]) in transactions[0].raw
    parse_block(data)


@pytest.mark.parametrize("hashes_witness", [True, False])
@pytest.mark.parametrize("height", WITH_WITNESS)
def test_a_real_block_without_its_witnesses_is_refused_everywhere(
    shared: Path, height: str, hashes_witness: bool
) -> None:
    data = stripped((shared / "blocks" / f"{height}.bin").read_bytes())
    assert refusal(data, hashes_witness) == "it commits to witnesses and carries none"


@pytest.mark.parametrize("height", ["739990", "757739", "951658"])
def test_a_real_block_with_the_coinbases_witness_alone_is_refused(
    shared: Path, height: str
) -> None:
    data = stripped((shared / "blocks" / f"{height}.bin").read_bytes(), keeps_coinbase=True)
    assert refusal(data) == "its witnesses are not those that it commits to"


@pytest.mark.parametrize("height", WITHOUT)
def test_a_real_block_of_before_is_as_it_was(shared: Path, height: str) -> None:
    parse_block((shared / "blocks" / f"{height}.bin").read_bytes())


# --- What is refused ----------------------------------------


def test_a_changed_witness_is_refused() -> None:
    at = BLOCK.rindex(bytes(71)) + 5
    changed = BLOCK[:at] + b"\x01" + BLOCK[at + 1 :]
    assert refusal(changed) == "its witnesses are not those that it commits to"


def test_a_changed_witness_goes_unseen_where_nothing_is_hashed() -> None:
    at = BLOCK.rindex(bytes(71)) + 5
    changed = BLOCK[:at] + b"\x01" + BLOCK[at + 1 :]
    assert parse_block(changed, hashes_witness=False).txids == parse_block(BLOCK).txids


@pytest.mark.parametrize("keeps_coinbase", [True, False])
def test_witnesses_that_are_left_out_are_refused(keeps_coinbase: bool) -> None:
    assert "witness" in refusal(stripped(BLOCK, keeps_coinbase))


@pytest.mark.parametrize("witness", [(), (bytes(31),), (bytes(33),), (bytes(32), b""), (b"",)])
def test_a_coinbase_without_its_32_bytes_is_refused(witness: tuple[bytes, ...]) -> None:
    data = with_coinbase(MARK + bytes(31) + b"\1", witness=witness)
    assert refusal(data, False) == "its coinbase lacks the witness that the commitment covers"


def test_the_last_commitment_counts() -> None:
    reserved = b"\x07" * 32
    right = commitment_to(with_coinbase(b""), reserved)
    wrong = MARK + b"\x01" * 32
    parse_block(with_coinbase(wrong, right, witness=(reserved,)))
    assert refusal(with_coinbase(right, wrong, witness=(reserved,)))


def test_a_commitment_may_be_longer_and_not_shorter() -> None:
    reserved = b"\x07" * 32
    right = commitment_to(with_coinbase(b""), reserved)
    parse_block(with_coinbase(right + b"more", right[:-1], witness=(reserved,)))


# --- What is let through ------------------------------------


def test_no_witness_and_no_commitment_is_well() -> None:
    parse_block(with_coinbase(b"", others=False))


def test_a_made_chain_may_leave_its_witnesses_without_a_commitment() -> None:
    parse_block(with_coinbase(b""))


def test_a_made_chain_may_fill_the_commitment_with_zeros() -> None:
    parse_block(with_coinbase(MARK + bytes(32), witness=(bytes(32),)))


def judged(data: bytes, time_unix: int) -> str | None:
    """Return what is wrong with a block's witnesses if it had main's target and this time."""
    transactions = plain.read_block(data)[1]
    starts = [81]
    for transaction in transactions[:-1]:
        starts.append(starts[-1] + len(transaction.raw))
    txids = [transaction.txid for transaction in transactions]
    header = replace(parse_header(data), bits=0x1D00FFFF, time_unix=time_unix)
    return witness_problem(data, header, starts, txids, is_hashed=True)


def test_on_a_real_network_witnesses_need_a_commitment() -> None:
    assert judged(with_coinbase(b""), 0) == "it carries witnesses and commits to none"


def test_on_a_real_network_zeros_are_no_commitment() -> None:
    data = with_coinbase(MARK + bytes(32), witness=(bytes(32),))
    assert judged(data, FIRST_WITNESS_UNIX) == "its witnesses are not those that it commits to"


def test_on_a_real_network_miners_committed_before_there_were_witnesses() -> None:
    data = with_coinbase(MARK + bytes(32), others=False)
    assert judged(data, FIRST_WITNESS_UNIX - 1) is None
    assert judged(data, FIRST_WITNESS_UNIX) == "it commits to witnesses and carries none"


# --- The coinbase, and the tree -----------------------------


def test_the_coinbase_is_read_with_its_commitment_and_its_witness() -> None:
    data = with_coinbase(b"\x51", MARK + b"\x05" * 32, witness=(b"a", b"bc"))
    assert read_coinbase(data, 81) == ([b"\x05" * 32], [b"a", b"bc"])


@steady(40)
@given(st.lists(st.binary(max_size=300), min_size=0, max_size=9, unique=True))
def test_the_tree_over_witnesses_is_that_of_the_plain_way(items: list[bytes]) -> None:
    spends = [
        plain.Transaction((plain.Input(bytes([n]) * 32, witness=(item,) if n % 3 else ()),))
        for n, item in enumerate(items, 1)
    ]
    coinbase = plain.Transaction((plain.Input(bytes(32), 0xFFFF_FFFF),))
    transactions = [coinbase, *spends]
    data = bytes(81) + b"".join(transaction.raw for transaction in transactions)
    starts = [81 + sum(len(t.raw) for t in transactions[:n]) for n in range(len(transactions))]
    wtxids = [bytes(32), *(plain.double_sha256(spend.raw) for spend in spends)]
    txids = [transaction.txid for transaction in transactions]
    assert witness_root(data, starts, txids) == plain.merkle_root(wtxids)
