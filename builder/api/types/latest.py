"""`/api/latest.json`: the newest prices, the comparison, and what to watch out for."""

from __future__ import annotations

from typing import Annotated, Literal

from typing_extensions import TypeAliasType, TypedDict

from builder.api.types.base import (
    Count,
    Date,
    Head,
    Leg,
    Percent,
    Seconds,
    Share,
    State,
    Time,
    Tip,
    Unix,
    Usd,
    about,
)

NoticeCode = TypeAliasType(
    "NoticeCode",
    Literal[
        "simulated",
        "test_network",
        "no_data",
        "no_price",
        "low_confidence",
        "no_exchange",
        "stale_exchange",
        "suspect_exchange",
        "large_divergence",
        "peer_differs",
        "stale",
        "failing",
        "source_unreachable",
        "gaps",
        "clock",
        "less_work",
        "source_differs",
    ],
)
Severity = TypeAliasType("Severity", Literal["info", "warning", "error"])


class Notice(TypedDict):
    """One thing a reader must know."""

    code: NoticeCode
    severity: Severity
    message: Annotated[str, about("one sentence")]


class Price(TypedDict):
    """An on-chain price and how sure it is."""

    price_usd: Annotated[
        Usd | None,
        about("the estimate, also when it is not valid; null: no estimate (USD per BTC)"),
    ]
    low_usd: Annotated[Usd | None, about("low end of the 95 % interval (USD per BTC)")]
    high_usd: Annotated[Usd | None, about("high end of the 95 % interval (USD per BTC)")]
    confidence: Annotated[Share, about("0 to 1: how likely the price is within 5 % of the market")]
    is_valid: Annotated[bool, about("false: do not rely on price_usd, reason says why")]
    reason: Annotated[str | None, about("why not valid, in words")]
    first_height: Annotated[int | None, about("first block used")]
    last_height: Annotated[int | None, about("last block used")]


class Spot(Price):
    """Spot price: from the last few blocks."""

    points: Annotated[Count, about("price points")]


class Change(TypedDict):
    """What the spot price did over some days; null where the record does not reach."""

    days: Annotated[Literal[1, 7, 30], about("how many days before the newest block it begins")]
    from_usd: Annotated[
        Usd | None,
        about("the newest valid spot price of then, at most three hours older (USD per BTC)"),
    ]
    from_height: Annotated[int | None, about("the block of from_usd")]
    percent: Annotated[
        Percent | None,
        about("the newest spot price against it (percent); null as well while that is not valid"),
    ]
    low_usd: Annotated[Usd | None, about("lowest valid spot price since (USD per BTC)")]
    high_usd: Annotated[Usd | None, about("highest valid spot price since (USD per BTC)")]


class NewestWindow(Price):
    """Window price: the last 144 confirmed blocks."""

    outputs: Annotated[Count, about("eligible outputs")]
    points: Annotated[Count, about("price points")]


class NewestDay(Price):
    """Price of the newest final UTC day."""

    outputs: Annotated[Count, about("eligible outputs")]
    points: Annotated[Count, about("price points")]
    date: Annotated[Date, about("UTC date")]


class Exchange(TypedDict):
    """The exchange price."""

    price_usd: Annotated[Usd, about("USD per BTC")]
    quoted_at: Annotated[Time, about("the time the exchange side gives (ISO 8601 UTC)")]
    quoted_at_unix: Annotated[
        Unix, about("the time the exchange side gives (seconds since 1970 UTC)")
    ]
    sampled_at: Annotated[Time, about("the tick that took it (ISO 8601 UTC)")]
    sampled_at_unix: Annotated[Unix, about("the tick that took it (seconds since 1970 UTC)")]
    age_seconds: Annotated[Seconds, about("generated_at minus quoted_at, at least 0")]
    is_stale: Annotated[bool, about("older than the setting allows: raises no warning")]
    is_suspect: Annotated[
        bool, about("not believed: it is in no mean, raises no warning and is not compared")
    ]
    reason: Annotated[str | None, about("why it is not believed, in words")]
    source: Annotated[str, about("who said so")]
    currencies: Annotated[dict[str, float], about("the same price in other currencies, by code")]


class Divergence(TypedDict):
    """(on-chain - exchange) / exchange, as recorded by the last tick."""

    spot_percent: Annotated[
        Percent | None,
        about("spot against the exchange price at the tip (percent; 3.2 means 3.2 %)"),
    ]
    window_percent: Annotated[
        Percent | None,
        about(
            "window against the mean of the exchange samples of its blocks "
            "(percent; 3.2 means 3.2 %)"
        ),
    ]
    headline_percent: Annotated[
        Percent | None,
        about(
            "the spot leg when it is valid and the quote fresh, else the window leg "
            "(percent; 3.2 means 3.2 %)"
        ),
    ]
    headline_usd: Annotated[float | None, about("the same difference in USD")]
    leg: Annotated[Leg | None, about("which leg the headline is")]
    is_large: Annotated[bool, about("the headline is beyond the threshold and the quote is fresh")]
    threshold_percent: Annotated[Percent, about("the setting")]
    exchange_mean_usd: Annotated[
        Usd | None, about("the window leg's exchange price: the mean over its blocks (USD per BTC)")
    ]
    since: Annotated[Time | None, about("start of the episode that goes on (ISO 8601 UTC)")]
    since_unix: Annotated[
        Unix | None, about("start of the episode that goes on (seconds since 1970 UTC)")
    ]
    message: Annotated[str | None, about("for example: Large divergence detected: +3.2%")]


class Shown(TypedDict):
    """The newest block, the newest prices, and the comparison."""

    tip: Tip | None
    spot: Spot | None
    changes: Annotated[list[Change], about("over a day, a week and thirty days")]
    window: NewestWindow | None
    day: NewestDay | None
    exchange: Exchange | None
    divergence: Divergence


class Latest(Head, Shown):
    """The newest prices, the comparison, and what to watch out for."""

    status: Annotated[
        State,
        about(
            "ok; degraded: prices are there, with a warning; stale: builds or blocks stopped; "
            "failing: the last run failed or there is no data"
        ),
    ]
    notices: Annotated[list[Notice], about("most severe first")]
    next_due_at: Annotated[Time, about("when the next build is due (ISO 8601 UTC)")]
    next_due_at_unix: Annotated[Unix, about("when the next build is due (seconds since 1970 UTC)")]
