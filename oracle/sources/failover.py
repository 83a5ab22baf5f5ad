"""Several sources in order, used as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from oracle.errors import SourceUnavailableError
from oracle.sources import BlockSource, ChainTip, Health

T = TypeVar("T")


class FailoverSource:
    """Asks the first source, and the next one only when that is unavailable; stays with the one that works.

    What a source says is never a reason to ask another: a block that is missing, pruned or wrong is an error
    with that source's name. `name` and `served_by` are those of the source of the last answer.
    """

    def __init__(self, sources: Sequence[BlockSource]) -> None:
        if not sources:
            raise ValueError("a list of sources needs at least one")
        self.sources = tuple(sources)
        self._current = 0

    @property
    def name(self) -> str:
        """Return the name of the source that gave the last answer."""
        return self.sources[self._current].name

    served_by = name

    def network(self) -> str:
        """Return the network of the source that answers."""
        return self._ask(lambda source: source.network())

    def tip(self) -> ChainTip:
        """Return the newest block of the source that answers."""
        return self._ask(lambda source: source.tip())

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights."""
        return self._ask(lambda source: source.hashes(first_height, last_height))

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights."""
        return self._ask(lambda source: source.headers(first_height, last_height))

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire."""
        return self._ask(lambda source: source.block(block_hash))

    def probe(self) -> Health:
        """Ask the source in use how it is; `probes` asks all of them."""
        return self.sources[self._current].probe()

    def probes(self) -> list[Health]:
        """Ask every source how it is."""
        return [source.probe() for source in self.sources]

    def close(self) -> None:
        """Close all sources."""
        for source in self.sources:
            source.close()

    def _ask(self, question: Callable[[BlockSource], T]) -> T:
        failures: list[SourceUnavailableError] = []
        for step in range(len(self.sources)):
            index = (self._current + step) % len(self.sources)
            try:
                answer = question(self.sources[index])
            except SourceUnavailableError as error:
                failures.append(error)
            else:
                self._current = index
                return answer
        if len(failures) == 1:
            raise failures[0]
        raise SourceUnavailableError(
            "no source of blocks is available: " + "; ".join(map(str, failures)),
            source=", ".join(source.name for source in self.sources),
            attempts=sum(error.attempts for error in failures),
        ) from failures[-1]
