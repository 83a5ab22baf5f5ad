"""The exchange prices of a mempool backend."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite

from oracle.errors import BadAnswerError, NoQuoteError
from oracle.sources import Quote
from oracle.sources.esplora import RUNNING_HINTS, SETTINGS, UNAVAILABLE_CODES, address_of
from oracle.sources.http import MAX_TEXT_BYTES, PATIENCE, HttpSource, RetryPolicy, passes
from oracle.sources.replies import object_of
from oracle.web import Route, WebAnswer

EARLIEST_UNIX = 1_230_768_000  # 2009-01-01: before that there was no bitcoin to have a price
MAX_AHEAD_SECONDS = 900  # of a quote, by this machine's clock; more is no time of a price
MAX_CURRENCIES = 200  # more than there are
MAX_OTHER_PRICE = 1e15  # a bitcoin in the weakest of currencies is some 1e10
MAX_HISTORY_BYTES = 50_000_000  # of all that a backend keeps: an hourly price takes some 200
BEYOND = 1e18  # neither a time nor a price; an integer of JSON may have thousands of digits
NONE_YET = (
    "there is none yet; is its price feed on, and may it go online? For test networks it has none"
)


class Unusable(Exception):  # noqa: N818 - ends in this file, as None or as an error of ours
    """A row is no quote; the text says why."""


class MempoolQuotes(HttpSource):
    """The prices of a mempool backend; the URL may end in /api or /api/v1 or in neither.

    `max_distance_seconds` is how much older than the time asked for a historical row may be. Rows
    come by the hour while a backend runs, but by the day or week for times before its first start:
    those are no quote.
    """

    unavailable_code = UNAVAILABLE_CODES["mempool"]
    setting = SETTINGS["mempool"]
    running_hint = RUNNING_HINTS["mempool"]

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float],
        max_distance_seconds: int = 7200,
        retry: RetryPolicy = PATIENCE,
        route: Route | None = None,
    ) -> None:
        super().__init__("mempool", address_of(url, self.setting), retry, route)
        self._clock = clock
        self._max_distance_seconds = max_distance_seconds

    def latest(self) -> Quote | None:
        """Return the newest price with its own time.

        Raises:
            NoQuoteError: the backend has none (-1, time 0), or none to believe.
            SourceError: it failed.
        """
        answer = self._answer("/prices", {})
        row = object_of(answer.body)
        if row is None:
            raise self._error(
                BadAnswerError, "has no prices", f": it gave {self._described(answer)}"
            )
        try:
            return self._quote(row)
        except Unusable as problem:
            raise self._error(NoQuoteError, f"has no price to go by: {problem}") from None

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest price at or before a time, within the maximum distance.

        None also where the backend keeps no history (404), or has none for its network (400) or
        time (empty).
        """
        about: dict[str, str | int] = {"currency": "USD", "timestamp": time_unix}
        quotes = self._quotes_of(self._answer("/historical-price", about))
        times = range(time_unix - self._max_distance_seconds, time_unix + 1)
        near = [quote for quote in quotes if quote.quoted_at_unix in times]
        return max(near, key=lambda quote: quote.quoted_at_unix, default=None)

    def history(self) -> QuoteHistory:
        """Return all prices that the backend keeps, asked for at once; none where `at` has none.

        Raises:
            SourceError: it failed.
        """
        answer = self._answer("/historical-price", {"currency": "USD"}, MAX_HISTORY_BYTES)
        return QuoteHistory(self._quotes_of(answer), self._max_distance_seconds)

    def _quotes_of(self, answer: WebAnswer) -> list[Quote]:
        """Return the rows of a history that are quotes."""
        rows = (object_of(answer.body) or {}).get("prices")
        quotes: list[Quote] = []
        for row in rows if isinstance(rows, list) else ():
            with suppress(Unusable):
                quotes.append(self._quote(row))
        return quotes

    def _answer(
        self, below: str, parameters: Mapping[str, str | int], max_bytes: int = MAX_TEXT_BYTES
    ) -> WebAnswer:
        def ask() -> WebAnswer:
            answer = self._get("/api/v1" + below, max_bytes, parameters)
            if passes(answer):
                raise self._not_ready(answer)
            return answer

        return self._retrying(ask)

    def _quote(self, row: object) -> Quote:
        """Return a row as a quote, without currencies that are -1, 0, null, text or no number."""
        fields = row if isinstance(row, dict) else {}
        usd = _number(fields.get("USD"))
        at_unix = _number(fields.get("time"))
        ahead_seconds = at_unix - self._clock()
        if usd <= 0 or at_unix <= 0:
            raise Unusable(NONE_YET)
        if at_unix < EARLIEST_UNIX:
            raise Unusable("its time is before 2009")
        if ahead_seconds > MAX_AHEAD_SECONDS:
            raise Unusable("its time lies ahead; is this machine's clock right (timedatectl)?")
        return Quote(float(usd), int(at_unix), self.name, _currencies(fields))


class QuoteHistory:
    """Quotes of the past, as a source of them that asks nobody."""

    def __init__(self, quotes: Iterable[Quote], max_distance_seconds: int) -> None:
        self._quotes = sorted(quotes, key=_time_of)
        self._times_unix = [_time_of(quote) for quote in self._quotes]
        self._max_distance_seconds = max_distance_seconds

    def latest(self) -> Quote | None:
        """Return none: the past has no newest price."""
        return None

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest quote at or before a time, within the maximum distance."""
        place = newest_place(self._times_unix, time_unix, self._max_distance_seconds)
        return None if place is None else self._quotes[place]

    def close(self) -> None:
        """Nothing is open."""


def newest_place(
    times_unix: Sequence[int], time_unix: int, max_distance_seconds: int
) -> int | None:
    """Return where the newest of some sorted times at or before a time stands; None when there is
    none within the distance."""
    place = bisect_right(times_unix, time_unix) - 1
    is_near = place >= 0 and time_unix - times_unix[place] <= max_distance_seconds
    return place if is_near else None


def _time_of(quote: Quote) -> int:
    return quote.quoted_at_unix


def _number(value: object) -> float:
    """Return a number that JSON gave, -1 for what is none; one beyond all use is cut."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return -1.0
    if isinstance(value, float) and not isfinite(value):
        return -1.0
    return float(max(-1.0, min(BEYOND, value)))


def _currencies(fields: Mapping[str, object]) -> dict[str, float]:
    """Return the currencies with a price that can be one."""
    known: dict[str, float] = {}
    for name, value in fields.items():
        price = _number(value)
        is_currency = len(name) == 3 and name.isascii() and name.isupper()
        if is_currency and 0 < price < MAX_OTHER_PRICE and len(known) < MAX_CURRENCIES:
            known[name] = float(price)
    return known
