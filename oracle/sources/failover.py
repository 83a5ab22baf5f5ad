"""Several sources in order, used as one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from oracle.errors import SourceUnavailableError
from oracle.sources import BlockSource, ChainTip, Health


class FailoverSource:
    """Asks the first source, and the next one only when that is unavailable; stays with the one
    that works.

    What a source says is never a reason to ask another: a block that is missing, pruned or wrong is
    an error with that source's name. `name` and `served_by` are those of the source that was asked
    last.
    """

    # The questions of a `BlockSource`: each goes to `_ask` by its name.
    network: Callable[[], str]
    tip: Callable[[], ChainTip]
    hashes: Callable[[int, int], list[str]]
    headers: Callable[[int, int], list[bytes]]
    block: Callable[[str], bytes]
    probe: Callable[[], Health]

    def __init__(self, sources: Sequence[BlockSource]) -> None:
        self.sources = tuple(sources)
        self._current = 0

    @property
    def name(self) -> str:
        """Return the name of the source that gave the last answer."""
        return self.sources[self._current].name

    served_by = name

    def probes(self) -> list[Health]:
        """Ask every source how it is."""
        return [source.probe() for source in self.sources]

    def close(self) -> None:
        """Close all sources."""
        for source in self.sources:
            source.close()

    def __getattr__(self, question: str) -> Callable[..., Any]:
        return partial(self._ask, question)

    def _ask(self, question: str, *about: object) -> Any:
        failures: list[SourceUnavailableError] = []
        for index in (*range(self._current, len(self.sources)), *range(self._current)):
            self._current = index
            try:
                return getattr(self.sources[index], question)(*about)
            except SourceUnavailableError as error:
                failures.append(error)
        names = ", ".join(error.source for error in failures)
        attempts = sum(error.attempts for error in failures)
        reasons = "; ".join(map(str, failures))
        raise SourceUnavailableError(
            reasons, source=names, url=failures[0].url, attempts=attempts
        ) from failures[-1]
