"""What the next release will hold: files made now, and files carried over from the current
release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder.releases import Entry, whole_files


class Draft:
    """Collects a release: what the manifest says of each file, and the bytes of the new ones.

    Args:
        current: folder of the release to carry files over from; None starts from nothing.
    """

    def __init__(self, current: Path | None = None) -> None:
        self.current = current
        self.known = whole_files(current)
        self.entries: dict[str, Entry] = {}
        self.files: dict[str, bytes] = {}
        self.made_from: dict[str, str | None] = {}
        self.marks: list[str] = []  # empty files that are nobody's reading: not in the manifest

    def add(self, path: str, data: bytes) -> None:
        """Put a file into the release; one with the same bytes as now is carried over."""
        sha256 = hashlib.sha256(data).hexdigest()
        known = self.known.get(path)
        is_same = known is not None and known["sha256"] == sha256
        self.entries[path] = {
            "path": path,
            "size_bytes": len(data),
            "sha256": sha256,
            "gzip_bytes": known["gzip_bytes"] if known and is_same else None,
            "made_from": self.made_from.get(path),
        }
        if not is_same:
            self.files[path] = data

    def carry(self, path: str, key: str | None) -> bool:
        """Carry a file over when it was made from the same things, and tell whether it was.

        What it is made from is remembered for when it must be made. Without a key it must.
        """
        self.made_from[path] = key
        known = self.known.get(path)
        if key is None or known is None or known["made_from"] != key:
            return False
        self.entries[path] = known
        return True

    def once(self, path: str, key: str | None, make: Callable[[], bytes]) -> None:
        """Put a file into the release that is only made when what it is made from has changed."""
        if not self.carry(path, key):
            self.add(path, make())

    def read(self, path: str) -> bytes:
        """Return a file of the draft, new or carried."""
        if path in self.files or self.current is None:
            return self.files[path]
        return (self.current / path).read_bytes()

    def paths(self, start: str = "") -> list[str]:
        """Return the paths of all files, or of those that begin with a text."""
        return sorted(path for path in self.entries if path.startswith(start))


class Objects(dict[str, Any]):
    """The JSON files of a draft as objects, by path.

    Those of single days are read whenever somebody asks: years of them need not be in memory.
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    def make(self, path: str, key: str | None, make: Callable[[], Any]) -> None:
        """Put an object into the draft, made only when what it is made from has changed."""
        self._draft.once(path, key, lambda: dump(make()))
        self.load(path)

    def load(self, path: str) -> None:
        """Have a file among the objects that is in the draft already."""
        self[path] = self.__missing__(path)

    def __missing__(self, path: str) -> Any:
        return json.loads(self._draft.read(path))


def dump(value: Any) -> bytes:
    """Return JSON without spaces, and one line end."""
    return (
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    ).encode()


def fingerprint(facts: object) -> str:
    """Return a short text that changes with plain values."""
    return hashlib.blake2b(repr(facts).encode(), digest_size=10).hexdigest()
