"""What other sites show of a link: a picture of 1200 by 630 with the price and how it came about.

Drawn with Pillow at twice the size and made smaller, so that lines are smooth. The font comes with
Pillow: a server has none.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from builder.pages.charts.moments import Moment, history_moments
from builder.pages.charts.points import SHADES, grid_scale, height_of, runs_of, sums_of
from builder.pages.charts.scale import DAY_SECONDS, Scale, fitted, midnight
from builder.pages.filters import percent, usd, utc
from builder.pages.headline import headline_of, is_old
from builder.pages.site import Site

if TYPE_CHECKING:
    from builder.api.types import Day, Density

WIDTH = 1200
HEIGHT = 630
FINER = 2
"""Drawn at so many times the size."""

EDGE = 60
PLOT_TOP = 290
PLOT_HEIGHT = 260
CROWD_WIDTH = 130
COLOURS = 64
"""Of the palette: more cannot be told apart, and the file is a third."""

PAPER = (253, 253, 251)
INK = (21, 24, 29)
SOFT = (86, 93, 104)
RULE = (228, 228, 221)
ONCHAIN = (10, 122, 73)
EXCHANGE = (196, 43, 56)
TINT_SHARE = 0.16
SHOWN_SECONDS = 6 * DAY_SECONDS
"""Less than the week that the file has: between two blocks what is shown stays the same."""

CREDIT = "by the UTXOracle v9.1 method"
NO_PRICE = "No price"
FONT_WORDS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})
"""What the font lacks."""

Colour = tuple[int, int, int]
Corner = tuple[float, float]


class Words(NamedTuple):
    """What a picture says."""

    heading: str
    price: str
    is_doubtful: bool
    under: str
    foot: str
    network: str | None


class Canvas:
    """A picture in the making; places and sizes are those of the finished one."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def text(self, at: Corner, words: str, size: int, colour: Colour, anchor: str = "ls") -> None:
        """Write words; `at` is where their base line begins, or what `anchor` says."""
        place = (at[0] * FINER, at[1] * FINER)
        self._draw.text(
            place, words.translate(FONT_WORDS), fill=colour, font=_font(size), anchor=anchor
        )

    def line(self, corners: Sequence[Corner], width: float, colour: Colour) -> None:
        """Draw a line through corners."""
        finer = [(x * FINER, y * FINER) for x, y in corners]
        if len(finer) > 1:
            self._draw.line(finer, fill=colour, width=round(width * FINER), joint="curve")

    def area(self, corners: Sequence[Corner], colour: Colour) -> None:
        """Fill what lies between corners."""
        finer = [(x * FINER, y * FINER) for x, y in corners]
        if len(finer) > 1:
            self._draw.polygon(finer, fill=colour)

    def png(self) -> bytes:
        """Return the finished picture as a PNG with few colours."""
        small = self._image.reduce(FINER).quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
        out = io.BytesIO()
        small.save(out, "PNG")
        return out.getvalue()


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * FINER)


def now_picture(site: Site) -> bytes:
    """Return the picture of the dashboard: the price of the newest block and of six days before."""
    latest = site.latest
    tip = latest["tip"]
    end_unix = tip["time_unix"] if tip else site.now_unix
    moments = [
        moment
        for moment in history_moments(site.objects.history("7d"))
        if end_unix - SHOWN_SECONDS <= moment.time_unix <= end_unix
    ]
    headline = headline_of(latest)
    price = headline.price
    under = _interval(price["low_usd"], price["high_usd"]) if price else ""
    exchange_usd = moments[-1].exchange_usd if moments else None
    if headline.is_window:
        under += " · of the last 144 blocks"
    elif exchange_usd is not None:
        under += f" · exchange {usd(exchange_usd)}"
    block = f"block {tip['height']:,}, {utc(end_unix)}" if tip else "no block yet"
    canvas = _begun(
        Words(
            heading="On-chain price of bitcoin",
            price=NO_PRICE if headline.price_usd is None else usd(headline.price_usd),
            is_doubtful=headline.price_usd is None or headline.is_doubtful or is_old(latest),
            under=under.removeprefix(" · "),
            foot=_foot(site, f"six days until {block}"),
            network=site.test_network,
        )
    )
    _draw_moments(canvas, moments, end_unix)
    return canvas.png()


def day_picture(site: Site, day: Day) -> bytes:
    """Return the picture of a day: its points crowding to a line, its price and the exchange's."""
    price_usd = day["price_usd"]
    under = _interval(day["low_usd"], day["high_usd"])
    if day["exchange_mean_usd"] is not None:
        under += f" · exchange mean {usd(day['exchange_mean_usd'])}"
        if day["divergence_percent"] is not None:
            under += f" ({percent(day['divergence_percent'])})"
    canvas = _begun(
        Words(
            heading=f"On-chain price of bitcoin, {day['date']}",
            price=NO_PRICE if price_usd is None else usd(price_usd),
            is_doubtful=not day["is_valid"],
            under=under.removeprefix(" · "),
            foot=_foot(site, f"{day['points']:,} price points in {day['blocks']} blocks"),
            network=site.test_network,
        )
    )
    if day["density"]:
        _draw_day(canvas, day, day["density"])
    return canvas.png()


def _begun(words: Words) -> Canvas:
    canvas = Canvas()
    canvas.text((EDGE, 86), words.heading, 34, SOFT)
    if words.network:
        canvas.text((WIDTH - EDGE, 86), words.network, 34, EXCHANGE, "rs")
    canvas.text((EDGE - 4, 202), words.price, 112, SOFT if words.is_doubtful else ONCHAIN)
    canvas.text((EDGE, 252), words.under, 28, INK)
    canvas.text((EDGE, HEIGHT - 30), words.foot, 22, SOFT)
    return canvas


def _foot(site: Site, words: str) -> str:
    address = site.base.partition("://")[2]
    said = f"{words} · {CREDIT}"
    return f"{address} · {said}" if address else said


def _interval(low_usd: float | None, high_usd: float | None) -> str:
    if low_usd is None or high_usd is None:
        return ""
    return f"95% interval {usd(low_usd)} to {usd(high_usd)}"


def _draw_moments(canvas: Canvas, moments: Sequence[Moment], end_unix: int) -> None:
    """Draw price with its interval, and the exchange price."""
    x = Scale(end_unix - SHOWN_SECONDS, end_unix, WIDTH - 2 * EDGE)
    prices = [
        value
        for moment in moments
        for value in (moment.low_usd, moment.high_usd, moment.onchain_usd, moment.exchange_usd)
    ]
    y = fitted(prices, PLOT_HEIGHT)
    _rules(canvas)
    known = [
        (EDGE + x(one.time_unix), one.low_usd, one.high_usd)
        for one in moments
        if one.low_usd is not None and one.high_usd is not None
    ]
    high = [(at, PLOT_TOP + y(top)) for at, _, top in known]
    low = [(at, PLOT_TOP + y(bottom)) for at, bottom, _ in reversed(known)]
    canvas.area([*high, *low], _tint(TINT_SHARE))
    exchange = [(one.time_unix, one.exchange_usd) for one in moments]
    canvas.line(_corners(x, y, exchange), 2, EXCHANGE)
    onchain = [(one.time_unix, one.onchain_usd) for one in moments]
    canvas.line(_corners(x, y, onchain), 3, ONCHAIN)


def _draw_day(canvas: Canvas, day: Day, grid: Density) -> None:
    """Draw all points as shades, the crowd beside them, spot price and exchange price."""
    start = midnight(day["date"])
    x = Scale(start, start + DAY_SECONDS, WIDTH - 2 * EDGE - CROWD_WIDTH)
    y = grid_scale(grid, PLOT_HEIGHT)
    most = max(map(max, grid["counts"]))
    for number, column in enumerate(grid["counts"]):
        left = x(grid["first_unix"] + number * grid["step_seconds"])
        right = x(grid["first_unix"] + (number + 1) * grid["step_seconds"])
        for shade, first, behind in runs_of(column, most):
            if shade and right > 0 and left < x.size:
                heights = height_of(y, grid, behind), height_of(y, grid, first)
                box = _box(max(0.0, left), min(x.size, right), *heights)
                canvas.area(box, _tint(shade / SHADES * 0.85))
    sums = sums_of(grid)
    for row, count in enumerate(sums):
        right = x.size + CROWD_WIDTH * count / (max(sums) or 1)
        heights = height_of(y, grid, row + 1), height_of(y, grid, row)
        canvas.area(_box(x.size + 4, right + 4, *heights), _tint(0.7))
    quotes = zip(day["quotes"]["time_unix"], day["quotes"]["price_usd"], strict=True)
    canvas.line(_corners(x, y, quotes), 2, EXCHANGE)
    spot = zip(day["spot"]["time_unix"], day["spot"]["spot_usd"], strict=True)
    canvas.line(_corners(x, y, spot), 2.5, INK)
    if day["price_usd"] is not None:
        level = PLOT_TOP + y(day["price_usd"])
        canvas.line([(EDGE, level), (EDGE + x.size, level)], 3, ONCHAIN)


def _box(left: float, right: float, top: float, bottom: float) -> list[Corner]:
    """Corners of an area whose places are within the plot."""
    x = (EDGE + left, EDGE + right)
    y = (PLOT_TOP + top, PLOT_TOP + bottom)
    return [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]


def _corners(x: Scale, y: Scale, places: Iterable[tuple[float, float | None]]) -> list[Corner]:
    """Corners of a line through those places that have a value within the scale."""
    return [
        (EDGE + x(at), PLOT_TOP + y(value))
        for at, value in places
        if value is not None and y.low <= value <= y.high and x.low <= at <= x.high
    ]


def _rules(canvas: Canvas) -> None:
    for share in (0, 0.5, 1):
        height = PLOT_TOP + share * PLOT_HEIGHT
        canvas.line([(EDGE, height), (WIDTH - EDGE, height)], 1, RULE)


def _tint(share: float) -> Colour:
    """The colour of the on-chain price, so much of it, on paper."""
    red, green, blue = (
        round(paper + share * (colour - paper))
        for paper, colour in zip(PAPER, ONCHAIN, strict=True)
    )
    return (red, green, blue)
