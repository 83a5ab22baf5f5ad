"""What all real sources share: a name, an address, errors that begin with both, and a probe."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from oracle.core.wire import parse_header
from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    ParseError,
    SourceError,
    SourceRefusedError,
    SourceSyncingError,
    SourceUnavailableError,
)
from oracle.masking import outside
from oracle.sources import ChainTip, Health, State
from oracle.sources.networks import NETWORKS

STATES: dict[type[SourceError], State] = {
    SourceSyncingError: "syncing",
    SourceRefusedError: "refused",
    SourceUnavailableError: "unreachable",
}
SHOWN_CHARACTERS = 100  # of what a server said, in an error


class Source:
    """A source by its name and its address; `url` never holds a password, a path or a query."""

    network: Callable[[], str]
    tip: Callable[[], ChainTip]

    unavailable_code = SourceUnavailableError.code  # what the API calls an outage of this source

    def __init__(self, name: str, url: str, delays_seconds: tuple[float, ...] = ()) -> None:
        self.name = name
        self.url = url
        self._delays_seconds = delays_seconds  # pauses before further attempts

    def probe(self) -> Health:
        """Ask the source how it is, without patience; what is wrong becomes advice, synced is who
        has a tip."""
        patient = self._delays_seconds
        self._delays_seconds = ()
        known = Health(self.name, self.url, is_reachable=False)
        try:
            network = self.network()  # the first question may have to find out how to ask
            started = time.monotonic()
            self.network()
            latency_ms = 1000 * (time.monotonic() - started)
            known = known._replace(
                is_reachable=True, latency_ms=latency_ms, network=network, is_synced=False
            )
            tip = self.tip()
            advice = self._advice(tip)
            return known._replace(
                version=self._version(),
                tip_height=tip.height,
                is_synced=True,
                advice=advice,
                public_advice=advice,
            )
        except SourceError as error:
            return health_after(known, error)
        finally:
            self._delays_seconds = patient

    def _version(self) -> str | None:
        return None

    def _advice(self, tip: ChainTip) -> tuple[str, ...]:
        """Return what is odd about a source that has given its tip; no address in it."""
        del tip
        return ()

    def _checked(self, data: bytes | str, block_hash: str) -> bytes:
        """Return a block or header that came as it is or as hex, when it is the one with that
        hash."""
        with suppress(ValueError, ParseError):
            found = bytes.fromhex(data) if isinstance(data, str) else data
            if parse_header(found).hash == block_hash:
                return found
        raise self._error(
            BadAnswerError,
            f"sent other bytes than those of block {short(block_hash)}",
            f": {self._said(repr(data[:80]))}",
        )

    def _secrets(self) -> tuple[str, ...]:
        """Return what the source was told and may echo."""
        return ()

    def _said(self, text: str) -> str:
        """Return a text from outside for an error: short, on one line, without our secrets."""
        return " ".join(outside(text, self._secrets(), SHOWN_CHARACTERS).split())

    def _network_by_genesis(self, hash_at: Callable[[int], str]) -> str:
        """Return whose first block this is; "unknown" where there is no block 0, or another one."""
        with suppress(BlockNotFoundError):
            genesis = hash_at(0)
            return next(
                (network.name for network in NETWORKS if genesis.startswith(network.genesis)),
                "unknown",
            )
        return "unknown"

    def _error(self, kind: type[SourceError], reason: str, detail: str = "") -> SourceError:
        """Return an error of this source.

        `reason` may be published, so it holds no address and nothing that came from outside;
        `detail` is added to it for the owner of the machine only.
        """
        is_outage = issubclass(kind, SourceUnavailableError)
        return kind(
            f"{self.name} at {self.url} {reason}{detail}",
            source=self.name,
            url=self.url,
            code=self.unavailable_code if is_outage else None,
            public_message=f"{self.name} {reason}",
        )


def short(block_hash: str) -> str:
    """Return what tells a block hash from others, for a sentence."""
    return f"...{block_hash[-8:]}"


def health_after(known: Health, error: SourceError) -> Health:
    """Return the health of a source whose probe ended in an error."""
    state = _state_of(error)
    return known._replace(
        is_reachable=known.is_reachable or state != "unreachable",
        state=state,
        advice=(str(error),),
        public_advice=(error.public_message,),
    )


def _state_of(error: SourceError) -> State:
    for kind, state in STATES.items():
        if isinstance(error, kind):
            return state
    return "bad_answer"
