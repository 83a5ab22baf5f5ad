"""Exchange prices from a mempool backend: a median of a few exchanges, made about once an hour."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from typing import Any

import httpx

from oracle.sources import Health, Quote
from oracle.sources.http import HttpSeam, RetryPolicy


class MempoolQuotes:
    """The prices of a mempool backend; the URL may end in /api or /api/v1 or in neither.

    `max_distance_seconds` is how much older than the time asked for a historical row may be. Rows come by the
    hour while a backend runs, but by the day or week for times before its first start: those are no quote.
    """

    def __init__(
        self,
        url: str,
        *,
        max_distance_seconds: int = 7200,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
        name: str = "mempool",
    ) -> None:
        self.name = name
        self._max_distance_seconds = max_distance_seconds
        base = re.sub(r"(/api(/v1)?)?/*$", "", url.strip()) + "/api/v1"
        self._http = HttpSeam(name, base, retry=retry, sleep=sleep, transport=transport)

    def latest(self) -> Quote | None:
        """Return the newest price with its own time; None while the backend has none (-1, time 0)."""
        answer = self._http.get("/prices")
        row = answer.json()
        if answer.status != 200 or not isinstance(row, dict):
            raise self._http.bad_answer(f"has no prices: it answered {answer.describe()}")
        return self._quote(row)

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest price at or before a time, within the maximum distance.

        None also where the backend keeps no history (404), or has none for its network (400) or time (empty).
        """
        if time_unix <= 0:  # the backend would take 0 for "the whole history"
            return None
        answer = self._http.get("/historical-price", {"currency": "USD", "timestamp": time_unix})
        if answer.status in {400, 404} or (answer.status == 200 and not answer.body):
            return None
        found = answer.json()
        rows = found.get("prices") if isinstance(found, dict) else None
        if answer.status != 200 or not isinstance(rows, list):
            raise self._http.bad_answer(f"has no historical prices: it answered {answer.describe()}")
        quotes = [quote for row in rows if (quote := self._quote(row))]
        oldest = time_unix - self._max_distance_seconds
        near = [quote for quote in quotes if oldest <= quote.quoted_at_unix <= time_unix]
        return max(near, key=lambda quote: quote.quoted_at_unix, default=None)

    def probe(self) -> Health:
        """Ask for the newest price."""
        return self._http.probe(self._ask_health)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask_health(self) -> Health:
        started = time.monotonic()
        quote = self.latest()
        latency_ms = 1000 * (time.monotonic() - started)
        none_yet = "it has no USD price yet: wait up to an hour, or check FIAT_PRICE_ENABLED and its network"
        return Health(
            self.name, self._http.url, True, latency_ms=latency_ms, advice=() if quote else (none_yet,)
        )

    def _quote(self, row: Any) -> Quote | None:
        numbers = (
            {key: value for key, value in row.items() if _is_positive(value)} if isinstance(row, dict) else {}
        )
        quoted_at, price_usd = numbers.pop("time", None), numbers.get("USD")
        if quoted_at is None or price_usd is None:
            return None
        return Quote(
            float(price_usd), int(quoted_at), self.name, {key: float(v) for key, v in numbers.items()}
        )


def _is_positive(value: object) -> bool:
    """Tell a price or time from -1, 0, null, text and what JSON should not hold."""
    return type(value) in {int, float} and 0 < value < math.inf  # type: ignore[operator]
