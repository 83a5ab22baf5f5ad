"""The histogram of output amounts with the stencil of round dollar amounts over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.pages.charts.chart import Chart, Name, Pane
from builder.pages.charts.scale import Scale

if TYPE_CHECKING:
    from builder.api.types import Picture, Spike

TOP_PIXELS = 46
BARS_PIXELS = 300
STEMS_PIXELS = 150
CHART_PIXELS = 372

HEADROOM = 1.02
"""How far the scale of shares reaches above the highest bar."""

LEAST_SHARE = 1e-9
"""Keeps the scale from vanishing when all bins are empty."""

MAX_BINS = 830
"""What is shown of the bins from the stencil's first: its own 803, and a little more."""

BINS_A_DECADE = 200
DECADES = 12
FIRST_DECADE = -6
"""Bin 1 begins at 0.000001 BTC, and 200 bins are a factor of ten."""

LEFT_EDGE_UNITS = 5
"""A name whose spike is nearer to the edge than this would be cut."""

MINOR = "minor"
"""Names for wide screens only."""

# Where a dollar amount is named, by its digits, in pixels from the top: powers of ten always.
NAME_ROWS = {"1": ("", 25), "15": (MINOR, 10)}
OTHER_NAMES = (MINOR, 40)


def histogram_chart(day: Picture) -> Chart:
    """The histogram of output amounts with the stencil hanging over it, its dollar amounts named.

    Args:
        day: a day.json or window.json. Without a stencil all bins are shown, with one those from
            its first bin on.
    """
    first, bins = _shown_bins(day)
    amounts = day["stencil"]["amounts"] if day["stencil"] else []
    x = Scale(first, first + len(bins))
    y = Scale(0, max([*bins, LEAST_SHARE]) * HEADROOM, BARS_PIXELS, flip=True)
    shapes = [("bars", _bars(x, y, first, bins)), ("stencil", _stems(x, amounts))]
    pane = Pane(TOP_PIXELS, y, [0], "", shapes)
    return Chart(CHART_PIXELS, x, [pane], powers_of_ten(), _names(x, amounts))


def powers_of_ten() -> list[tuple[float, str]]:
    """The bins in which powers of ten of a bitcoin begin, and their words."""
    return [
        (1.0 + BINS_A_DECADE * decade, f"{10.0 ** (decade + FIRST_DECADE):.10g} BTC")
        for decade in range(DECADES)
    ]


def _shown_bins(day: Picture) -> tuple[int, Sequence[float]]:
    """The number of the first bin shown, and the share of outputs in it and in the following."""
    first = day["histogram"]["first_bin"]
    bins = day["histogram"]["weights"]
    if not day["stencil"]:
        return first, bins
    left = max(first, day["stencil"]["first_bin"])
    return left, bins[left - first :][:MAX_BINS]


def _bars(x: Scale, y: Scale, first: int, bins: Sequence[float]) -> str:
    """One outline around all bars."""
    steps = [f"V{y(share):g}H{x(number):g}" for number, share in enumerate(bins, first + 1)]
    return f"M0 {BARS_PIXELS}{''.join(steps)}V{BARS_PIXELS}Z"


def _stems(x: Scale, amounts: Sequence[Spike]) -> str:
    heaviest = max([amount["weight"] for amount in amounts] or [1])
    y = Scale(0, heaviest, STEMS_PIXELS)
    stems = [f"M{x(spike['bin'] + 0.5):g} 0V{y(spike['weight']):g}" for spike in amounts]
    return "".join(stems)


def _names(x: Scale, amounts: Sequence[Spike]) -> list[Name]:
    """A name for each dollar amount, over the heaviest of its spikes."""
    by_weight = sorted(amounts, key=lambda spike: spike["weight"])
    bins = {spike["usd"]: spike["bin"] for spike in by_weight if x(spike["bin"]) > LEFT_EDGE_UNITS}
    names = []
    for usd, number in bins.items():
        kind, y = NAME_ROWS.get(f"{usd:g}".rstrip("0"), OTHER_NAMES)
        names.append(Name(number + 0.5, y, kind, usd))
    return names
