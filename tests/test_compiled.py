"""The compiled walk finds what the plain one finds: in published, real, made and broken blocks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.block import Block, parse_block
from oracle.errors import ParseError
from oracle.faster import read_faster, read_plainly, read_with
from tests.conftest import PROJECT
from tests.core.test_fuzz import BODIES, COUNTS, EDITS, Edit, edited, simulated_blocks
from tests.core.test_vectors import REAL_BLOCKS
from tests.helpers import plain_blocks as plain
from tests.helpers.steady import steady
from tests.helpers.vectors import raw_blocks

compiled = pytest.importorskip("oracle.compiled", reason="numba is not installed (extra: fast)")


def found(data: bytes, reader: Callable[[bytes, Block], list[int]]) -> object:
    """Return all that a reader finds, or what it says is wrong."""
    read_with(reader)
    try:
        block = parse_block(data, hashes_witness=False)
    except ParseError as error:
        return type(error), str(error), error.offset
    finally:
        read_with(read_plainly)
    sats = block.payment_sats
    return (
        block.header, block.size_bytes, block.outputs, block.txids, block.payment_parents,
        sats.dtype, sats.tolist(), list(block.left_out.items()),
    )  # fmt: skip


def agree(data: bytes) -> bool:
    return found(data, compiled.read_transactions) == found(data, read_plainly)


@pytest.mark.parametrize("name", ["recent_small", "recent_dense"])
def test_it_finds_the_same_in_the_published_vectors(shared: Path, name: str) -> None:
    for data in raw_blocks(shared / "vectors", name)[::9]:
        assert compiled.walk(data) is not None
        assert agree(data)


@pytest.mark.parametrize("height", REAL_BLOCKS)
def test_it_finds_the_same_in_a_real_block(shared: Path, height: str) -> None:
    data = (shared / "blocks" / f"{height}.bin").read_bytes()
    assert compiled.walk(data) is not None
    assert agree(data)


@pytest.mark.parametrize("number", range(4))
@steady(150)
@given(edits=EDITS)
def test_it_says_the_same_of_a_broken_block(number: int, edits: list[Edit]) -> None:
    assert agree(edited(simulated_blocks()[number], edits))


@steady(150)
@given(body=st.lists(COUNTS | st.binary(max_size=50), max_size=30))
def test_it_says_the_same_of_any_bytes(body: list[bytes]) -> None:
    assert agree(plain.sealed(b"".join(body), [bytes(32)]))


@steady(150)
@given(BODIES)
def test_it_finds_the_same_in_any_transactions(transactions: list[plain.Transaction]) -> None:
    data = plain.block_of(*transactions)
    assert compiled.walk(data) is not None
    assert agree(data)


@steady(80)
@given(BODIES, st.randoms())
def test_it_finds_the_same_among_transactions_that_spend_each_other(transactions, random) -> None:
    made: list[plain.Transaction] = []
    for one in transactions:
        first, *others = one.inputs
        if made and random.random() < 0.6:
            first = replace(first, parent=random.choice(made).txid)
        made.append(replace(one, inputs=(first, *others)))
    random.shuffle(made)
    assert agree(plain.block_of(*made))


HARDENED = """
import ctypes, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, as MemoryDenyWriteExecute= of systemd
    sys.exit(77)
from oracle.core.block import parse_block
from oracle.faster import read_faster
print(read_faster(), len(parse_block(open(sys.argv[1], "rb").read()).txids))
"""


def test_where_nothing_written_may_be_run_the_plain_walk_reads(tmp_path: Path) -> None:
    (tmp_path / "block").write_bytes(simulated_blocks()[0])
    done = subprocess.run(
        [sys.executable, "-c", HARDENED, str(tmp_path / "block")],
        cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("this kernel cannot forbid memory that is written and run")
    is_fast, transactions = done.stdout.split()
    assert is_fast == "False"
    assert int(transactions) == len(parse_block(simulated_blocks()[0]).txids)


def test_without_the_extra_the_plain_walk_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oracle.compiled", None)
    read_faster.cache_clear()
    try:
        assert not read_faster()
    finally:
        read_faster.cache_clear()


def test_with_the_extra_blocks_are_read_by_it() -> None:
    read_faster.cache_clear()
    try:
        assert read_faster()
        assert agree(simulated_blocks()[1])
    finally:
        read_with(read_plainly)
        read_faster.cache_clear()
