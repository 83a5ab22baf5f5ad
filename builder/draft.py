"""What the next release will hold: files made now, and files carried over from the current release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

MANIFEST = "api/manifest.json"
IN_MEMORY = 16  # years of days need not be in memory together


def read_manifest(release: Path | None) -> dict[str, Mapping[str, Any]]:
    """Return a release's manifest entries by path; none when it has no manifest."""
    path = release / MANIFEST if release else None
    if path is None or not path.is_file():
        return {}
    return {entry["path"]: entry for entry in json.loads(path.read_bytes())["files"]}


class Draft:
    """Collects a release. Files are bytes by path; a carried file is only named.

    Args:
        current: folder of the release to carry files over from; None starts from nothing.
    """

    def __init__(self, current: Path | None = None) -> None:
        self.current = current
        self.known = read_manifest(current)
        self.files: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.carried: set[str] = set()
        self.made_from: dict[str, str | None] = {}
        self.marks: list[str] = []  # empty files that are nobody's reading: not in the manifest

    def add(self, path: str, data: bytes) -> None:
        """Put a file into the release; one with the same bytes as now is carried over."""
        self.digests[path] = hashlib.sha256(data).hexdigest()
        if (known := self.known.get(path)) and known["sha256"] == self.digests[path]:
            self.carried.add(path)
        else:
            self.files[path] = data

    def has(self, path: str, key: str | None) -> bool:
        """Carry a file over when it was made from the same things; tell whether it was. No key: never."""
        self.made_from[path] = key
        known = self.known.get(path)
        is_same = key is not None and known is not None and known["made_from"] == key
        if is_same:
            self.carried.add(path)
        return is_same

    def once(self, path: str, key: str | None, make: Callable[[], bytes]) -> None:
        """Put a file into the release that is only made when what it is made from has changed."""
        if not self.has(path, key):
            self.add(path, make())

    def carry_all(self) -> None:
        """Carry over every file of the current release; files put in later take their places."""
        self.carried.update(self.known)
        self.made_from.update({path: entry["made_from"] for path, entry in self.known.items()})

    def read(self, path: str) -> bytes:
        """Return a file of the draft, new or carried."""
        if path in self.files or self.current is None:
            return self.files[path]
        return (self.current / path).read_bytes()

    def paths(self, start: str = "") -> list[str]:
        """Return the paths of all files, or of those that begin with a text."""
        return sorted(path for path in self.carried | self.files.keys() if path.startswith(start))

    def sha256(self, path: str) -> str:
        """Return the digest of a file of the draft."""
        return self.digests[path] if path in self.files else str(self.known[path]["sha256"])


class Objects(Mapping[str, Any]):
    """The JSON files of a draft as objects, by path: read when somebody asks for one."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._paths: dict[str, None] = {}
        self._read = lru_cache(IN_MEMORY)(lambda path: json.loads(draft.read(path)))

    def make(self, path: str, key: str | None, make: Callable[[], Any]) -> None:
        """Put an object into the draft, made only when what it is made from has changed."""
        self.offer(path)
        self._draft.once(path, key, lambda: dump(make()))
        self._read.cache_clear()

    def offer(self, path: str) -> None:
        """Have a file among the objects that is in the draft already."""
        self._paths[path] = None

    def __getitem__(self, path: str) -> Any:
        if path not in self._paths:
            raise KeyError(path)
        return self._read(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def dump(value: Any) -> bytes:
    """Return JSON without spaces, and one line end."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


def fingerprint(facts: object) -> str:
    """Return a short text that changes with plain values."""
    return hashlib.blake2b(repr(facts).encode(), digest_size=10).hexdigest()
