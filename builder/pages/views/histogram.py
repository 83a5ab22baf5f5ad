"""The histogram with the stencil laid over it, on the pages of days and of the method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.histogram import histogram_chart
from builder.pages.site import Site
from builder.pages.views.parts import Alive, Figure, figure, json_downloads

if TYPE_CHECKING:
    from builder.api.types import Day, Histogram, Window

EXAMPLE_USD = 100
"""The dollar amount by which the place of the stencil is explained."""

NO_STENCIL = "A histogram of output amounts; no stencil fits."


class StencilRow(NamedTuple):
    """A round dollar amount, and the share of outputs at its place."""

    usd: float
    value_btc: float
    weight: float
    share: float


class HistogramView(NamedTuple):
    """The chart and its table; `example_btc` is what a hundred dollars are at the price."""

    figure: Figure
    price_usd: float | None
    example_btc: float | None
    rows: Sequence[StencilRow]
    """Empty when no stencil fits."""


def histogram_view(site: Site, day: Day | Window, json: str) -> HistogramView:
    """Return the histogram of a day.json or window.json, which lies at the path `json`."""
    rows = _rows(day)
    words = (
        f"A histogram of output amounts with the stencil at its best place: {len(rows)} spikes "
        "for dollar amounts from $1 to $10,000."
    )
    downloads = json_downloads(
        site, "histogram", json=json, column="unnest(histogram.weights) AS weight", key="histogram"
    )
    price_usd = day["price_usd"]
    return HistogramView(
        figure=figure(
            histogram_chart(day), words if rows else NO_STENCIL, downloads, Alive("histogram")
        ),
        price_usd=price_usd,
        example_btc=None if price_usd is None else EXAMPLE_USD / price_usd,
        rows=rows,
    )


def _rows(day: Day | Window) -> list[StencilRow]:
    if day["stencil"] is None:
        return []
    return [
        StencilRow(
            usd=spike["usd"],
            value_btc=spike["value_btc"],
            weight=spike["weight"],
            share=_share(day["histogram"], spike["bin"]),
        )
        for spike in day["stencil"]["amounts"]
    ]


def _share(histogram: Histogram, number: int) -> float:
    """The share of outputs in a bin; none lie outside of the histogram."""
    place = number - histogram["first_bin"]
    weights = histogram["weights"]
    return weights[place] if 0 <= place < len(weights) else 0
