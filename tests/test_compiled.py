"""The compiled walk finds what the plain one finds: in published, real, made and broken blocks."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.block import parse_block
from oracle.core.wire import merkle_root
from oracle.errors import ParseError
from oracle.faster import PLAIN, Way, compiled_way, read_faster, read_with
from tests.conftest import PROJECT
from tests.core.test_fuzz import BODIES, COUNTS, EDITS, Edit, edited, simulated_blocks
from tests.core.test_vectors import REAL_BLOCKS
from tests.helpers import plain_blocks as plain
from tests.helpers.steady import steady
from tests.helpers.vectors import raw_blocks

compiled = pytest.importorskip("oracle.compiled", reason="numba is not installed (extra: fast)")


def found(data: bytes, way: Way, hashes_witness: bool) -> object:
    """Return all that is found one way, or what it says is wrong."""
    read_with(way)
    try:
        block = parse_block(data, hashes_witness=hashes_witness)
    except ParseError as error:
        return type(error), str(error), error.offset
    finally:
        read_with(PLAIN)
    sats = block.payment_sats
    return (
        block.header, block.size_bytes, block.outputs, block.txids, block.payment_parents,
        sats.dtype, sats.tolist(), list(block.left_out.items()),
    )  # fmt: skip


def the_compiled_way() -> Way:
    way = compiled_way()
    assert way is not None
    return way


def agree(data: bytes) -> bool:
    way = the_compiled_way()
    return all(found(data, way, hashed) == found(data, PLAIN, hashed) for hashed in (True, False))


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


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """Whether there is a compiled way is found out within the test."""
    compiled_way.cache_clear()
    yield
    read_with(PLAIN)
    compiled_way.cache_clear()


@pytest.mark.usefixtures("asked_anew")
def test_without_the_extra_the_plain_walk_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oracle.compiled", None)
    assert not read_faster()


@pytest.mark.usefixtures("asked_anew")
def test_with_the_extra_blocks_are_read_by_it() -> None:
    assert read_faster()
    assert agree(simulated_blocks()[1])


@pytest.mark.usefixtures("asked_anew")
def test_without_openssl_by_its_name_hashlib_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "oracle.openssl", None)
        importlib.reload(compiled)
    try:
        assert compiled.hash_pieces is compiled.hash_by_hashlib
        assert the_compiled_way().merkle_root is PLAIN.merkle_root
        assert all(map(agree, simulated_blocks()[:2]))
    finally:
        importlib.reload(compiled)


def test_openssl_is_found_where_tests_run() -> None:
    assert the_compiled_way().merkle_root is not PLAIN.merkle_root


LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


@steady(150)
@given(LEAVES, st.integers(0, 40), st.integers(1, 20))
def test_a_tree_has_the_same_root_and_is_mutated_alike(leaves, at, count) -> None:
    doubled = leaves + leaves[at : at + count]  # as those who double transactions do
    for tree in (leaves, doubled, [*leaves, leaves[-1]]):
        assert the_compiled_way().merkle_root(tree) == merkle_root(tree)
