"""Records of blocks in files: the one scanner, for a node's own block files and for files that a
user names.

A record is the network's magic, a size and a block. Since Core 28 a key hides the whole file; it
lies beside it in xor.dat and repeats from the start of the file. Old files hold junk between
records, and the newest ends in space not yet written: zeros, which look like the key once it is
undone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from oracle.core.block import parse_block
from oracle.core.wire import HEADER_BYTES, parse_header
from oracle.errors import ParseError
from oracle.sources.networks import NETWORKS

MAGICS = {bytes.fromhex(network.magic): network.name for network in NETWORKS}
MAGIC_BYTES = 4
START_BYTES = 8  # magic and size
HEAD_BYTES = START_BYTES + HEADER_BYTES
KEY_BYTES = 8
NO_KEY = bytes(KEY_BYTES)
MAX_BLOCK_BYTES = 4_000_000
CHUNK_BYTES = 1 << 20  # looked through at once where a record should begin and none does
Read = Callable[[int, int], bytes]
"""Return bytes of a file from an offset, fewer where it ends."""


class Record(NamedTuple):
    """Where a block lies in its file, and its header."""

    offset: int
    size: int
    header: bytes

    @property
    def end(self) -> int:
        """The first byte behind the block."""
        return self.offset + self.size


class KeyedFile:
    """A file under a key, opened for each read: nothing is kept open."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes from an offset without the key.

        Raises:
            OSError: the file cannot be read.
        """
        with self._path.open("rb", buffering=0) as file:
            stored = os.pread(file.fileno(), size, offset)
        return without_key(stored, offset, self._key)


def without_key(stored: bytes, offset: int, key: bytes) -> bytes:
    """Return the bytes that a key hides, which begins anew every eight bytes of the file."""
    if not any(key):
        return stored
    period = len(key)
    repeated = key[offset % period :] + key * (len(stored) // period + 1)
    plain = int.from_bytes(stored, "little") ^ int.from_bytes(repeated[: len(stored)], "little")
    return plain.to_bytes(len(stored), "little")


def key_beside(path: Path) -> bytes:
    """Return the key of the files in a file's folder; zeros where there is none.

    Raises:
        OSError: the file with the key cannot be read.
    """
    beside = path.with_name("xor.dat")
    return (beside.read_bytes() if beside.exists() else b"") or NO_KEY


def records_in(read: Read, magic: bytes, start: int = 0) -> Iterator[Record]:
    """Yield the blocks of a file from an offset on, passing over what is none."""
    at = start
    while len(head := read(at, HEAD_BYTES)) == HEAD_BYTES:
        record = record_of(head, at)
        if head.startswith(magic) and _is_whole(read, magic, record):
            yield record
            at = record.end
        else:
            at = _next_magic(read, magic, at + 1)


def record_of(head: bytes, at: int) -> Record:
    """Return what magic, size and header at an offset announce."""
    size = int.from_bytes(head[MAGIC_BYTES:START_BYTES], "little")
    return Record(at + START_BYTES, size, head[START_BYTES:])


def _next_magic(read: Read, magic: bytes, at: int) -> int:
    """Return where the magic stands next, or the end of what was looked through."""
    chunk = read(at, CHUNK_BYTES)
    found = chunk.find(magic)
    return at + (found if found >= 0 else max(len(chunk) - MAGIC_BYTES + 1, 0))


def _is_whole(read: Read, magic: bytes, record: Record) -> bool:
    """Tell a block from junk and from one that was cut: the file ends behind it, a magic follows,
    or it parses."""
    if not HEADER_BYTES < record.size <= MAX_BLOCK_BYTES:
        return False
    end = read(record.end - 1, 1 + MAGIC_BYTES)
    if len(end) == 1 or end[1:] == magic:
        header = parse_header(record.header)
        return int(header.hash, 16) <= header.target
    with suppress(ParseError):
        return bool(parse_block(read(record.offset, record.size), hashes_witness=False))
    return False


def blocks_of_file(path: Path) -> Iterator[bytes]:
    """Yield the blocks of a file, in the order of the file, whether a key hides them or not.

    Raises:
        OSError: the file, or the key beside it, cannot be read.
        ParseError: it holds something else than blocks.
    """
    size = path.stat().st_size
    stored = KeyedFile(path, NO_KEY).read
    hidden = KeyedFile(path, key_beside(path)).read
    is_hidden = stored(0, MAGIC_BYTES) not in MAGICS and hidden(0, MAGIC_BYTES) in MAGICS
    yield from blocks_in(hidden if is_hidden else stored, size, path.name, stored)


def blocks_in(read: Read, size: int, name: str, stored: Read | None = None) -> Iterator[bytes]:
    """Yield the blocks of a file that a user names: one raw block, or nothing but records.

    Zeros may follow the records, and a file of zeros alone holds none.

    Args:
        read: reads the file, its key undone.
        size: of the file, in bytes.
        name: of the file, for errors.
        stored: reads the file as it is: unwritten space has no key.

    Raises:
        ParseError: something else stands where a record should, or it ends too soon.
    """

    def is_unwritten(at: int) -> bool:
        return _is_zeros(read, at, size) or (stored is not None and _is_zeros(stored, at, size))

    magic = read(0, MAGIC_BYTES)
    if magic not in MAGICS and not is_unwritten(0):
        yield _raw_block(read, size, name)
        return
    at = 0
    while at < size and not is_unwritten(at):
        record = _strict_record(read, magic, at, size, name)
        yield read(record.offset, record.size)
        at = record.end


def _raw_block(read: Read, size: int, name: str) -> bytes:
    if size <= HEADER_BYTES:
        raise ParseError(f"{name} is too short for a block", offset=size)
    if size > MAX_BLOCK_BYTES:
        raise ParseError(
            f"{name} is larger than any block and has no records; "
            "a node's own block file needs its xor.dat beside it",
            offset=0,
        )
    return read(0, size)


def _strict_record(read: Read, magic: bytes, at: int, size: int, name: str) -> Record:
    head = read(at, HEAD_BYTES)
    if not head.startswith(magic) or len(head) < START_BYTES:
        raise ParseError(f"{name} has no record where the next should start", offset=at)
    record = record_of(head, at)
    if record.end > size:
        raise ParseError(f"{name} ends inside a record of {record.size} bytes", offset=at)
    if record.size > MAX_BLOCK_BYTES:
        raise ParseError(f"{name} has a record larger than any block", offset=at)
    return record


def _is_zeros(read: Read, at: int, size: int) -> bool:
    """Tell whether nothing but zeros follows."""
    if any(read(at, START_BYTES)):
        return False
    for start in range(at, size, CHUNK_BYTES):
        if read(start, CHUNK_BYTES).strip(b"\0"):
            return False
    return True
