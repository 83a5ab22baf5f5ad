"""Exchange prices from a CSV file as exchanges and their archives offer them.

The columns are found by name. Of candles a row's *open* counts, at the row's time: that is the one
price whose moment the file says. A row that says when it closed counts with its close, then.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from oracle.errors import RequestError
from oracle.exchange.market import DAY_SECONDS
from oracle.sources import Quote
from oracle.sources.quotes import EARLIEST_UNIX, MAX_AHEAD_SECONDS, newest_place

CLOSE_TIMES = ("closetime", "timeclose")
TIMES = (
    *("unix", "unixtimestamp", "timestamp", "time", "datetime", "date", "opentime", "timeopen"),
    *("timeperiodstart", "starttime", "start"),
)
PRICES = ("price", "priceusd", "usd", "last", "lastprice", "rate", "value", "close", "closeusd")
PAIRS = ("symbol", "pair", "market", "ticker", "currencypair")
DOLLAR_PAIRS = re.compile(r"(BTC|XBT)[^A-Z]*(USD|USDT|USDC)")
MOST_ROWS = 20_000_000  # ten years of one a minute are 5 million
LONGEST_LINE = 100_000
TITLE_LINES = 5  # that may stand before the names of the columns
# Seconds, or thousandths or millionths of them: a number says which by its size.
UNITS = ((10**15, 10**6), (10**12, 10**3), (0, 1))
SHOWN = 40


class Columns(NamedTuple):
    """Where in a row the time, the price and the pair stand."""

    time: int
    price: int
    pair: int | None
    is_at_end: bool  # a date without a time stands for the end of its day


class FileQuotes(NamedTuple):
    """The quotes of a file, in the order of their times, as a source of them."""

    name: str
    times_unix: Sequence[int]
    prices_usd: Sequence[float]
    max_distance_seconds: int
    empty_rows: int = 0

    def latest(self) -> Quote | None:
        """Return none: the past has no newest price."""
        return None

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest quote at or before a time, within the maximum distance."""
        place = newest_place(self.times_unix, time_unix, self.max_distance_seconds)
        if place is None:
            return None
        usd = float(self.prices_usd[place])
        return Quote(usd, int(self.times_unix[place]), self.name, {"USD": usd})

    def close(self) -> None:
        """Nothing is open."""


def read_quotes(path: Path, name: str, max_distance_seconds: int, now_unix: int) -> FileQuotes:
    """Read a file of quotes.

    Args:
        path: the CSV file.
        name: what the quotes' source is called.
        max_distance_seconds: how old a quote may be at the moment for which it is asked.
        now_unix: the time; quotes may not be of the future.

    Raises:
        RequestError: it cannot be read, or a line is not what it should be; the sentence says
            which.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = list(_quotes(path.name, _lines(path.name, file), now_unix))
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is no text: name a CSV file of exchange prices") from error
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from error
    quotes = np.array([quote for quote in found if quote is not None], np.float64).reshape(-1, 2)
    if not len(quotes):
        raise RequestError(f"{path} holds no price")
    order = np.argsort(quotes[:, 0], kind="stable")
    times = quotes[order, 0].astype(np.int64)
    return FileQuotes(name, times, quotes[order, 1], max_distance_seconds, len(found) - len(quotes))


def _lines(name: str, file: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if len(line) > LONGEST_LINE:
            raise _wrong(name, number, f"it has {len(line):,} characters")
        if number > MOST_ROWS:
            raise _wrong(name, number, f"a file may have {MOST_ROWS:,} of them: split it")
        yield line


def _quotes(name: str, lines: Iterable[str], now_unix: int) -> Iterator[tuple[int, float] | None]:
    """Yield time and price of each row, None for a row without a price."""
    reader = csv.reader(lines, strict=True)
    columns: Columns | None = None
    try:
        for row in reader:
            if columns is None:
                columns = _columns(row)
                if columns is None and reader.line_num >= TITLE_LINES:
                    break
            elif row:
                yield _quote(name, reader.line_num, row, columns, now_unix)
    except csv.Error as error:
        raise _wrong(name, reader.line_num, str(error)) from error
    if columns is None:
        raise RequestError(
            f"{name} names no columns that are known in its first {TITLE_LINES} lines: needed are "
            "one for the time (timestamp, unix, date, ...) and one for the price (open, close, "
            "price, ...)"
        )


def _columns(row: Sequence[str]) -> Columns | None:
    """Return where things stand, by the line that names the columns; None when it names none."""
    names = [re.sub(r"[^a-z]", "", name.lower()) for name in row]

    def place(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    pair = place(PAIRS)
    close_time = place(CLOSE_TIMES)
    close = place(["close"])
    if close_time is not None and close is not None:
        return Columns(close_time, close, pair, is_at_end=True)
    time = place(TIMES)
    opening = place(["open"])
    price = opening if opening is not None else place(PRICES)
    if time is None or price is None:
        return None
    return Columns(time, price, pair, is_at_end=opening is None)


def _quote(
    name: str, line: int, row: Sequence[str], columns: Columns, now_unix: int
) -> tuple[int, float] | None:
    try:
        time_text = row[columns.time].strip()
        price_text = row[columns.price].strip()
        pair = row[columns.pair] if columns.pair is not None else "BTCUSD"
    except IndexError:
        raise _wrong(name, line, f"it has {len(row)} columns, too few") from None
    if not DOLLAR_PAIRS.search(pair.upper()):
        raise _wrong(name, line, f"it is of {_shown(pair)}, not of bitcoin in dollars")
    if price_text.lower() in {"", "nan", "null", "none"}:
        return None
    time_unix = _time_of(time_text, is_at_end=columns.is_at_end)
    if time_unix is None:
        raise _wrong(name, line, f"{_shown(time_text)} is no time: epoch or ISO 8601 is")
    if not EARLIEST_UNIX <= time_unix <= now_unix + MAX_AHEAD_SECONDS:
        raise _wrong(name, line, f"{_shown(time_text)} is before 2009 or ahead of now")
    price_usd = _number(price_text)
    if not 0 < price_usd < math.inf:
        raise _wrong(name, line, f"{_shown(price_text)} is no price")
    return time_unix, price_usd


def _time_of(text: str, *, is_at_end: bool) -> int | None:
    """Return a time as Unix seconds; without a zone it is UTC."""
    number = _number(text)
    if math.isfinite(number):
        return next(int(number // unit) for least, unit in UNITS if abs(number) >= least)
    try:
        moment = datetime.fromisoformat(text.removesuffix("UTC").strip())
    except ValueError:
        return None
    is_date = re.fullmatch(r"\d{4}-?\d\d-?\d\d", text) is not None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    end_seconds = DAY_SECONDS - 1 if is_date and is_at_end else 0
    return math.floor(moment.timestamp()) + end_seconds


def _number(text: str) -> float:
    """Return a plain decimal number; NaN for anything else."""
    return (
        float(text) if re.fullmatch(r"\d{1,20}(\.\d{0,20})?([eE][+-]?\d\d?)?", text) else math.nan
    )


def _wrong(name: str, line: int, what: str) -> RequestError:
    return RequestError(f"{name}, line {line}: {what}; nothing was imported")


def _shown(text: str) -> str:
    return repr(text[:SHOWN])
