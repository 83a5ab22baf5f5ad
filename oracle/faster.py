"""Whether blocks are read by compiled code, which the extra `fast` brings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from oracle.core import block
from oracle.core.block import Block, read_transactions

read_plainly = read_transactions


def read_with(reader: Callable[[bytes, Block], list[int]]) -> None:
    """Read transactions another way from now on, which must find the same."""
    block.read_transactions = reader  # type: ignore[assignment]  # one for another


@cache
def read_faster() -> bool:
    """Read blocks by compiled code from now on where that can be had; tell whether.

    To compile it takes as long as to read some hundred blocks, and to load what was compiled as
    long as to read thirty: it is for those who read many. It cannot be had where numba is not
    installed, or not made for the installed numpy, or where the process may not have memory that
    it writes and runs.
    """
    try:
        from oracle.compiled import read_transactions as read_compiled
        from oracle.compiled import walk

        walk(bytes(100))  # compiles, or loads what was compiled
    except Exception:  # whatever an extra has to say, the plain way is always there
        return False
    read_with(read_compiled)
    return True
