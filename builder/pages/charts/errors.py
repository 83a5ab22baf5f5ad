"""How far off the prices were: over time, and how often by how much."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from builder.pages.charts.chart import PERCENT, Chart, Pane
from builder.pages.charts.moments import Moment
from builder.pages.charts.scale import DAY_SECONDS, Scale, ticks, time_ticks
from builder.pages.charts.shapes import across, dots

TOP_PIXELS = 14
ERRORS_PIXELS = 220
ERROR_CHART_PIXELS = 260
SPREAD_PIXELS = 180
SPREAD_CHART_PIXELS = 220

LEAST_REACH_PERCENT = 0.5
"""An axis of smaller differences would make noise look like news."""

HEADROOM = 1.05
ERROR_TICKS = 4
SPREAD_TICKS = 7
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARE = "{:.2f}"
EDGE_SHARE = 0.04
"""Room for the dot of what is always right."""


def error_chart(moments: Sequence[Moment], limit: float) -> Chart:
    """The difference between on-chain and exchange price over all recorded time, as dots around
    zero."""
    known = [
        (moment.time_unix, moment.percent)
        for moment in moments
        if moment.percent is not None and moment.is_valid
    ]
    x = Scale(known[0][0], known[-1][0]) if known else Scale(0, DAY_SECONDS)
    reach = max([LEAST_REACH_PERCENT, *(abs(percent) * HEADROOM for _, percent in known)])
    y = Scale(-reach, reach, ERRORS_PIXELS, flip=True)
    shapes = [
        ("points", dots(x, y, known)),
        ("limit", across(y, -limit, limit) if limit < reach else ""),
    ]
    pane = Pane(TOP_PIXELS, y, ticks(y, ERROR_TICKS), PERCENT, shapes)
    return Chart(ERROR_CHART_PIXELS, x, [pane], time_ticks(x))


def spread_chart(edges_percent: Sequence[float], counts: Sequence[int], limit: float) -> Chart:
    """How often which difference occurred: a bar a bin, the outer ones for all beyond; the limits
    as lines."""
    x = Scale(edges_percent[0], edges_percent[-1])
    y = Scale(0, max([*counts, 1]) * HEADROOM, SPREAD_PIXELS, flip=True)
    bars = [
        f"M{x(left) + 1:g} {SPREAD_PIXELS}V{y(count):g}H{x(right) - 1:g}V{SPREAD_PIXELS}Z"
        for (left, right), count in zip(pairwise(edges_percent), counts, strict=True)
        if count
    ]
    limits = f"M{x(-limit):g} 0V{SPREAD_PIXELS}M{x(limit):g} 0V{SPREAD_PIXELS}"
    shapes = [("bars", "".join(bars)), ("limit", limits)]
    marks = [(value, PERCENT.format(value)) for value in ticks(x, SPREAD_TICKS)]
    return Chart(SPREAD_CHART_PIXELS, x, [Pane(TOP_PIXELS, y, [0], "", shapes)], marks)


def reliability_chart(places: Sequence[tuple[float, float]]) -> Chart:
    """What was said (along) and what happened (up), both 0 to 1; on the diagonal they agree."""
    x = Scale(0.0, 1.0 + EDGE_SHARE)
    y = Scale(0.0, 1.0 + EDGE_SHARE, SPREAD_PIXELS, flip=True)
    shapes = [
        ("limit", f"M{x(0.0):g} {y(0.0):g}L{x(1.0):g} {y(1.0):g}"),
        ("said", dots(x, y, places)),
    ]
    pane = Pane(TOP_PIXELS, y, SHARES, SHARE, shapes)
    return Chart(SPREAD_CHART_PIXELS, x, [pane], [(value, SHARE.format(value)) for value in SHARES])
