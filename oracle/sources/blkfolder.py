"""The folder of a node's block files: which files there are, their key and their network."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    def _found(self) -> tuple[Path, dict[int, Path]]:
        """The folder, and its files by number."""
        for folder in self._folders:
            if folder.is_dir():
                names = ((FILE_NAME.fullmatch(path.name), path) for path in folder.iterdir())
                files = {int(match[1]): path for match, path in names if match}
                if files:
                    return folder, files
        return self._folders[-1], {}

    @property
    def path(self) -> Path:
        """The folder that has the files."""
        return self._found[0]

    @property
    def has_files(self) -> bool:
        """Whether there is any block file."""
        return bool(self._found[1])

    def files(self) -> list[BlockFile]:
        """Return the files in the order of their numbers, as they are now."""
        found = []
        for number, path in sorted(self._found[1].items()):
            if path.exists():
                state = path.stat()
                found.append(BlockFile(number, path, state.st_size, state.st_mtime_ns))
        return found

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
        for _, path in sorted(self._found[1].items()):
            stored = KeyedFile(path, NO_KEY).read(0, HEAD_BYTES)
            plain = without_key(stored, 0, self.key)
            if plain[:MAGIC_BYTES] in MAGICS:
                return plain[:MAGIC_BYTES]
            if any(stored[:START_BYTES]) and any(plain[:START_BYTES]):
                raise WrongFileError(f"{path.name} begins with {plain[:MAGIC_BYTES]!r}")
        return b""

    def reader(self, number: int) -> Read:
        """Return what reads a file, its key undone."""
        return KeyedFile(self._found[1][number], self.key).read
