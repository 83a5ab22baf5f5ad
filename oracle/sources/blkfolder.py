"""The folder of a node's block files: which files there are, their key and their network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

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
    path: Path
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
        return first.path.parent if first else self._folders[-1]

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
            stored = KeyedFile(file.path, NO_KEY).read(0, HEAD_BYTES)
            plain = without_key(stored, 0, self.key)
            if plain[:MAGIC_BYTES] in MAGICS:
                return plain[:MAGIC_BYTES]
            if any(stored[:START_BYTES]) and any(plain[:START_BYTES]):
                raise WrongFileError(f"{file.path.name} begins with {plain[:MAGIC_BYTES]!r}")
        return b""

    def reader(self, number: int) -> Read:
        """Return what reads a file, its key undone."""
        return KeyedFile(self.files[number].path, self.key).read


def _files_in(folder: Path) -> list[BlockFile]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := FILE_NAME.fullmatch(entry.name):
                with suppress(FileNotFoundError):  # pruned between the two looks
                    state = entry.stat()
                    place = Path(entry.path)
                    found.append(BlockFile(int(match[1]), place, state.st_size, state.st_mtime_ns))
    return found
