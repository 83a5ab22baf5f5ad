"""In which order a release goes out: what nobody is led to yet first, what leads there last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from builder.releases import MANIFEST, PUBLIC_KEY, SIGNATURE, Entry

LATEST = "api/latest.json"
SPELLINGS = {
    "api/prices/latest": "api/compat/prices-latest.json",
    "api/v1/prices": "api/compat/mempool-prices.json",
    "metrics": "metrics.txt",
}
"""Addresses of other programs that take no question. Those that do are left out: a store would
answer each question with the same file. `/health` is, too: it could say nothing but 200."""

BEFORE_PAGES = ("assets/", "data/", "share/", "days/", "api/days/", "api/schema/", "api/history/")


class Piece(NamedTuple):
    """A file to be there: under which key, from which file of the release, with which hash."""

    key: str
    path: str
    sha256: str
    turn: int


def pieces_of(entries: Mapping[str, Entry]) -> list[Piece]:
    """Return what is to be there, in the order in which it goes, but for the manifest."""
    files = [_piece(path, path, entry) for path, entry in entries.items()]
    others = [
        _piece(key, path, entries[path]) for key, path in SPELLINGS.items() if path in entries
    ]
    return sorted([*files, *others], key=lambda piece: (piece.turn, piece.key))


def last_of_all(has_signature: bool) -> list[str]:
    """Return what goes once all else is there: it says what there is."""
    return [*([SIGNATURE] if has_signature else []), MANIFEST]


def _piece(key: str, path: str, entry: Entry) -> Piece:
    return Piece(key, path, entry["sha256"], _turn(path))


def _turn(path: str) -> int:
    if path == LATEST or path in SPELLINGS.values():
        return 3
    if path.startswith(BEFORE_PAGES) or path == PUBLIC_KEY:
        return 0
    return 2 if path.endswith(".html") else 1
