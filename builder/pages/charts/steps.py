"""The steps of the method, one picture each, from the newest window's own numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.pages.charts.chart import USD, Chart, Pane
from builder.pages.charts.histogram import LEAST_SHARE, powers_of_ten
from builder.pages.charts.points import CROWD_SHARE, grid_scale, shaded
from builder.pages.charts.scale import Scale, ticks, time_ticks
from builder.pages.charts.shapes import line

if TYPE_CHECKING:
    from builder.api.types import Picture, Window

TOP_PIXELS = 14
BARS_PIXELS = 200
CHART_PIXELS = 240
SCORES_TOP_PIXELS = 250
SCORES_PIXELS = 120
SLIDING_PIXELS = 410
POINTS_PIXELS = 300
POINTS_CHART_PIXELS = 340

HEADROOM = 1.02
SHARE = "{:.2%}"
REACH = 0.05
"""The central output is that of the points within so much of the rough price."""

PRICE_ORIGIN_BIN = 601
"""Where a hundred dollars lie when the stencil is not moved; its slide adds to that."""

SHOWN_BINS = 1200
"""Of the kept bins: up to ten bitcoins, where hardly any dollar amount lies."""


def raw_chart(picture: Picture) -> Chart:
    """The amounts as they are counted, before anything is taken away."""
    return _amounts_chart(picture, [("bars", _before(picture))])


def cleaned_chart(picture: Picture) -> Chart:
    """The same after cleaning, over what was taken away."""
    weights = picture["histogram"]["weights"][:SHOWN_BINS]
    return _amounts_chart(picture, [("removed", _before(picture)), ("bars", weights)])


def sliding_chart(picture: Picture) -> Chart:
    """The cleaned amounts with the stencil at its best place, and below how well it fits where."""
    stencil = picture["stencil"]
    chart = _amounts_chart(picture, [("bars", picture["histogram"]["weights"][:SHOWN_BINS])])
    if stencil is None:
        return chart
    depth = Scale(0, max(spike["weight"] for spike in stencil["amounts"]), BARS_PIXELS)
    stems = [
        f"M{chart.x(spike['bin'] + 0.5):g} 0V{depth(spike['weight']):g}"
        for spike in stencil["amounts"]
    ]
    pane = chart.panes[0]
    amounts = pane._replace(shapes=[*pane.shapes, ("stencil", "".join(stems))])
    return Chart(SLIDING_PIXELS, chart.x, [amounts, _scores_pane(picture, chart.x)], chart.marks)


def points_chart(window: Window) -> Chart:
    """All price points of the window as shades, with their crowd at the right edge."""
    grid = window["density"]
    if grid is None:
        return Chart(POINTS_CHART_PIXELS, Scale(0, 1), [], [])
    first = grid["first_unix"]
    end = first + grid["step_seconds"] * len(grid["counts"])
    x = Scale(first, first + (end - first) / (1 - CROWD_SHARE))
    y = grid_scale(grid, POINTS_PIXELS)
    pane = Pane(TOP_PIXELS, y, ticks(y), USD, shaded(x, y, grid, end))
    return Chart(POINTS_CHART_PIXELS, x, [pane], time_ticks(Scale(first, end)))


def central_chart(window: Window) -> Chart:
    """How far each point near the rough price is from all others together; the least is the
    price."""
    rough = window["rough_price_usd"] or 0
    prices = sorted(
        price for price in window["price_points"]["price_usd"] if abs(price - rough) < REACH * rough
    )
    x = Scale(rough * (1 - REACH), rough * (1 + REACH))
    distances = mean_distances(prices)
    y = Scale(0, max([*distances, LEAST_SHARE]) * HEADROOM, BARS_PIXELS, flip=True)
    places = [(x(price), distance) for price, distance in zip(prices, distances, strict=True)]
    shapes = [("line onchain", line(y, places))]
    if window["price_usd"] is not None:
        shapes.append(("line level", f"M{x(window['price_usd']):g} 0V{BARS_PIXELS}"))
    marks = [(value, USD.format(value)) for value in ticks(x, 6)]
    return Chart(CHART_PIXELS, x, [Pane(TOP_PIXELS, y, [0], "", shapes)], marks)


def mean_distances(prices: list[float]) -> list[float]:
    """The mean distance of each of ascending prices to all of them."""
    total = sum(prices)
    count = len(prices)
    before = 0.0
    found = []
    for place, price in enumerate(prices):
        behind = total - before - price
        away = (price * place - before) + (behind - price * (count - place - 1))
        found.append(away / count)
        before += price
    return found


def _amounts_chart(picture: Picture, layers: list[tuple[str, list[float]]]) -> Chart:
    """Layers of shares by amount, on one scale."""
    first = picture["histogram"]["first_bin"]
    x = Scale(first, first + SHOWN_BINS)
    most = max(max(shares, default=0) for _, shares in layers)
    y = Scale(0, max(most, LEAST_SHARE) * HEADROOM, BARS_PIXELS, flip=True)
    shapes = [(kind, _outline(x, y, first, shares)) for kind, shares in layers]
    last = first + SHOWN_BINS
    marks = [(place, words) for place, words in powers_of_ten() if first < place < last]
    return Chart(CHART_PIXELS, x, [Pane(TOP_PIXELS, y, ticks(y, 4), SHARE, shapes)], marks)


def _outline(x: Scale, y: Scale, first: int, shares: list[float]) -> str:
    steps = [f"V{y(share):g}H{x(number):g}" for number, share in enumerate(shares, first + 1)]
    return f"M0 {BARS_PIXELS}{''.join(steps)}V{BARS_PIXELS}Z"


def _before(picture: Picture) -> list[float]:
    """The shares as they were counted."""
    shares = list(picture["histogram"]["weights"][:SHOWN_BINS])
    for change in picture["cleaned"]:
        place = change["bin"] - picture["histogram"]["first_bin"]
        if place < len(shares):
            shares[place] = change["share"]
    return shares


def _scores_pane(picture: Picture, x: Scale) -> Pane:
    """How well the stencil fits, by where it puts a hundred dollars; the best is marked."""
    stencil = picture["stencil"]
    scores = stencil["scores"] if stencil else []
    first = PRICE_ORIGIN_BIN + (stencil["first_slide"] if stencil else 0)
    y = Scale(0, max([*scores, LEAST_SHARE]) * HEADROOM, SCORES_PIXELS, flip=True)
    places = [(x(first + number), score) for number, score in enumerate(scores)]
    best = x(PRICE_ORIGIN_BIN + stencil["slide"]) if stencil else 0.0
    shapes = [("best", f"M{best:g} 0V{SCORES_PIXELS}"), ("line difference", line(y, places))]
    title = "How well it fits, by where it puts $100"
    return Pane(SCORES_TOP_PIXELS, y, [0], "", shapes, title=title)
