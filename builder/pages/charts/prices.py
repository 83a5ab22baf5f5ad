"""Prices over time: the record with the difference below it, and the days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from builder.pages.charts.chart import PERCENT, USD, Chart, Newest, Pane
from builder.pages.charts.moments import Moment, day_moments, drawn_moments
from builder.pages.charts.scale import DAY_SECONDS, WIDTH, Scale, fitted, ticks, time_ticks
from builder.pages.charts.shapes import Place, Stretch, across, band, line

if TYPE_CHECKING:
    from builder.api.types import DayPrice, Episode

Drawn = Sequence[tuple[float, Moment | None]]

TOP_PIXELS = 14
PRICES_PIXELS = 290
APART_TOP_PIXELS = 340
APART_PIXELS = 110
HISTORY_PIXELS = 474
DAYS_PIXELS = 330
"""Heights: panes, and whole charts with their labels."""

LIMIT_REACH = 1.6
"""The difference's axis reaches at least this many times as far as the warning limit."""

REACH = 1.15
"""And this many times as far as the largest difference."""

DAY_GAP_SECONDS = 1.5 * DAY_SECONDS
EPISODE_UNITS = 2
"""An episode is at least so wide that one sees it."""


def history_chart(
    moments: Sequence[Moment],
    episodes: Iterable[Episode],
    *,
    start_unix: float,
    end_unix: float,
    limit: float,
) -> Chart:
    """On-chain spot with its interval and the exchange price; below, their difference and
    episodes."""
    x = Scale(start_unix, end_unix)
    furthest = [abs(moment.percent or 0) * REACH for moment in moments]
    reach = max([limit * LIMIT_REACH, *furthest])
    y = Scale(-reach, reach, APART_PIXELS, flip=True)
    drawn = list(drawn_moments(moments, x))
    percents: list[Place] = [(at, moment.percent if moment else None) for at, moment in drawn]
    shapes = [
        *(("episode", _shade(x, episode, y.size)) for episode in episodes),
        ("limit", across(y, -limit, limit)),
        ("line difference", line(y, percents)),
    ]
    levels = (-limit, 0, limit)
    title = "Difference from the exchange price"
    apart = Pane(APART_TOP_PIXELS, y, levels, PERCENT, shapes, title=title)
    return Chart(HISTORY_PIXELS, x, [_prices_pane(moments, drawn), apart], time_ticks(x))


def days_chart(days: Sequence[DayPrice]) -> Chart:
    """Day prices with their intervals and the exchange mean; at least one day."""
    moments = day_moments(days)
    half = DAY_SECONDS // 2
    x = Scale(moments[0].time_unix - half, moments[-1].time_unix + half)
    drawn = list(drawn_moments(moments, x, DAY_GAP_SECONDS))
    return Chart(DAYS_PIXELS, x, [_prices_pane(moments, drawn)], time_ticks(x))


def _prices_pane(moments: Sequence[Moment], drawn: Drawn) -> Pane:
    """An on-chain price with its interval and an exchange price, rings where the first is not
    valid."""
    y = fitted(_all_prices(moments), PRICES_PIXELS)
    intervals: list[Stretch] = [
        (at, moment.low_usd, moment.high_usd) if moment else (at, None, None)
        for at, moment in drawn
    ]
    onchain: list[Place] = [(at, moment.onchain_usd if moment else None) for at, moment in drawn]
    exchange: list[Place] = [(at, moment.exchange_usd if moment else None) for at, moment in drawn]
    shapes = [
        ("band", band(y, intervals)),
        ("line onchain", line(y, onchain)),
        ("line exchange", line(y, exchange)),
    ]
    newest = [_newest(onchain, "onchain"), _newest(exchange, "exchange")]
    return Pane(
        TOP_PIXELS,
        y,
        ticks(y),
        USD,
        shapes,
        _doubtful(drawn),
        newest=[one for one in newest if one],
    )


def _newest(places: Sequence[Place], kind: str) -> Newest | None:
    """The last value of a line, to be named beside it."""
    known = [value for _, value in places if value is not None]
    return Newest(known[-1], kind) if known else None


def _all_prices(moments: Iterable[Moment]) -> Iterable[float | None]:
    for moment in moments:
        yield from (moment.onchain_usd, moment.low_usd, moment.high_usd, moment.exchange_usd)


def _doubtful(drawn: Drawn) -> list[tuple[float, float]]:
    return [
        (at, moment.onchain_usd)
        for at, moment in drawn
        if moment and not moment.is_valid and moment.onchain_usd is not None
    ]


def _shade(x: Scale, episode: Episode, height: float) -> str:
    ended = x.high if episode["ended_at_unix"] is None else episode["ended_at_unix"]
    left = max(0.0, x(episode["started_at_unix"]))
    right = min(WIDTH, x(ended))
    if right < left:
        return ""
    return f"M{left:g} 0V{height:g}H{max(right, left + EPISODE_UNITS):g}V0Z"
