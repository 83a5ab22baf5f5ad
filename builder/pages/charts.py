"""Charts as places and paths: numbers in, drawing units out; `templates/chart.html` makes the SVG
of them.

A chart is as wide as its place: panes stretch sideways (site.css keeps the lines' width), labels
sit outside the stretched part at percentages, so text has the same size on a phone and on a wide
screen. Nothing here reads a file, a clock or a colour: paths have classes, the stylesheet gives
light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise, zip_longest
from typing import Any

WIDTH = 1000.0
DAY_SECONDS = 86_400
SPOT = ("spot_usd", "spot_low_usd", "spot_high_usd", "exchange_usd")
DAY = ("price_usd", "low_usd", "high_usd", "exchange_mean_usd")
USD, PERCENT = "${:,.0f}", "{:+g}%"
MAX_COLUMNS = (
    360  # a drawn line has at most this many places along the time axis: about what a screen shows
)
GAP_SECONDS = (
    3 * 3600
)  # a longer silence in the record is drawn as a gap (blocks an hour apart are ordinary)

# Where a dollar amount is named, by its digits: powers of ten always, the others on wide screens.
USD_ROWS = {"1": ("", 25), "15": ("minor", 10)}

Row = Mapping[str, Any]
Places = Sequence[tuple[Any, ...]]
"""Drawing units along the time axis, each with one value or more; None is a gap."""


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


@dataclass(frozen=True)
class Pane:
    """A stretched drawing area: shapes are (class, path), `levels` get a line and a name in the
    format `label`."""

    top: float
    y: Scale
    levels: Sequence[float]
    label: str
    shapes: Sequence[tuple[str, str]]
    rings: Places = ()
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """Panes above a common axis with its marks (value, words); `names` are (value, height, class,
    dollars)."""

    height: float
    x: Scale
    panes: Sequence[Pane]
    marks: Sequence[tuple[float, str]]
    names: Places = ()


def line(y: Scale, places: Places) -> str:
    """A line through the places, lifted at gaps; a lone place becomes a dot."""
    runs = ([f"{x:g} {y(value):g}" for x, value in run] for run in _runs(places))
    return "".join(f"M{'L'.join([f'{first}h0', *others])}" for first, *others in runs)


def band(y: Scale, places: Places) -> str:
    """The area between two lines, one closed shape for each unbroken run."""
    rounds = (
        [(x, high) for x, _, high in run] + [(x, low) for x, low, _ in run[::-1]]
        for run in _runs(places)
    )
    return "".join(f"M{'L'.join(f'{x:g} {y(value):g}' for x, value in shape)}Z" for shape in rounds)


def _runs(places: Places) -> list[list[tuple[Any, ...]]]:
    return [
        list(run)
        for has_gap, run in groupby(places, key=lambda place: None in place)
        if not has_gap
    ]


def dots(x: Scale, y: Scale, points: Iterable[tuple[float, float]]) -> str:
    """Many dots as zero-length lines: round line caps make circles of the line's width."""
    return "".join(f"M{x(at):g} {y(value):g}h0" for at, value in points)


def across(y: Scale, *values: float) -> str:
    """Lines from edge to edge."""
    return "".join(f"M0 {y(value):g}H{WIDTH:g}" for value in values)


def fitted(values: Iterable[float | None], size: float) -> Scale:
    """A scale upwards that holds the values with some room around them; 0 to 1 when there are
    none."""
    known = [value for value in values if value is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = (high - low) * 0.06 or abs(high) * 0.01
    return Scale(low - room, high + room, size, flip=True)


def ticks(scale: Scale, count: int = 5) -> list[float]:
    """Round numbers on a scale, about `count` of them: steps of 1, 2, 2.5 or 5 times a power of
    ten."""
    rough = (scale.high - scale.low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(
        multiple for multiple in (1, 2, 2.5, 5, 10) if multiple * unit >= rough * 0.999
    )
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [round(k * step, 10) + 0.0 for k in range(first, last + 1)]


def time_ticks(scale: Scale) -> list[tuple[float, str]]:
    """Places and labels of a UTC time axis: hours, days or months, at most nine of them."""
    days = (scale.high - scale.low) / DAY_SECONDS
    if days > 120:
        return _month_ticks(scale, step=math.ceil(days / 30.4 / 8))
    step = next((s for s in (0.125, 0.25, 1, 2, 7, 14) if days / s <= 9), 14) * DAY_SECONDS
    places = range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)
    form = "%H:%M" if step < DAY_SECONDS else "%b %-d"
    return [(k * step, datetime.fromtimestamp(k * step, UTC).strftime(form)) for k in places]


def _month_ticks(scale: Scale, *, step: int) -> list[tuple[float, str]]:
    first, last = (datetime.fromtimestamp(t, UTC) for t in (scale.low, scale.high))
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    starts = [datetime(m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in months if m % step == 0]
    return [(s.timestamp(), s.strftime("%b %Y")) for s in starts]


def midnight(day: str) -> int:
    """The first second of a UTC day."""
    return int(datetime.fromisoformat(f"{day}T00:00Z").timestamp())


def rows_of(columns: Row) -> list[dict[str, Any]]:
    """Rows of a table of columns (`{"time_unix": [...], ...}`); keys that are not columns are left
    out."""
    lists = {name: values for name, values in columns.items() if isinstance(values, list)}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def drawn_rows(
    rows: Sequence[Row], x: Scale, gap_seconds: float = GAP_SECONDS
) -> Iterator[tuple[float, Row]]:
    """Places and rows worth drawing: the last row of each of MAX_COLUMNS places, an empty one at
    each gap."""
    for row, after in zip_longest(rows, rows[1:]):
        here = x(row["time_unix"])
        if after is None or int(here * MAX_COLUMNS / WIDTH) != int(
            x(after["time_unix"]) * MAX_COLUMNS / WIDTH
        ):
            yield here, row
        if after is not None and after["time_unix"] - row["time_unix"] > gap_seconds:
            yield here, row
            yield here, {}


def _columns(drawn: Iterable[tuple[float, Row]], *names: str) -> Places:
    return [(at, *(row.get(name) for name in names)) for at, row in drawn]


def _prices_pane(
    rows: Sequence[Row], drawn: Sequence[tuple[float, Row]], names: Sequence[str]
) -> Pane:
    """An on-chain price with its interval and an exchange price, rings where the first is not
    valid."""
    y = fitted((row[name] for row in rows for name in names), 290)
    onchain, low, high, exchange = names
    shapes = [
        ("band", band(y, _columns(drawn, low, high))),
        ("line onchain", line(y, _columns(drawn, onchain))),
        ("line exchange", line(y, _columns(drawn, exchange))),
    ]
    doubtful = [
        (at, row[onchain])
        for at, row in drawn
        if row and not row["is_valid"] and row[onchain] is not None
    ]
    return Pane(14, y, ticks(y), USD, shapes, doubtful)


def history_chart(
    rows: Sequence[Row],
    episodes: Iterable[Row],
    *,
    start_unix: float,
    end_unix: float,
    limit: float,
) -> Chart:
    """On-chain spot with its interval and the exchange price; below, their difference and
    episodes."""
    x = Scale(start_unix, end_unix)
    reach = max([limit * 1.6, *(abs(row["divergence_percent"] or 0) * 1.15 for row in rows)])
    y = Scale(-reach, reach, 110, flip=True)
    drawn = list(drawn_rows(rows, x))
    shapes = [
        *(("episode", _shade(x, episode, y.size)) for episode in episodes),
        ("limit", across(y, -limit, limit)),
        ("line difference", line(y, _columns(drawn, "divergence_percent"))),
    ]
    apart = Pane(
        340, y, (-limit, 0, limit), PERCENT, shapes, title="Difference from the exchange price"
    )
    return Chart(474, x, [_prices_pane(rows, drawn, SPOT), apart], time_ticks(x))


def _shade(x: Scale, episode: Row, height: float) -> str:
    ended = x.high if episode["ended_at_unix"] is None else episode["ended_at_unix"]
    left, right = max(0.0, x(episode["started_at_unix"])), min(WIDTH, x(ended))
    return f"M{left:g} 0V{height:g}H{max(right, left + 2):g}V0Z" if right >= left else ""


def days_chart(days: Iterable[Row]) -> Chart:
    """Day prices with their intervals and the exchange mean; rows of days.json."""
    half = DAY_SECONDS // 2
    rows = [{**day, "time_unix": midnight(day["date"]) + half} for day in days]
    x = Scale(rows[0]["time_unix"] - half, rows[-1]["time_unix"] + half)
    drawn = list(drawn_rows(rows, x, 1.5 * DAY_SECONDS))
    return Chart(330, x, [_prices_pane(rows, drawn, DAY)], time_ticks(x))


def points_chart(day: Row, spot: Iterable[tuple[float, float | None]]) -> Chart:
    """Every price point of a day by its block's time, with spot line (time, price), day price and
    interval."""
    points = list(
        zip(day["price_points"]["time_unix"], day["price_points"]["price_usd"], strict=True)
    )
    start = midnight(day["date"])
    x, y = Scale(start, start + DAY_SECONDS), fitted((price for _, price in points), 360)
    shapes = [
        ("points", dots(x, y, points)),
        ("band", band(y, [(at, day["low_usd"], day["high_usd"]) for at in (0, WIDTH)])),
        ("line level", "" if day["price_usd"] is None else across(y, day["price_usd"])),
        ("line spot", line(y, [(x(at), price) for at, price in spot])),
    ]
    return Chart(400, x, [Pane(14, y, ticks(y), USD, shapes)], time_ticks(x))


def histogram_chart(day: Row) -> Chart:
    """The histogram of output amounts with the stencil hanging over it, its dollar amounts named.

    Args:
        day: A day.json or window.json. 200 bins are a factor of ten and bin 1 begins at 0.000001
            BTC; without a
            stencil all bins are shown, with one those below it.
    """
    first, bins, amounts = day["histogram"]["first_bin"], day["histogram"]["weights"], []
    if day["stencil"]:
        amounts, left = day["stencil"]["amounts"], max(first, day["stencil"]["first_bin"])
        first, bins = left, bins[left - first :][:830]
    x = Scale(first, first + len(bins))
    y = Scale(0, max([*bins, 1e-9]) * 1.02, 300, flip=True)
    weight = Scale(0, max([amount["weight"] for amount in amounts] or [1]), 150)
    steps = "".join(f"V{y(share):g}H{x(number):g}" for number, share in enumerate(bins, first + 1))
    stems = "".join(f"M{x(a['bin'] + 0.5):g} 0V{weight(a['weight']):g}" for a in amounts)
    heaviest = {
        a["usd"]: a["bin"]
        for a in sorted(amounts, key=lambda a: float(a["weight"]))
        if x(a["bin"]) > 5
    }
    rows = {usd: USD_ROWS.get(f"{usd:g}".rstrip("0"), ("minor", 40)) for usd in heaviest}
    names = [(place + 0.5, rows[usd][1], rows[usd][0], usd) for usd, place in heaviest.items()]
    tens = [(1.0 + 200 * k, f"{10.0 ** (k - 6):.10g} BTC") for k in range(12)]
    pane = Pane(46, y, [0], "", [("bars", f"M0 300{steps}V300Z"), ("stencil", stems)])
    return Chart(372, x, [pane], tens, names)


def error_chart(rows: Sequence[Row], limit: float) -> Chart:
    """The difference between on-chain and exchange price over all recorded time, as dots around
    zero."""
    known = [row for row in rows if row["divergence_percent"] is not None and row["is_valid"]]
    x = Scale(known[0]["time_unix"], known[-1]["time_unix"]) if known else Scale(0, DAY_SECONDS)
    reach = max([0.5, *(abs(row["divergence_percent"]) * 1.05 for row in known)])
    y = Scale(-reach, reach, 220, flip=True)
    shapes = [
        ("points", dots(x, y, ((row["time_unix"], row["divergence_percent"]) for row in known))),
        ("limit", across(y, -limit, limit) if limit < reach else ""),
    ]
    return Chart(260, x, [Pane(14, y, ticks(y, 4), PERCENT, shapes)], time_ticks(x))


def spread_chart(edges_percent: Sequence[float], counts: Sequence[int], limit: float) -> Chart:
    """How often which difference occurred: a bar a bin, the outer ones for all beyond; the limits
    as lines."""
    x, y = (
        Scale(edges_percent[0], edges_percent[-1]),
        Scale(0, max([*counts, 1]) * 1.05, 180, flip=True),
    )
    bars = [
        f"M{x(left) + 1:g} 180V{y(count):g}H{x(right) - 1:g}V180Z"
        for (left, right), count in zip(pairwise(edges_percent), counts, strict=True)
        if count
    ]
    shapes = [("bars", "".join(bars)), ("limit", f"M{x(-limit):g} 0V180M{x(limit):g} 0V180")]
    return Chart(
        220,
        x,
        [Pane(14, y, [0], "", shapes)],
        [(value, PERCENT.format(value)) for value in ticks(x, 7)],
    )
