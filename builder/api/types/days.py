"""`/api/days.json`, `/api/days/<date>.json` and `/api/window.json`: prices and how they came
about."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from builder.api.types.base import (
    Block,
    Count,
    Date,
    Head,
    Height,
    Percent,
    Says,
    Share,
    Unix,
    Usd,
    about,
)


class Priced(TypedDict):
    """The price of a day or a window, and the blocks it is made of."""

    price_usd: Annotated[Usd | None, about("the price of all its blocks (USD per BTC)")]
    low_usd: Annotated[Usd | None, about("low end of the 95 % interval (USD per BTC)")]
    high_usd: Annotated[Usd | None, about("high end of the 95 % interval (USD per BTC)")]
    confidence: Annotated[Share, about("0 to 1: how likely the price is within 5 % of the market")]
    is_valid: Annotated[bool, about("false: do not rely on price_usd, reason says why")]
    reason: Annotated[str | None, about("why not valid, in words")]
    first_height: Annotated[Height, about("first block")]
    last_height: Annotated[Height, about("last block")]
    blocks: Annotated[Count, about("number of blocks")]
    outputs: Annotated[Count, about("eligible outputs")]
    points: Annotated[Count, about("price points")]


class Candle(TypedDict):
    """What the valid spot prices of a UTC day did; null where there is none."""

    spot_open_usd: Annotated[Usd | None, about("the first of the day (USD per BTC)")]
    spot_high_usd: Annotated[Usd | None, about("the highest (USD per BTC)")]
    spot_low_usd: Annotated[Usd | None, about("the lowest (USD per BTC)")]
    spot_close_usd: Annotated[Usd | None, about("the last (USD per BTC)")]
    spot_mean_usd: Annotated[
        Usd | None, about("their mean, each standing until the next one (USD per BTC)")
    ]
    spot_blocks: Annotated[Count, about("blocks with a valid spot price")]


class DayPrice(Priced, Candle):
    """One final UTC day."""

    date: Annotated[Date, about("UTC date")]
    exchange_mean_usd: Annotated[
        Usd | None, about("mean of the exchange samples of the day (USD per BTC)")
    ]
    exchange_close_usd: Annotated[
        Usd | None, about("last exchange sample of the day (USD per BTC)")
    ]
    divergence_percent: Annotated[
        Percent | None, about("(price - exchange mean) / exchange mean (percent; 3.2 means 3.2 %)")
    ]


class Days(Head):
    """One entry a final UTC day, oldest first."""

    days: list[DayPrice]


class PricePoints(TypedDict):
    """The price points (step 6), as columns in chain order."""

    thinning: Annotated[str, about("the rule, in words")]
    total: Annotated[Count, about("points before thinning")]
    shown: Annotated[Count, about("rows here")]
    time_unix: list[int]
    height: list[int]
    price_usd: list[float]


class Density(TypedDict):
    """How many of all price points lie in each cell of a grid: a list a step of time, with a count
    a step of price from the lowest up."""

    first_unix: Annotated[Unix, about("where the first column begins (seconds since 1970 UTC)")]
    step_seconds: Annotated[int, about("width of a column")]
    low_usd: Annotated[Usd, about("where the lowest row begins (USD per BTC)")]
    step_usd: Annotated[Usd, about("height of a row (USD per BTC)")]
    counts: list[list[int]]


class Hours(TypedDict):
    """What the valid spot prices of each hour with one did, and the exchange's last quote of it, as
    columns."""

    time_unix: list[int]
    spot_open_usd: list[float]
    spot_high_usd: list[float]
    spot_low_usd: list[float]
    spot_close_usd: list[float]
    exchange_usd: list[float | None]


class Quotes(TypedDict):
    """Exchange prices as they were known, as columns."""

    time_unix: list[int]
    price_usd: list[float]


class Cleaned(TypedDict):
    """What cleaning changed in a bin (step 3): a round amount of bitcoin, or one above the cap."""

    bin: Annotated[int, about("number of the bin")]
    share: Annotated[float, about("share of outputs before")]


class Histogram(TypedDict):
    """Normalised counts per bin of output value (step 3); bin i holds 10^(-6 + (i-1)/200) <= BTC <
    10^(-6 + i/200)."""

    first_bin: Annotated[int, about("number of the first value's bin")]
    bins_per_decade: Annotated[int, Says(const=200)]
    first_decade: Annotated[int, Says(const=-6)]
    weights: list[float]


class Spike(TypedDict):
    """One round dollar amount of the stencil."""

    usd: Annotated[float, about("dollar amount it stands for")]
    bin: Annotated[int, about("bin it lies on")]
    value_btc: Annotated[float, about("lower edge of that bin")]
    weight: Annotated[float, about("its weight")]


class Stencil(TypedDict):
    """The pattern of round dollar amounts, as placed (steps 4 and 5)."""

    slide: Annotated[int, about("the best slide s; the slice starts at bin 199 + s")]
    first_bin: Annotated[int, about("199 + slide")]
    amounts: list[Spike]
    first_slide: Annotated[int, about("slide of the first score")]
    scores: Annotated[list[float], about("how well the stencil fits, a score a slide")]


class SpotLine(TypedDict):
    """The spot price at each block of it, as columns."""

    time_unix: list[int]
    height: list[int]
    spot_usd: list[float | None]
    is_valid: list[bool]


class Picture(TypedDict):
    """How a price came about: all one needs to check and redraw it."""

    rough_price_usd: Annotated[int | None, about("the rough price (step 5 of the method)")]
    price_points: PricePoints
    cleaned: Annotated[list[Cleaned], about("the bins that step 3 changed, lowest first")]
    density: Annotated[Density | None, about("null: no price, so no points near it")]
    histogram: Histogram
    stencil: Stencil | None


class Explained(Picture):
    """A picture and the blocks it is made of."""

    first_block: Block
    last_block: Block
    left_out: Annotated[
        dict[str, int], about("transactions left out, a count per rule, summed over the blocks")
    ]
    spot: SpotLine


class Market(TypedDict):
    """What spot price and exchange did within a day."""

    hours: Hours
    quotes: Quotes


class Day(Head, DayPrice, Explained, Market):
    """All one needs to check and redraw a final UTC day; its price never changes once published."""

    amounts: Annotated[str, about("path of the file of all its amounts, to price them again")]


class Window(Head, Priced, Explained):
    """The newest window, in the shape of a day: all one needs to check and redraw it."""
