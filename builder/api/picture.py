"""Why this price: what it takes to check one price by hand and to draw it again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from builder.api.days import candles_of, day_price, priced
from builder.api.head import block, head, midnight_unix
from builder.api.history import spreadsheet_time
from builder.day_rows import HourRow, LeftOutRow, QuoteRow, SpotLineRow
from builder.gather import Gathered
from builder.rows import BlockRow, DayRow, SpanRow, WindowRow, rows
from oracle.calculator import PriceCalculator
from oracle.core import window as core
from oracle.core.histogram import EDGES, clean_histogram, count_amounts
from oracle.core.params import PARAMETERS, SPIKES
from oracle.core.price import WindowPrice
from oracle.core.stencil import RoughPrice
from oracle.errors import StoreError
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import (
        Day,
        Density,
        Explained,
        Market,
        Picture,
        PricePoints,
        Spike,
        Stencil,
        Window,
    )

MAX_POINTS = 2000
"""Of a day's tens of thousands: what a screen can show."""

DENSITY_SECONDS = 1800
DENSITY_ROWS = 50
MAX_COLUMNS = 64
"""The grid in which all of them are counted: half hours, or more where there would be too many."""

MAX_SEPTETS = 7
"""More than all bitcoins in sats take."""

HOUR_SECONDS = 3600
KEPT_BINS = range(PARAMETERS.first_kept_bin, PARAMETERS.last_kept_bin + 1)


def make_day(gathered: Gathered, reader: Reader, row: DayRow, calculator: PriceCalculator) -> Day:
    """Return `/api/days/<date>.json`: a day's price, and how it came about.

    The file depends on its blocks alone, so it counts as generated at the time of the last of them.
    """
    explained = _explained(reader, row, calculator)
    last_unix = explained["last_block"]["time_unix"]
    price = day_price(row, candles_of(reader, [row]).get(row["date"]))
    return {
        **head(gathered, last_unix, row["algorithm_version"]),
        **price,
        **explained,
        **_market(reader, row),
        "amounts": f"/{amounts_path(row['date'])}",
    }


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


def _market(reader: Reader, row: DayRow) -> Market:
    """Return what spot price and exchange did within a day."""
    start = midnight_unix(row["date"])
    bounds = {"start": start, "first": row["first_height"], "last": row["last_height"]}
    hours = rows(reader, HourRow, "hours_of_day", **bounds)
    quotes = rows(reader, QuoteRow, "quotes_of_day", start=start)
    closes = {quote["time_unix"] // HOUR_SECONDS: quote["price_usd"] for quote in quotes}
    return {
        "hours": {
            "time_unix": [hour["time_unix"] for hour in hours],
            "spot_open_usd": [round(hour["spot_open_usd"], 2) for hour in hours],
            "spot_high_usd": [round(hour["spot_high_usd"], 2) for hour in hours],
            "spot_low_usd": [round(hour["spot_low_usd"], 2) for hour in hours],
            "spot_close_usd": [round(hour["spot_close_usd"], 2) for hour in hours],
            "exchange_usd": [closes.get(hour["time_unix"] // HOUR_SECONDS) for hour in hours],
        },
        "quotes": {
            "time_unix": [quote["time_unix"] for quote in quotes],
            "price_usd": [quote["price_usd"] for quote in quotes],
        },
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
    """Return rough price, price points, histogram and the stencil as placed.

    Shares have four digits; there are none where there is no output.
    """
    counts = count_amounts(window.value_sats)
    shares = clean_histogram(counts)
    kept = KEPT_BINS if shares is not None else range(0)
    before = counts / (counts[kept].sum() or 1)
    changed = [
        number
        for number in kept
        if number in PARAMETERS.round_btc_bins or before[number] > PARAMETERS.max_bin_share
    ]
    return {
        "rough_price_usd": price.rough_price_usd,
        "price_points": _points(window, price),
        "density": _density(window, price),
        "histogram": {
            "first_bin": PARAMETERS.first_kept_bin,
            "bins_per_decade": PARAMETERS.bins_per_decade,
            "first_decade": PARAMETERS.first_decade,
            "weights": [] if shares is None else [_short(shares[number]) for number in kept],
        },
        "cleaned": [{"bin": number, "share": _short(before[number])} for number in changed],
        "stencil": _stencil(price.rough) if price.rough else None,
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _density(window: core.Window, price: WindowPrice) -> Density | None:
    """Return how many of all points near the price lie in each cell of a grid."""
    if price.price_usd is None or price.chart_half_height is None:
        return None
    low = price.price_usd * (1 - price.chart_half_height)
    high = price.price_usd * (1 + price.chart_half_height)
    points = price.points.between(low, high)
    times = window.block_times_unix[points.block_index]
    first = int(times.min()) // DENSITY_SECONDS * DENSITY_SECONDS
    steps = (int(times.max()) - first) // DENSITY_SECONDS + 1
    step = DENSITY_SECONDS * -(-steps // MAX_COLUMNS)
    edges = first + step * np.arange(-(-steps * DENSITY_SECONDS // step) + 1)
    counts, _, _ = np.histogram2d(
        times, points.prices_usd, bins=(edges, np.linspace(low, high, DENSITY_ROWS + 1))
    )
    return {
        "first_unix": first,
        "step_seconds": step,
        "low_usd": round(low, 2),
        "step_usd": round((high - low) / DENSITY_ROWS, 4),
        "counts": counts.astype(int).tolist(),
    }


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


def _stencil(rough: RoughPrice) -> Stencil:
    first_bin = PARAMETERS.slide_origin_bin + rough.best_slide
    amounts: list[Spike] = [
        {
            "usd": usd,
            "bin": first_bin + offset,
            "value_btc": float(EDGES[first_bin + offset]),
            "weight": weight,
        }
        for offset, (weight, usd) in SPIKES.items()
    ]
    return {
        "slide": rough.best_slide,
        "first_bin": first_bin,
        "amounts": amounts,
        "first_slide": PARAMETERS.first_slide,
        "scores": [_short(score) for score in rough.scores.tolist()],
    }


def amounts_path(date: str) -> str:
    """Return the path in the release of a day's amounts."""
    return f"data/amounts/{date}.bin"


def amounts_of(reader: Reader, row: DayRow) -> bytes:
    """Return the amounts in sats of all eligible outputs of a day, from the smallest up, each as
    the difference to the one before it, in LEB128: seven bits a byte, the lowest first, and the
    eighth where more follow.

    The price depends on nothing else: which amounts are round, and where each falls, follows from
    the amounts.
    """
    amounts = np.sort(reader.window(row["first_height"], row["last_height"]).value_sats)
    steps = np.diff(amounts, prepend=0).astype(np.uint64)
    septets = [(steps >> np.uint64(7 * place)) for place in range(MAX_SEPTETS)]
    has_more = [septet >> np.uint64(7) > 0 for septet in septets]
    table = np.stack(
        [
            (septet & np.uint64(0x7F)) | (more.astype(np.uint64) << np.uint64(7))
            for septet, more in zip(septets, has_more, strict=True)
        ],
        axis=1,
    )
    is_there = np.stack([np.ones(len(steps), np.bool_), *has_more[:-1]], axis=1)
    return table[is_there].astype(np.uint8).tobytes()


def points_csv(day: Day | Window) -> bytes:
    """Return the price points of a day or window as CSV; each line says which chain it is of."""
    points = day["price_points"]
    moments = zip(points["time_unix"], points["height"], points["price_usd"], strict=True)
    chain = (day["network"], str(day["is_demo"]).upper())
    lines = [
        ",".join(map(str, (spreadsheet_time(time_unix), height, price_usd, *chain)))
        for time_unix, height, price_usd in moments
    ]
    lines.insert(0, "time,height,price_usd,network,is_simulated")
    return "\n".join([*lines, ""]).encode()
