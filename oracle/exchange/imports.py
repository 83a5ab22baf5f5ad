"""Quotes of a file beside the recorded past: what has no exchange price yet is compared with
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from oracle.chain import midnight_unix, utc_date
from oracle.config import Settings
from oracle.errors import NoDataError
from oracle.estimate.limits import Limits
from oracle.exchange.compare import compare
from oracle.exchange.market import DAY_SECONDS, Market, divergence_row
from oracle.exchange.quote_file import FileQuotes
from oracle.lock import run_in_turn
from oracle.record.amend import Amended, Lacking, amend, days_lacking, lacking, unpriced
from oracle.record.batch import Batch
from oracle.record.store import Store
from oracle.rows import ExchangeOfDay, StoredDivergence, StoredPrices
from oracle.wiring import limits_of

PIECE_DAYS = 30  # compared under one lock: a tick may run before the next
REACH_SECONDS = 3 * DAY_SECONDS  # a window's quotes, and those that vouch for others


class Imported(NamedTuple):
    """What an import added: quotes that stand for a moment of the record, comparisons that gained
    an exchange price or mean, days that gained one; and what of the file was of no use."""

    quotes: int
    comparisons: int
    days: int
    suspect: int
    rows: int
    empty_rows: int


def import_quotes(settings: Settings, quotes: FileQuotes, now_unix: int) -> Imported:
    """Set the quotes of a file beside what was recorded without an exchange price.

    Nothing that has one is changed, so the same file twice changes nothing.

    Raises:
        NoDataError: there is no record.
        StoreError: the record cannot be read or written.
    """
    if not settings.duckdb_path.exists():
        raise NoDataError("there is no record yet; make one with: oracle build")
    total = Imported(0, 0, 0, 0, len(quotes.times_unix) + quotes.empty_rows, quotes.empty_rows)
    for span_unix in _pieces(quotes):
        with run_in_turn(settings):
            amended, suspect = _import_piece(settings, quotes, now_unix, span_unix)
        total = total._replace(
            quotes=total.quotes + amended.quotes,
            comparisons=total.comparisons + amended.comparisons,
            days=total.days + amended.days,
            suspect=total.suspect + suspect,
        )
    return total


def _pieces(quotes: FileQuotes) -> Iterator[tuple[int, int]]:
    """Yield spans of whole UTC days that the quotes reach, the oldest first."""
    day = utc_date(int(quotes.times_unix[0]))
    newest_unix = int(quotes.times_unix[-1]) + quotes.max_distance_seconds
    while midnight_unix(day) <= newest_unix:
        after = day + timedelta(days=PIECE_DAYS)
        yield midnight_unix(day), midnight_unix(after) - 1
        day = after


def _import_piece(
    settings: Settings, quotes: FileQuotes, now_unix: int, span_unix: tuple[int, int]
) -> tuple[Amended, int]:
    """Complete the comparisons of a span of days; return what changed, and how many of the quotes
    are not believed."""
    limits = limits_of(settings)
    path = settings.duckdb_path
    batch = Batch(now_unix)
    first_unix, last_unix = span_unix
    with Store(path) as store:
        since_unix = first_unix - REACH_SECONDS
        until_unix = last_unix + REACH_SECONDS
        market = Market(store, batch, quotes, limits, since_unix, until_unix=until_unix)
    found = lacking(path, first_unix, last_unix)
    days = days_lacking(path, utc_date(first_unix), utc_date(last_unix))
    compared = _in_order(found, unpriced(path, first_unix, last_unix), market, limits)
    changed = [row for one, row in zip(found, compared, strict=True) if row != one.moment]
    completed = {day: _completed(day, known, market) for day, known in days.items()}
    changed_days = {day: row for day, row in completed.items() if row != days[day]}
    samples = batch.tables.get("exchange_samples", [])
    suspect = sum(row["suspicion"] is not None for row in samples)
    return amend(path, samples, changed, changed_days), suspect


def _in_order(
    found: Sequence[Lacking], unpriced: Mapping[int, int], market: Market, limits: Limits
) -> list[StoredDivergence]:
    """Compare block after block, as ticks would have with these quotes: a mean is of those sampled
    until then."""
    waiting = sorted(unpriced.items(), reverse=True)
    compared = []
    for one in found:
        while waiting and waiting[-1][0] < one.moment["height"]:
            _sample(waiting.pop()[1], one.price, market)  # which says what is to be believed
        exchange_usd = one.moment["exchange_usd"]
        if exchange_usd is None:
            exchange_usd = _sample(one.moment["time_unix"], one.price, market)
        compared.append(_compared(one, exchange_usd, market, limits))
    for _, time_unix in reversed(waiting):
        _sample(time_unix, None, market)
    return compared


def _sample(time_unix: int, price: StoredPrices | None, market: Market) -> float | None:
    """Return the file's price of a moment, if it counts. A moment whose quote was recorded and does
    not count stays without."""
    return None if market.has_sample(time_unix) else market.sample(time_unix, price)


def _compared(
    one: Lacking, exchange_usd: float | None, market: Market, limits: Limits
) -> StoredDivergence:
    moment = one.moment
    mean_usd = moment["exchange_mean_usd"]
    comparison = compare(
        spot_usd=moment["spot_usd"],
        window_usd=moment["window_usd"],
        exchange_usd=exchange_usd,
        exchange_mean_usd=mean_usd if mean_usd else market.mean(*one.window_span_unix),
        threshold_percent=limits.divergence_threshold_percent,
    )
    return divergence_row(moment["time_unix"], moment["height"], comparison)


def _completed(day: date, known: ExchangeOfDay, market: Market) -> ExchangeOfDay:
    found = market.of_day(day)
    return {
        "exchange_mean_usd": known["exchange_mean_usd"] or found["exchange_mean_usd"],
        "exchange_close_usd": known["exchange_close_usd"] or found["exchange_close_usd"],
    }
