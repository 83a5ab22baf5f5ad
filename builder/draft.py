"""What the next release will hold: files made now, and files carried over from the current
release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from os import SEEK_END
from pathlib import Path
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from weakref import finalize

from builder.releases import Entry, whole_files

if TYPE_CHECKING:
    from builder.api.types import (
        Day,
        Days,
        Episodes,
        History,
        Latest,
        Peers,
        PriceEntry,
        Range,
        Scorecard,
        Status,
        Window,
    )


HELD_BYTES = 64_000_000
"""New files beyond are held on the disk: those of years of days would not fit into memory."""


class NewFiles(Mapping[str, bytes]):
    """The bytes of new files by path, in memory or in a file that nobody else sees.

    Args:
        folder: where that file is; None: where the system has such files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        where = None if folder is None else str(folder)
        self._held = SpooledTemporaryFile(HELD_BYTES, dir=where)  # noqa: SIM115 - closed with us
        finalize(self, self._held.close)
        self._places: dict[str, tuple[int, int]] = {}
        self._turn = Lock()  # of several threads that write them out

    def __setitem__(self, path: str, data: bytes) -> None:
        with self._turn:
            self._places[path] = (self._held.seek(0, SEEK_END), len(data))
            self._held.write(data)

    def __getitem__(self, path: str) -> bytes:
        first, size = self._places[path]
        with self._turn:
            self._held.seek(first)
            return self._held.read(size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Draft:
    """Collects a release: what the manifest says of each file, and the bytes of the new ones.

    Args:
        current: folder of the release to carry files over from; None starts from nothing.
        folder: for what does not fit into memory; None: where the system has temporary files.
    """

    def __init__(self, current: Path | None = None, folder: Path | None = None) -> None:
        self.current = current
        self.known = whole_files(current)
        self.entries: dict[str, Entry] = {}
        self.files = NewFiles(folder)
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

    def carry_with(self, path: str, key: str, start: str) -> bool:
        """Carry a file over together with those that were made with it, whose paths begin with
        `start`, when it was made from the same things and they are all there."""
        others = [other for other in self.known if other.startswith(start)]  # no damaged one
        if not self.carry(path, with_others(key, len(others))):
            return False
        for other in others:
            self.carry(other, self.known[other]["made_from"])
        return True

    def earlier(self, path: str, key: str) -> bytes | None:
        """Return a file of the current release of whose making this was a part, if there is one."""
        known = self.known.get(path)
        if self.current is None or known is None or key not in (known["made_from"] or "").split():
            return None
        return (self.current / path).read_bytes()

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

    # What each path holds

    @property
    def latest(self) -> Latest:
        """`/api/latest.json`."""
        return cast("Latest", self["api/latest.json"])

    @property
    def status(self) -> Status:
        """`/api/status.json`."""
        return cast("Status", self["api/status.json"])

    @property
    def days(self) -> Days:
        """`/api/days.json`."""
        return cast("Days", self["api/days.json"])

    @property
    def episodes(self) -> Episodes:
        """`/api/episodes.json`."""
        return cast("Episodes", self["api/episodes.json"])

    @property
    def peers(self) -> Peers:
        """`/api/peers.json`."""
        return cast("Peers", self["api/peers.json"])

    @property
    def scorecard(self) -> Scorecard:
        """`/api/scorecard.json`."""
        return cast("Scorecard", self["api/scorecard.json"])

    @property
    def window(self) -> Window | None:
        """`/api/window.json`, if the record has its blocks."""
        return cast("Window | None", self.get("api/window.json"))

    def history(self, name: Range) -> History:
        """`/api/history/<range>.json`."""
        return cast("History", self[f"api/history/{name}.json"])

    def day(self, date: str) -> Day:
        """`/api/days/<date>.json`."""
        return cast("Day", self[f"api/days/{date}.json"])

    def entries(self, span_days: int) -> list[PriceEntry]:
        """`/api/prices/historical?days=<span_days>`."""
        return cast("list[PriceEntry]", self[f"api/compat/historical-{span_days}.json"])


def with_others(key: str, others: int) -> str:
    """Return what a file is made from that so many others were made with."""
    return f"{key} {others}"


def dump(value: Any) -> bytes:
    """Return JSON without spaces, and one line end."""
    return (
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    ).encode()


def fingerprint(facts: object) -> str:
    """Return a short text that changes with plain values."""
    return hashlib.blake2b(repr(facts).encode(), digest_size=10).hexdigest()
