"""Hashing many pieces at once, by OpenSSL called from compiled code: a part of the extra `fast`.

Python's hashlib asks OpenSSL, too, but the way there takes five times as long as the hash of an
ordinary transaction. Where OpenSSL cannot be had by its name, as in interpreters that have it
inside them, importing this fails, and hashlib does the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from llvmlite import binding
from numba.core import types
from numpy.typing import NDArray

from oracle.core.wire import sha256d

LIBRARIES = ("libcrypto.so.3", "libcrypto.3.dylib")
HASH_BYTES = 32
STATE_BYTES = 256
"""More than a SHA256_CTX takes."""

SEGWIT_MARKER_AT = 4
"""Place in a transaction of the byte that is zero where it has witnesses."""

# Memory is named by its address.
_INIT = types.ExternalFunction("SHA256_Init", types.int32(types.intp))
_UPDATE = types.ExternalFunction("SHA256_Update", types.int32(types.intp, types.intp, types.intp))
_FINAL = types.ExternalFunction("SHA256_Final", types.int32(types.intp, types.intp))

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]


def _load() -> None:
    """Make OpenSSL's functions known to compiled code.

    Raises:
        ImportError: it has not been found by name, or does not hash as it must.
    """
    for name in LIBRARIES:
        try:
            binding.load_library_permanently(name)
            break
        except RuntimeError:
            continue
    else:
        raise ImportError(f"none of {', '.join(LIBRARIES)} can be loaded")
    three = np.frombuffer(b"abc", np.uint8)
    if hash_pieces(three, np.array([0]), np.array([3])) != sha256d(b"abc"):
        raise ImportError("OpenSSL does not hash as it must")


def hash_pieces(data: Bytes, starts: Places, ends: Places) -> bytes:
    """Return the double SHA-256 of each piece of data, one after the other."""
    hashes = np.empty(len(starts) * HASH_BYTES, np.uint8)
    _hash_pieces(data, starts, ends, hashes, np.empty(STATE_BYTES, np.uint8))
    return hashes.tobytes()


def merkle_root(leaves: list[bytes]) -> tuple[bytes, bool]:
    """Return what `oracle.core.wire.merkle_root` does."""
    level = np.frombuffer(b"".join(leaves), np.uint8).copy()
    is_mutated = _hash_tree(level, len(leaves), np.empty(STATE_BYTES, np.uint8))
    return level[:HASH_BYTES].tobytes(), bool(is_mutated)


def witness_root(data: bytes, starts: Sequence[int], txids: Sequence[bytes]) -> bytes:
    """Return what `oracle.core.witness.witness_root` does."""
    array = np.frombuffer(data, np.uint8)
    begins = np.array(starts, np.int64)
    ends = np.append(begins[1:], len(data))
    has_witness = array[begins + SEGWIT_MARKER_AT] == 0
    hashes = hash_pieces(array, begins[has_witness], ends[has_witness])
    leaves = np.frombuffer(b"".join(txids), np.uint8).reshape(-1, HASH_BYTES).copy()
    leaves[has_witness] = np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)
    leaves[0] = 0  # the coinbase, which cannot commit to itself
    level = leaves.reshape(-1)
    _hash_tree(level, len(leaves), np.empty(STATE_BYTES, np.uint8))
    return level[:HASH_BYTES].tobytes()


@numba.njit(cache=True)
def _hash_twice(start, size, to, state):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Hash memory to memory; all are addresses."""
    _INIT(state)
    _UPDATE(state, start, size)
    _FINAL(to, state)
    _INIT(state)
    _UPDATE(state, to, HASH_BYTES)  # type: ignore[call-overload]
    _FINAL(to, state)


@numba.njit(cache=True)
def _hash_pieces(data, starts, ends, hashes, state):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    base = data.ctypes.data
    to = hashes.ctypes.data
    for place in range(len(starts)):
        size = ends[place] - starts[place]
        _hash_twice(base + starts[place], size, to + place * HASH_BYTES, state.ctypes.data)


@numba.njit(cache=True)
def _hash_tree(level, count, state):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Hash a tree in its own place, until its root comes first; tell whether two real neighbours
    are equal."""
    base = level.ctypes.data
    pair = np.empty(2 * HASH_BYTES, np.uint8)
    is_mutated = False
    while count > 1:
        for place in range((count + 1) // 2):
            left = 2 * place * HASH_BYTES
            right = left if 2 * place + 1 == count else left + HASH_BYTES
            is_equal = right != left
            for at in range(HASH_BYTES):
                pair[at] = level[left + at]
                pair[HASH_BYTES + at] = level[right + at]
                is_equal &= level[left + at] == level[right + at]
            is_mutated |= is_equal
            to = base + place * HASH_BYTES
            _hash_twice(pair.ctypes.data, 2 * HASH_BYTES, to, state.ctypes.data)
        count = (count + 1) // 2
    return is_mutated


_load()
