"""Bitcoin Core's block files: a key over everything, no order, and what does not belong there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from oracle.errors import BadAnswerError, BlockNotFoundError, SourceUnavailableError
from oracle.simulated.serialise import build_block, coinbase_transaction, header_hash
from oracle.sources import ChainTip
from oracle.sources.blkfiles import BlkFilesSource
from tests.helpers.fakes import small_blocks

REGTEST = bytes.fromhex("fabfb5da")
KEY = bytes.fromhex("0102a3b4c5d6e7f8")
BLOCKS = small_blocks(20)
HASHES = [header_hash(block) for block in BLOCKS]


def record(block: bytes, magic: bytes = REGTEST) -> bytes:
    return magic + len(block).to_bytes(4, "little") + block


def encoded(data: bytes, key: bytes = KEY) -> bytes:
    return bytes(a ^ b for a, b in zip(data, itertools.cycle(key), strict=False))


def write(folder: Path, parts: Sequence[bytes], number: int = 0, key: bytes = KEY) -> Path:
    """Write one blk file and the key beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xor.dat").write_bytes(key)
    path = folder / f"blk{number:05}.dat"
    path.write_bytes(encoded(b"".join(parts), key))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "regtest" / "blocks"


@pytest.fixture
def look(tmp_path: Path) -> Callable[[], BlkFilesSource]:
    """Look at the files as they are now, as each run does."""
    (tmp_path / "bitcoin.conf").write_text("regtest=1\n")
    return lambda: BlkFilesSource(tmp_path)


@pytest.fixture
def full(folder: Path) -> BlkFilesSource:
    write(folder, [record(block) for block in BLOCKS])
    return BlkFilesSource(folder)


# Where and in which form they are


def test_a_folder_with_a_key_gives_the_chain(full):
    assert full.tip() == ChainTip(19, HASHES[-1])


def test_blocks_come_as_on_the_wire(full):
    assert [full.block(name) for name in HASHES] == BLOCKS


def test_headers_and_hashes_are_those_of_the_range(full):
    assert full.headers(3, 5) == [block[:80] for block in BLOCKS[3:6]]
    assert full.hashes(0, 19) == HASHES


def test_the_network_is_known_by_the_magic(full):
    assert full.network() == "regtest"


@pytest.mark.parametrize("key", [bytes(8), b""], ids=["zero key", "no key"])
def test_files_without_a_key_are_read_as_they_are(tmp_path, folder, key):
    write(folder, [record(block) for block in BLOCKS], key=bytes(8))
    (folder / "xor.dat").unlink()
    [(folder / "xor.dat").write_bytes(k) for k in [key] if k]
    assert BlkFilesSource(folder).tip().height == 19


@pytest.mark.parametrize("key", [b"12345678", b"", b"1234567", b"123456789"])
def test_another_files_key_is_noticed(full, folder, key):
    (folder / "xor.dat").write_bytes(key)
    with pytest.raises(SourceUnavailableError, match=r"xor\.dat"):
        full.tip()


def test_the_data_folder_finds_its_networks_files(tmp_path, folder):
    write(folder, [record(block) for block in BLOCKS])
    assert BlkFilesSource(tmp_path).tip().height == 19


def test_the_network_of_bitcoin_conf_is_the_one_read(tmp_path, folder):
    write(tmp_path / "blocks", [record(BLOCKS[0], bytes.fromhex("f9beb4d9"))])
    write(folder, [record(block) for block in BLOCKS])
    (tmp_path / "bitcoin.conf").write_text("regtest=1\n")
    assert BlkFilesSource(tmp_path).network() == "regtest"


@pytest.mark.parametrize(
    ("magic", "network"),
    [("f9beb4d9", "main"), ("0b110907", "test"), ("1c163f28", "testnet4"), ("0a03cf40", "signet")],
)
def test_every_network_has_its_magic(tmp_path, magic, network):
    write(tmp_path, [record(block, bytes.fromhex(magic)) for block in BLOCKS])
    assert BlkFilesSource(tmp_path).network() == network


SIGNET_GENESIS = bytes.fromhex(
    "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "008f4d5fae77031e8ad22203"
)


def test_a_signet_of_somebodys_own_is_an_unknown_network(tmp_path):
    """It begins with the block that all signets share, under a magic of its own."""
    write(tmp_path, [record(SIGNET_GENESIS + bytes(200), bytes.fromhex("88b4d0c4"))])
    assert BlkFilesSource(tmp_path).network() == "unknown"


def test_a_folder_without_files_is_unavailable(tmp_path):
    with pytest.raises(SourceUnavailableError, match="BITCOIN_DATADIR"):
        BlkFilesSource(tmp_path).tip()


# What lies in them


def test_blocks_in_no_order_make_the_same_chain(look, folder):
    write(folder, [record(block) for block in [BLOCKS[0], *BLOCKS[:0:-1]]])
    assert look().hashes(0, 19) == HASHES


def test_a_chain_over_several_files_is_one_chain(look, folder):
    write(folder, [record(block) for block in BLOCKS[:7]], 0)
    write(folder, [record(block) for block in BLOCKS[7:]], 1)
    assert look().hashes(0, 19) == HASHES


def test_copies_change_nothing(look, folder):
    write(folder, [record(block) for block in [*BLOCKS, *BLOCKS[5:9]]])
    assert look().hashes(0, 19) == HASHES


def torn(block: bytes) -> bytes:
    """A record whose header reached the disk and whose rest did not."""
    return record(block[:80] + bytes(len(block) - 80))


def test_of_copies_the_one_written_last_counts(look, folder):
    write(folder, [*map(record, BLOCKS[:5]), torn(BLOCKS[5]), *map(record, BLOCKS[5:])])
    assert look().block(HASHES[5]) == BLOCKS[5]
    assert look().hashes(0, 19) == HASHES


def test_a_stale_branch_is_not_the_chain(look, folder):
    stale = small_blocks(3, 15, HASHES[14], tag=b"stale")
    write(folder, [record(block) for block in [*BLOCKS[:15], *stale, *BLOCKS[15:]]])
    assert look().hashes(0, 19) == HASHES


def test_a_stale_block_can_still_be_read_by_its_hash(look, folder):
    stale = small_blocks(1, 15, HASHES[14], tag=b"stale")[0]
    write(folder, [record(block) for block in [*BLOCKS, stale]])
    assert look().block(header_hash(stale)) == stale


def test_the_chain_with_the_most_work_wins_not_the_longest(look, folder):
    heavy = build_block(HASHES[9], 1_760_010_000, [coinbase_transaction(10)], bits=0x201FFFFF)
    more = build_block(
        header_hash(heavy), 1_760_010_600, [coinbase_transaction(11)], bits=0x2007FFFF
    )
    write(folder, [record(block) for block in [*BLOCKS, heavy, more]])
    assert look().tip() == ChainTip(11, header_hash(more))


@pytest.mark.parametrize(
    "junk",
    [
        b"junk",
        bytes(1000),
        REGTEST,
        REGTEST + bytes(4),
        REGTEST + b"\xff\xff\xff\xff",
        REGTEST + (80).to_bytes(4, "little"),
        REGTEST[:3],
        record(bytes(500)),
        record(BLOCKS[3])[:150],
        bytes(1 << 20) + b"x",
    ],
    ids=[
        "text",
        "zeros",
        "magic",
        "size 0",
        "size 4G",
        "size 80",
        "part",
        "no block",
        "cut",
        "a chunk",
    ],
)
def test_junk_between_records_is_passed_over(look, folder, junk):
    parts = [record(block) for block in BLOCKS]
    write(folder, [*parts[:8], junk, *parts[8:]])
    assert look().hashes(0, 19) == HASHES


@pytest.mark.parametrize("short", range(1, 5))
def test_a_magic_across_two_chunks_is_found(look, folder, short):
    parts = [record(block) for block in BLOCKS]
    write(folder, [*parts[:8], bytes((1 << 20) - short + 1), *parts[8:]])
    assert look().tip().height == 19


# The end that is still being written


def test_the_unwritten_tail_is_no_data(look, folder):
    path = write(folder, [record(block) for block in BLOCKS])
    path.write_bytes(path.read_bytes() + bytes(100_000))
    assert look().tip().height == 19


@pytest.mark.parametrize("kept", [3, 6, 8, 50, 88, 120])
def test_a_last_record_that_is_not_whole_does_not_count(look, folder, kept):
    path = write(folder, [record(block) for block in BLOCKS])
    path.write_bytes(path.read_bytes()[: kept - len(record(BLOCKS[-1]))])
    assert look().tip().height == 18


def test_a_last_record_that_ends_in_unwritten_space_does_not_count(look, folder):
    path = write(folder, [record(block) for block in BLOCKS])
    path.write_bytes(path.read_bytes()[:-40] + bytes(5000))
    assert look().tip() == ChainTip(18, HASHES[18])


def test_that_record_counts_once_it_is_written(look, folder):
    path = write(folder, [record(block) for block in BLOCKS])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes(5000))
    look().tip()
    path.write_bytes(whole + bytes(5000 - 40))
    assert look().tip() == ChainTip(19, HASHES[19])


def test_new_blocks_are_seen_by_the_next_look(look, folder):
    parts = [record(block) for block in BLOCKS]
    write(folder, parts[:12])
    assert look().tip().height == 11
    write(folder, parts)
    assert look().tip().height == 19


def test_a_reorganisation_is_seen_by_the_next_look(look, folder):
    write(folder, [record(block) for block in BLOCKS[:15]])
    look().tip()
    other = small_blocks(4, 13, HASHES[12], tag=b"other")
    write(folder, [record(block) for block in [*BLOCKS[:15], *other]])
    assert look().tip() == ChainTip(16, header_hash(other[-1]))


def test_a_file_with_no_block_yet_is_unavailable(look, folder):
    write(folder, [REGTEST, bytes(5000)])
    with pytest.raises(SourceUnavailableError, match="no block yet"):
        look().tip()


# The first file


@pytest.mark.parametrize(
    "first",
    [b"", bytes(50_000), encoded(bytes(50_000))],
    ids=["empty", "not written to", "zeros under the key"],
)
def test_a_first_file_without_a_block_is_passed_over(look, folder, first):
    write(folder, [record(block) for block in BLOCKS], 1)
    (folder / "blk00000.dat").write_bytes(first)
    assert (look().network(), look().tip().height) == ("regtest", 19)


def test_files_that_are_not_written_to_yet_are_unavailable(look, folder):
    write(folder, [], 0)
    with pytest.raises(SourceUnavailableError, match="no block yet"):
        look().network()


def test_a_folder_that_is_closed_to_us_says_to_whom(look, folder, monkeypatch):
    def closed(path: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(path))

    write(folder, [record(block) for block in BLOCKS])
    source = look()
    monkeypatch.setattr("os.scandir", closed)
    with pytest.raises(SourceUnavailableError, match="is closed to user "):
        source.tip()


# Parts that do not connect: a node on a UTXO snapshot, or a file that is missing

OLD = small_blocks(60, tag=b"old", start_unix=1_700_000_000)
NEW = small_blocks(20, 2000, "22" * 32, tag=b"new", start_unix=1_760_000_000)


@pytest.fixture
def gapped(look, folder) -> BlkFilesSource:
    write(folder, [record(block) for block in OLD], 0)
    write(folder, [record(block) for block in NEW], 1)
    return look()


def test_the_newest_part_counts_not_the_one_with_more_work(gapped):
    assert gapped.tip() == ChainTip(2019, header_hash(NEW[-1]))
    assert gapped.hashes(2000, 2019) == [header_hash(block) for block in NEW]


def test_blocks_on_the_other_side_of_a_gap_are_not_found_by_height(gapped):
    with pytest.raises(BlockNotFoundError):
        gapped.hashes(1999, 2019)
    with pytest.raises(BlockNotFoundError):
        gapped.headers(0, 9)


def test_blocks_on_the_other_side_of_a_gap_are_found_by_hash(gapped):
    assert gapped.block(header_hash(OLD[7])) == OLD[7]


def test_a_probe_says_that_there_is_a_gap(gapped):
    (advice,) = gapped.probe().public_advice
    assert "a gap behind block 59, below the part with the newest block 2019" in advice


def test_a_whole_chain_has_no_gap(full):
    assert full.probe().advice == ()


def test_a_gap_that_is_filled_makes_one_chain(look, folder):
    write(folder, [record(block) for block in BLOCKS[:5]], 0)
    write(folder, [record(block) for block in BLOCKS[9:]], 2)
    assert look().tip().height == 19
    write(folder, [record(block) for block in BLOCKS[5:9]], 1)
    assert look().hashes(0, 19) == HASHES


# The node decides


class Node:
    """A node that says which chain is the best, or does not answer."""

    name = "bitcoin-core"

    def __init__(self, hashes: list[str], is_up: bool = True) -> None:
        self.chain, self.is_up, self.asked = hashes, is_up, 0

    def tip(self) -> ChainTip:
        self._ask()
        return ChainTip(len(self.chain) - 1, self.chain[-1])

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        self._ask()
        return self.chain[first_height : last_height + 1]

    def _ask(self) -> None:
        self.asked += 1
        if not self.is_up:
            raise SourceUnavailableError("down", source=self.name)


def test_a_branch_that_the_node_does_not_follow_is_not_followed(full, folder):
    """The files have 20 blocks, of which the node found the last 5 invalid."""
    source = BlkFilesSource(folder, node=Node(HASHES[:15]))
    assert source.tip() == ChainTip(14, HASHES[14])
    assert source.hashes(10, 14) == HASHES[10:15]
    assert source.block(HASHES[14]) == BLOCKS[14]


def test_a_node_that_does_not_answer_is_asked_once_and_the_files_decide(full, folder):
    node = Node(HASHES[:15], is_up=False)
    source = BlkFilesSource(folder, node=node)
    assert (source.tip().height, source.hashes(19, 19), node.asked) == (19, HASHES[19:], 1)


# Pruned


def test_heights_come_from_the_coinbase_when_the_first_files_are_pruned(look, folder):
    write(folder, [record(block) for block in BLOCKS[12:]], 7)
    assert look().tip() == ChainTip(19, HASHES[19])
    assert look().hashes(12, 19) == HASHES[12:]


@pytest.mark.parametrize("height", [17, 127, 128, 255, 256, 70_000])
def test_the_height_is_read_from_any_size_of_push(look, folder, height):
    write(folder, [record(block) for block in small_blocks(1, height, "11" * 32)], 3)
    assert look().tip().height == height


def test_heights_that_two_coinbases_do_not_agree_on_are_an_error(look, folder):
    (low,) = small_blocks(1, 5000, "11" * 32)
    high = build_block(header_hash(low), 1_760_010_000, [coinbase_transaction(9000)])
    write(folder, [record(low), record(high)], 3)
    with pytest.raises(BadAnswerError, match="its height"):
        look().tip()


def test_a_pruned_height_is_not_found(look, folder):
    write(folder, [record(block) for block in BLOCKS[12:]], 7)
    with pytest.raises(BlockNotFoundError):
        look().headers(11, 13)


def test_a_block_whose_file_is_pruned_meanwhile_is_not_found(look, folder):
    path = write(folder, [record(block) for block in BLOCKS[:12]], 0)
    write(folder, [record(block) for block in BLOCKS[12:]], 1)
    source = look()
    source.tip()
    path.unlink()
    with pytest.raises(BlockNotFoundError, match="blk00000"):
        source.block(HASHES[3])


def test_a_height_beyond_the_tip_is_not_found(full):
    with pytest.raises(BlockNotFoundError):
        full.hashes(19, 20)


def test_an_unknown_hash_is_not_found(full):
    with pytest.raises(BlockNotFoundError):
        full.block("00" * 32)


@pytest.mark.parametrize("trouble", [PermissionError, OSError])
def test_trouble_with_the_disk_is_translated(full, monkeypatch, trouble):
    def fail(*_: object) -> bytes:
        raise trouble(5, "trouble", "blk00000.dat")

    full.tip()
    monkeypatch.setattr("os.pread", fail)
    with pytest.raises(SourceUnavailableError, match="blk00000"):
        full.block(HASHES[0])


def test_nothing_is_written(full, folder):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    full.tip()
    full.block(HASHES[0])
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()
    } == before


def test_a_real_main_block_is_read_with_its_height(tmp_path, shared):
    block = (shared / "blocks" / "849236.bin").read_bytes()
    write(tmp_path, [record(block, bytes.fromhex("f9beb4d9"))], 4200)
    source = BlkFilesSource(tmp_path)
    assert (source.tip().height, source.block(header_hash(block))) == (849_236, block)


def test_a_probe_tells_network_and_height(full):
    health = full.probe()
    assert (health.is_reachable, health.network, health.tip_height) == (True, "regtest", 19)


def test_a_probe_of_nothing_never_raises(tmp_path):
    assert not BlkFilesSource(tmp_path).probe().is_reachable
