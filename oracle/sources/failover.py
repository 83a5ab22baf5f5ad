"""Several sources in order, used as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import TypeVar

from oracle.errors import (
    BlockNotFoundError,
    NoBlocksServedError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from oracle.sources import BlockSource, ChainTip, Health

T = TypeVar("T")


class FailoverSource:
    """Asks the first source, and the next one only when that is unavailable; stays with the one
    that works.

    What a source says is no reason to ask another: bytes that are wrong, or a node that has not
    caught up, are errors with that source's name. Only a block that is missing is asked of the
    others, too: its hash proves it, whoever has it. `name` and `served_by` are those of the source
    that gave the last answer.
    """

    def __init__(
        self, sources: Sequence[BlockSource], unasked: frozenset[str] = frozenset()
    ) -> None:
        self.sources = tuple(sources)
        self._unasked = unasked  # names of sources that nobody asked for: only good news of them
        self._current = 0  # which source is asked first
        self._answered = 0  # which one gave the last answer

    @property
    def name(self) -> str:
        """Return the name of the source that gave the last answer."""
        return self.sources[self._answered].name

    served_by = name

    def network(self) -> str:
        """Return the network of the source in use."""
        return self._ask(lambda source: source.network())

    def tip(self) -> ChainTip:
        """Return the newest block of the source in use."""
        return self._ask(lambda source: source.tip())

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights."""
        return self._ask(lambda source: source.hashes(first_height, last_height))

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights."""
        return self._ask(lambda source: source.headers(first_height, last_height))

    def block(self, block_hash: str) -> bytes:
        """Return one block, from whichever source has it."""
        try:
            return self._ask(lambda source: source.block(block_hash))
        except BlockNotFoundError as missing:
            found = self._block_of_another(block_hash)
            if found is None:
                raise missing from None
            return found

    def probe(self) -> Health:
        """Ask the source in use how it is."""
        return self.sources[self._current].probe()

    def probes(self) -> list[Health]:
        """Ask every source how it is; one that nobody asked for is left out where it is not well
        and another is."""
        found = [source.probe() for source in self.sources]
        well = {health.source for health in found if health.state == "ok"}
        return [
            health for health in found if health.source in well or not self._is_extra(health, well)
        ]

    def _is_extra(self, health: Health, well: Set[str]) -> bool:
        return bool(well) and health.source in self._unasked

    def close(self) -> None:
        """Close all sources."""
        for source in self.sources:
            source.close()

    def _ask(self, question: Callable[[BlockSource], T]) -> T:
        failures: list[SourceUnavailableError] = []
        for index in self._order():
            self._current = self._answered = index
            try:
                return question(self.sources[index])
            except SourceUnavailableError as error:
                failures.append(error)
        raise _together(failures)

    def _order(self) -> list[int]:
        """Return all sources from the one in use on, and those before it behind them."""
        count = len(self.sources)
        return [(self._current + step) % count for step in range(count)]

    def _block_of_another(self, block_hash: str) -> bytes | None:
        """Ask all sources but the one in use, which stays in use for all other questions."""
        for index in self._order()[1:]:
            try:
                found = self.sources[index].block(block_hash)
            except (BlockNotFoundError, SourceUnavailableError):
                continue
            self._answered = index
            return found
        return None


def _together(failures: Sequence[SourceUnavailableError]) -> SourceUnavailableError:
    """Return one error for the failures of all sources that serve blocks; a single one keeps its
    own words."""
    failures = [e for e in failures if not isinstance(e, NoBlocksServedError)] or failures
    if len(failures) == 1:
        return failures[0]
    has_timed_out = any(isinstance(error, SourceTimeoutError) for error in failures)
    kind = SourceTimeoutError if has_timed_out else SourceUnavailableError
    together = kind(
        "; ".join(str(error) for error in failures),
        source=", ".join(error.source for error in failures),
        url=failures[0].url,
        attempts=sum(error.attempts for error in failures),
        public_message="; ".join(error.public_message for error in failures),
    )
    together.__cause__ = failures[-1]
    return together
