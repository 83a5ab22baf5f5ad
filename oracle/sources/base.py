"""What all real sources share: a name, an address, errors that begin with both, and a probe."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from oracle.core.wire import parse_header
from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    ParseError,
    SourceError,
    SourceUnavailableError,
)
from oracle.sources import ChainTip, Health
from oracle.sources.networks import NETWORKS


class Source:
    """A source by its name and its address; `url` never holds a password."""

    network: Callable[[], str]
    tip: Callable[[], ChainTip]

    def __init__(self, name: str, url: str, delays_seconds: tuple[float, ...] = ()) -> None:
        self.name = name
        self.url = url
        self._delays_seconds = delays_seconds  # pauses before further attempts

    def probe(self) -> Health:
        """Ask the source how it is, without patience; what is wrong becomes advice, synced is who
        has a tip."""
        patient, self._delays_seconds = self._delays_seconds, ()
        known = Health(self.name, self.url, is_reachable=False)
        try:
            network = self.network()  # the first question may have to find out how to ask
            started = time.monotonic()
            self.network()
            latency_ms = 1000 * (time.monotonic() - started)
            known = replace(
                known, is_reachable=True, latency_ms=latency_ms, network=network, is_synced=False
            )
            return replace(
                known, version=self._version(), tip_height=self.tip().height, is_synced=True
            )
        except SourceError as error:
            is_reachable = known.is_reachable or not isinstance(error, SourceUnavailableError)
            return replace(known, is_reachable=is_reachable, advice=(str(error),))
        finally:
            self._delays_seconds = patient

    def _version(self) -> str | None:
        return None

    def _checked(self, data: bytes | str, block_hash: str) -> bytes:
        """Return a block or header that came as it is or as hex, when it is the one with that
        hash."""
        with suppress(ValueError, ParseError):
            found = bytes.fromhex(data) if isinstance(data, str) else data
            if parse_header(found).hash == block_hash:
                return found
        raise self._error(
            BadAnswerError, f"sent other bytes than those of block {block_hash}: {data[:80]!r}"
        )

    def _network_by_genesis(self, hash_at: Callable[[int], str]) -> str:
        """Return whose first block this is; "unknown" where there is no block 0, or another one."""
        with suppress(BlockNotFoundError):
            genesis = hash_at(0)
            return next(
                (network.name for network in NETWORKS if genesis.startswith(network.genesis)),
                "unknown",
            )
        return "unknown"

    def _error(self, kind: type[SourceError], reason: str) -> SourceError:
        return kind(f"{self.name} at {self.url} {reason}", source=self.name, url=self.url)
