"""Exchange prices from a mempool backend: a median of a few exchanges, made about once an hour."""

from __future__ import annotations

import math
from typing import Any

from oracle.sources import Health, Quote
from oracle.sources.esplora import root_of
from oracle.sources.http import MEMPOOL_RETRY, HttpSource, RetryPolicy

NONE_YET = "it has no USD price yet: wait up to an hour, or check FIAT_PRICE_ENABLED and its network"


class MempoolQuotes(HttpSource):
    """The prices of a mempool backend; the URL may end in /api or /api/v1 or in neither.

    `max_distance_seconds` is how much older than the time asked for a historical row may be. Rows come by the
    hour while a backend runs, but by the day or week for times before its first start: those are no quote.
    """

    def __init__(
        self, url: str, *, max_distance_seconds: int = 7200, retry: RetryPolicy = MEMPOOL_RETRY, name: str = "mempool"
    ) -> None:
        self._max_distance_seconds = max_distance_seconds
        super().__init__(name, root_of(url) + "/api/v1", retry)

    def latest(self) -> Quote | None:
        """Return the newest price with its own time; None while the backend has none (-1, time 0)."""
        answer = self._fetch("/prices")
        row = answer.json()
        if answer.status != 200 or not isinstance(row, dict):
            raise self._bad_answer(f"has no prices: it answered {answer}")
        return self._quote(row)

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest price at or before a time, within the maximum distance.

        None also where the backend keeps no history (404), or has none for its network (400) or time (empty).
        """
        if time_unix <= 0:  # the backend would take 0 for "the whole history"
            return None
        answer = self._fetch("/historical-price", {"currency": "USD", "timestamp": time_unix})
        if answer.status in {400, 404} or (answer.status == 200 and not answer.body):
            return None
        found = answer.json()
        rows = found.get("prices") if isinstance(found, dict) else None
        if answer.status != 200 or not isinstance(rows, list):
            raise self._bad_answer(f"has no historical prices: it answered {answer}")
        quotes = [quote for row in rows if (quote := self._quote(row))]
        times = range(time_unix - self._max_distance_seconds, time_unix + 1)
        near = [quote for quote in quotes if quote.quoted_at_unix in times]
        return max(near, key=lambda quote: quote.quoted_at_unix, default=None)

    def probe(self) -> Health:
        """Ask for the newest price."""
        return self._probe(self.latest, lambda quote: {"advice": () if quote else (NONE_YET,)})

    def _quote(self, row: Any) -> Quote | None:
        fields = row.items() if isinstance(row, dict) else ()
        numbers = {key: float(value) for key, value in fields if _is_positive(value)}
        if not numbers.keys() >= {"time", "USD"}:
            return None
        return Quote(numbers["USD"], int(numbers.pop("time")), self.name, numbers)


def _is_positive(value: object) -> bool:
    """Tell a price or time from -1, 0, null, text and what JSON should not hold."""
    return type(value) in {int, float} and 0 < value < math.inf  # type: ignore[operator]
