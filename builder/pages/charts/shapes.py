"""Places as SVG paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from builder.pages.charts.scale import WIDTH, Scale

Place = tuple[float, float | None]
"""Drawing units along the time axis, and a value there; None is a gap."""

Stretch = tuple[float, float | None, float | None]
"""The same with a low and a high value."""


def line(y: Scale, places: Sequence[Place]) -> str:
    """A line through the places, lifted at gaps; a lone place becomes a dot."""
    paths = []
    for run in _runs(places):
        first, *others = [f"{x:g} {y(value):g}" for x, value in run]
        paths.append("L".join([f"M{first}h0", *others]))
    return "".join(paths)


def band(y: Scale, places: Sequence[Stretch]) -> str:
    """The area between two lines, one closed shape for each unbroken run."""
    paths = []
    for run in _runs(places):
        there = [f"{x:g} {y(high):g}" for x, _, high in run]
        back = [f"{x:g} {y(low):g}" for x, low, _ in reversed(run)]
        paths.append(f"M{'L'.join(there + back)}Z")
    return "".join(paths)


def _runs(places: Iterable[tuple[float | None, ...]]) -> list[list[tuple[float, ...]]]:
    """Split places at those that lack a value."""
    runs: list[list[tuple[float, ...]]] = [[]]
    for place in places:
        known = tuple(value for value in place if value is not None)
        if len(known) == len(place):
            runs[-1].append(known)
        else:
            runs.append([])
    return [run for run in runs if run]


def dots(x: Scale, y: Scale, points: Iterable[tuple[float, float]]) -> str:
    """Many dots as zero-length lines: round line caps make circles of the line's width."""
    return "".join(f"M{x(at):g} {y(value):g}h0" for at, value in points)


def across(y: Scale, *values: float) -> str:
    """Lines from edge to edge."""
    return "".join(f"M0 {y(value):g}H{WIDTH:g}" for value in values)
