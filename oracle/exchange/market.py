"""What a tick knows of the exchange: samples, their means, the comparisons and the episodes that
follow."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from datetime import date

import numpy as np

from oracle.chain import midnight_unix
from oracle.errors import SourceError
from oracle.estimate.limits import Limits
from oracle.exchange.belief import VOUCHES_SECONDS, suspicion
from oracle.exchange.compare import Comparison, compare, exchange_mean
from oracle.exchange.episodes import RECENT_TICKS, Episode, Moment, next_episode
from oracle.record.batch import Batch
from oracle.record.store import ENDLESS_UNIX, MAX_HEIGHT, Store
from oracle.rows import ExchangeOfDay, StoredDivergence, StoredEpisode, StoredPrices, sample_row
from oracle.sources import Quote, QuoteSource

DAY_SECONDS = 86_400
CLOSE_REACH_SECONDS = 3_600  # a day's exchange close is the last fresh quote of its last hour
# A spot price of an older block is not set against the exchange price now.
SPOT_MAX_AGE_SECONDS = 2 * 3_600


class Market:
    """The exchange side of one tick; adds its rows to the tick's batch.

    `quote_problem` is why there is no quote of now, `history_problem` why there is none of earlier
    times, when asking for it failed: the tick goes on without.
    """

    def __init__(
        self,
        store: Store,
        batch: Batch,
        quotes: QuoteSource | None,
        limits: Limits,
        since_unix: int,
        *,
        until_unix: int = ENDLESS_UNIX,
        up_to_height: int = MAX_HEIGHT,
    ) -> None:
        self._limits = limits
        self._batch = batch
        self._quotes = quotes
        samples = store.samples(since_unix, until_unix)
        self._times = [row["sampled_at_unix"] for row in samples]
        self._prices = [
            np.nan if row["is_stale"] or row["suspicion"] else row["price_usd"] for row in samples
        ]
        self._moments: dict[str, list[Moment]] = {"divergence": [], "low_confidence": []}
        for row in store.recent_moments(RECENT_TICKS, up_to_height):
            self._remember(row, row["window_confidence"])
        self._open = {row["kind"]: Episode(**row) for row in store.open_episodes()}
        self.changed: list[Episode] = []  # started or ended in this tick
        self.comparison: Comparison | None = None
        self.quote_problem: SourceError | None = None
        self.history_problem: SourceError | None = None
        self.quote_is_stale = False
        self.quote_suspicion: str | None = None  # why the newest quote is not believed

    def compare(
        self,
        time_unix: int,
        price: StoredPrices | None,
        window_span_unix: tuple[int, int],
        *,
        is_now: bool,
    ) -> None:
        """Record the quote of a moment and set the prices beside it; a recorded moment stays as it
        is."""
        if any(moment.time_unix == time_unix for moment in self._moments["divergence"]):
            return
        fresh_usd = self.sample(time_unix, price, is_now=is_now)
        if price is None:
            return
        spot_usd, window_usd = _valid_prices(price, time_unix)
        self.comparison = compare(
            spot_usd=spot_usd,
            window_usd=window_usd,
            exchange_usd=fresh_usd,
            exchange_mean_usd=self.mean(*window_span_unix),
            threshold_percent=self._limits.divergence_threshold_percent,
        )
        row = divergence_row(time_unix, price["height"], self.comparison)
        self._batch.add("divergences", row)
        self._remember(row, price["window_confidence"])
        self._follow_episodes()

    def has_sample(self, time_unix: int) -> bool:
        """Tell whether a quote is recorded for a moment, believed or not."""
        return time_unix in self._times

    def sample(
        self, time_unix: int, price: StoredPrices | None, *, is_now: bool = False
    ) -> float | None:
        """Record the quote of a moment; return its price when it counts."""
        quote = self._ask(None if is_now else time_unix)
        on_chain_usd = [usd for usd in _valid_prices(price, time_unix) if usd is not None]
        return self._record(quote, time_unix, on_chain_usd) if quote else None

    def _ask(self, time_unix: int | None) -> Quote | None:
        if self._quotes is None:
            return None
        return (
            self._latest(self._quotes) if time_unix is None else self._at(self._quotes, time_unix)
        )

    def _latest(self, quotes: QuoteSource) -> Quote | None:
        try:
            return quotes.latest()
        except SourceError as error:
            self.quote_problem = error
            return None

    def _at(self, quotes: QuoteSource, time_unix: int) -> Quote | None:
        if self.history_problem is not None:
            return None
        try:
            return quotes.at(time_unix)
        except SourceError as error:  # not asked for again in this tick; the quote of now still is
            self.history_problem = error
            return None

    def _record(self, quote: Quote, time_unix: int, on_chain_usd: Sequence[float]) -> float | None:
        """Add a sample; return its price unless it is too old, or not believed, to warn of
        anything."""
        known_usd = [*on_chain_usd, *self._quotes_near(time_unix)]
        is_stale = time_unix - quote.quoted_at_unix > self._limits.quote_max_age_seconds
        doubt = suspicion(quote.price_usd, known_usd, self._limits)
        self.quote_is_stale, self.quote_suspicion = is_stale, doubt
        counts = not is_stale and doubt is None
        if time_unix not in self._times:
            place = bisect(self._times, time_unix)  # in the order in which the record returns them
            self._times.insert(place, time_unix)
            self._prices.insert(place, quote.price_usd if counts else np.nan)
            row = sample_row(quote, time_unix, is_stale=is_stale, suspicion=doubt)
            self._batch.add("exchange_samples", row)
        return quote.price_usd if counts else None

    def _quotes_near(self, time_unix: int) -> list[float]:
        """Return the quotes that count of the days around a moment."""
        samples = zip(self._times, self._prices, strict=True)
        return [
            usd
            for at, usd in samples
            if abs(time_unix - at) <= VOUCHES_SECONDS and np.isfinite(usd)
        ]

    def _remember(self, row: StoredDivergence, confidence: float | None) -> None:
        at = row["time_unix"], row["height"]
        for kind, moment in (
            ("divergence", Moment(*at, row["headline_percent"], row["leg"])),
            ("low_confidence", Moment(*at, confidence)),
        ):
            self._moments[kind] = [*self._moments[kind][-RECENT_TICKS + 1 :], moment]

    def mean(self, first_unix: int, last_unix: int) -> float | None:
        """Return the mean of the fresh quotes sampled during a span, None when they do not cover
        it."""
        times = np.array(self._times, np.int64)
        prices = np.array(self._prices, np.float64)
        fresh = np.isfinite(prices)
        return exchange_mean(times[fresh], prices[fresh], first_unix, last_unix)

    def of_day(self, day: date) -> ExchangeOfDay:
        """Return the exchange's mean and close of a UTC day, None where the samples do not tell."""
        midnight = midnight_unix(day)
        end = midnight + DAY_SECONDS - 1
        samples = zip(self._times, self._prices, strict=True)
        close = [
            price
            for at, price in samples
            if end - CLOSE_REACH_SECONDS < at <= end and np.isfinite(price)
        ]
        return {
            "exchange_mean_usd": self.mean(midnight, end),
            "exchange_close_usd": close[-1] if close else None,
        }

    def _follow_episodes(self) -> None:
        limits = {
            "divergence": self._limits.divergence_threshold_percent,
            "low_confidence": self._limits.confidence_threshold,
        }
        for kind, limit in limits.items():
            before = self._open.pop(kind, None)
            after = next_episode(kind, before, self._moments[kind], limit)
            if after and (before is None or after.ended_at_unix is not None):
                self.changed.append(after)
            if after and after.ended_at_unix is None:
                self._open[kind] = after

    def close_books(self) -> None:
        """Hand the episodes as they now stand to the batch."""
        ended = [episode for episode in self.changed if episode.ended_at_unix is not None]
        self._batch.episodes = [episode_row(episode) for episode in [*ended, *self._open.values()]]


def _valid_prices(price: StoredPrices | None, time_unix: int) -> tuple[float | None, float | None]:
    """Return the spot and the window price as of a moment, None for what is not valid then."""
    if price is None:
        return None, None
    is_recent = time_unix - price["time_unix"] < SPOT_MAX_AGE_SECONDS
    return (
        price["spot_usd"] if price["spot_is_valid"] and is_recent else None,
        price["window_usd"] if price["window_is_valid"] else None,
    )


def divergence_row(time_unix: int, height: int, comparison: Comparison) -> StoredDivergence:
    """Return the row of a comparison at a moment."""
    return {
        "time_unix": time_unix,
        "height": height,
        "spot_usd": comparison.spot_usd,
        "exchange_usd": comparison.exchange_usd,
        "spot_percent": comparison.spot_percent,
        "window_usd": comparison.window_usd,
        "exchange_mean_usd": comparison.exchange_mean_usd,
        "window_percent": comparison.window_percent,
        "headline_percent": comparison.headline_percent,
        "leg": comparison.leg,
        "is_large": comparison.is_large,
    }


def episode_row(episode: Episode) -> StoredEpisode:
    """Return the row of an episode."""
    return {
        "kind": episode.kind,
        "leg": episode.leg,
        "started_at_unix": episode.started_at_unix,
        "ended_at_unix": episode.ended_at_unix,
        "start_height": episode.start_height,
        "end_height": episode.end_height,
        "peak_percent": episode.peak_percent,
    }
