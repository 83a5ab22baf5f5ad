"""Why this price: what it takes to check one price by hand and to draw it again. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from builder.record import Row, Snapshot, times
from oracle.core.histogram import EDGES, clean_histogram, count_amounts
from oracle.core.params import PARAMETERS, SPIKES
from oracle.core.price import WindowPrice
from oracle.core.window import Window

MAX_POINTS = 2000  # of a day's tens of thousands: what a screen can show


def picture(
    window: Window, priced: WindowPrice, first: Row, last: Row, left_out: Mapping[str, int]
) -> Snapshot:
    """Return what it takes to check and redraw one price: points, histogram, stencil as placed, blocks."""
    shares = clean_histogram(count_amounts(window.value_sats))
    kept = slice(PARAMETERS.first_kept_bin, PARAMETERS.last_kept_bin + 1)
    return {
        "rough_price_usd": priced.rough_price_usd,
        "first_block": {k: first[k] for k in ("height", "hash")} | times("time", first["time_unix"]),
        "last_block": {k: last[k] for k in ("height", "hash")} | times("time", last["time_unix"]),
        "left_out": dict(left_out),
        "price_points": _points(window, priced),
        "histogram": {
            "first_bin": PARAMETERS.first_kept_bin,
            "bins_per_decade": PARAMETERS.bins_per_decade,
            "first_decade": PARAMETERS.first_decade,
            "weights": [] if shares is None else [float(f"{share:.4g}") for share in shares[kept].tolist()],
        },
        "stencil": priced.rough and _stencil(priced.rough.best_slide),
    }


def _points(window: Window, priced: WindowPrice) -> Snapshot:
    middle, reach = priced.price_usd or 0.0, priced.chart_half_height or 0.0
    points = priced.points.between(middle * (1 - reach), middle * (1 + reach))
    total = len(points.prices_usd)
    stride = max(1, -(-total // MAX_POINTS))
    at = points.block_index[::stride]
    rule = f"points within {reach:.0%} of the price, every {stride}. of them" if stride > 1 else "all points"
    return {
        "thinning": rule,
        "total": total,
        "shown": len(at),
        "time_unix": window.block_times_unix[at].tolist(),
        "height": window.block_heights[at].tolist(),
        "price_usd": points.prices_usd[::stride].round(2).tolist(),
    }


def _stencil(slide: int) -> Snapshot:
    first = PARAMETERS.slide_origin_bin + slide
    amounts = [
        {"usd": usd, "bin": first + i, "value_btc": float(EDGES[first + i]), "weight": weight}
        for i, (weight, usd) in SPIKES.items()
    ]
    return {"slide": slide, "first_bin": first, "amounts": amounts}
