"""Bitcoin Core's own code makes the chain and its files; the file source must see what the kernel
sees."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from oracle.chain import recent_range
from oracle.core.block import parse_block
from oracle.core.eligible import RecentTxids, digest_block
from oracle.core.price import WindowPrice, price_window
from oracle.core.window import form_window
from oracle.simulated.serialise import header_hash
from oracle.sources import ChainTip
from oracle.sources.blkfiles import BlkFilesSource

pytest.importorskip("pbk", reason="py-bitcoinkernel has no wheel for this machine")

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class KernelFolder:
    datadir: Path
    hashes: list[str]
    stale: str
    blocks: dict[int, bytes]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> KernelFolder:
    """What the kernel left behind; in a process of its own, so that it has let go of its files."""
    datadir = tmp_path_factory.mktemp("kernel")
    subprocess.run(
        [sys.executable, "-m", "tests.helpers.kernel_chain", str(datadir)], cwd=PROJECT, check=True
    )
    said = json.loads((datadir / "kernel.json").read_text())
    blocks = {int(path.stem): path.read_bytes() for path in datadir.glob("*.bin")}
    return KernelFolder(datadir, said["hashes"], said["stale"], blocks)


@pytest.fixture
def source(kernel: KernelFolder) -> BlkFilesSource:
    return BlkFilesSource(kernel.datadir)


def recent_heights(source: BlkFilesSource) -> list[int]:
    first, last = recent_range(source.tip().height)
    return list(range(first, last + 1))


def price_of(blocks: list[bytes], heights: list[int]) -> WindowPrice:
    recent = RecentTxids()
    pairs = zip(blocks, heights, strict=True)
    return price_window(
        form_window([digest_block(parse_block(data), h, recent) for data, h in pairs])
    )


def test_the_kernel_hides_its_files_under_a_key(kernel):
    assert (kernel.datadir / "blocks" / "xor.dat").read_bytes() != bytes(8)


def test_the_tip_is_the_kernels(kernel, source):
    assert source.tip() == ChainTip(len(kernel.hashes) - 1, kernel.hashes[-1])


def test_every_hash_is_the_kernels(kernel, source):
    assert source.hashes(0, len(kernel.hashes) - 1) == kernel.hashes


def test_every_block_is_the_one_handed_over(kernel, source):
    assert {h: source.block(kernel.hashes[h]) for h in kernel.blocks} == kernel.blocks


def test_the_genesis_block_is_there(kernel, source):
    assert header_hash(source.headers(0, 0)[0]) == kernel.hashes[0]


def test_the_network_is_regtest(source):
    assert source.network() == "regtest"


def test_a_stale_block_that_the_kernel_kept_is_not_in_the_chain(kernel, source):
    assert header_hash(source.block(kernel.stale)) == kernel.stale
    assert kernel.stale not in source.hashes(0, len(kernel.hashes) - 1)


def test_the_price_of_the_files_is_that_of_the_blocks_handed_over(kernel, source):
    heights = recent_heights(source)
    of_files = price_of(
        [source.block(block_hash) for block_hash in source.hashes(heights[0], heights[-1])], heights
    )
    of_blocks = price_of([kernel.blocks[height] for height in heights], heights)
    assert (of_files.price_usd, of_files.outputs) == (of_blocks.price_usd, of_blocks.outputs)


def test_that_price_is_the_one_the_payments_were_made_at(kernel, source):
    heights = recent_heights(source)
    found = price_of([kernel.blocks[height] for height in heights], heights)
    assert found.outputs > 5000
    assert found.price_usd == pytest.approx(68_150, rel=0.01)
