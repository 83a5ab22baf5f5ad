"""A day as a picture: where its price points crowd, and what spot and exchange did meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from builder.pages.charts.chart import USD, Chart, Newest, Pane
from builder.pages.charts.scale import DAY_SECONDS, Scale, fitted, midnight, ticks, time_ticks
from builder.pages.charts.shapes import Place, line

if TYPE_CHECKING:
    from builder.api.types import Day, Density, Hours

TOP_PIXELS = 14
POINTS_PIXELS = 360
CHART_PIXELS = 400

CROWD_SHARE = 0.14
"""The part of the width, beyond the day, in which all points of a price stand together."""

SHADES = 5
"""So many shades of how many points a cell has."""

HOUR_SECONDS = 3600
CANDLE_UNITS = 10
"""Width of a candle."""


def points_chart(day: Day, spot: Sequence[Place]) -> Chart:
    """All price points of a day as shades, their crowd at the right edge, the day price with its
    interval, spot price and exchange price, and a candle an hour.

    Args:
        day: a day.json.
        spot: the spot prices to draw as a line (time, price); empty draws none.
    """
    start = midnight(day["date"])
    end = start + DAY_SECONDS
    x = Scale(start, start + DAY_SECONDS / (1 - CROWD_SHARE))
    y = _prices_scale(day)
    right = x(end)
    shapes = [
        *(shaded(x, y, day["density"], end) if day["density"] else []),
        ("band", _interval(y, day, right)),
        ("candles", _candles(x, y, day["hours"])),
        ("line level", "" if day["price_usd"] is None else f"M0 {y(day['price_usd']):g}H{right:g}"),
        ("line exchange", _quotes(x, y, day)),
        ("line spot", line(y, [(x(at), price) for at, price in spot])),
    ]
    newest = [] if day["price_usd"] is None else [Newest(day["price_usd"], "onchain")]
    pane = Pane(TOP_PIXELS, y, ticks(y), USD, shapes, newest=newest)
    return Chart(CHART_PIXELS, x, [pane], time_ticks(Scale(start, end)))


def _prices_scale(day: Day) -> Scale:
    """From the lowest row of the grid to the highest; without one what else there is to draw."""
    grid = day["density"]
    if grid is None:
        prices = [*day["price_points"]["price_usd"], *day["quotes"]["price_usd"]]
        return fitted(prices, POINTS_PIXELS)
    return grid_scale(grid, POINTS_PIXELS)


def grid_scale(grid: Density, size: float) -> Scale:
    """A scale upwards from the lowest row of a grid to the highest."""
    high = grid["low_usd"] + len(grid["counts"][0]) * grid["step_usd"]
    return Scale(grid["low_usd"], high, size, flip=True)


def sums_of(grid: Density) -> list[int]:
    """How many points there are in each row, whenever they came."""
    return [sum(row) for row in zip(*grid["counts"], strict=True)]


def shaded(x: Scale, y: Scale, grid: Density, end: float) -> list[tuple[str, str]]:
    """The cells of each shade as one path, and the sums of all columns as bars at the right."""
    most = max(max(column) for column in grid["counts"])
    paths = dict.fromkeys(range(1, SHADES + 1), "")
    for number, column in enumerate(grid["counts"]):
        at = grid["first_unix"] + number * grid["step_seconds"]
        left = max(0.0, x(at))
        right = min(x(end), x(at + grid["step_seconds"]))
        for shade, first, behind in runs_of(column, most):
            if shade and right > left:
                high, low = height_of(y, grid, behind), height_of(y, grid, first)
                paths[shade] += f"M{left:g} {high:g}H{right:g}V{low:g}H{left:g}Z"
    shades = [(f"shade-{shade}", path) for shade, path in paths.items()]
    return [*shades, ("crowd", _crowd(x, y, grid, end))]


def runs_of(column: Sequence[int], most: int) -> Iterator[tuple[int, int, int]]:
    """Rows of the same shade that follow each other: the shade, the first, the one behind."""
    for shade, run in groupby(enumerate(column), key=lambda cell: shade_of(cell[1], most)):
        rows = [row for row, _ in run]
        yield shade, rows[0], rows[-1] + 1


def shade_of(count: int, most: int) -> int:
    """A shade by the root of the count: a few points can be seen beside the crowd."""
    return round(SHADES * (count / most) ** 0.5) if most else 0


def height_of(y: Scale, grid: Density, row: int) -> float:
    """Where a row begins."""
    return y(grid["low_usd"] + row * grid["step_usd"])


def _crowd(x: Scale, y: Scale, grid: Density, end: float) -> str:
    """All points of a price together: bars that grow from the end of the day to the edge."""
    sums = sums_of(grid)
    left = x(end)
    width = x.size - left
    bars = [
        f"V{height_of(y, grid, row):g}H{left + width * count / (max(sums) or 1):.1f}"
        for row, count in enumerate(sums)
    ]
    top = height_of(y, grid, len(sums))
    return f"M{left:g} {POINTS_PIXELS}{''.join(bars)}V{top:g}H{left:g}Z"


def _interval(y: Scale, day: Day, right: float) -> str:
    low, high = day["low_usd"], day["high_usd"]
    if low is None or high is None:
        return ""
    return f"M0 {y(high):g}H{right:g}V{y(low):g}H0Z"


def _quotes(x: Scale, y: Scale, day: Day) -> str:
    quotes = zip(day["quotes"]["time_unix"], day["quotes"]["price_usd"], strict=True)
    return line(y, [(x(at), price) for at, price in quotes])


def _candles(x: Scale, y: Scale, hours: Hours) -> str:
    """A stroke from the lowest to the highest of an hour, with a box from its first to its last."""
    columns = zip(
        hours["time_unix"],
        hours["spot_open_usd"],
        hours["spot_high_usd"],
        hours["spot_low_usd"],
        hours["spot_close_usd"],
        strict=True,
    )
    candles = []
    for at, first, high, low, last in columns:
        middle = x(at + HOUR_SECONDS / 2)
        left = middle - CANDLE_UNITS / 2
        box = f"M{left:g} {y(first):g}h{CANDLE_UNITS}V{y(last):g}h-{CANDLE_UNITS}Z"
        candles.append(f"M{middle:g} {y(high):g}V{y(low):g}{box}")
    return "".join(candles)
