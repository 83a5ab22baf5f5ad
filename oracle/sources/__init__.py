"""Where blocks and exchange quotes come from: one seam each, a few implementations.

A source hands over bytes and says where it found them. It does not judge them: the caller verifies
every block against the hash it asked for. Foreign exceptions end here, as `SourceError` and its
kinds.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

# What a source is when it is asked how it is; all but the first two need somebody.
State = Literal["ok", "prices_only", "syncing", "refused", "bad_answer", "unreachable"]


BLOCK_FILES = "blk-files"  # the name of the node's own block files as a source


class ChainTip(NamedTuple):
    """The newest block of a source's best chain."""

    height: int
    hash: str


class Health(NamedTuple):
    """What a probe found out about one source.

    `oracle doctor` shows all of it to the owner of the machine; what is recorded and published is
    `published()`.
    """

    source: str
    url: str
    is_reachable: bool
    latency_ms: float | None = None
    version: str | None = None
    network: str | None = None
    is_synced: bool | None = None
    tip_height: int | None = None
    advice: tuple[str, ...] = ()
    state: State = "ok"
    public_advice: tuple[str, ...] = ()

    def published(self) -> dict[str, object]:
        """Return what may leave the machine: no address, and no text that may hold one."""
        shown = self._asdict()
        del shown["url"], shown["public_advice"]
        return {**shown, "advice": list(self.public_advice)}


class BlockSource(Protocol):
    """A node, an index or a folder that has blocks. Hashes are in display order (big-endian
    hex)."""

    @property
    def name(self) -> str:
        """Short name for logs and the record."""

    def network(self) -> str:
        """Return main, test, testnet4, signet, regtest or simulated; unknown where nothing
        tells."""

    def tip(self) -> ChainTip:
        """Return the newest block of the best chain."""

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return the best chain's block hashes of an inclusive range of heights."""

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return the best chain's 80-byte headers of an inclusive range of heights."""

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire, witness included."""

    def probe(self) -> Health:
        """Ask the source how it is; never raises `SourceError`."""

    def close(self) -> None:
        """Release sockets and files."""


class Quote(NamedTuple):
    """An exchange price and the time the exchange side gives for it; always positive."""

    price_usd: float
    quoted_at_unix: int
    source: str
    currencies: Mapping[str, float] = MappingProxyType({})


class QuoteSource(Protocol):
    """Somebody who knows the exchange price. `None` means: no quote, and no reason to name."""

    def latest(self) -> Quote | None:
        """Return the newest quote; raise `NoQuoteError` with the reason why there is none."""

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest quote at or before a time, when one is close enough."""

    def close(self) -> None:
        """Release sockets."""
