"""From a source or from files to facts: in order, verified, and told apart when something else
comes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from oracle.chain import utc_date
from oracle.core.eligible import RecentTxids
from oracle.errors import (
    BlockNotFoundError,
    NoDataError,
    ParseError,
    RequestError,
    VerificationError,
)
from oracle.fetch import FETCH_AHEAD, find_range, read_blocks, read_files, read_range, split_records
from oracle.simulated.serialise import (
    build_block,
    coinbase_transaction,
    header_hash,
    serialize_transaction,
)
from oracle.sources import ChainTip
from tests.helpers import plain_blocks as plain
from tests.helpers.fakes import small_blocks

FIRST = 100
MAGIC = bytes.fromhex("f9beb4d9")


class ListSource:
    """A source of a plain list of blocks that writes down what it is asked for."""

    name = "a list"

    def __init__(self, blocks: list[bytes], first_height: int = FIRST) -> None:
        self.blocks, self.first_height = blocks, first_height
        self.by_hash = {header_hash(block): block for block in blocks}
        self.asked: list[str] = []

    def network(self) -> str:
        return "regtest"

    def tip(self) -> ChainTip:
        return ChainTip(self.first_height + len(self.blocks) - 1, header_hash(self.blocks[-1]))

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        return [header_hash(data) for data in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        if first_height < self.first_height:
            raise BlockNotFoundError("too low", source=self.name)
        return [
            data[:80]
            for data in self.blocks[
                first_height - self.first_height : last_height - self.first_height + 1
            ]
        ]

    def block(self, block_hash: str) -> bytes:
        self.asked.append(block_hash)
        return self.by_hash[block_hash]

    def probe(self) -> None:
        """Nobody asks."""

    def close(self) -> None:
        """Nothing is open."""


BLOCKS = small_blocks(160, first_height=FIRST)


@pytest.fixture
def source() -> ListSource:
    return ListSource(BLOCKS)


def records(*blocks: bytes, magic: bytes = MAGIC) -> bytes:
    return b"".join(magic + len(block).to_bytes(4, "little") + block for block in blocks)


# --- From a source ------------------------------------------


def test_blocks_are_read_in_order_each_once(source: ListSource) -> None:
    hashes = source.hashes(FIRST, FIRST + 19)
    facts = [block for block, _ in read_blocks(source, hashes, FIRST, RecentTxids())]
    assert [block.hash for block in facts] == hashes == source.asked
    assert [block.height for block in facts] == list(range(FIRST, FIRST + 20))


def test_each_block_says_who_served_it(source: ListSource) -> None:
    assert {
        name
        for _, name in read_blocks(source, source.hashes(FIRST, FIRST + 5), FIRST, RecentTxids())
    } == {"a list"}


def without_witnesses(data: bytes) -> bytes:
    """Return a block as a source sends it that leaves out all witnesses but the coinbase's."""
    header, (coinbase, *others) = plain.read_block(data)
    return header + plain.counted([coinbase.raw, *(other.stripped for other in others)])


def test_a_block_whose_witnesses_a_server_left_out_is_refused(source: ListSource) -> None:
    hashes = source.hashes(FIRST, FIRST)
    source.by_hash[hashes[0]] = without_witnesses(BLOCKS[0])
    with pytest.raises(VerificationError, match=r"not those that it commits to \(from a list\)"):
        list(read_blocks(source, hashes, FIRST, RecentTxids()))


def test_the_witnesses_of_the_nodes_own_files_are_not_hashed_again(source: ListSource) -> None:
    hashes = source.hashes(FIRST, FIRST)
    source.by_hash[hashes[0]] = without_witnesses(BLOCKS[0])
    source.name = "blk-files"
    assert len(list(read_blocks(source, hashes, FIRST, RecentTxids()))) == 1


def test_no_blocks_are_no_question(source: ListSource) -> None:
    assert list(read_blocks(source, [], FIRST, RecentTxids())) == []
    assert source.asked == []


def test_a_reader_that_stops_early_leaves_the_rest_unasked(source: ListSource) -> None:
    blocks = read_blocks(source, source.hashes(FIRST, FIRST + 99), FIRST, RecentTxids())
    next(blocks)
    blocks.close()
    assert len(source.asked) <= FETCH_AHEAD + 1


def test_another_block_than_the_one_asked_for_names_height_and_source(source: ListSource) -> None:
    hashes = source.hashes(FIRST, FIRST + 9)
    source.by_hash[hashes[4]] = BLOCKS[5]
    with pytest.raises(
        VerificationError, match=r"^block 104 at byte 0: its hash is .* \(from a list\)$"
    ) as caught:
        list(read_blocks(source, hashes, FIRST, RecentTxids()))
    assert (caught.value.block, caught.value.offset) == (104, 0)


def test_half_a_block_is_a_parse_error_that_names_height_and_source(source: ListSource) -> None:
    hashes = source.hashes(FIRST, FIRST + 9)
    source.by_hash[hashes[4]] = BLOCKS[4][:-5]
    with pytest.raises(
        ParseError, match=r"^block 104 at byte \d+: the bytes end in the middle \(from a list\)$"
    ):
        list(read_blocks(source, hashes, FIRST, RecentTxids()))


def test_the_recent_window_is_read_with_the_tip_behind_it(source: ListSource) -> None:
    facts = read_range(source, find_range(source, None))
    assert (facts[0].height, facts[-1].height, len(facts)) == (115, 259, 145)


def test_a_day_is_read_without_a_block_more() -> None:
    source = ListSource(small_blocks(400, first_height=FIRST, payments=0))
    found = find_range(source, date(2025, 10, 11))
    facts = read_range(source, found)
    assert (facts[0].height, facts[-1].height) == (found.first_height, found.last_height)
    assert {utc_date(block.time_unix) for block in facts} == {date(2025, 10, 11)}
    assert len(facts) == len(source.asked) == 144


def test_progress_is_told_after_each_block(source: ListSource) -> None:
    told: list[tuple[int, int]] = []
    read_range(source, find_range(source, None), lambda done, total: told.append((done, total)))
    assert told == [(done, 145) for done in range(1, 146)]


def test_a_source_that_answers_from_two_chains_is_found_out(source: ListSource) -> None:
    other = small_blocks(
        1, first_height=FIRST + 50, prev_hash=header_hash(BLOCKS[10]), tag=b"other"
    )[0]
    mixed = ListSource([*BLOCKS[:50], other, *BLOCKS[51:]])
    with pytest.raises(VerificationError, match="block 150 at byte 4: it does not follow"):
        read_range(mixed, find_range(mixed, None))


@pytest.mark.parametrize("count", [1, 144])
def test_a_chain_too_short_for_a_window_has_no_range(count: int) -> None:
    with pytest.raises(
        NoDataError, match=f"the chain has {count} blocks; the recent window needs 145 of them"
    ):
        find_range(ListSource(BLOCKS[:count], 0), None)


def test_a_chain_just_long_enough_has_a_range() -> None:
    found = find_range(ListSource(BLOCKS[:145], 0), None)
    assert (found.first_height, found.last_height) == (0, 143)


# --- From files ---------------------------------------------


def test_a_raw_block_is_one_record() -> None:
    assert list(split_records(BLOCKS[0], "x")) == [BLOCKS[0]]


def test_records_are_split_into_their_blocks() -> None:
    assert list(split_records(records(*BLOCKS[:3]), "x")) == BLOCKS[:3]


@pytest.mark.parametrize("zeros", [1, 3, 7, 8, 9, 1000])
def test_zeros_behind_records_end_them(zeros: int) -> None:
    assert list(split_records(records(*BLOCKS[:2]) + bytes(zeros), "x")) == BLOCKS[:2]


@pytest.mark.parametrize("cut", [1, 4, 7, 8, 9, 100])
def test_a_last_record_that_is_cut_off_is_a_parse_error(cut: int) -> None:
    data = records(BLOCKS[0]) + records(BLOCKS[1])[:cut]
    with pytest.raises(ParseError) as caught:
        list(split_records(data, "x"))
    assert caught.value.offset == len(records(BLOCKS[0]))


def test_records_of_two_networks_in_one_file_are_refused() -> None:
    data = records(BLOCKS[0]) + records(BLOCKS[1], magic=bytes.fromhex("fabfb5da"))
    with pytest.raises(ParseError, match="x has no record where the next should start"):
        list(split_records(data, "x"))


def test_blocks_of_files_are_numbered_from_zero_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(records(*BLOCKS[3:6]))
    (tmp_path / "a").write_bytes(BLOCKS[9])
    facts = read_files([tmp_path / "b", tmp_path / "a"])
    assert [(block.height, block.hash) for block in facts] == [
        (height, header_hash(BLOCKS[n])) for height, n in enumerate([3, 4, 5, 9])
    ]


def test_a_spend_of_a_block_in_another_file_is_known(tmp_path: Path) -> None:
    output = (50_000, b"\0\x14" + bytes(20))
    parent = serialize_transaction([(b"\x01" * 36, b"")], [output, output])
    child = serialize_transaction([(parent.txid + bytes(4), b"")], [output, output])
    for name, transaction in (("a", parent), ("b", child)):
        block = build_block(
            "0" * 64, 1_700_000_000, [coinbase_transaction(1, [transaction]), transaction]
        )
        (tmp_path / name).write_bytes(block)
    facts = read_files([tmp_path / "a", tmp_path / "b"])
    assert [block.parent_height.tolist() for block in facts] == [[-1, -1], [0, 0]]


def test_an_error_in_a_file_names_the_file_and_the_number_of_the_block(tmp_path: Path) -> None:
    (tmp_path / "some.dat").write_bytes(records(BLOCKS[0], BLOCKS[1][:-5]))
    with pytest.raises(
        ParseError, match=r"^block 1 \(some\.dat\) at byte \d+: the bytes end in the middle$"
    ):
        read_files([tmp_path / "some.dat"])


def test_a_file_that_cannot_be_read_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*nowhere: No such file or directory"):
        read_files([tmp_path / "nowhere"])


def test_no_files_hold_no_block() -> None:
    with pytest.raises(NoDataError, match="the files hold no block"):
        read_files([])


# --- A node's own files -------------------------------------

KEY = bytes.fromhex("0102a3b4c5d6e7f8")


def hidden(data: bytes, key: bytes = KEY) -> bytes:
    return bytes(byte ^ key[at % len(key)] for at, byte in enumerate(data))


def read_hashes(folder: Path, data: bytes, key: bytes = KEY) -> list[str]:
    """Return the hashes of the blocks in one block file with a key beside it."""
    (folder / "xor.dat").write_bytes(key)
    (folder / "blk00000.dat").write_bytes(data)
    return [block.hash for block in read_files([folder / "blk00000.dat"])]


TWO = records(*BLOCKS[:2])
TWO_HASHES = [header_hash(block) for block in BLOCKS[:2]]


def test_a_file_under_the_key_beside_it_is_read(tmp_path: Path) -> None:
    assert read_hashes(tmp_path, hidden(TWO)) == TWO_HASHES


@pytest.mark.parametrize("zeros", [1, 7, 8, 1000, 3 << 20])
def test_unwritten_space_behind_hidden_records_ends_them(tmp_path: Path, zeros: int) -> None:
    assert read_hashes(tmp_path, hidden(TWO) + bytes(zeros)) == TWO_HASHES
    assert read_hashes(tmp_path, hidden(TWO + bytes(zeros))) == TWO_HASHES


def test_a_plain_file_beside_a_key_is_read_as_it_is(tmp_path: Path) -> None:
    assert read_hashes(tmp_path, TWO) == TWO_HASHES


def test_a_raw_block_beside_a_key_is_read_as_it_is(tmp_path: Path) -> None:
    assert read_hashes(tmp_path, BLOCKS[0]) == TWO_HASHES[:1]


@pytest.mark.parametrize("key", [b"", bytes(8)])
def test_no_key_in_the_keys_file_hides_nothing(tmp_path: Path, key: bytes) -> None:
    assert read_hashes(tmp_path, TWO, key) == TWO_HASHES


def test_a_file_that_is_not_written_to_holds_no_block(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="the files hold no block"):
        read_hashes(tmp_path, bytes(100_000))


def test_a_hidden_file_under_another_key_is_no_file_of_blocks(tmp_path: Path) -> None:
    with pytest.raises(ParseError):
        read_hashes(tmp_path, hidden(TWO), KEY[::-1])


def test_a_large_hidden_file_without_its_key_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "blk00000.dat"
    path.write_bytes(hidden(records(*BLOCKS) + bytes(4 << 20)))
    with pytest.raises(ParseError, match=r"needs its xor\.dat beside it"):
        read_files([path])


def test_a_record_larger_than_any_block_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.dat"
    path.write_bytes(MAGIC + (5_000_000).to_bytes(4, "little") + bytes(5_000_001))
    with pytest.raises(ParseError, match="larger than any block"):
        read_files([path])
