"""Whether blocks are read by compiled code, which the extra `fast` brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import NamedTuple

from oracle.core import block, witness
from oracle.core.block import Block, read_transactions
from oracle.core.wire import merkle_root
from oracle.core.witness import witness_root


class Way(NamedTuple):
    """A way to read blocks: the walk over transactions, and the two trees of hashes."""

    read_transactions: Callable[[bytes, Block], list[int]]
    merkle_root: Callable[[list[bytes]], tuple[bytes, bool]]
    witness_root: Callable[[bytes, Sequence[int], Sequence[bytes]], bytes]


PLAIN = Way(read_transactions, merkle_root, witness_root)


def read_with(way: Way) -> None:
    """Read blocks another way from now on, which must find the same."""
    block.read_transactions = way.read_transactions  # type: ignore[assignment]  # one for another
    block.merkle_root = way.merkle_root  # type: ignore[assignment, attr-defined]
    witness.witness_root = way.witness_root  # type: ignore[assignment]


@cache
def compiled_way() -> Way | None:
    """Return the compiled way, where that can be had.

    To compile it takes as long as to read some hundred blocks, and to load what was compiled as
    long as to read thirty: it is for those who read many. It cannot be had where numba is not
    installed, or not made for the installed numpy, or where the process may not have memory that
    it writes and runs.
    """
    try:
        compiled = import_module("oracle.compiled")
        compiled.walk(bytes(100))  # compiles, or loads what was compiled
    except Exception:  # whatever an extra has to say, the plain way is always there
        return None
    return Way(compiled.read_transactions, compiled.merkle_root, compiled.witness_root)


def read_faster() -> bool:
    """Read blocks by compiled code from now on where that can be had; tell whether."""
    way = compiled_way()
    if way is None:
        return False
    read_with(way)
    return True
