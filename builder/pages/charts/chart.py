"""A chart as values on scales, and the same worked out to what the template prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from builder.pages.charts.scale import WIDTH, Scale

USD = "${:,.0f}"
PERCENT = "{:+g}%"

EDGE_UNITS = 20
"""A mark nearer to an edge than this has no room for its label."""

NOTCH_PIXELS = 5
LABEL_PIXELS = 19
"""From the lowest pane down to the base line of the labels."""

TITLE_PIXELS = 10
"""How far a title stands above its pane."""

BASELINE_PIXELS = 4
"""How far below a value's height its words stand, so that they are level with it."""

CLEAR_PIXELS = 14
"""Words beside a pane that are nearer to each other than this run into each other."""


class Newest(NamedTuple):
    """A value to be named beside a pane, in the colour of its line."""

    value: float
    kind: str


class Pane(NamedTuple):
    """A stretched drawing area, `top` pixels below the chart's upper edge.

    Shapes are (class, path); `levels` are values that get a line, and beside the pane a name in the
    format `label`; rings are (drawing units, value). Of `newest`, the first come first where there
    is no room for all.
    """

    top: float
    y: Scale
    levels: Sequence[float]
    label: str
    shapes: Sequence[tuple[str, str]]
    rings: Sequence[tuple[float, float]] = ()
    title: str = ""
    newest: Sequence[Newest] = ()


class Name(NamedTuple):
    """A dollar amount named above a chart: value along x, pixels down, class."""

    value: float
    y: float
    kind: str
    usd: float


class Chart(NamedTuple):
    """Panes above a common axis with its marks (value, words)."""

    height: float
    x: Scale
    panes: Sequence[Pane]
    marks: Sequence[tuple[float, str]]
    names: Sequence[Name] = ()


class Text(NamedTuple):
    """Words at a place: `x` a percentage of the width, `y` in pixels."""

    x: str
    y: str
    words: str
    kind: str = ""


class Ring(NamedTuple):
    """A hollow point: `x` a percentage of the width, `y` in pixels."""

    x: str
    y: str


class DrawnPane(NamedTuple):
    """A pane as it is printed."""

    top: str
    height: str
    title: Text | None
    lines: Sequence[str]
    shapes: Sequence[tuple[str, str]]
    levels: Sequence[Text]
    rings: Sequence[Ring]


class Drawing(NamedTuple):
    """A chart as it is printed; `notches` end at `notch_top` and `notch_bottom`."""

    height: str
    width_units: str
    panes: Sequence[DrawnPane]
    names: Sequence[Text]
    notch_top: str
    notch_bottom: str
    marks: Sequence[Text]


def draw(chart: Chart) -> Drawing:
    """Work out what the template prints of a chart."""
    bottom = chart.panes[-1].top + chart.panes[-1].y.size
    return Drawing(
        height=f"{chart.height:g}",
        width_units=f"{chart.x.size:g}",
        panes=[_drawn(pane) for pane in chart.panes],
        names=[_name(chart.x, name) for name in chart.names],
        notch_top=f"{bottom:g}",
        notch_bottom=f"{bottom + NOTCH_PIXELS:g}",
        marks=_marks(chart, f"{bottom + LABEL_PIXELS:g}"),
    )


def _drawn(pane: Pane) -> DrawnPane:
    heights = [pane.top + pane.y(value) for value in pane.levels]
    rings = [Ring(f"{at / WIDTH:.2%}", f"{pane.top + pane.y(usd):g}") for at, usd in pane.rings]
    return DrawnPane(
        top=f"{pane.top:g}",
        height=f"{pane.y.size:g}",
        title=Text("", f"{pane.top - TITLE_PIXELS:g}", pane.title) if pane.title else None,
        lines=[f"{height:g}" for height in heights],
        shapes=[(kind, path) for kind, path in pane.shapes if path],
        levels=_beside(pane) if pane.label else [],
        rings=rings,
    )


def _beside(pane: Pane) -> list[Text]:
    """Names of the newest values and of levels, as many as there is room for."""
    wanted = [*pane.newest, *(Newest(value, "") for value in pane.levels)]
    named: list[float] = []
    texts = []
    for value, kind in wanted:
        height = pane.top + pane.y(value)
        if all(abs(height - other) >= CLEAR_PIXELS for other in named):
            named.append(height)
            words = signed(pane.label.format(value))
            texts.append(Text("", f"{height + BASELINE_PIXELS:g}", words, kind))
    return texts


def _marks(chart: Chart, y: str) -> list[Text]:
    """Labels below; every second one is for wide screens only."""
    marks = [
        Text(_across(chart.x, value), y, signed(words), "minor" if number % 2 else "")
        for number, (value, words) in enumerate(chart.marks)
    ]
    has_room = [EDGE_UNITS < chart.x(value) < WIDTH - EDGE_UNITS for value, _ in chart.marks]
    return [mark for mark, has in zip(marks, has_room, strict=True) if has]


def _name(x: Scale, name: Name) -> Text:
    return Text(_across(x, name.value), f"{name.y:g}", f"${name.usd:,g}", name.kind)


def _across(x: Scale, value: float) -> str:
    return f"{x(value) / x.size:.2%}"


def signed(words: str) -> str:
    """The words with a true minus sign, and zero without a sign."""
    return words.replace("-", "\N{MINUS SIGN}").replace("+0%", "0%")
