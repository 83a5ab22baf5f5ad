"""What the next release will hold: files made now, and files carried over from the current release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "api/manifest.json"


class Draft:
    """Collects a release. Files are bytes by path; a carried file is only named.

    Args:
        current: folder of the release to carry files over from; None starts from nothing.
    """

    def __init__(self, current: Path | None = None) -> None:
        self.current = current
        self.known: dict[str, Mapping[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.carried: set[str] = set()
        self.made_from: dict[str, str | None] = {}
        if current and (current / MANIFEST).is_file():
            manifest = json.loads((current / MANIFEST).read_bytes())
            self.known = {entry["path"]: entry for entry in manifest["files"]}

    def add(self, path: str, data: bytes) -> None:
        """Put a file into the release; one with the same bytes as now is carried over."""
        self.digests[path] = hashlib.sha256(data).hexdigest()
        if (known := self.known.get(path)) and known["sha256"] == self.digests[path]:
            self.carried.add(path)
        else:
            self.files[path] = data

    def has(self, path: str, key: str) -> bool:
        """Carry a file over when it was made from the same things; tell whether it was."""
        self.made_from[path] = key
        if (known := self.known.get(path)) and known["made_from"] == key:
            self.carried.add(path)
            return True
        return False

    def carry_all(self) -> None:
        """Carry over every file of the current release; files put in later take their places."""
        self.carried.update(self.known)
        self.made_from.update({path: entry["made_from"] for path, entry in self.known.items()})

    def add_once(self, path: str, key: str, make: Callable[[], bytes]) -> bytes:
        """Put a file into the release that is only made when what it is made from has changed."""
        if self.has(path, key):
            return self.read(path)
        self.add(path, make())
        return self.read(path)

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
