"""How tests read the shared vectors and real blocks."""

from __future__ import annotations

import csv
import json
import lzma
import struct
from functools import cache
from pathlib import Path
from typing import Any

from oracle.core.block import parse_block
from oracle.core.eligible import BlockFacts, RecentTxids, digest_block


@cache
def raw_blocks(folder: Path, name: str) -> list[bytes]:
    data = lzma.decompress((folder / f"{name}.blk.xz").read_bytes())
    blocks, position = [], 0
    while position < len(data):
        magic, size = struct.unpack_from("<4sI", data, position)
        assert magic == bytes.fromhex("fabfb5da")
        blocks.append(data[position + 8 : position + 8 + size])
        position += 8 + size
    return blocks


def read_facts(blocks: list[bytes], first_height: int) -> list[BlockFacts]:
    recent = RecentTxids()
    return [
        digest_block(parse_block(data, height=height), height, recent)
        for height, data in enumerate(blocks, first_height)
    ]


@cache
def chain_facts(folder: Path, name: str, first_height: int) -> list[BlockFacts]:
    return read_facts(raw_blocks(folder, name), first_height)


@cache
def expected(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "expected.json").read_text()))


def block_index(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open() as file:
        return list(csv.DictReader(file))
