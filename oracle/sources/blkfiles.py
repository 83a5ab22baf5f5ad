"""Bitcoin Core's own block files, read without the node: for long backfills on the same machine.

They are looked through once, at the first question: 88 bytes of each record, jumping over the rest.
Blocks lie in no order, among stale ones, copies and junk, and the last file ends in space not yet
written. Nothing is ever written here.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from oracle.core.block import COINBASE_PREVOUT, parse_block
from oracle.core.wire import HEADER_BYTES, parse_header, sha256d
from oracle.errors import BadAnswerError, BlockNotFoundError, ParseError, SourceUnavailableError
from oracle.sources import ChainTip
from oracle.sources.base import Source
from oracle.sources.bitcoin_conf import NodeFolder
from oracle.sources.networks import NETWORKS

MAGICS = {bytes.fromhex(network.magic): network.name for network in NETWORKS}
NAME = "blk-files"
KEY_BYTES = 8
HEAD_BYTES = 8 + HEADER_BYTES  # magic and size come first
MAX_BLOCK_BYTES = 4_000_000
UNREADABLE = "cannot be read ({}): check BITCOIN_DATADIR, and that we may read the node's files"


class Record(NamedTuple):
    """Where a block is, and its header."""

    header: bytes
    path: Path
    offset: int
    size: int


class BlkFilesSource(Source):
    """The blk files of a data folder (or of a folder that holds them itself)."""

    def __init__(self, datadir: Path) -> None:
        super().__init__(NAME, str(datadir))
        folders = (*NodeFolder(datadir).blocks_folders(), datadir)
        self._paths = next(
            filter(None, (sorted(folder.glob("blk*.dat")) for folder in folders)), []
        )

    def network(self) -> str:
        """Return the network whose magic the files begin with."""
        return MAGICS[self._magic]

    def tip(self) -> ChainTip:
        """Return the newest complete block of the chain with the most work."""
        lowest, chain = self._chain
        return ChainTip(lowest + len(chain) - 1, chain[-1][::-1].hex())

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights."""
        return [parse_header(header).hash for header in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights."""
        lowest, chain = self._chain
        if first_height < lowest or last_height >= lowest + len(chain):
            raise self._error(
                BlockNotFoundError, f"does not have all of blocks {first_height} to {last_height}"
            )
        return [
            self._records[name].header
            for name in chain[first_height - lowest : last_height + 1 - lowest]
        ]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire; a stale one too, where the files have it."""
        record = self._records.get(bytes.fromhex(block_hash)[::-1])
        if record is None:
            raise self._error(BlockNotFoundError, f"has no block {block_hash}")
        return self._checked(self._read(*record[1:]), block_hash)

    def close(self) -> None:
        """Nothing is kept open."""

    # The best chain, by hashes in wire order

    @cached_property
    def _chain(self) -> tuple[int, list[bytes]]:
        """Return the lowest height that is there, and the chain with the most work from there
        on."""
        work = self._summed_work()
        block_hash = max(work, key=work.__getitem__, default=b"")
        chain: list[bytes] = []
        while block_hash in self._records:
            chain.append(block_hash)
            block_hash = self._records[block_hash].header[4:36]
        if not chain:
            raise self._error(
                SourceUnavailableError,
                "has no block yet, or is not the folder: check BITCOIN_DATADIR",
            )
        lowest = 0 if block_hash == bytes(32) else self._coinbase_height(chain[0]) - len(chain) + 1
        if lowest and lowest != self._coinbase_height(chain[-1]):
            raise self._error(
                BadAnswerError, "begins after the genesis block, where no coinbase says its height"
            )
        return lowest, chain[::-1]

    def _summed_work(self) -> dict[bytes, int]:
        """Return the work of each block and all blocks under it that are there."""
        parents = {
            block_hash: [record.header[4:36]] for block_hash, record in self._records.items()
        }
        work: dict[bytes, int] = {}
        for block_hash in TopologicalSorter(parents).static_order():  # parents first
            if block_hash in parents:
                target = parse_header(self._records[block_hash].header).target
                work[block_hash] = work.get(parents[block_hash][0], 0) + (1 << 256) // (target + 1)
        return work

    def _coinbase_height(self, block_hash: bytes) -> int:
        """Return the height that a block's coinbase says (BIP34), for files whose genesis was
        pruned."""
        block = self._read(*self._records[block_hash][1:])
        push = block.index(COINBASE_PREVOUT, HEADER_BYTES) + len(COINBASE_PREVOUT) + 1
        return int.from_bytes(block[push + 1 : push + 1 + block[push]], "little")

    # The files

    @cached_property
    def _records(self) -> dict[bytes, Record]:
        return {
            sha256d(record.header): record for path in self._paths for record in self._scan(path)
        }

    def _scan(self, path: Path) -> Iterator[Record]:
        """Yield the blocks of a file, passing over what is none."""
        at = 0
        while len(head := self._read(path, at, HEAD_BYTES)) == HEAD_BYTES:
            record = Record(head[8:], path, at + 8, int.from_bytes(head[4:8], "little"))
            if (
                head[:4] == self._magic
                and record.size <= MAX_BLOCK_BYTES
                and self._is_whole(record)
            ):
                yield record
                at += 8 + record.size
            else:  # the unwritten tail, zeros, looks here like the key repeating
                chunk = self._read(path, at + 1, 1 << 20)
                found = chunk.find(self._magic)
                at += 1 + (found if found >= 0 else len(chunk) - 3)

    def _is_whole(self, record: Record) -> bool:
        """Tell a block from junk and from one that was cut: the file ends behind it, a magic
        follows, or it parses."""
        header = parse_header(record.header)
        end = self._read(record.path, record.offset + record.size - 1, 5)
        if len(end) == 1 or end[1:] == self._magic:
            return int(header.hash, 16) <= header.target
        with suppress(ParseError):
            return bool(parse_block(self._read(*record[1:])))
        return False

    @cached_property
    def _magic(self) -> bytes:
        magic = self._read(self._paths[0], 0, 4) if self._paths else b""
        if magic not in MAGICS:
            raise self._error(
                SourceUnavailableError,
                UNREADABLE.format(f"it begins with {magic!r}, xor.dat undone"),
            )
        return magic

    def _read(self, path: Path, offset: int, size: int) -> bytes:
        """Return bytes from an offset without the key, which repeats from the start of the file."""
        try:
            key = self._key[offset % KEY_BYTES :] + self._key * (size // KEY_BYTES + 1)
            with path.open("rb", buffering=0) as file:
                stored = os.pread(file.fileno(), size, offset)
        except OSError as error:
            raise self._error(SourceUnavailableError, UNREADABLE.format(error)) from error
        plain = int.from_bytes(stored, "little") ^ int.from_bytes(key[: len(stored)], "little")
        return plain.to_bytes(len(stored), "little")

    @cached_property
    def _key(self) -> bytes:
        path = self._paths[0].with_name("xor.dat")
        return path.read_bytes() if path.exists() else bytes(KEY_BYTES)
