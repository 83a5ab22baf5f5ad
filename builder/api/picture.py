"""Why this price: what it takes to check one price by hand and to draw it again. Pure."""

from __future__ import annotations

from builder.gather import Row, Snapshot, head, stamped
from oracle.core.histogram import EDGES, clean_histogram, count_amounts
from oracle.core.params import PARAMETERS, SPIKES
from oracle.core.price import WindowPrice, price_window
from oracle.core.window import Window
from oracle.record.reader import Reader

MAX_POINTS = 2000  # of a day's tens of thousands: what a screen can show


def pictured(reader: Reader, row: Row) -> Snapshot:
    """Return `/api/days/<date>.json` or `/api/window.json`: a price of the record, and how it came
    about.

    The file depends on its blocks alone, so it counts as generated at the time of the last of them.

    Args:
        reader: gives the blocks and their outputs.
        row: first and last height, and the fields to show.
    """
    heights = {"first": row["first_height"], "last": row["last_height"]}
    window = reader.window(row["first_height"], row["last_height"])
    first, last = (reader.rows("block", height=height)[0] for height in heights.values())
    line = reader.rows("spot_line", **heights)
    return {
        **head({fact["name"]: fact["value"] for fact in reader.rows("facts")}, last["time_unix"]),
        **row,
        "first_block": stamped(first),
        "last_block": stamped(last),
        "left_out": {
            count["rule"]: count["transactions"] for count in reader.rows("left_out", **heights)
        },
        "spot": {
            k: [block[k] for block in line] for k in ("time_unix", "height", "spot_usd", "is_valid")
        },
        **picture(window, price_window(window)),
    }


def picture(window: Window, priced: WindowPrice) -> Snapshot:
    """Return rough price, price points, histogram and the stencil as placed."""
    shares = clean_histogram(count_amounts(window.value_sats))
    kept = slice(PARAMETERS.first_kept_bin, PARAMETERS.last_kept_bin + 1)
    return {
        "rough_price_usd": priced.rough_price_usd,
        "price_points": _points(window, priced),
        "histogram": {
            "first_bin": PARAMETERS.first_kept_bin,
            "bins_per_decade": PARAMETERS.bins_per_decade,
            "first_decade": PARAMETERS.first_decade,
            "weights": []
            if shares is None
            else [float(f"{share:.4g}") for share in shares[kept].tolist()],
        },
        "stencil": priced.rough and _stencil(priced.rough.best_slide),
    }


def _points(window: Window, priced: WindowPrice) -> Snapshot:
    middle, reach = priced.price_usd or 0.0, priced.chart_half_height or 0.0
    points = priced.points.between(middle * (1 - reach), middle * (1 + reach))
    total = len(points.prices_usd)
    stride = max(1, -(-total // MAX_POINTS))
    at = points.block_index[::stride]
    rule = (
        f"points within {reach:.0%} of the price, every {stride}. of them"
        if stride > 1
        else "all points"
    )
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


def points_csv(day: Snapshot) -> bytes:
    """Return the price points of a day or window as CSV."""
    points = day["price_points"]
    rows = zip(points["time_unix"], points["height"], points["price_usd"], strict=True)
    lines = ["time_unix,height,price_usd", *(",".join(map(str, row)) for row in rows)]
    return "\n".join([*lines, ""]).encode()
