"""How the price comes about, in plain words and in steps, with the newest window's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.steps import (
    central_chart,
    cleaned_chart,
    points_chart,
    raw_chart,
    sliding_chart,
)
from builder.pages.filters import usd, whole
from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.histogram import HistogramView, histogram_view
from builder.pages.views.parts import Drawn, drawn

if TYPE_CHECKING:
    from builder.api.types import Stencil, Window

TITLE = "Method · On-chain Bitcoin price"
DESCRIPTION = (
    "How the Bitcoin price is read from the blocks alone, in plain words, step by step with the "
    "newest blocks."
)
JSON = "/api/window.json"


class StencilStep(NamedTuple):
    """Step three: the stencil where it fits best, and its slides for the reader's hand."""

    figure: Drawn
    source: str
    first: int
    last: int
    best: int
    rough_usd: int | None


class CrowdStep(NamedTuple):
    """Steps four and five: the points, and the central one of them."""

    points: Drawn
    central: Drawn
    price_usd: float | None


class Newest(NamedTuple):
    """The newest window, step by step, as far as its price came."""

    blocks: int
    outputs: int
    histogram: HistogramView
    left_out: Sequence[tuple[str, int]]
    raw: Drawn
    cleaned: Drawn
    stencil: StencilStep | None
    crowd: CrowdStep | None


class MethodView(NamedTuple):
    """All that the method page says; the version is that of the price shown on it."""

    frame: Frame
    newest: Newest | None
    limit: float
    algorithm_version: str


def method_view(site: Site) -> MethodView:
    """Return the view of the method page."""
    window = site.objects.window
    return MethodView(
        frame=frame_of(
            site,
            title=TITLE,
            description=DESCRIPTION,
            section="/method/",
            made_unix=window["generated_at_unix"] if window else None,
        ),
        newest=_newest(site, window) if window else None,
        limit=site.limit,
        algorithm_version=(window or site.latest)["algorithm_version"],
    )


def _newest(site: Site, window: Window) -> Newest:
    outputs = whole(window["outputs"])
    return Newest(
        blocks=window["last_height"] - window["first_height"] + 1,
        outputs=window["outputs"],
        histogram=histogram_view(site, window, JSON),
        left_out=[(rule.replace("_", " "), count) for rule, count in window["left_out"].items()],
        raw=drawn(raw_chart(window), f"{outputs} amounts as counted."),
        cleaned=drawn(
            cleaned_chart(window),
            f"The same with {len(window['cleaned'])} round or crowded amounts cut down.",
        ),
        stencil=_stencil(window, window["stencil"]) if window["stencil"] else None,
        crowd=_crowd(window) if window["density"] else None,
    )


def _stencil(window: Window, stencil: Stencil) -> StencilStep:
    rough = window["rough_price_usd"]
    first = stencil["first_slide"]
    return StencilStep(
        figure=drawn(sliding_chart(window), f"It fits best at about {usd(rough)}."),
        source=JSON,
        first=first,
        last=first + len(stencil["scores"]) - 1,
        best=stencil["slide"],
        rough_usd=rough,
    )


def _crowd(window: Window) -> CrowdStep:
    price = usd(window["price_usd"])
    points = f"{whole(window['points'])} price points, the darker the more."
    return CrowdStep(
        points=drawn(points_chart(window), points),
        central=drawn(central_chart(window), f"The point nearest to all others is {price}."),
        price_usd=window["price_usd"],
    )
