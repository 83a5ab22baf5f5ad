"""The embedded default: a simulated chain behind the block seam, its market behind the quote seam.

With a state file it behaves like a node with a disk: the headers it has made are kept, so that a
later run goes on where the last one stopped. Bodies are never kept, they follow from the settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from oracle.core.wire import HEADER_BYTES
from oracle.errors import BlockNotFoundError, SourceUnavailableError
from oracle.simulated.chain import SimulatedChain
from oracle.simulated.market import DAY_SECONDS, NAME, SimulationSettings
from oracle.simulated.serialise import header_hash
from oracle.sources import ChainTip, Health, Quote

ADVICE = "no node is configured: blocks and prices are simulated"
DEFAULTS = SimulationSettings()
Clock = Callable[[], float]


class SimulatedSource:
    """A `BlockSource` whose tip is the newest simulated block that has arrived by `now`, and a
    `QuoteSource`.

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
        settings: SimulationSettings = DEFAULTS,
        *,
        now: Clock,
        history_days: int,
        state_path: Path | None = None,
    ) -> None:
        self._now = now
        self._state_path = state_path
        start_unix = (int(now()) // DAY_SECONDS - history_days) * DAY_SECONDS
        content = state_path.read_bytes() if state_path and state_path.exists() else b""
        self.chain = _resume(settings._replace(start_unix=start_unix), content)

    def network(self) -> str:
        """Return the network's name, which is what labels every number that comes from here."""
        return NAME

    def tip(self) -> ChainTip:
        """Return the newest block that has arrived; what is new goes to the state file."""
        height = self.chain.height_at(self._now())
        known = len(self.chain.known)
        if height < self.chain.settings.first_height:
            raise SourceUnavailableError(
                "the simulated chain starts in the future: wrong clock?", source=NAME
            )
        tip = ChainTip(height, self.chain.block_hash(height))
        if self._state_path and len(self.chain.known) > known:
            _keep(self._state_path, self.chain.known)
        return tip

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return the hashes of an inclusive range of heights."""
        return [header_hash(header) for header in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return the 80-byte headers of an inclusive range of heights."""
        lowest = self.chain.settings.first_height
        highest = self.tip().height
        if first_height < lowest or last_height > highest:
            has = f"has heights {lowest} to {highest}, not all of {first_height} to {last_height}"
            raise BlockNotFoundError(f"the simulated chain {has}", source=NAME)
        return self.chain.headers(first_height, last_height)

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire."""
        self.tip()  # a hash is only known once its header is made
        if block_hash not in self.chain.heights:
            raise BlockNotFoundError(f"the simulated chain has no block {block_hash}", source=NAME)
        return self.chain.block(self.chain.heights[block_hash])

    def latest(self) -> Quote | None:
        """Return the quote of the last full five minutes."""
        return self.at(int(self._now()))

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest quote at or before a time; none before the chain's start."""
        time_unix = min(time_unix, int(self._now()))
        return self.chain.quote(time_unix) if time_unix >= self.chain.settings.start_unix else None

    def probe(self) -> Health:
        """Say that all is well, and that all is simulated."""
        return Health(
            NAME,
            "simulated:",
            True,
            0.0,
            None,
            NAME,
            True,
            self.chain.height_at(self._now()),
            (ADVICE,),
        )

    def close(self) -> None:
        """Hold nothing, release nothing."""


def _resume(fresh: SimulationSettings, content: bytes) -> SimulatedChain:
    """Return the chain whose headers these are; a fresh one when there are none or its blocks
    would be others."""
    known = [content[at : at + HEADER_BYTES] for at in range(0, len(content), HEADER_BYTES)]
    resumed = SimulatedChain(
        fresh._replace(start_unix=int.from_bytes(content[68:72], "little")), known
    )
    return resumed if resumed.is_consistent() else SimulatedChain(fresh)


def _keep(path: Path, headers: list[bytes]) -> None:
    """Write a file whole or not at all, even when two runs do so at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(b"".join(headers))
        unfinished.replace(path)
    except OSError as error:
        raise SourceUnavailableError(
            f"the simulated chain cannot be kept: {error}", source=NAME
        ) from error
