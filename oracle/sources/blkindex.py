"""Where each block lies in a node's block files, and which chains they make: kept on disk, and
brought up to date by looking at what was written since.

The index is a SQLite file of ours beside the database; the node's folder is never written to. It
holds nothing that cannot be made again: one that is damaged, or of other files, is made anew.

A node that crashed while it wrote a block writes it again further on, and uses that copy: so do we.
Blocks lie in no order, so a child may be known before its parent. A block whose parent is not there
is the root of a part; a whole chain is one part, with the first block ever as its root. Height and
summed work of a block count from the root of its part.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from oracle.core.wire import parse_header, sha256d
from oracle.headers import work_of
from oracle.sources.blkfolder import BlockFile
from oracle.sources.records import MAX_BLOCK_BYTES, START_BYTES, Record

VERSION = 1  # of the tables; an index of another version is made anew
IN_MEMORY = ":memory:"
BUSY_SECONDS = 30.0  # how long another process may be writing
CACHE_KIB = 65_536
BATCH_BLOCKS = 10_000  # placed together, and kept if the process ends behind them
GENESIS_PARENT = bytes(32)
SCHEMA = """
CREATE TABLE about (version INTEGER, folder TEXT, magic BLOB, key BLOB);
CREATE TABLE file (number INTEGER PRIMARY KEY, size INTEGER, mtime_ns INTEGER, scanned INTEGER);
CREATE TABLE part (root INTEGER PRIMARY KEY, parent BLOB NOT NULL, height INTEGER NOT NULL);
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    parent BLOB NOT NULL,
    header BLOB NOT NULL,
    file INTEGER NOT NULL,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root INTEGER NOT NULL,
    height INTEGER NOT NULL,
    work REAL NOT NULL
);
CREATE INDEX heaviest ON block (root, work DESC);
CREATE INDEX of_file ON block (file, start);
"""


class DamagedIndexError(Exception):
    """The index says something that cannot be."""


class Place(NamedTuple):
    """A block in the files: hash and parent in internal order, `work` summed from its root on."""

    id: int
    hash: bytes
    parent: bytes
    header: bytes
    file: int
    start: int
    size: int
    root: int
    height: int
    work: float


class Part(NamedTuple):
    """A tree of blocks: its root's number and height, and the parent that is not there."""

    root: int
    parent: bytes
    height: int


ADD_BLOCK = "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
MOVE_BLOCK = (
    "UPDATE block SET file = ?, start = ?, size = ? WHERE hash = ? AND (file, start) < (?, ?)"
)
BY_HASH = "SELECT * FROM block WHERE hash = ?"
HEAVIEST = "SELECT * FROM block WHERE root = ? ORDER BY work DESC, id LIMIT 1"
LAST_OF_FILE = "SELECT * FROM block WHERE file = ? ORDER BY start DESC LIMIT 1"
Scan = Callable[[BlockFile, int], Iterable[Record]]
"""Look through a file from a byte on."""
Head = Callable[[BlockFile, int], bytes]
"""Read magic, size and header at a byte of a file."""
CoinbaseHeight = Callable[[int, int, int], int]
"""Return the height that the coinbase of the block at file, start and size says."""


class BlockIndex:
    """The index of one folder of block files; without a path it lives in memory.

    Everything raises sqlite3.Error where the file cannot be used, and `DamagedIndexError` where
    what it says cannot be.
    """

    def __init__(self, path: Path | None, folder: Path, magic: bytes, key: bytes) -> None:
        self.is_kept = path is not None
        self._about = (VERSION, str(folder.absolute()), magic, key)
        self._db = sqlite3.connect(
            path or IN_MEMORY, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if not self._is_ours():
            self._make()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # What it knows

    def tips(self) -> list[Place]:
        """Return the block with the most work of each part; of equals the one found first."""
        rows = [self._one(HEAVIEST, part.root) for part in self._parts()]
        return [row for row in rows if row is not None]

    def place(self, block_hash: bytes) -> Place | None:
        """Return where a block is, by its hash in internal order."""
        return self._one(BY_HASH, block_hash)

    def has_whole_chain(self, place: Place) -> bool:
        """Tell whether a block's part goes down to the first block ever."""
        row = self._db.execute("SELECT parent FROM part WHERE root = ?", (place.root,)).fetchone()
        return row is not None and row[0] == GENESIS_PARENT

    def unscanned_bytes(self, files: Iterable[BlockFile]) -> int:
        """Return how much of the files was written since they were looked through."""
        known = self._file_states()
        changed = [file for file in files if known.get(file.number, ())[:2] != file[2:]]
        return sum(file.size - known.get(file.number, (0, 0, 0))[2] for file in changed)

    # Keeping up

    def update(
        self, files: Iterable[BlockFile], scan: Scan, head: Head, coinbase_height: CoinbaseHeight
    ) -> None:
        """Look through what was written to the files since, and forget files that are gone."""
        now = list(files)
        known = self._file_states()
        gone = known.keys() - {file.number for file in now}
        changed = [file for file in now if known.get(file.number, ())[:2] != file[2:]]
        if not gone and not changed:
            return
        if gone:
            with self._writing():
                for number in gone:
                    self._forget(number)
        batch = _Batch(self, coinbase_height)
        for file in changed:
            scanned = known[file.number][2] if file.number in known else 0
            batch.add(file, self._start_of(file, scanned, head), scan)
        batch.write()

    def _start_of(self, file: BlockFile, scanned: int, head: Head) -> int:
        """Return from where on to look through a file: one that was written anew from its
        beginning."""
        last = self._one(LAST_OF_FILE, file.number)
        if last is None or (
            scanned <= file.size
            and head(file, last.start - START_BYTES)[START_BYTES:] == last.header
        ):
            return scanned
        with self._writing():
            self._forget(file.number)
        return 0

    def _forget(self, number: int) -> None:
        self._db.execute("DELETE FROM block WHERE file = ?", (number,))
        self._db.execute("DELETE FROM file WHERE number = ?", (number,))

    # Storage

    def _is_ours(self) -> bool:
        tables = self._db.execute("SELECT name FROM sqlite_master WHERE name = 'about'").fetchall()
        return bool(tables) and self._db.execute("SELECT * FROM about").fetchall() == [self._about]

    def _make(self) -> None:
        with self._writing():
            names = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                self._db.execute(f'DROP TABLE "{name}"')
            for statement in SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO about VALUES (?, ?, ?, ?)", self._about)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _file_states(self) -> dict[int, tuple[int, int, int]]:
        rows = self._db.execute("SELECT number, size, mtime_ns, scanned FROM file").fetchall()
        return {number: (size, mtime_ns, scanned) for number, size, mtime_ns, scanned in rows}

    def _parts(self) -> list[Part]:
        return [Part(*row) for row in self._db.execute("SELECT root, parent, height FROM part")]

    def _one(self, query: str, value: bytes | int) -> Place | None:
        row = self._db.execute(query, (value,)).fetchone()
        if row is None:
            return None
        place = Place(*row)
        if not _is_sound(place):
            raise DamagedIndexError("a row of it is not one that was written")
        return place


def _is_sound(place: Place) -> bool:
    """Tell whether a row can be one that was written: the header proves itself and the parent."""
    numbers = (place.file, place.start, place.size, place.root, place.height)
    return (
        isinstance(place.header, bytes)
        and sha256d(place.header) == place.hash
        and place.header[4:36] == place.parent
        and all(isinstance(number, int) and number >= 0 for number in numbers)
        and place.size <= MAX_BLOCK_BYTES
    )


class _Batch:
    """Blocks that are placed and written together."""

    def __init__(self, index: BlockIndex, coinbase_height: CoinbaseHeight) -> None:
        self._index = index
        self._db = index._db
        self._coinbase_height = coinbase_height
        self._found: dict[bytes, tuple[int, Record]] = {}
        self._files: list[tuple[int, int, int, int]] = []

    def add(self, file: BlockFile, start: int, scan: Scan) -> None:
        """Look through a file from a byte on; what is found is written once there is enough."""
        scanned = start
        for record in scan(file, start):
            self._found[sha256d(record.header)] = file.number, record
            scanned = record.end
        self._files.append((file.number, file.size, file.mtime_ns, scanned))
        if len(self._found) >= BATCH_BLOCKS:
            self.write()

    def write(self) -> None:
        """Place what was found, and keep it."""
        with self._index._writing():
            places = self._placed()
            self._move_to_copies(self._found.keys() - places.keys())
            self._db.executemany(ADD_BLOCK, places.values())
            self._join_parts(places)
            self._db.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", self._files)
        self._found.clear()
        self._files.clear()

    def _placed(self) -> dict[bytes, Place]:
        """Give each block that is new its part, height and work: parents first."""
        new = {name: at for name, at in self._found.items() if self._index.place(name) is None}
        (highest,) = self._db.execute("SELECT coalesce(max(id), 0) FROM block").fetchone()
        (highest_root,) = self._db.execute("SELECT coalesce(max(root), 0) FROM part").fetchone()
        number = max(highest, highest_root)
        placed: dict[bytes, Place] = {}
        for name in new:
            for block_hash in reversed(_line_to_known(name, new, placed)):
                number += 1
                placed[block_hash] = self._place_of(block_hash, number, *new[block_hash], placed)
        return placed

    def _move_to_copies(self, known: Iterable[bytes]) -> None:
        """Lead blocks that were known to the copies of them that were written later."""
        for name in known:
            file, record = self._found[name]
            where = (file, record.offset, record.size)
            self._db.execute(MOVE_BLOCK, (*where, name, file, record.offset))

    def _place_of(
        self, name: bytes, number: int, file: int, record: Record, placed: dict[bytes, Place]
    ) -> Place:
        parent_hash = record.header[4:36]
        parent = placed.get(parent_hash) or self._index.place(parent_hash)
        work = float(work_of(parse_header(record.header)))
        where = (number, name, parent_hash, record.header, file, record.offset, record.size)
        if parent is not None:
            return Place(*where, parent.root, parent.height + 1, parent.work + work)
        is_genesis = parent_hash == GENESIS_PARENT
        height = 0 if is_genesis else self._coinbase_height(file, record.offset, record.size)
        self._db.execute("INSERT INTO part VALUES (?, ?, ?)", (number, parent_hash, height))
        return Place(*where, number, height, work)

    def _join_parts(self, new: dict[bytes, Place]) -> None:
        """Put parts on top of the block that was missing below them."""
        for part in self._index._parts():
            if part.parent not in new:
                continue
            below = self._index.place(part.parent)  # as it is now: its own part may have joined
            if below is None:
                continue
            self._db.execute(
                "UPDATE block SET root = ?, height = height + ?, work = work + ? WHERE root = ?",
                (below.root, below.height + 1 - part.height, below.work, part.root),
            )
            self._db.execute("DELETE FROM part WHERE root = ?", (part.root,))


def _line_to_known(
    name: bytes, new: dict[bytes, tuple[int, Record]], placed: dict[bytes, Place]
) -> list[bytes]:
    """Return a block and those below it that are new and have no place yet, top first."""
    line = []
    while name in new and name not in placed:
        line.append(name)
        name = new[name][1].header[4:36]
    return line
