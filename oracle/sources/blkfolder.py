"""The folder of a node's block files: which files there are, their key and their network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from oracle.core.wire import parse_header
from oracle.sources.networks import NETWORKS, SIGNET, UNKNOWN
from oracle.sources.records import (
    HEAD_BYTES,
    MAGIC_BYTES,
    MAGICS,
    NO_KEY,
    START_BYTES,
    KeyedFile,
    Read,
    key_beside,
    without_key,
)

FILE_NAME = re.compile(r"blk(\d+)\.dat")


class BlockFile(NamedTuple):
    """A block file as it is now."""

    number: int
    path: str
    size: int
    mtime_ns: int


class WrongFileError(Exception):
    """A file that is no block file, or whose key is not the one beside it."""


class BlockFolder:
    """The first of some folders that has block files.

    Everything raises OSError where the folder or a file cannot be read.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)

    @cached_property
    def files(self) -> dict[int, BlockFile]:
        """The files by number, in that order, as they were at the first look; no other file of the
        folder is looked at."""
        for folder in self._folders:
            files = _files_in(folder) if folder.is_dir() else []
            if files:
                return {file.number: file for file in sorted(files)}
        return {}

    @property
    def path(self) -> Path:
        """The folder that has the files."""
        first = next(iter(self.files.values()), None)
        return Path(first.path).parent if first else self._folders[-1]

    @cached_property
    def key(self) -> bytes:
        """What hides the files; zeros where nothing does."""
        return key_beside(self.path / "xor.dat")

    @cached_property
    def magic(self) -> bytes:
        """The four bytes before each block, from the first file that has been written to.

        Empty where no file has.

        Raises:
            WrongFileError: a file begins with something else.
        """
        for file in self.files.values():
            stored = KeyedFile(Path(file.path), NO_KEY).read(0, HEAD_BYTES)
            plain = without_key(stored, 0, self.key)
            if plain[:MAGIC_BYTES] in MAGICS or _begins_a_signet(plain):
                return plain[:MAGIC_BYTES]
            if any(stored[:START_BYTES]) and any(plain[:START_BYTES]):
                raise WrongFileError(f"{Path(file.path).name} begins with {plain[:MAGIC_BYTES]!r}")
        return b""

    @property
    def network(self) -> str:
        """The network of the magic; unknown for a signet of somebody's own."""
        return MAGICS.get(self.magic, UNKNOWN)

    def reader(self, number: int) -> Read:
        """Return what reads a file, its key undone."""
        return KeyedFile(Path(self.files[number].path), self.key).read


def _begins_a_signet(head: bytes) -> bool:
    """Tell whether a file's first record is the first block that all signets share."""
    if len(head) < HEAD_BYTES:
        return False
    genesis = next(network.genesis for network in NETWORKS if network.name == SIGNET)
    return parse_header(head[START_BYTES:]).hash == genesis


def _files_in(folder: Path) -> list[BlockFile]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := FILE_NAME.fullmatch(entry.name):
                with suppress(FileNotFoundError):  # pruned between the two looks
                    state = entry.stat()
                    found.append(
                        BlockFile(int(match[1]), entry.path, state.st_size, state.st_mtime_ns)
                    )
    return found
