"""Pieces of the accuracy page that divide the prices: by year, by price points, by confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.errors import reliability_chart
from builder.pages.filters import share, whole
from builder.pages.site import Site
from builder.pages.views.parts import Alive, Figure, figure, json_downloads

if TYPE_CHECKING:
    from builder.api.types import Errors, PointsScore, Reliability, Scorecard, YearScore

ENOUGH = 30
"""With fewer comparisons a share says little."""

NEAR = 0.12
"""What was said and what happened may differ by so much."""

LEG_IN_WORDS = {"spot": "Spot", "day": "Whole days"}


class Part(NamedTuple):
    """A row: what of the prices, and how far off they were."""

    name: str
    errors: Errors


class ReliabilityRow(NamedTuple):
    """Spot prices of like confidence."""

    name: str
    n: int
    said: float
    right: float


class ReliabilityView(NamedTuple):
    """What confidence said and what happened."""

    verdict: str
    figure: Figure
    rows: Sequence[ReliabilityRow]


class Parts(NamedTuple):
    """What the page says beyond the legs; `reliability` is None when nothing was compared."""

    reliability: ReliabilityView | None
    years: Sequence[Part]
    points: Sequence[Part]


def parts_of(site: Site, card: Scorecard) -> Parts:
    """Return the prices divided by confidence, by year and by price points."""
    return Parts(
        reliability=_reliability(site, card["reliability"]) if card["reliability"] else None,
        years=[
            *(_year("spot", score) for score in card["years"]["spot"]),
            *(_year("day", score) for score in card["years"]["day"]),
        ],
        points=[_points(score) for score in card["points"]],
    )


def _year(leg: str, score: YearScore) -> Part:
    return Part(f"{LEG_IN_WORDS[leg]}, {score['year']}", score)


def _points(score: PointsScore) -> Part:
    first = whole(score["points_from"])
    last = score["points_to"]
    return Part(f"{first} and more" if last is None else f"{first} to {whole(last)}", score)


def _reliability(site: Site, bins: Sequence[Reliability]) -> ReliabilityView:
    rows = [
        ReliabilityRow(
            f"{one['confidence_from']:.2f} to {one['confidence_to']:.2f}",
            one["n"],
            one["said_share"],
            one["right_share"],
        )
        for one in bins
    ]
    verdict = _verdict(rows)
    downloads = json_downloads(
        site,
        "reliability",
        json="/api/scorecard.json",
        column="unnest(reliability, recursive := true)",
        key="reliability",
    )
    chart = reliability_chart([(row.said, row.right) for row in rows])
    words = f"What confidence is worth. {verdict}"
    return ReliabilityView(verdict, figure(chart, words, downloads, Alive("reliability")), rows)


def _verdict(rows: Sequence[ReliabilityRow]) -> str:
    """Say in words whether confidence can be taken at its word, good or bad."""
    known = [row for row in rows if row.n >= ENOUGH]
    if not known:
        return f"There are not yet {ENOUGH} prices of like confidence to judge it by."
    worst = max(known, key=lambda row: abs(row.right - row.said))
    if abs(worst.right - worst.said) <= NEAR:
        return (
            f"Wherever there are {ENOUGH} prices or more, what it said and what happened are "
            f"within {NEAR} of each other."
        )
    lean = "shy" if worst.right > worst.said else "sure of itself"
    return (
        f"From {worst.name} it is too {lean}: it said {share(worst.said)}, and "
        f"{share(worst.right)} of {whole(worst.n)} prices were right."
    )
