"""The figures above the dashboard's chart: the headline's three numbers, and the facts below."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.gauge import Gauge, gauge
from builder.pages.headline import Headline
from builder.pages.site import Site
from builder.pages.views.notices import LEG_WORDS
from builder.pages.views.parts import HIGH_CONFIDENCE, sureness

if TYPE_CHECKING:
    from builder.api.types import Exchange, Latest, Price

NOTHING_RECORDED = "Nothing has been recorded yet."


class PriceBox(NamedTuple):
    """The on-chain price of the headline; `reason` says why there is none."""

    label: str
    anchor: str
    is_window: bool
    is_now: bool
    price: Price | None
    is_doubtful: bool
    reason: str


class Quote(NamedTuple):
    """The newest exchange quote."""

    usd: float
    source: str
    quoted_unix: int
    is_stale: bool
    suspicion: str | None


class ExchangeBox(NamedTuple):
    """The exchange price of the headline; a mean is said to be one, with the quote of now."""

    label: str
    anchor: str
    usd: float | None
    is_mean: bool
    is_doubtful: bool
    quote: Quote | None


class DifferenceBox(NamedTuple):
    """The difference of the two."""

    percent: float | None
    usd: float | None
    is_large: bool
    compared: str


class OtherPrice(NamedTuple):
    """The on-chain price that is not the headline: `percent` is from its own exchange price."""

    label: str
    usd: float | None
    is_doubtful: bool
    words: str
    percent: float | None


class Sureness(NamedTuple):
    """Confidence as a word, now and when it is no longer of now, as a number, and on a meter from 0
    to 1 with what counts as low and high there."""

    word: str
    word_later: str
    value: float
    low: float
    high: float


class TipFact(NamedTuple):
    """The newest block."""

    height: int
    time_unix: int


def price_box(headline: Headline) -> PriceBox:
    """Return the first figure."""
    price = headline.price
    is_priced = headline.price_usd is not None
    return PriceBox(
        label="On-chain price, last 144 blocks" if headline.is_window else "On-chain price",
        anchor=f"{headline.leg}-price",
        is_window=headline.is_window,
        is_now=is_priced and not headline.is_window,
        price=price if is_priced else None,
        is_doubtful=headline.is_doubtful,
        reason=(price["reason"] if price else None) or NOTHING_RECORDED,
    )


def exchange_box(site: Site, headline: Headline) -> ExchangeBox:
    """Return the second figure."""
    quote = _quote(site.latest["exchange"])
    return ExchangeBox(
        label="Exchange mean" if headline.is_window else "Exchange price",
        anchor="exchange-mean" if headline.is_window else "exchange-price",
        usd=headline.exchange_usd,
        is_mean=headline.is_window,
        is_doubtful=bool(not headline.is_window and quote and quote.is_stale),
        quote=quote,
    )


def _quote(exchange: Exchange | None) -> Quote | None:
    if exchange is None:
        return None
    return Quote(
        usd=exchange["price_usd"],
        source=exchange["source"],
        quoted_unix=exchange["quoted_at_unix"],
        is_stale=exchange["is_stale"],
        suspicion=exchange["reason"],
    )


def difference_box(latest: Latest, headline: Headline) -> DifferenceBox:
    """Return the third figure."""
    return DifferenceBox(
        percent=headline.percent,
        usd=headline.difference_usd,
        is_large=latest["divergence"]["is_large"],
        compared=LEG_WORDS[headline.leg],
    )


def gauge_of(headline: Headline, limit: float) -> Gauge | None:
    """Return the headline's price around its exchange price, where there are both."""
    price = headline.price
    price_usd = headline.price_usd
    exchange_usd = headline.exchange_usd
    if price is None or price_usd is None or exchange_usd is None:
        return None
    interval_usd = (price["low_usd"] or price_usd, price["high_usd"] or price_usd)
    return gauge(
        price_usd,
        interval_usd,
        exchange_usd,
        exchange="exchange mean" if headline.is_window else "exchange",
        limit=limit,
    )


def other_price(latest: Latest, headline: Headline) -> OtherPrice:
    """Return the window price, or the spot price as what it is when the window price leads."""
    if headline.is_window:
        return _other_spot(latest)
    window = latest["window"]
    percent = latest["divergence"]["window_percent"]
    window_usd = window["price_usd"] if window else None
    return OtherPrice("Window price", window_usd, False, "the last 144 blocks", percent)


def _other_spot(latest: Latest) -> OtherPrice:
    spot = latest["spot"]
    if spot is None or spot["is_valid"]:
        words = "the newest blocks; no fresh exchange price to compare"
    else:
        words = f"not relied on: {spot['reason'] or 'low confidence'}"
    spot_usd = spot["price_usd"] if spot else None
    is_doubtful = bool(spot and not spot["is_valid"])
    return OtherPrice("Spot price", spot_usd, is_doubtful, words, None)


def sureness_of(site: Site, headline: Headline) -> Sureness | None:
    """Return how sure the headline's price is."""
    price = headline.price
    if price is None:
        return None
    word = sureness(price["is_valid"], price["confidence"])
    return Sureness(
        word=word,
        word_later=f"was {word.lower()}",
        value=price["confidence"],
        low=site.limits.confidence_threshold,
        high=HIGH_CONFIDENCE,
    )


def tip_fact(site: Site) -> TipFact | None:
    """Return the newest block."""
    tip = site.latest["tip"]
    return TipFact(tip["height"], tip["time_unix"]) if tip else None
