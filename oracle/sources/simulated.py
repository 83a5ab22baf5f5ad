"""The embedded default: a simulated chain behind the block seam, its market behind the quote seam.

With a state file it behaves like a node with a disk: the headers it has made are kept, so that a later run
goes on where the last one stopped. Bodies are never kept, they follow from the settings.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from oracle.core.wire import sha256d
from oracle.errors import BlockNotFoundError, SourceUnavailableError
from oracle.simulate import DAY_SECONDS, HEADER_SIZE, SimulatedChain, SimulationSettings, header_hash
from oracle.sources import ChainTip, Health, Quote

NAME = "simulated"
URL = "simulated:"
ADVICE = ("no node is configured: blocks and prices are simulated",)


class SimulatedSource:
    """A `BlockSource` whose tip is the newest simulated block that has arrived by `now`.

    `chain` may be replaced by a fork of itself to play a reorganisation.

    Args:
        settings: what the chain follows from, its start aside: a fresh chain starts at UTC midnight
            `history_days` before now, one that is read from the state file keeps its start.
        now: seconds since 1970 as a float.
        state_path: the headers' file, made when absent; None keeps nothing.
        history_days: how much past a fresh chain has.
    """

    name = NAME

    def __init__(
        self,
        settings: SimulationSettings | None = None,
        *,
        now: Callable[[], float],
        state_path: Path | None = None,
        history_days: int = 16,
    ) -> None:
        start_unix = (int(now()) // DAY_SECONDS - history_days) * DAY_SECONDS
        fresh = replace(settings or SimulationSettings(), start_unix=start_unix)
        self._now = now
        self._state_path = state_path
        self.chain = resume_chain(fresh, read_headers(state_path) if state_path else b"")
        self._kept = self.chain.known_headers

    def network(self) -> str:
        """Return the network's name, which is what labels every number that comes from here."""
        return NAME

    def tip(self) -> ChainTip:
        """Return the newest block that has arrived; what is new goes to the state file."""
        height, lowest = self.chain.height_at(self._now()), self.chain.settings.first_height
        if height < lowest:
            raise SourceUnavailableError(
                "the simulated chain starts in the future: wrong clock?", source=NAME
            )
        if self._state_path and height - lowest >= self._kept:
            keep_headers(self._state_path, self._kept, self.chain.headers(lowest + self._kept, height))
            self._kept = height - lowest + 1
        return ChainTip(height, self.chain.block_hash(height))

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return the hashes of an inclusive range of heights."""
        return [header_hash(header) for header in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return the 80-byte headers of an inclusive range of heights."""
        lowest, highest = self.chain.settings.first_height, self.chain.height_at(self._now())
        if first_height < lowest or last_height > highest:
            asked = f"heights {first_height} to {last_height}"
            message = f"the simulated chain has {lowest} to {highest}, not all of {asked}"
            raise BlockNotFoundError(message, source=NAME)
        return self.chain.headers(first_height, last_height)

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire."""
        self.tip()  # a hash is only known once its header is made
        height = self.chain.height_of(block_hash)
        if height is None:
            raise BlockNotFoundError(f"the simulated chain has no block {block_hash}", source=NAME)
        return self.chain.block(height)

    def probe(self) -> Health:
        """Say that all is well, and that all is simulated."""
        height = self.chain.height_at(self._now())
        has_blocks = height >= self.chain.settings.first_height
        return Health(NAME, URL, True, 0.0, None, NAME, has_blocks, height if has_blocks else None, ADVICE)

    def close(self) -> None:
        """Hold nothing, release nothing."""


class SimulatedQuotes:
    """A `QuoteSource` on the market of a simulated chain."""

    name = NAME

    def __init__(self, chain: SimulatedChain, *, now: Callable[[], float]) -> None:
        self._chain = chain
        self._now = now

    def latest(self) -> Quote | None:
        """Return the quote of the last full five minutes."""
        return self.at(int(self._now()))

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest quote at or before a time; none before the chain's start."""
        time_unix = min(time_unix, int(self._now()))
        return self._chain.quote(time_unix) if time_unix >= self._chain.settings.start_unix else None

    def probe(self) -> Health:
        """Say that all is well, and that all is simulated."""
        return Health(NAME, URL, True, 0.0, None, NAME, True, None, ADVICE)


def resume_chain(fresh: SimulationSettings, headers: bytes) -> SimulatedChain:
    """Return the chain that known headers belong to; a new one when these settings make other headers.

    The start follows from the first header. The first and the last header are checked against their bodies:
    other settings, or another generation of random numbers, would make other bodies.
    """
    if not headers:
        return SimulatedChain(fresh)
    (start_unix,) = struct.unpack_from("<I", headers, 68)
    settings = replace(fresh, start_unix=start_unix)
    chain = SimulatedChain(settings, headers)
    return chain if chain.is_consistent() else SimulatedChain(settings)


def read_headers(path: Path) -> bytes:
    """Return the headers of a file as far as they are whole and linked; none when there is no such file."""
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise _state_error(path, error) from error
    expected, end = bytes(32), 0
    while end + HEADER_SIZE <= len(content) and content[end + 4 : end + 36] == expected:
        expected = sha256d(content[end : end + HEADER_SIZE])
        end += HEADER_SIZE
    return content[:end]


def keep_headers(path: Path, index: int, headers: list[bytes]) -> None:
    """Write headers at their place in a file, `index` headers in: two runs at once write the same bytes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("r+b") as file:
            file.seek(index * HEADER_SIZE)
            file.write(b"".join(headers))
    except OSError as error:
        raise _state_error(path, error) from error


def _state_error(path: Path, error: OSError) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"the simulated chain's file {path} cannot be used: {error.strerror}", source=NAME, url=str(path)
    )
