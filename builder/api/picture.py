"""Why this price: what it takes to check one price by hand and to draw it again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.api.days import candles_of, day_price, priced
from builder.api.head import block, head
from builder.gather import Gathered
from builder.rows import BlockRow, DayRow, LeftOutRow, SpanRow, SpotLineRow, WindowRow, rows
from oracle.calculator import PriceCalculator
from oracle.core import window as core
from oracle.core.histogram import EDGES, clean_histogram, count_amounts
from oracle.core.params import PARAMETERS, SPIKES
from oracle.core.price import WindowPrice
from oracle.errors import StoreError
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Day, Explained, Picture, PricePoints, Spike, Stencil, Window

MAX_POINTS = 2000
"""Of a day's tens of thousands: what a screen can show."""


def make_day(gathered: Gathered, reader: Reader, row: DayRow, calculator: PriceCalculator) -> Day:
    """Return `/api/days/<date>.json`: a day's price, and how it came about.

    The file depends on its blocks alone, so it counts as generated at the time of the last of them.
    """
    explained = _explained(reader, row, calculator)
    last_unix = explained["last_block"]["time_unix"]
    price = day_price(row, candles_of(reader, [row]).get(row["date"]))
    return {**head(gathered, last_unix, row["algorithm_version"]), **price, **explained}


def make_window(
    gathered: Gathered, reader: Reader, row: WindowRow, calculator: PriceCalculator
) -> Window:
    """Return `/api/window.json`: the same of the newest window."""
    explained = _explained(reader, row, calculator)
    last_unix = explained["last_block"]["time_unix"]
    return {**head(gathered, last_unix, row["algorithm_version"]), **priced(row), **explained}


def has_first_block(reader: Reader, row: SpanRow) -> bool:
    """Tell whether the blocks of a price are all there; those of a young record are not."""
    return bool(rows(reader, BlockRow, "block", height=row["first_height"]))


def _explained(reader: Reader, row: SpanRow, calculator: PriceCalculator) -> Explained:
    first_height = row["first_height"]
    last_height = row["last_height"]
    first, last = (_block(reader, height) for height in (first_height, last_height))
    line = rows(reader, SpotLineRow, "spot_line", first=first_height, last=last_height)
    left_out = rows(reader, LeftOutRow, "left_out", first=first_height, last=last_height)
    window = reader.window(first_height, last_height)
    made = picture(window, calculator.price_window(window))
    if row["algorithm_version"] != calculator.algorithm_version:
        made["price_points"]["thinning"] += f"; found by {calculator.algorithm_version}"
    return {
        "first_block": block(first),
        "last_block": block(last),
        "left_out": {count["rule"]: count["transactions"] for count in left_out},
        "spot": {
            "time_unix": [moment["time_unix"] for moment in line],
            "height": [moment["height"] for moment in line],
            "spot_usd": [moment["spot_usd"] for moment in line],
            "is_valid": [moment["is_valid"] for moment in line],
        },
        **made,
    }


def _block(reader: Reader, height: int) -> BlockRow:
    found = rows(reader, BlockRow, "block", height=height)
    if not found:
        raise StoreError(
            f"the database has a price that stands on block {height}, and not the block: look with "
            f"oracle verify, and read what is missing again with oracle backfill"
        )
    return found[0]


def picture(window: core.Window, price: WindowPrice) -> Picture:
    """Return rough price, price points, histogram and the stencil as placed."""
    return {
        "rough_price_usd": price.rough_price_usd,
        "price_points": _points(window, price),
        "histogram": {
            "first_bin": PARAMETERS.first_kept_bin,
            "bins_per_decade": PARAMETERS.bins_per_decade,
            "first_decade": PARAMETERS.first_decade,
            "weights": _weights(window),
        },
        "stencil": _stencil(price.rough.best_slide) if price.rough else None,
    }


def _weights(window: core.Window) -> list[float]:
    """Return the share of each kept bin, to four digits; none where there is no output."""
    shares = clean_histogram(count_amounts(window.value_sats))
    if shares is None:
        return []
    kept = shares[PARAMETERS.first_kept_bin : PARAMETERS.last_kept_bin + 1]
    return [float(f"{share:.4g}") for share in kept.tolist()]


def _points(window: core.Window, price: WindowPrice) -> PricePoints:
    middle_usd = price.price_usd or 0.0
    reach = price.chart_half_height or 0.0
    points = price.points.between(middle_usd * (1 - reach), middle_usd * (1 + reach))
    total = len(points.prices_usd)
    stride = max(1, -(-total // MAX_POINTS))
    at = points.block_index[::stride]
    rule = "all points"
    if stride > 1:
        rule = f"points within {reach:.0%} of the price, every {stride}. of them"
    return {
        "thinning": rule,
        "total": total,
        "shown": len(at),
        "time_unix": window.block_times_unix[at].tolist(),
        "height": window.block_heights[at].tolist(),
        "price_usd": points.prices_usd[::stride].round(2).tolist(),
    }


def _stencil(slide: int) -> Stencil:
    first_bin = PARAMETERS.slide_origin_bin + slide
    amounts: list[Spike] = [
        {
            "usd": usd,
            "bin": first_bin + offset,
            "value_btc": float(EDGES[first_bin + offset]),
            "weight": weight,
        }
        for offset, (weight, usd) in SPIKES.items()
    ]
    return {"slide": slide, "first_bin": first_bin, "amounts": amounts}


def points_csv(day: Day | Window) -> bytes:
    """Return the price points of a day or window as CSV; each line says which chain it is of."""
    points = day["price_points"]
    moments = zip(points["time_unix"], points["height"], points["price_usd"], strict=True)
    chain = (day["network"], str(day["is_demo"]).upper())
    lines = [",".join(map(str, (*moment, *chain))) for moment in moments]
    lines.insert(0, "time_unix,height,price_usd,network,is_simulated")
    return "\n".join([*lines, ""]).encode()
