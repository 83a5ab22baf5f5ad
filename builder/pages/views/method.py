"""How the price comes about, in plain words, with the newest histogram."""

from __future__ import annotations

from typing import NamedTuple

from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.histogram import HistogramView, histogram_view

TITLE = "Method · On-chain Bitcoin price"
DESCRIPTION = (
    "How the Bitcoin price is read from the blocks alone, in plain words, with the newest "
    "histogram."
)


class Newest(NamedTuple):
    """The newest window."""

    blocks: int
    histogram: HistogramView


class MethodView(NamedTuple):
    """All that the method page says; the version is that of the price shown on it."""

    frame: Frame
    newest: Newest | None
    limit: float
    algorithm_version: str


def method_view(site: Site) -> MethodView:
    """Return the view of the method page."""
    window = site.objects.window
    newest = None
    if window:
        blocks = window["last_height"] - window["first_height"] + 1
        newest = Newest(blocks, histogram_view(site, window, "/api/window.json"))
    return MethodView(
        frame=frame_of(
            site,
            title=TITLE,
            description=DESCRIPTION,
            section="/method/",
            made_unix=window["generated_at_unix"] if window else None,
        ),
        newest=newest,
        limit=site.limit,
        algorithm_version=(window or site.latest)["algorithm_version"],
    )
