"""Every price point of a day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.pages.charts.chart import USD, Chart, Pane
from builder.pages.charts.scale import (
    DAY_SECONDS,
    WIDTH,
    Scale,
    fitted,
    midnight,
    ticks,
    time_ticks,
)
from builder.pages.charts.shapes import Place, across, band, dots, line

if TYPE_CHECKING:
    from builder.api.types import Day

TOP_PIXELS = 14
POINTS_PIXELS = 360
CHART_PIXELS = 400


def points_chart(day: Day, spot: Sequence[Place]) -> Chart:
    """Every price point of a day by its block's time, with the day price and its interval.

    Args:
        day: a day.json.
        spot: the spot prices to draw as a line (time, price); empty draws none.
    """
    points = day["price_points"]
    start = midnight(day["date"])
    x = Scale(start, start + DAY_SECONDS)
    y = fitted(points["price_usd"], POINTS_PIXELS)
    edges = [(at, day["low_usd"], day["high_usd"]) for at in (0.0, WIDTH)]
    shapes = [
        ("points", dots(x, y, zip(points["time_unix"], points["price_usd"], strict=True))),
        ("band", band(y, edges)),
        ("line level", "" if day["price_usd"] is None else across(y, day["price_usd"])),
        ("line spot", line(y, [(x(at), price) for at, price in spot])),
    ]
    return Chart(CHART_PIXELS, x, [Pane(TOP_PIXELS, y, ticks(y), USD, shapes)], time_ticks(x))
