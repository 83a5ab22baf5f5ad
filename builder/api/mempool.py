"""mempool's spellings of prices: now, of a time, and of all days. Pure but for the record's rows.

A static file cannot look a time up, so the times are a grid: a row each 10,000 seconds of the last
days and each 100,000 seconds before. nginx takes the last digits off the time that was asked for,
which leaves the newest row of the grid at or before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from builder.api.head import midnight_unix
from builder.draft import Draft, dump
from builder.gather import DAY_SECONDS, Context, Gathered
from builder.rows import PriceAtRow, rows
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Days, Exchange, Latest, MempoolHistory, MempoolPrice

CURRENCIES = ("EUR", "GBP", "CAD", "CHF", "AUD", "JPY")
"""What mempool has beside USD."""

NONE = -1.0
"""What mempool says instead of a price that there is not."""

FOLDER = "api/compat/price-at"
FINE_SECONDS = 10_000
COARSE_SECONDS = 100_000
FINE_DAYS = 7
MAX_OLDER_SECONDS = 30 * DAY_SECONDS
"""A price that was so old at a time is none of that time."""

SETTLED_SECONDS = DAY_SECONDS
"""A row so old is not made again: its blocks are deep."""


def mempool_price(latest: Latest, *, has_market: bool = True) -> MempoolPrice:
    """Return the spot price, or time 0 and -1 where there is none.

    So mempool itself says it, for its readers expect numbers here.
    """
    spot = latest["spot"]
    tip = latest["tip"]
    if not has_market or not spot or not tip or not spot["is_valid"] or spot["price_usd"] is None:
        return _price(0, None, {})
    return _price(tip["time_unix"], spot["price_usd"], _rates(latest["exchange"]))


def mempool_history(days: Days, latest: Latest) -> MempoolHistory:
    """Return the valid days, newest first, and what a dollar is in other currencies now."""
    return {
        "prices": [
            _price(midnight_unix(day["date"]), day["price_usd"], {})
            for day in reversed(days["days"])
            if day["is_valid"] and day["price_usd"] is not None
        ],
        "exchangeRates": _named(_rates(latest["exchange"])),
    }


def _price(time_unix: int, usd: float | None, per_usd: dict[str, float]) -> MempoolPrice:
    def of(code: str) -> float:
        rate = per_usd.get(code)
        return NONE if usd is None or rate is None else round(usd * rate, 2)

    return {
        "time": time_unix,
        "USD": NONE if usd is None else round(usd, 2),
        "EUR": of("EUR"),
        "GBP": of("GBP"),
        "CAD": of("CAD"),
        "CHF": of("CHF"),
        "AUD": of("AUD"),
        "JPY": of("JPY"),
    }


def _rates(exchange: Exchange | None) -> dict[str, float]:
    """Return what a dollar is in other currencies, by a quote that is believed and not old."""
    if exchange is None or exchange["is_suspect"] or exchange["is_stale"]:
        return {}
    return _per_usd(exchange["price_usd"], exchange["currencies"])


def _per_usd(quote_usd: float, currencies: dict[str, float]) -> dict[str, float]:
    return {code: currencies[code] / quote_usd for code in CURRENCIES if currencies.get(code)}


def _named(per_usd: dict[str, float]) -> dict[str, float]:
    return {f"USD{code}": round(rate, 2) for code, rate in per_usd.items()}


class PricesAt:
    """The files of prices by time, one a row of the grid."""

    def __init__(self, gathered: Gathered, reader: Reader, context: Context) -> None:
        self._gathered = gathered
        self._reader = reader
        self._context = context

    def make(self, draft: Draft) -> None:
        """Put the files into the draft; those of settled times are made once."""
        first = rows(self._reader, PriceAtRow, "first_price")
        if not first:
            return
        missing = {
            path: at_unix
            for path, at_unix in self._paths(first[0]["time_unix"])
            if not draft.carry(path, self._key(at_unix))
        }
        found = self._rows(min(missing.values())) if missing else {}
        for path, at_unix in missing.items():
            if at_unix in found:
                draft.add(path, dump(_at(found[at_unix])))

    def _paths(self, first_unix: int) -> Iterator[tuple[str, int]]:
        now_unix = self._context.now_unix
        fine_from = max(first_unix, now_unix - FINE_DAYS * DAY_SECONDS)
        for step_seconds, from_unix in ((COARSE_SECONDS, first_unix), (FINE_SECONDS, fine_from)):
            for at_unix in _grid(from_unix, now_unix, step_seconds):
                yield f"{FOLDER}/{step_seconds}/{at_unix // step_seconds}.json", at_unix

    def _key(self, at_unix: int) -> str:
        """Return what a row is made from: once settled, only what may be found older than it."""
        gathered = self._gathered
        is_settled = at_unix < self._context.now_unix - SETTLED_SECONDS
        tip = gathered.tip["hash"] if gathered.tip and not is_settled else None
        return self._context.key(tip, gathered.gaps, gathered.counts["first_height"])

    def _rows(self, first_unix: int) -> dict[int, PriceAtRow]:
        """Return the rows of the grid from a time on."""
        last_unix = self._context.now_unix + COARSE_SECONDS
        found: Sequence[PriceAtRow] = rows(
            self._reader,
            PriceAtRow,
            "prices_at",
            first=first_unix,
            last=last_unix,
            step=FINE_SECONDS,
            since=first_unix - MAX_OLDER_SECONDS,
        )
        return {row["at_unix"]: row for row in found}


def _grid(from_unix: int, now_unix: int, step_seconds: int) -> Iterator[int]:
    """Yield the times of a grid from the first at or after a time to the one after now, so that a
    reader finds the next one, too, until the next build."""
    first = -(-from_unix // step_seconds) * step_seconds
    yield from range(first, now_unix + step_seconds, step_seconds)


def _at(row: PriceAtRow) -> MempoolHistory:
    per_usd = _per_usd(row["quote_usd"], row["currencies"] or {}) if row["quote_usd"] else {}
    return {
        "prices": [_price(row["time_unix"], row["spot_usd"], per_usd)],
        "exchangeRates": _named(per_usd),
    }
