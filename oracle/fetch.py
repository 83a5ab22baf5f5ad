"""From a source or from files to the facts of verified blocks, one block after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from oracle.chain import day_range, recent_range, verify_continuity
from oracle.core.block import Block, parse_block
from oracle.core.eligible import BlockFacts, RecentTxids, digest_block
from oracle.core.wire import Header, parse_header
from oracle.errors import BlockNotFoundError, NoDataError, ParseError, RequestError
from oracle.headers import HeaderChain, context_heights
from oracle.sources import BLOCK_FILES, BlockSource
from oracle.sources.records import blocks_in, blocks_of_file

HEADERS_AT_ONCE = 144  # asked for in one question
FETCH_AHEAD = 3  # blocks fetched, one after the other, while one is read
Progress = Callable[[int, int], None]
FollowHeader = Callable[[int, Header], None]


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody how far something is."""


def read_blocks(
    source: BlockSource,
    hashes: Sequence[str],
    first_height: int,
    recent: RecentTxids,
    follow: FollowHeader | None = None,
) -> Iterator[tuple[BlockFacts, str]]:
    """Fetch, verify and digest blocks by their hashes, in order; say with each which source served
    it. `follow` is shown each header before its block is digested, and may refuse it.

    Raises:
        SourceError: the source could not hand over a block.
        ParseError: it handed over something else.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
        wanted = enumerate(hashes, first_height)
        waiting = [
            pool.submit(read_block, source, *next_one) for next_one in islice(wanted, FETCH_AHEAD)
        ]
        try:
            for height in range(first_height, first_height + len(hashes)):
                block, served_by = waiting.pop(0).result()
                waiting += [
                    pool.submit(read_block, source, *next_one) for next_one in islice(wanted, 1)
                ]
                if follow:
                    follow(height, block.header)
                yield digest_block(block, height, recent), served_by
        finally:
            for future in waiting:
                future.cancel()


def read_block(source: BlockSource, height: int, block_hash: str) -> tuple[Block, str]:
    """Fetch and verify one block; say which source served it.

    A server's witnesses are compared with what the block commits to; the files of one's own node
    were by the node.
    """
    data = source.block(block_hash)
    served_by = source.name
    is_server = served_by != BLOCK_FILES
    try:
        block = parse_block(data, expected_hash=block_hash, height=height, hashes_witness=is_server)
    except ParseError as error:
        problem = f"{error.problem} (from {served_by})"
        raise type(error)(problem, block=error.block, offset=error.offset) from error
    return block, served_by


class Range(NamedTuple):
    """Which blocks a price is of: a UTC day's, the recent window's, or those of files (no
    heights)."""

    mode: str
    day: date | None
    first_height: int | None
    last_height: int | None


def find_range(source: BlockSource, day: date | None, below: int = 0) -> Range:
    """Return the range of a UTC day, or of the recent window when no day is given; so many blocks
    below the newest one count as the tip."""
    tip = source.tip()
    if day is not None:
        return Range(
            "date",
            day,
            *day_range(day, tip.height, lambda low, high: header_times(source, low, high)),
        )
    first, last = recent_range(tip.height - below)
    if first < 0:
        raise NoDataError(
            f"the chain has {tip.height + 1} blocks; "
            f"the recent window needs {last - first + 2} of them"
        )
    return Range("recent", None, first, last)


def read_range(
    source: BlockSource,
    found: Range,
    progress: Progress = no_progress,
    follow: FollowHeader | None = None,
) -> list[BlockFacts]:
    """Read the blocks of a range, and behind a recent window the tip; check that each follows the
    last. `follow` is shown each header, and may refuse it."""
    first = found.first_height or 0
    last = found.last_height or 0
    hashes = source.hashes(first, last + 1 if found.mode == "recent" else last)
    facts = []
    for block, _ in read_blocks(source, hashes, first, RecentTxids(), follow):
        facts.append(block)
        progress(len(facts), len(hashes))
    verify_continuity(facts)
    return facts


def header_at(source: BlockSource, height: int) -> Header | None:
    """Return the source's header at a height; None when it has none."""
    with suppress(BlockNotFoundError):
        return next(headers_of(source, height, height), None)
    return None


def headers_of(source: BlockSource, first_height: int, last_height: int) -> Iterator[Header]:
    """Yield the source's headers of an inclusive range of heights, asking for some at a time."""
    for low in range(first_height, last_height + 1, HEADERS_AT_ONCE):
        high = min(low + HEADERS_AT_ONCE - 1, last_height)
        for height, data in enumerate(source.headers(low, high), low):
            yield parse_header(data, block=height)


def tell_of_headers_below(
    rules: HeaderChain,
    source: BlockSource,
    first_height: int,
    last_height: int,
    known: Mapping[int, Header] | None = None,
) -> None:
    """Tell what is to judge the headers of a range of those below: the known ones, else the
    source's own."""
    known = known or {}
    for height in context_heights(first_height, last_height, rules.network):
        header = known.get(height) or header_at(source, height)
        if header is not None:
            rules.know(height, header)


def header_times(source: BlockSource, first_height: int, last_height: int) -> list[int]:
    """Return the header times of an inclusive range of heights; none where one is missing."""
    try:
        headers = source.headers(first_height, last_height)
    except BlockNotFoundError:
        return []
    return [parse_header(data).time_unix for data in headers]


def read_files(paths: Sequence[Path]) -> list[BlockFacts]:
    """Read raw block files and files of blk records; all blocks, in order, numbered from 0.

    Raises:
        RequestError: a file cannot be read or is empty.
        ParseError: a file holds something else than blocks.
    """
    recent = RecentTxids()
    blocks: list[BlockFacts] = []
    for path in paths:
        for record in _blocks_of(path):
            height = len(blocks)
            block = parse_block(record, height=f"{height} ({path.name})")
            blocks.append(digest_block(block, height, recent))
    if not blocks:
        # Beside others an empty file is one that the node has not written yet; alone, a mistake.
        if paths and all(path.stat().st_size == 0 for path in paths):
            raise ParseError(f"{paths[0].name} is too short for a block", offset=0)
        raise NoDataError("the files hold no block")
    return blocks


def _blocks_of(path: Path) -> Iterator[bytes]:
    try:
        yield from blocks_of_file(path)
    except OSError as error:
        raise RequestError(
            f"cannot read {path}: {error.strerror or error}; name a file of blocks"
        ) from error


def split_records(data: bytes, name: str) -> Iterator[bytes]:
    """Yield the blocks of a file's bytes: one raw block, or records of magic, size and block (zeros
    may follow)."""
    return blocks_in(lambda offset, size: data[offset : offset + size], len(data), name)
