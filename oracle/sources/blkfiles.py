"""Bitcoin Core's own block files, read without the node: for long backfills on the same machine.

Blocks lie in no order, among stale ones, copies and junk, and the last file ends in space not yet
written. An index of ours says where they are; it is opened at the first question that needs it.
Nothing is ever written to the node's folder.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import structlog

from oracle.core.block import COINBASE_PREVOUT
from oracle.core.wire import HEADER_BYTES, parse_header, sha256d
from oracle.errors import BadAnswerError, BlockNotFoundError, SourceError, SourceUnavailableError
from oracle.sources import BLOCK_FILES, BlockSource, ChainTip, Health
from oracle.sources.base import Source, health_after
from oracle.sources.bitcoin_conf import NodeFolder, user_name
from oracle.sources.blkfolder import BlockFile, BlockFolder, WrongFileError
from oracle.sources.blkindex import BlockIndex, DamagedIndexError, Place
from oracle.sources.records import HEAD_BYTES, Record, records_in

log = structlog.get_logger(__name__)

PROBE_BYTES = 32 << 20  # a probe looks through so much at most, and asks for no tip behind more
HASH_BYTES = 32
NO_BLOCK = "has no block yet, or is not the folder: check BITCOIN_DATADIR"
T = TypeVar("T")


class BlkFilesSource(Source):
    """The blk files of a data folder (or of a folder that holds them itself).

    Args:
        datadir: the node's data folder.
        index_path: where the index is kept; None keeps it in memory, for this once.
        node: who says which chain is the best one as long as it answers: files alone do not know
            which branch the node found invalid.
    """

    def __init__(
        self, datadir: Path, index_path: Path | None = None, node: BlockSource | None = None
    ) -> None:
        super().__init__(BLOCK_FILES, str(datadir))
        self._folder = BlockFolder([*NodeFolder(datadir).blocks_folders(), datadir])
        self._index_path = index_path
        self.node = node
        self._opened: BlockIndex | None = None
        self._is_updated = False
        self._tip_place: Place | None = None
        self._line = bytearray()  # hashes of the best chain from the tip down, as far as asked for

    # The questions

    def network(self) -> str:
        """Return the network whose magic the files begin with."""
        self._magic()
        return self._folder.network

    def tip(self) -> ChainTip:
        """Return the newest complete block of the chain with the most work, in the part of the
        files that goes on longest."""
        with self._while_it_answers():
            if self.node is not None:
                return self.node.tip()
        return self._own_tip()

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights."""
        with self._while_it_answers():
            if self.node is not None:
                return self.node.hashes(first_height, last_height)
        return [place.hash[::-1].hex() for place in self._places(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights."""
        with self._while_it_answers():
            if self.node is not None:
                return self.node.headers(first_height, last_height)
        return [place.header for place in self._places(first_height, last_height)]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire; a stale one too, where the files have it."""
        return self._ask(lambda index: self._block(index, bytes.fromhex(block_hash)[::-1]))

    def probe(self) -> Health:
        """Look whether the files are there and can be read; the tip only where the index tells it
        at once."""
        known = Health(self.name, self.url, is_reachable=False)
        started = time.monotonic()
        try:
            network = self.network()
            with self._translated():
                self._folder.reader(max(self._folder.files))(0, HEAD_BYTES)
            latency_ms = 1000 * (time.monotonic() - started)
            tip = self._own_tip() if self._is_indexed() else None
        except SourceError as error:
            return health_after(known, error)
        advice = self._advice(tip) if tip else ()
        return Health(
            self.name, self.url, is_reachable=True, latency_ms=latency_ms, network=network,
            is_synced=True if tip else None, tip_height=tip.height if tip else None,
            advice=advice, public_advice=advice,
        )  # fmt: skip

    def close(self) -> None:
        """Close the index."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None
        self._is_updated = False

    @contextmanager
    def _while_it_answers(self) -> Iterator[None]:
        """Ask the node no more once it does not answer."""
        try:
            yield
        except SourceUnavailableError as error:
            log.warning(
                "the node does not say which chain is the best; the files do", reason=str(error)
            )
            self.node = None

    # The best chain

    def _own_tip(self) -> ChainTip:
        place = self._ask(self._best)
        return ChainTip(place.height, place.hash[::-1].hex())

    def _best(self, index: BlockIndex) -> Place:
        if self._tip_place is None:
            tips = index.tips()
            if not tips:
                raise self._error(SourceUnavailableError, NO_BLOCK)
            best = max(tips, key=_newest)
            if (
                not index.has_whole_chain(best)
                and self._coinbase_height(best.file, best.start, best.size) != best.height
            ):
                raise self._error(
                    BadAnswerError,
                    "begins after the genesis block, where no coinbase says its height",
                )
            self._tip_place = best
            self._line = bytearray(best.hash)
        return self._tip_place

    def _advice(self, tip: ChainTip) -> tuple[str, ...]:
        """Say where the files have a gap: they have the first block, and not all up to the tip."""
        del tip
        return self._ask(self._gap)

    def _gap(self, index: BlockIndex) -> tuple[str, ...]:
        best = self._best(index)
        old = [tip for tip in index.tips() if tip.root != best.root and index.has_whole_chain(tip)]
        return tuple(
            f"the files have a gap behind block {tip.height}, below the part with the newest block "
            f"{best.height}, which counts: the node is on a UTXO snapshot, or files are missing"
            for tip in old
        )

    def _places(self, first_height: int, last_height: int) -> list[Place]:
        """Return the best chain's blocks of an inclusive range of heights."""
        return self._ask(lambda index: self._range(index, first_height, last_height))

    def _range(self, index: BlockIndex, first_height: int, last_height: int) -> list[Place]:
        tip = self._best(index)
        missing = self._error(
            BlockNotFoundError, f"does not have all of blocks {first_height} to {last_height}"
        )
        if first_height < 0 or last_height > tip.height:
            raise missing
        while len(self._line) // HASH_BYTES <= tip.height - first_height:
            lowest = index.place(bytes(self._line[-HASH_BYTES:]))
            if lowest is None or index.place(lowest.parent) is None:
                raise missing
            self._line += lowest.parent
        depths = range(tip.height - first_height, tip.height - last_height - 1, -1)
        hashes = [self._line[HASH_BYTES * n : HASH_BYTES * (n + 1)] for n in depths]
        found = [index.place(bytes(block_hash)) for block_hash in hashes]
        return [place for place in found if place is not None]

    # The index

    def _ask(self, question: Callable[[BlockIndex], T]) -> T:
        """Ask the index; one that cannot be used or is wrong is made anew, once."""
        with self._translated():
            try:
                return question(self._index())
            except (sqlite3.Error, DamagedIndexError) as error:
                self._drop_index(error)
            try:
                return question(self._index())
            except (sqlite3.Error, DamagedIndexError) as error:
                raise self._error(
                    BadAnswerError, "is not what its index says", f": {error}"
                ) from error

    def _index(self) -> BlockIndex:
        """Return the index, brought up to date once."""
        index = self._open()
        if not self._is_updated:
            files = self._folder.files.values()
            index.update(files, self._scan, self._head, self._coinbase_height)
            self._is_updated = True
        return index

    def _open(self) -> BlockIndex:
        if self._opened is None:
            folder = self._folder
            self._opened = BlockIndex(self._kept_at(), folder.path, self._magic(), folder.key)
            self._is_updated = False
        return self._opened

    def _kept_at(self) -> Path | None:
        """Return where the index is kept, once there is a folder for it."""
        if self._index_path is not None:
            try:
                self._index_path.parent.mkdir(parents=True, exist_ok=True)
            except OSError:
                self._index_path = None
        return self._index_path

    def _drop_index(self, error: Exception) -> None:
        self.close()
        self._tip_place = None
        is_damaged = not isinstance(error, sqlite3.OperationalError)
        log.warning(
            "the index of the block files cannot be used and is made anew", reason=str(error)
        )
        if self._index_path is None:
            return
        try:
            if is_damaged:
                self._index_path.unlink()
                return
        except OSError:
            log.warning("the index of the block files cannot be removed")
        self._index_path = None

    def _is_indexed(self) -> bool:
        """Tell whether the tip is known after little looking."""
        with self._translated():
            files = self._folder.files.values()
            if self._is_updated or sum(file.size for file in files) <= PROBE_BYTES:
                return True
            if self._index_path is None or not self._index_path.exists():
                return False
            try:
                return self._open().unscanned_bytes(files) <= PROBE_BYTES
            except sqlite3.Error:
                return False

    # The files

    def _magic(self) -> bytes:
        with self._translated():
            magic = self._folder.magic
        if not magic:
            raise self._error(SourceUnavailableError, NO_BLOCK)
        return magic

    def _scan(self, file: BlockFile, start: int) -> Iterable[Record]:
        return records_in(self._folder.reader(file.number), self._magic(), start)

    def _head(self, file: BlockFile, at: int) -> bytes:
        return self._folder.reader(file.number)(at, HEAD_BYTES)

    def _block(self, index: BlockIndex, block_hash: bytes) -> bytes:
        place = index.place(block_hash)
        if place is None:
            raise self._error(BlockNotFoundError, f"has no block {block_hash[::-1].hex()}")
        try:
            data = self._folder.reader(place.file)(place.start, place.size)
        except FileNotFoundError as error:
            raise self._error(
                BlockNotFoundError, f"has no blk{place.file:05}.dat any more: it was pruned"
            ) from error
        if sha256d(data[:HEADER_BYTES]) != block_hash or len(data) != place.size:
            raise DamagedIndexError(f"blk{place.file:05}.dat holds something else at {place.start}")
        return data

    def _coinbase_height(self, file: int, start: int, size: int) -> int:
        """Return the height that a block's coinbase says (BIP34), for files whose first blocks are
        not there; 0 where it says none."""
        block = self._folder.reader(file)(start, size)
        push = block.find(COINBASE_PREVOUT, HEADER_BYTES) + len(COINBASE_PREVOUT) + 1
        return int.from_bytes(block[push + 1 : push + 1 + block[push]], "little")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn trouble with the disk into an error of this source."""
        try:
            yield
        except PermissionError as error:
            raise self._error(
                SourceUnavailableError,
                "cannot be read by us",
                f": {error.filename or error} is closed to user {user_name()}",
            ) from error
        except (OSError, WrongFileError) as error:
            raise self._error(
                SourceUnavailableError,
                "cannot be read",
                f" ({error}): check BITCOIN_DATADIR, the key in xor.dat, and that we may read "
                "the node's files",
            ) from error


def _newest(tip: Place) -> tuple[int, int]:
    """Return what makes one part of the files newer than another that it does not connect to."""
    return tip.height, parse_header(tip.header).time_unix
