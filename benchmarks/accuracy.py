"""How right the prices are, how often the intervals hold, and what confidence is worth: writes
docs/accuracy.md.

    python benchmarks/accuracy.py [--shared ../shared] [--windows 208] [--chains 100] [--out docs]

Real data are read from `--shared` (or ORACLE_SHARED_DIR), simulated chains are made as bytes and
read like any other. Nothing is random: the same data give the same figures. About five minutes on
two cores; needs matplotlib (the extra "benchmark").
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402  the drawing backend must be chosen first

from oracle.core.block import parse_block  # noqa: E402  runs from a checkout as well
from oracle.core.eligible import RecentTxids, digest_block, is_round_btc  # noqa: E402
from oracle.core.price import WindowPrice, price_window  # noqa: E402
from oracle.core.window import Window, form_window  # noqa: E402
from oracle.estimate.confidence import window_confidence  # noqa: E402
from oracle.estimate.interval import window_interval  # noqa: E402
from oracle.estimate.limits import DEFAULT_LIMITS  # noqa: E402
from oracle.estimate.spot import SpotPrice, spot_price  # noqa: E402
from oracle.simulated.chain import SimulatedChain  # noqa: E402
from oracle.simulated.market import SimulationSettings  # noqa: E402

Floats = NDArray[np.float64]
BLOCKS = 144
NEAR = 0.05
THRESHOLD = DEFAULT_LIMITS.confidence_threshold


# --- Real data ---


@dataclass(frozen=True)
class Day:
    """One real day: its price points, the published price as the guide, and what the exchange
    says."""

    date: str
    heights: NDArray[np.int64]
    prices: Floats
    guide: float
    close: float
    mean: float  # of the exchange's open, high, low and close


def read_days(shared: Path) -> list[Day]:
    with (shared / "data" / "daily_prices.csv").open() as file:
        rows = {row["date"]: row for row in csv.DictReader(file)}
    table = pq.read_table(shared / "data" / "price_points.parquet")
    dates = np.asarray(table["date"].combine_chunks().dictionary_decode().to_pylist())
    heights, prices = table["height"].to_numpy(), table["price_usd"].to_numpy().astype(np.float64)
    names, starts = np.unique(dates, return_index=True)
    days = []
    for name, start, end in zip(names, starts, [*starts[1:], len(dates)], strict=True):
        row = rows[str(name)]
        four = [float(row[f"exchange_{key}_usd"]) for key in ("open", "high", "low", "close")]
        guide = float(row["onchain_price_usd"])
        days.append(
            Day(
                str(name),
                heights[start:end],
                prices[start:end],
                guide,
                four[3],
                float(np.mean(four)),
            )
        )
    return days


def read_real_window(shared: Path) -> Window:
    table = pq.read_table(shared / "data" / "window_937665.parquet")
    values = table["value_sats"].to_numpy()
    heights, index = np.unique(table["height"].to_numpy(), return_inverse=True)
    return Window(
        heights.astype(np.int32),
        np.zeros(len(heights), np.int64),
        index.astype(np.int32),
        values,
        is_round_btc(values),
    )


def part_of(
    window: Window, blocks: Sequence[int], keep: Floats | None = None, share: float = 1.0
) -> Window:
    """Some consecutive blocks of a window, and of their outputs those whose `keep` is below
    `share`."""
    kept = (window.block_index >= blocks[0]) & (window.block_index <= blocks[-1])
    if keep is not None:
        kept &= keep < share
    return Window(
        window.block_heights[blocks[0] : blocks[-1] + 1],
        window.block_times_unix[blocks[0] : blocks[-1] + 1],
        window.block_index[kept] - blocks[0],
        window.value_sats[kept],
        window.is_round[kept],
    )


# --- Simulated chains ---


@dataclass(frozen=True)
class Simulated:
    """A window of a simulated chain with the market's true mean over it and price at its last
    block."""

    window: Window
    mean: float
    now: float


def simulate(job: tuple[int, float, int, float]) -> list[Simulated]:
    """Make a chain as bytes, read it, and cut it into windows: (seed, payment fraction, windows,
    start price)."""
    seed, fraction, windows, start_price = job
    chain = SimulatedChain(
        SimulationSettings(
            seed=seed,
            payment_fraction=fraction,
            transactions_per_block=100,
            start_price_usd=start_price,
        )
    )
    first, recent = chain.settings.first_height, RecentTxids()
    facts = [
        digest_block(parse_block(chain.block(height)), height, recent)
        for height in range(first, first + windows * BLOCKS)
    ]
    cut = []
    for i in range(windows):
        window = form_window(facts[i * BLOCKS : (i + 1) * BLOCKS])
        times = [chain.arrival_unix(int(height)) for height in window.block_heights]
        mean = np.mean(
            [chain.market_price_usd(t) for t in np.linspace(times[0] - 600, times[-1], 600)]
        )
        cut.append(Simulated(window, float(mean), chain.market_price_usd(times[-1])))
    return cut


def simulate_all(jobs: list[tuple[int, float, int, float]]) -> list[Simulated]:
    with ProcessPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        return [one for chain in pool.map(simulate, jobs) for one in chain]


# --- Estimates ---


def interval_of(price: WindowPrice) -> tuple[float, float]:
    assert price.price_usd is not None
    assert price.rough_price_usd is not None
    return window_interval(
        price.points.block_index, price.points.prices_usd, price.rough_price_usd, price.price_usd
    )


def spot_of(window: Window, price: WindowPrice) -> SpotPrice:
    heights = window.block_heights[price.points.block_index]
    return spot_price(heights, price.points.prices_usd, price.price_usd)


def is_valid(spot: SpotPrice) -> bool:
    return DEFAULT_LIMITS.judge(spot.price_usd, spot.confidence)[0]


def mode_of_last(day: Day, blocks: int, fade: float) -> float:
    """The naive spot price: the mode of the last blocks' points, smoothed by 0.2%, each block
    fading by age."""
    age = day.heights.max() - day.heights
    offset = np.log(day.prices / day.guide)
    counts = np.zeros(2001)
    used = (age < blocks) & (np.abs(offset) < 0.12)
    np.add.at(counts, np.rint(offset[used] / 0.0002).astype(int) + 1000, fade ** age[used])
    bell = np.exp(-0.5 * (np.arange(-50, 51) / 10) ** 2)
    return day.guide * float(np.exp((np.convolve(counts, bell, "same").argmax() - 1000) * 0.0002))


# --- Words and tables ---


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f}%"


def error_row(name: str, errors: Floats) -> list[object]:
    size = np.abs(errors)
    return [
        name,
        len(size),
        percent(float(np.median(size)), 3),
        percent(float(np.quantile(size, 0.95))),
        percent(size.max()),
    ]


HALVES = (
    ("chosen on (even days)", slice(0, None, 2)),
    ("held out (odd days)", slice(1, None, 2)),
    ("all", slice(None)),
)


def save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


# --- Sections ---


def spot_section(days: list[Day], out: Path) -> str:
    spots = [spot_price(day.heights, day.prices, day.guide) for day in days]
    close = np.array([day.close for day in days])
    error = np.array([spot.price_usd for spot in spots]) / close - 1
    low, high = np.array([s.low_usd for s in spots]), np.array([s.high_usd for s in spots])
    held, width = (low <= close) & (close <= high), (high - low) / close
    invalid = np.array([not is_valid(spot) for spot in spots])
    rows = [
        [
            *error_row(name, error[half]),
            int(invalid[half].sum()),
            percent(held[half].mean(), 1),
            percent(np.median(width[half])),
        ]
        for name, half in HALVES
    ]
    naive = [
        error_row("the day price itself", np.array([day.guide for day in days]) / close - 1),
        *(
            error_row(name, np.array([mode_of_last(day, blocks, fade) for day in days]) / close - 1)
            for name, blocks, fade in (
                ("mode of the last six blocks", 6, 1.0),
                ("mode of the last two", 2, 1.0),
                ("mode of the last twelve, fading by 0.6", 12, 0.6),
            )
        ),
    ]
    figure, axes = plt.subplots(figsize=(8, 3))
    axes.bar(
        range(len(days)),
        100 * error,
        color=["#888", "#d60"] * (len(days) // 2) + ["#888"] * (len(days) % 2),
    )
    ticks = range(0, len(days), 12)
    axes.set_xticks(ticks, [days[i].date[:7] for i in ticks])
    axes.set_ylabel("spot / exchange close - 1, %")
    axes.set_title("Error over days (grey: chosen on, orange: held out)")
    save(figure, out / "spot_error_over_days.png")
    head = [
        "days",
        "n",
        "median",
        "95th percentile",
        "worst",
        "invalid",
        "closes inside the interval",
        "median width",
    ]
    return "\n\n".join(
        [
            "## Spot price against the exchange's close",
            "Real days, last blocks before midnight UTC, the day price as guide. Everything "
            "was chosen on the even "
            "days of the file; the odd days were looked at once.",
            table(head, rows),
            "What simpler ways give on all days:",
            table(["way", "n", "median", "95th percentile", "worst"], naive),
            "![Error over days](accuracy/spot_error_over_days.png)",
            points_part(days, out),
        ]
    )


def points_part(days: list[Day], out: Path) -> str:
    rows: list[list[object]] = []
    drawn: list[tuple[float, float, float]] = []
    for share in (1.0, 0.5, 0.25, 0.12, 0.06, 0.03):
        rng = np.random.default_rng(7)
        errors, counts, invalid = [], [], 0
        for day in days:
            kept = (rng.random(len(day.heights)) < share) & (day.heights > day.heights.max() - 36)
            spot = spot_price(day.heights[kept], day.prices[kept], day.guide)
            counts.append(np.count_nonzero(day.heights[kept] > day.heights.max() - 6))
            invalid += not is_valid(spot)
            if is_valid(spot) and spot.price_usd:
                errors.append(spot.price_usd / day.close - 1)
        size = np.abs(np.array(errors))
        drawn.append(
            (float(np.median(counts)), float(np.median(size)), float(np.quantile(size, 0.95)))
        )
        rows.append(
            [
                percent(share, 0),
                int(np.median(counts)),
                invalid,
                *error_row("", np.array(errors))[2:],
            ]
        )
    x, median, high = np.array(drawn).T
    figure, axes = plt.subplots(figsize=(5, 3))
    axes.plot(x, 100 * median, "o-", label="median")
    axes.plot(x, 100 * high, "o-", label="95th percentile")
    axes.set_xscale("log")
    axes.set_xlabel("points in the last six blocks (median day)")
    axes.set_ylabel("error of valid prices, %")
    axes.legend()
    save(figure, out / "spot_error_by_points.png")
    head = [
        "points kept",
        "in the last six blocks",
        "invalid days",
        "median",
        "95th percentile",
        "worst valid",
    ]
    return "\n\n".join(
        [
            "The same days with points left out at random, as if blocks were full of something "
            "else:",
            table(head, rows),
            "![Error by points](accuracy/spot_error_by_points.png)",
        ]
    )


def interval_section(days: list[Day], windows: list[Simulated]) -> str:
    rows: list[list[object]] = []
    for name, half in HALVES:
        held, width = [], []
        for day in days[half]:
            low, high = window_interval(day.heights, day.prices, day.guide, day.guide)
            held.append(low <= day.mean <= high)
            width.append(np.log(high / low))
        rows.append(
            [
                f"day price, real days, {name}",
                len(held),
                percent(np.mean(held), 1),
                percent(np.median(width)),
            ]
        )
    prices = [price_window(one.window) for one in windows]
    ends = [interval_of(price) for price in prices]
    held = [low <= one.mean <= high for one, (low, high) in zip(windows, ends, strict=True)]
    width = [np.log(high / low) for low, high in ends]
    rows.append(
        ["window price, simulated", len(held), percent(np.mean(held), 1), percent(np.median(width))]
    )
    spots = [spot_of(one.window, price) for one, price in zip(windows, prices, strict=True)]
    held = [
        (s.low_usd or 0) <= one.now <= (s.high_usd or 0)
        for one, s in zip(windows, spots, strict=True)
    ]
    width = [np.log((s.high_usd or 1) / (s.low_usd or 1)) for s in spots]
    rows.append(
        ["spot price, simulated", len(held), percent(np.mean(held), 1), percent(np.median(width))]
    )
    now, mean = np.array([one.now for one in windows]), np.array([one.mean for one in windows])
    errors = [
        error_row(
            "window against the mean of the market",
            np.array([p.price_usd for p in prices]) / mean - 1,
        ),
        error_row(
            "spot against the market at the last block",
            np.array([s.price_usd for s in spots]) / now - 1,
        ),
    ]
    return "\n\n".join(
        [
            "## Intervals: how often they hold what they claim (95%)",
            "Real day prices are set against the mean of the exchange's open, high, low and "
            "close, which is itself "
            "only near the day's mean. Simulated windows know the true one.",
            table(["interval", "n", "holds the truth", "median width"], rows),
            "Errors on the same simulated windows:",
            table(["price", "n", "median", "95th percentile", "worst"], errors),
        ]
    )


def is_near(price: WindowPrice, market: float) -> bool:
    return price.price_usd is not None and abs(np.log(price.price_usd / market)) < NEAR


def pieces(window: Window, market: float, seed: int) -> list[tuple[float, bool]]:
    """Confidence and truth of many small parts of a window."""
    keep = np.random.default_rng(seed).random(len(window.value_sats))
    parts = [
        part_of(window, range(i, i + size), keep, share)
        for size in (1, 2, 4)
        for i in range(0, len(window.block_heights) - size + 1, max(size, 2))
        for share in (1.0, 0.5, 0.2, 0.07)
    ]
    priced = [(part, price_window(part)) for part in parts]
    return [
        (window_confidence(part, price), is_near(price, market))
        for part, price in priced
        if price.price_usd
    ]


def reliability_section(
    real: Window, windows: list[Simulated], free: list[Simulated], out: Path
) -> str:
    mixture = [
        *windows[::12],
        *free[:5],
    ]  # as many without signal as the definition assumes: 0.3 to 1
    groups = {
        "parts of the real window": pieces(real, 68_150.0, 1),
        "parts of simulated windows": [
            pair for i, one in enumerate(mixture) for pair in pieces(one.window, one.mean, i)
        ],
    }
    edges = np.array([0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0001])
    figure, axes = plt.subplots(figsize=(4.5, 4))
    axes.plot([0, 1], [0, 1], "--", color="#999")
    rows: list[list[object]] = []
    for name, pairs in groups.items():
        said, right = np.array(pairs, dtype=float).T
        which = np.digitize(said, edges) - 1
        used = [i for i in range(len(edges) - 1) if (which == i).sum() >= 5]
        xy = [
            (said[which == i].mean(), right[which == i].mean(), int((which == i).sum()))
            for i in used
        ]
        axes.plot([x for x, _, _ in xy], [y for _, y, _ in xy], "o-", label=name)
        rows += [
            [name, f"{edges[i]:.2f} to {min(1, edges[i + 1]):.2f}", n, f"{x:.2f}", f"{y:.2f}"]
            for i, (x, y, n) in zip(used, xy, strict=True)
        ]
    axes.set_xlabel("confidence")
    axes.set_ylabel("share within 5% of the market")
    axes.legend()
    save(figure, out / "reliability.png")
    return "\n\n".join(
        [
            "## Confidence: what it says and how often it is right",
            "One, two and four blocks at a time, with all outputs or a part of them; right "
            "means within 5% of the "
            "market. Whole windows are almost always at 1.00, so only parts of them fill the "
            "middle. Of the "
            "simulated windows about one in four has no signal, the odds that the definition "
            "assumes, and the market "
            "stands near $84,000, $30,000, $150,000 or $300,000; the real window has a signal "
            "everywhere. The two "
            "figures of the calibration were set on other simulated windows and on half of the "
            "parts of the real one.",
            table(["from", "confidence", "n", "mean confidence", "share right"], rows),
            "![Reliability](accuracy/reliability.png)",
        ]
    )


def no_signal_section(free: list[Simulated], real: Window) -> str:
    said = np.array([window_confidence(one.window, price_window(one.window)) for one in free])
    rows: list[list[object]] = [
        [
            "simulated chains without round dollars",
            len(said),
            int((said >= THRESHOLD).sum()),
            f"{said.max():.3f}",
        ]
    ]
    for spread in (0.2, 0.3, 0.5):
        rng = np.random.default_rng(3)
        blurred = []
        for _ in range(20):
            blur = np.exp(spread * rng.standard_normal(len(real.value_sats)))
            values = np.where(
                real.is_round, real.value_sats, (real.value_sats * blur).astype(np.int64)
            )
            window = replace(real, value_sats=values)
            blurred.append(window_confidence(window, price_window(window)))
        name = f"the real window, every amount but round bitcoin blurred by {percent(spread, 0)}"
        rows.append([name, 20, int((np.array(blurred) >= THRESHOLD).sum()), f"{max(blurred):.3f}"])
    return "\n\n".join(
        [
            "## Without a signal",
            table(["windows", "n", "confidence of 0.3 or more", "highest"], rows),
        ]
    )


def signal_section(jobs: dict[float, list[Simulated]]) -> str:
    rows: list[list[object]] = []
    for fraction, windows in jobs.items():
        prices = [price_window(one.window) for one in windows]
        said = [
            window_confidence(one.window, price) for one, price in zip(windows, prices, strict=True)
        ]
        right = [is_near(price, one.mean) for one, price in zip(windows, prices, strict=True)]
        rows.append(
            [percent(fraction, 0), len(windows), f"{np.mean(said):.2f}", f"{np.mean(right):.2f}"]
        )
    return "\n\n".join(
        [
            "More signal, more confidence: share of the simulated transactions that pay round "
            "dollars.",
            table(["round-dollar payments", "n", "mean confidence", "share right"], rows),
        ]
    )


def blocks_section(shared: Path) -> str:
    with (shared / "blocks" / "index.csv").open() as file:
        entries = [row for row in csv.DictReader(file) if row["alone_price_usd"]]
    rows, said, right = [], [], []
    for row in entries:
        block = parse_block((shared / "blocks" / f"{row['height']}.bin").read_bytes())
        window = form_window([digest_block(block, int(row["height"]), RecentTxids())])
        price = price_window(window)
        confidence = window_confidence(window, price)
        low, high = row["exchange_day_low_usd"], row["exchange_day_high_usd"]
        near = bool(low) and float(low) * (1 - NEAR) < (price.price_usd or 0) < float(high) * (
            1 + NEAR
        )
        counts = int(row["height"]) >= 696394 and bool(low)
        said += [confidence] * counts
        right += [near] * counts
        verdict = ("yes" if near else "no") if low else "unknown"
        market = f"{float(low):,.0f} to {float(high):,.0f}" if low else "unknown"
        cells = [
            row["height"],
            row["eligible_outputs"],
            f"{price.price_usd:,.0f}",
            market,
            verdict,
            f"{confidence:.3f}",
        ]
        rows.append([*cells, "yes" if counts else ""])
    confidence_, right_ = np.array(said), np.array(right)
    auc = np.mean(confidence_[right_][:, None] > confidence_[~right_])
    head = [
        "height",
        "eligible outputs",
        "price alone",
        "exchange's day",
        "within 5%",
        "confidence",
        "counted",
    ]
    return "\n\n".join(
        [
            "## Single real blocks, each alone",
            f"Blocks from 696394 up with an exchange price are counted: the area under the ROC "
            f"curve is **{auc:.2f}** "
            f"({int(right_.sum())} right, {int((~right_).sum())} wrong). Before 2021 the "
            f"market was mostly below what "
            "the method can answer; 362500 is a power of ten away, which no pattern of round "
            "amounts can tell.",
            table(head, rows),
        ]
    )


def real_window_section(real: Window) -> str:
    price = price_window(real)
    low, high = interval_of(price)
    spot, confidence = spot_of(real, price), window_confidence(real, price)
    steps = {
        "price": lambda: price_window(real),
        "interval": lambda: interval_of(price),
        "confidence": lambda: window_confidence(real, price),
        "spot, with its interval": lambda: spot_of(real, price),
    }
    seconds = {}
    for name, step in steps.items():
        times = []
        for _ in range(7):
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        seconds[name] = min(times)
    cost = ", ".join(f"{name} {seconds[name] / seconds['price']:.1f}" for name in list(steps)[1:])
    print(f"times of the price step on the real window: {cost}")
    return "\n\n".join(
        [
            "## The real window of February 2026",
            f"Price {price.price_usd:,.0f} ({low:,.0f} to {high:,.0f}), confidence "
            f"{confidence:.3f}; "
            f"spot {spot.price_usd:,.0f} ({spot.low_usd:,.0f} to {spot.high_usd:,.0f}), "
            f"confidence {spot.confidence:.3f}. "
            "The command also prints what each of them costs in times of the price step: each "
            "must be below ten.",
        ]
    )


HEADER = """# Accuracy

Made by `python benchmarks/accuracy.py` from the real data of `../shared` and from simulated
chains; nothing on this
page was typed in, except the words. docs/algorithm.md says how the numbers come about.
"""


def tried(folder: Path) -> str:
    """What was tried is prose, kept beside the page."""
    path = folder / "accuracy" / "tried.md"
    return path.read_text().strip() if path.exists() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("ORACLE_SHARED_DIR", str(PROJECT.parent / "shared"))
    parser.add_argument("--shared", type=Path, default=Path(default))
    parser.add_argument(
        "--windows", type=int, default=208, help="simulated windows for the coverage"
    )
    parser.add_argument("--chains", type=int, default=100, help="simulated chains without signal")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs")
    options = parser.parse_args()
    days, real = read_days(options.shared), read_real_window(options.shared)
    starts = (84_000.0, 30_000.0, 150_000.0, 300_000.0)
    per_chain = 8
    windows = simulate_all(
        [
            (5000 + i, 0.25, per_chain, starts[i % 4])
            for i in range(-(-options.windows // per_chain))
        ]
    )
    free = simulate_all([(1000 + i, 0.0, 1, starts[i % 4]) for i in range(options.chains)])
    by_signal = {
        fraction: simulate_all(
            [(3000 + i, fraction, 1, starts[i % 4]) for i in range(max(4, options.chains // 6))]
        )
        for fraction in (0.01, 0.03, 0.06, 0.12, 0.25, 0.5)
    }
    pictures = options.out / "accuracy"
    page = "\n\n".join(
        [
            HEADER.strip(),
            real_window_section(real),
            spot_section(days, pictures),
            interval_section(days, windows),
            reliability_section(real, windows, free, pictures),
            no_signal_section(free, real),
            signal_section(by_signal),
            blocks_section(options.shared),
            tried(options.out),
        ]
    )
    (options.out / "accuracy.md").write_text(page.rstrip() + "\n")
    print(page)


if __name__ == "__main__":
    main()
