"""What a fake server knows: the raw blocks of a best chain, and stale ones beside it."""

from __future__ import annotations

from collections.abc import Sequence

from oracle.simulated.serialise import (
    build_block,
    coinbase_transaction,
    header_hash,
    payment_transaction,
)

GENESIS = {
    "main": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    "test": "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    "testnet4": "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    "signet": "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    "regtest": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
}


class FakeChain:
    """A best chain of raw blocks from `first_height` on; below it a server has only the genesis
    hash, and not even that on a network that is none.

    With a `first_height` of 0 the first block is taken for the genesis block, which electrs and
    mempool are known by: then their network is unknown.
    """

    def __init__(
        self, blocks: Sequence[bytes], first_height: int = 0, network: str = "regtest"
    ) -> None:
        self.first_height = first_height
        self.network = network
        self.blocks: list[bytes] = []
        self._heights: dict[str, int] = {}
        self._all: dict[str, bytes] = {}
        self.extend(blocks)

    def extend(self, blocks: Sequence[bytes]) -> None:
        """Put blocks on top."""
        for block in blocks:
            block_hash = header_hash(block)
            self._heights[block_hash] = self.first_height + len(self.blocks)
            self._all[block_hash] = block
            self.blocks.append(block)

    def reorganise(self, from_height: int, blocks: Sequence[bytes]) -> None:
        """Replace everything from a height on; the replaced blocks stay known as stale."""
        del self.blocks[from_height - self.first_height :]
        self._heights = {
            name: height for name, height in self._heights.items() if height < from_height
        }
        self.extend(blocks)

    @property
    def tip_height(self) -> int:
        return self.first_height + len(self.blocks) - 1

    @property
    def tip_hash(self) -> str:
        return header_hash(self.blocks[-1])

    def has_height(self, height: int) -> bool:
        return self.first_height <= height <= self.tip_height

    def at(self, height: int) -> bytes:
        """Return the block at a height that the chain has."""
        return self.blocks[height - self.first_height]

    def hash_at(self, height: int) -> str | None:
        if height == 0 and self.first_height > 0:
            return GENESIS.get(self.network)
        return header_hash(self.at(height)) if self.has_height(height) else None

    def hashes(self) -> list[str]:
        return [header_hash(block) for block in self.blocks]

    def height_of(self, block_hash: str) -> int | None:
        """Return the height of a block of the best chain."""
        return self._heights.get(block_hash)

    def find(self, block_hash: str) -> bytes | None:
        """Return a block of the best chain, or a stale one."""
        return self._all.get(block_hash)

    def mediantime(self, height: int) -> int:
        """Return the median header time of a block and up to ten before it."""
        first = max(self.first_height, height - 10)
        times = sorted(
            int.from_bytes(self.at(h)[68:72], "little") for h in range(first, height + 1)
        )
        return times[len(times) // 2]


def small_blocks(
    count: int,
    first_height: int = 0,
    prev_hash: str = "0" * 64,
    payments: int = 2,
    tag: bytes = b"fake",
    start_unix: int = 1_760_000_000,
) -> list[bytes]:
    """Make a few small valid blocks at the regtest target, ten minutes apart; `tag` makes them
    differ."""
    blocks: list[bytes] = []
    for height in range(first_height, first_height + count):
        entropy = tag + height.to_bytes(4, "big")
        paid = [
            payment_transaction((50_000 + height, 100_000), entropy + bytes((n,)))
            for n in range(payments)
        ]
        coinbase = coinbase_transaction(height, paid, tag)
        blocks.append(build_block(prev_hash, start_unix + 600 * height, [coinbase, *paid]))
        prev_hash = header_hash(blocks[-1])
    return blocks
