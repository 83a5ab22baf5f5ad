"""Bitcoin Core's own block files, read without the node: for long backfills on the same machine.

A first pass reads 88 bytes of each record and jumps over the rest; blocks lie in no order, among stale ones,
copies and junk, and the last file ends in space not yet written. Nothing is ever written here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oracle import errors
from oracle.core.block import parse_block
from oracle.core.wire import parse_header, read_compact_size, sha256d
from oracle.sources import ChainTip, Health
from oracle.sources.base import Source
from oracle.sources.bitcoin_conf import read_node_folder
from oracle.sources.networks import BY_NAME, NETWORKS, Network

MAGICS = {bytes.fromhex(network.magic): network for network in NETWORKS}
KEY_BYTES = 8
HEAD_BYTES = 88  # magic, size, header
SIZES = range(81, 4_000_001)
CHUNK_BYTES = 1 << 20
PLACE = struct.Struct("<III")  # file number, offset, size: kept behind the header of each block


class BlkFilesSource(Source):
    """The blk files of a data folder (or of a folder that holds them itself)."""

    def __init__(self, datadir: Path, *, name: str = "blk-files") -> None:
        candidates = (*read_node_folder(datadir).blocks_folders, datadir)
        self._folder = next((path for path in candidates if any(path.glob("blk*.dat"))), candidates[0])
        super().__init__(name, str(self._folder))
        self._key = b""
        self._magic = b""
        self._scanned: dict[int, tuple[os.stat_result, int]] = {}  # file number -> when read, up to where
        self._blocks: dict[bytes, bytes] = {}  # hash in wire order -> header and place, 92 bytes
        self._chain: list[bytes] = []  # best chain, lowest block first
        self._first_height = 0

    def network(self) -> str:
        """Return the network whose magic the files begin with."""
        self._load()
        return self._network().name

    def tip(self) -> ChainTip:
        """Return the newest complete block of the chain with the most work, after a look at what is new."""
        with self._translated():
            self._scan()
        return ChainTip(self._first_height + len(self._chain) - 1, self._chain[-1][::-1].hex())

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights."""
        return [block_hash[::-1].hex() for block_hash in self._range(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights."""
        return [self._blocks[block_hash][:80] for block_hash in self._range(first_height, last_height)]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire; a stale one too, where the files have it."""
        self._load()
        found = self._blocks.get(bytes.fromhex(block_hash)[::-1])
        if found is None:
            raise self._not_found(f"has no block {block_hash}")
        with self._translated():
            data = self._read_block(found)
        if data[:80] != found[:80]:
            raise self._bad_answer(f"changed where block {block_hash} was")
        return data

    def probe(self) -> Health:
        """Look at the files once."""
        return self._probe(self.tip, lambda tip: {"network": self.network(), "tip_height": tip.height})

    def close(self) -> None:
        """Nothing is kept open."""

    # The first pass

    def _load(self) -> None:
        if not self._chain:
            self.tip()

    def _range(self, first_height: int, last_height: int) -> list[bytes]:
        self._load()
        first, last = first_height - self._first_height, last_height - self._first_height
        if first <= last and not 0 <= first <= last < len(self._chain):
            raise self._not_found(f"does not have all of blocks {first_height} to {last_height}")
        return self._chain[first : last + 1]

    def _scan(self) -> None:
        """Read what was added to the files since the last look, and choose the best chain again."""
        paths = sorted((int(path.stem[3:]), path) for path in self._folder.glob("blk[0-9]*.dat"))
        if not paths:
            raise self._unavailable("has no files, or may not be read: check BITCOIN_DATADIR")
        if not self._magic:
            self._key = self._read_key()
            self._magic = self._read_magic(paths[0][1])
        changed = [self._scan_file(number, path) for number, path in paths]
        if any(changed):
            self._choose_chain()

    def _read_key(self) -> bytes:
        path = self._folder / "xor.dat"
        key = path.read_bytes() if path.exists() else bytes(KEY_BYTES)
        if len(key) != KEY_BYTES:
            raise self._bad_answer(f"has an xor.dat of {len(key)} bytes, not {KEY_BYTES}")
        return key

    def _read_magic(self, path: Path) -> bytes:
        with path.open("rb") as file:
            magic = self._read(file.fileno(), 0, 4)
        if magic not in MAGICS and self._folder.parent.name != "signet":
            raise self._bad_answer("begins with no network's magic: is this the xor.dat of these files?")
        return magic

    def _scan_file(self, number: int, path: Path) -> bool:
        now = path.stat()
        before, position = self._scanned.get(number, (None, 0))
        if before and (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
            return False
        with path.open("rb") as file:
            for offset, header, size in self._records(file.fileno(), position, now.st_size):
                self._blocks.setdefault(sha256d(header), header + PLACE.pack(number, offset, size))
                position = offset + size
        self._scanned[number] = now, position
        return True

    def _records(self, file: int, position: int, end: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield offset, header and size of the blocks from a position on, passing over what is none."""
        while position + HEAD_BYTES <= end:
            head = self._read(file, position, HEAD_BYTES)
            size, header = int.from_bytes(head[4:8], "little"), head[8:]
            after = position + 8 + size
            is_likely = head[:4] == self._magic and size in SIZES and after <= end and _is_header(header)
            if is_likely and self._is_whole(file, after, size):
                yield position + 8, header, size
                position = after
            else:
                position = self._find_magic(file, position + 1, end)

    def _is_whole(self, file: int, after: int, size: int) -> bool:
        """Tell a whole record: another follows, or it parses. One cut by a crash would hide what follows."""
        if self._read(file, after, 4) == self._magic:
            return True
        try:
            parse_block(self._read(file, after - size, size))
        except errors.ParseError:
            return False
        return True

    def _find_magic(self, file: int, position: int, end: int) -> int:
        """Return where the next magic is; the unwritten tail, zeros, looks here like the key repeating."""
        while position < end:
            found = self._read(file, position, CHUNK_BYTES).find(self._magic)
            if found >= 0:
                return position + found
            position += CHUNK_BYTES - 3
        return end

    def _read(self, file: int, offset: int, size: int) -> bytes:
        """Return bytes from an offset without the key, which repeats from the start of the file."""
        stored = os.pread(file, size, offset)
        start = offset % KEY_BYTES
        key = (self._key * (len(stored) // KEY_BYTES + 2))[start : start + len(stored)]
        plain = int.from_bytes(stored, "little") ^ int.from_bytes(key, "little")
        return plain.to_bytes(len(stored), "little")

    def _network(self) -> Network:
        return MAGICS.get(self._magic, BY_NAME["signet"])  # a signet of one's own has a magic of its own

    def _read_block(self, found: bytes) -> bytes:
        number, offset, size = PLACE.unpack(found[80:])
        with (self._folder / f"blk{number:05}.dat").open("rb") as file:
            return self._read(file.fileno(), offset, size)

    # The best chain

    def _choose_chain(self) -> None:
        """Walk back from the tip with the most summed work to the lowest block that is there."""
        work = self._summed_work()
        tip = max(work, key=work.__getitem__, default=None)
        chain: list[bytes] = []
        while tip in self._blocks:
            chain.append(tip)
            tip = self._blocks[tip][4:36]
        if not chain:
            raise self._unavailable("has no block yet")
        self._first_height = 0 if tip == bytes(32) else self._height(chain[0]) - len(chain) + 1
        self._chain = chain[::-1]

    def _summed_work(self) -> dict[bytes, int]:
        """Return the work of each block and all blocks under it that are there."""
        work: dict[bytes, int] = {}
        for tip in self._blocks:
            path, block_hash = [], tip
            while block_hash in self._blocks and block_hash not in work:
                path.append(block_hash)
                block_hash = self._blocks[block_hash][4:36]
            total = work.get(block_hash, 0)
            for block_hash in reversed(path):
                total += (1 << 256) // (parse_header(self._blocks[block_hash]).target + 1)
                work[block_hash] = total
        return work

    def _height(self, block_hash: bytes) -> int:
        """Return the height that a block's coinbase says (BIP34), for files whose genesis was pruned."""
        height = _coinbase_height(self._read_block(self._blocks[block_hash]))
        if height < self._network().bip34_height:
            raise self._bad_answer("begins after the genesis block, where no coinbase says its height")
        return height

    # Errors

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            advice = f"may not be read ({error.filename}): let us read the node's data folder"
            raise self._refused(advice) from error
        except FileNotFoundError as error:
            raise self._not_found(f"was pruned ({error.filename})") from error
        except OSError as error:
            raise self._unavailable(f"cannot be read: {error}") from error


def _is_header(data: bytes) -> bool:
    """Tell a header from bytes that only follow something like a magic: its hash meets its own target."""
    header = parse_header(data)
    return int(header.hash, 16) <= header.target


def _coinbase_height(block: bytes) -> int:
    _, position = read_compact_size(block, 80)
    position += 4 + 2 * (block[position + 4] == 0) + 1 + 36  # version, segwit marker, one input, its outpoint
    _, position = read_compact_size(block, position)
    push = block[position]
    if push in range(0x51, 0x61):  # OP_1 to OP_16
        return push - 0x50
    return int.from_bytes(block[position + 1 : position + 1 + push], "little")
