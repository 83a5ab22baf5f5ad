"""Drawn charts: numbers in, SVG out; nothing here reads a file, a clock or a colour.

A chart is as wide as its place: panes stretch sideways (site.css keeps the lines' width), labels sit outside
the stretched part at percentages, so text has the same size on a phone and on a wide screen. Colours are
classes; the stylesheet gives light and dark. Words for those who cannot see the chart stand in the template.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, zip_longest
from typing import Any

from markupsafe import Markup

WIDTH = 1000.0
DAY_SECONDS = 86_400
DAY_USD = ("price_usd", "low_usd", "high_usd", "exchange_mean_usd")
MINUS = "\N{MINUS SIGN}"
MAX_COLUMNS = 360  # a drawn line has at most this many places along the time axis: about what a screen shows
GAP_SECONDS = 3 * 3600  # a longer silence in the record is drawn as a gap (blocks an hour apart are ordinary)

# Where a dollar amount is named, by its digits: powers of ten always, the others on wide screens.
USD_ROWS = {"1": ("", 25), "15": ("minor", 10)}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """A straight line from values low..high to drawing units 0..size, or size..0 when flipped."""

    low: float
    high: float
    size: float = WIDTH
    flip: bool = False

    def __call__(self, value: float) -> float:
        """Drawing units of a value, to a tenth."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round((1 - share if self.flip else share) * self.size, 1)

    def place(self, value: float) -> str:
        """The same as a percentage of the whole size."""
        return f"{self(value) / self.size * 100:.2f}%"


@dataclass(frozen=True)
class Pane:
    """A stretched drawing area at `top`: shapes speak in values, names stand outside the stretching."""

    x: Scale
    y: Scale
    top: float

    def line(self, kind: str, places: Iterable[tuple[float, float | None]]) -> str:
        """A line through the places; None lifts the pen, a lone place becomes a dot."""
        parts, pen_is_down = [], False
        for x, value in places:
            if value is not None:
                parts.append(f"{'L' if pen_is_down else 'M'}{x:g} {self.y(value):g}{'' if pen_is_down else 'h0'}")
            pen_is_down = value is not None
        return path(kind, "".join(parts))

    def band(self, kind: str, places: Iterable[tuple[float, float | None, float | None]]) -> str:
        """The area between two lines, one closed shape for each unbroken run."""
        runs: list[list[tuple[float, float, float]]] = [[]]
        for x, low, high in places:
            if low is None or high is None:
                runs.append([])
            else:
                runs[-1].append((x, self.y(low), self.y(high)))
        rounds = ([(x, high) for x, _, high in run] + [(x, low) for x, low, _ in run[::-1]] for run in runs if run)
        return path(kind, "".join(f"M{'L'.join(f'{x:g} {y:g}' for x, y in shape)}Z" for shape in rounds))

    def dots(self, kind: str, points: Iterable[tuple[float, float]]) -> str:
        """Many dots as zero-length lines: round line caps make circles of the line's width."""
        return path(kind, "".join(f"M{self.x(x):g} {self.y(y):g}h0" for x, y in points))

    def levels(self, kind: str, values: Iterable[float]) -> str:
        """Lines from edge to edge."""
        return path(kind, "".join(f"M0 {self.y(value):g}H{WIDTH:g}" for value in values))

    def drawn(self, *shapes: str) -> str:
        """The shapes, in their stretched place."""
        return (
            f'<svg y="{self.top:g}" width="100%" height="{self.y.size:g}" preserveAspectRatio="none" '
            f'viewBox="0 0 {WIDTH:g} {self.y.size:g}">{"".join(shapes)}</svg>'
        )

    def over_grid(self, values: Iterable[float], label: str, *shapes: str) -> str:
        """The shapes over thin lines at the values, which are named on top in the format `label`."""
        marks = [(self.top + self.y(v), label.format(v).replace("-", MINUS).replace("+0%", "0%")) for v in values]
        lines = "".join(f'<line class="grid" x2="100%" y1="{y:g}" y2="{y:g}"/>' for y, _ in marks)
        words = "".join(f'<text class="tick" y="{y - 5:g}">{name}</text>' for y, name in marks)
        return lines + self.drawn(*shapes) + words

    def hollow(self, rows: Iterable[tuple[float, Row]], name: str) -> str:
        """Rings where a price is there but is not valid."""
        return "".join(
            f'<circle class="hollow" cx="{x / 10:.2f}%" cy="{self.top + self.y(row[name]):g}" r="3"/>'
            for x, row in rows
            if row.get(name) is not None and not row["is_valid"]
        )

    def axis(self, marks: Iterable[tuple[float, str]]) -> str:
        """Notches and labels below; every second label is for wide screens only."""
        bottom = self.top + self.y.size
        return "".join(
            f'<line class="notch" x1="{x}" x2="{x}" y1="{bottom:g}" y2="{bottom + 5:g}"/>'
            f'<text class="tick middle{" minor" if odd % 2 else ""}" x="{x}" y="{bottom + 19:g}">'
            f"{words.replace('-', MINUS)}</text>"
            for odd, (at, words) in enumerate(marks)
            for x in [self.x.place(at)]
            if 0.02 * WIDTH < self.x(at) < 0.98 * WIDTH
        )


def path(kind: str, d: str) -> str:
    """A path of a class, or nothing when there is nothing to draw."""
    return f'<path class="{kind}" d="{d}"/>' if d else ""


def svg(height: float, *parts: str) -> Markup:
    """A chart of a height in pixels, as wide as its place."""
    head = f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" width="100%" height="{height:g}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704 - made of numbers and our own words only


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within low..high, about `count` of them: steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(multiple for multiple in (1, 2, 2.5, 5, 10) if multiple * unit >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) + 0.0 for k in range(first, last + 1)]


def time_ticks(start_unix: float, end_unix: float) -> list[tuple[float, str]]:
    """Places and labels of a UTC time axis: hours, days or months, at most nine of them."""
    days = (end_unix - start_unix) / DAY_SECONDS
    if days > 120:
        return _month_ticks(start_unix, end_unix, step=math.ceil(days / 30.4 / 8))
    step = next((s for s in (0.125, 0.25, 1, 2, 7, 14) if days / s <= 9), 14) * DAY_SECONDS
    places = range(math.ceil(start_unix / step), math.floor(end_unix / step) + 1)
    form = "%H:%M" if step < DAY_SECONDS else "%b %-d"
    return [(k * step, datetime.fromtimestamp(k * step, UTC).strftime(form)) for k in places]


def _month_ticks(start_unix: float, end_unix: float, *, step: int) -> list[tuple[float, str]]:
    first, last = (datetime.fromtimestamp(t, UTC) for t in (start_unix, end_unix))
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    starts = [datetime(m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in months if m % step == 0]
    return [(s.timestamp(), s.strftime("%b %Y")) for s in starts]


def bounds(values: Iterable[float | None], margin: float = 0.06) -> tuple[float, float]:
    """Lowest and highest of the values with some room around them; 0 and 1 when there are none."""
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = (high - low) * margin or abs(high) * 0.01
    return low - room, high + room


def rows_of(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a table of columns (`{"time_unix": [...], ...}`); keys that are not columns are left out."""
    lists = {name: values for name, values in columns.items() if isinstance(values, list)}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def drawn_rows(rows: Sequence[Row], x: Scale, gap_seconds: float = GAP_SECONDS) -> Iterator[tuple[float, Row]]:
    """Places and rows worth drawing: the last row of each of MAX_COLUMNS places, an empty one at each gap."""
    for row, after in zip_longest(rows, rows[1:]):
        here = x(row["time_unix"])
        if after is None or int(here * MAX_COLUMNS / WIDTH) != int(x(after["time_unix"]) * MAX_COLUMNS / WIDTH):
            yield here, row
        if after is not None and after["time_unix"] - row["time_unix"] > gap_seconds:
            yield here, row
            yield here, {}


def history_chart(
    rows: Sequence[Row], episodes: Iterable[Row], *, start_unix: float, end_unix: float, limit: float
) -> Markup:
    """On-chain spot with its interval and the exchange price; below, their difference and episodes."""
    x = Scale(start_unix, end_unix)
    names = ("spot_usd", "spot_low_usd", "spot_high_usd", "exchange_usd")
    prices = Pane(x, Scale(*bounds(row[name] for row in rows for name in names), 290, flip=True), 14)
    reach = max([limit * 1.6, *(abs(row["divergence_percent"] or 0) * 1.15 for row in rows)])
    apart = Pane(x, Scale(-reach, reach, 110, flip=True), 340)
    drawn = list(drawn_rows(rows, x))
    return svg(
        474,
        prices.over_grid(
            ticks(prices.y.low, prices.y.high),
            "${:,.0f}",
            *_two_lines(prices, drawn, "spot_low_usd", "spot_high_usd", "exchange_usd", "spot_usd"),
        ),
        prices.hollow(drawn, "spot_usd"),
        '<text class="axis" y="330">Difference from the exchange price</text>',
        apart.over_grid(
            (-limit, 0, limit),
            "{:+g}%",
            *(_shade(x, episode, end_unix, 110) for episode in episodes),
            apart.levels("limit", (-limit, limit)),
            apart.line("line difference", ((at, row.get("divergence_percent")) for at, row in drawn)),
        ),
        apart.axis(time_ticks(start_unix, end_unix)),
    )


def _two_lines(pane: Pane, drawn: Sequence[tuple[float, Row]], *names: str) -> list[str]:
    low, high, exchange, onchain = names
    return [
        pane.band("band", ((at, row.get(low), row.get(high)) for at, row in drawn)),
        pane.line("line onchain", ((at, row.get(onchain)) for at, row in drawn)),
        pane.line("line exchange", ((at, row.get(exchange)) for at, row in drawn)),
    ]


def _shade(x: Scale, episode: Row, end_unix: float, height: float) -> str:
    ended = end_unix if episode["ended_at_unix"] is None else episode["ended_at_unix"]
    left, right = max(0.0, x(episode["started_at_unix"])), min(WIDTH, x(ended))
    shape = f'<rect class="episode" x="{left:g}" width="{max(right - left, 2):g}" height="{height:g}"/>'
    return shape if right >= left else ""


def days_chart(days: Sequence[Row]) -> Markup:
    """Day prices with their intervals and the exchange mean; rows of days.json with `time_unix` added."""
    half = DAY_SECONDS / 2
    x = Scale(*((days[0]["time_unix"] - half, days[-1]["time_unix"] + half) if days else (0, half)))
    span = bounds(day[name] for day in days for name in DAY_USD)
    pane = Pane(x, Scale(*span, 290, flip=True), 14)
    drawn = list(drawn_rows(days, x, 1.5 * DAY_SECONDS))
    return svg(
        330,
        pane.over_grid(
            ticks(*span), "${:,.0f}", *_two_lines(pane, drawn, "low_usd", "high_usd", "exchange_mean_usd", "price_usd")
        ),
        pane.hollow(drawn, "price_usd"),
        pane.axis(time_ticks(x.low, x.high)),
    )


def points_chart(day: Row, spot: Iterable[tuple[float, float | None]], start_unix: float) -> Markup:
    """Every price point of a day by its block's time, with spot line, day price and interval."""
    points = list(zip(day["price_points"]["time_unix"], day["price_points"]["price_usd"], strict=True))
    span, x = bounds(price for _, price in points), Scale(start_unix, start_unix + DAY_SECONDS)
    pane = Pane(x, Scale(*span, 360, flip=True), 14)
    return svg(
        400,
        pane.over_grid(
            ticks(*span),
            "${:,.0f}",
            pane.dots("points", points),
            pane.band("band", ((at, day["low_usd"], day["high_usd"]) for at in (0, WIDTH))),
            pane.levels("line level", [p for p in [day["price_usd"]] if p is not None]),
            pane.line("line spot", ((x(at), price) for at, price in spot)),
        ),
        pane.axis(time_ticks(x.low, x.high)),
    )


def histogram_chart(bins: Sequence[float], first_bin: int, amounts: Sequence[Row]) -> Markup:
    """The histogram of output amounts with the stencil hanging over it, its dollar amounts named.

    Args:
        bins: Share of outputs in each bin; 200 bins are a factor of ten and bin 1 begins at 0.000001 BTC.
        first_bin: The number of the first of them.
        amounts: Spikes of the stencil as placed: `bin`, `weight`, `usd`.
    """
    x = Scale(first_bin, first_bin + len(bins))
    pane = Pane(x, Scale(0, max([*bins, 1e-9]) * 1.02, 300, flip=True), 46)
    weight = Scale(0, max([amount["weight"] for amount in amounts] or [1]), 150)
    steps = "".join(f"V{pane.y(v):g}H{x(first_bin + i + 1):g}" for i, v in enumerate(bins))
    stems = "".join(f"M{x(a['bin'] + 0.5):g} 0V{weight(a['weight']):g}" for a in amounts)
    heaviest = {a["usd"]: a for a in sorted(amounts, key=lambda a: float(a["weight"]))}
    labels = "".join(
        f'<text class="tick middle usd {kind}" x="{x.place(a["bin"] + 0.5)}" y="{y}">${usd:,g}</text>'
        for usd, a in heaviest.items()
        for kind, y in [USD_ROWS.get(f"{usd:g}".rstrip("0"), ("minor", 40))]
        if x(a["bin"]) > 5
    )
    tens = [(1.0 + 200 * k, f"{10.0 ** (k - 6):.10g} BTC") for k in range(12)]
    body = pane.over_grid([0], "", path("bars", f"M0 300{steps}V300Z"), path("stencil", stems))
    return svg(372, body, labels, pane.axis(tens))


def error_chart(rows: Sequence[Row], limit: float) -> Markup:
    """The difference between on-chain and exchange price over all recorded time, as dots around zero."""
    known = [row for row in rows if row["divergence_percent"] is not None and row["is_valid"]]
    x = Scale(known[0]["time_unix"], known[-1]["time_unix"]) if known else Scale(0, DAY_SECONDS)
    reach = max([0.5, *(abs(row["divergence_percent"]) * 1.05 for row in known)])
    pane = Pane(x, Scale(-reach, reach, 220, flip=True), 14)
    return svg(
        260,
        pane.over_grid(
            ticks(-reach, reach, 4),
            "{:+g}%",
            pane.dots("points", ((row["time_unix"], row["divergence_percent"]) for row in known)),
            pane.levels("limit", [side for side in (-limit, limit) if limit < reach]),
        ),
        pane.axis(time_ticks(x.low, x.high)),
    )


def spread_chart(edges_percent: Sequence[float], counts: Sequence[int], limit: float) -> Markup:
    """How often which difference occurred: a bar a bin, the outer ones for all beyond; the limits as lines."""
    x = Scale(edges_percent[0], edges_percent[-1])
    pane = Pane(x, Scale(0, max([*counts, 1]) * 1.05, 180, flip=True), 14)
    bars = "".join(
        f"M{x(left) + 1:g} 180V{pane.y(n):g}H{x(right) - 1:g}V180Z"
        for (left, right), n in zip(pairwise(edges_percent), counts, strict=True)
        if n
    )
    limits = "".join(f"M{x(value):g} 0V180" for value in (-limit, limit))
    body = pane.over_grid([0], "", path("bars", bars), path("limit", limits))
    return svg(220, body, pane.axis((v, f"{v:+g}%" if v else "0%") for v in ticks(x.low, x.high, 7)))
