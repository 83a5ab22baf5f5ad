"""What all real sources share: a name, an address, errors that begin with both, and a probe."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from oracle import errors
from oracle.sources import Health

T = TypeVar("T")
E = TypeVar("E", bound=errors.SourceError)


class Source:
    """A source by its name and its address; `url` never holds a password."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url

    def _probe(self, ping: Callable[[], T], facts: Callable[[T], dict[str, Any]]) -> Health:
        """Time `ping`, gather the other facts, and give advice in place of an error."""
        try:
            started = time.monotonic()
            answer = ping()
            latency_ms = 1000 * (time.monotonic() - started)
            return Health(self.name, self.url, True, latency_ms, **facts(answer))
        except errors.SourceError as error:
            is_reachable = not isinstance(error, errors.SourceUnavailableError)
            return Health(self.name, self.url, is_reachable, advice=(str(error),))

    def _unavailable(self, reason: str) -> errors.SourceUnavailableError:
        return self._error(errors.SourceUnavailableError, reason)

    def _refused(self, reason: str) -> errors.SourceRefusedError:
        return self._error(errors.SourceRefusedError, reason)

    def _not_found(self, reason: str) -> errors.BlockNotFoundError:
        return self._error(errors.BlockNotFoundError, reason)

    def _bad_answer(self, reason: str) -> errors.BadAnswerError:
        return self._error(errors.BadAnswerError, reason)

    def _error(self, kind: type[E], reason: str) -> E:
        return kind(f"{self.name} at {self.url} {reason}", source=self.name, url=self.url)
