"""`oracle price`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from oracle.calculator import PriceCalculator
from oracle.chain import utc_date
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.progress import show_progress
from oracle.config import Settings
from oracle.core.eligible import BlockFacts
from oracle.core.window import form_window
from oracle.errors import NoDataError, ParseError, RequestError
from oracle.estimate.window import estimate_spot, estimate_window
from oracle.fetch import Range, find_range, read_files, read_range
from oracle.rows import take
from oracle.wiring import calculator_of, limits_of, open_sources

ESTIMATED = (
    "price_usd",
    "low_usd",
    "high_usd",
    "confidence",
    "is_valid",
    "reason",
    "outputs",
    "points",
)
FILE = click.Path(path_type=Path)


def _parse_day(_context: click.Context, _option: click.Parameter, text: str | None) -> date | None:
    if text is None:
        return None
    for shape in ("%Y/%m/%d", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, shape).date()  # noqa: DTZ007 - a UTC date has no time
        except ValueError:
            continue
    raise RequestError(f"{text!r} is not a date; write it as 2025/10/15 or 2025-10-15")


@click.command()
@click.option(
    "-rb", "--recent-blocks", is_flag=True, help="The last 144 blocks (what it does anyway)."
)
@click.option(
    "-d",
    "--date",
    "day",
    callback=_parse_day,
    metavar="DATE",
    help="A UTC day: YYYY/MM/DD or YYYY-MM-DD.",
)
@click.option(
    "-p", "--datadir", metavar="DATADIR", help="Bitcoin Core's data folder (BITCOIN_DATADIR)."
)
@click.option(
    "--blocks",
    "files",
    multiple=True,
    type=FILE,
    metavar="FILE...",
    help="Raw blocks or blk records, one window.",
)
@click.argument("more_files", nargs=-1, type=FILE, metavar="")
@as_json_option
def price(
    *, recent_blocks: bool, day: date | None, datadir: str | None,
    files: tuple[Path, ...], more_files: tuple[Path, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Print the on-chain price of the last 144 blocks, of a UTC day, or of blocks in files."""
    if more_files and not files:
        raise RequestError(
            f"{more_files[0]} is not an option; give files of blocks as --blocks FILE..."
        )
    if sum((recent_blocks, day is not None, bool(files))) > 1:
        raise RequestError("ask for one of -rb, -d and --blocks at a time")
    settings = read_settings(BITCOIN_DATADIR=datadir or "")
    calculator = calculator_of(settings)
    answer = (
        _price_of_files([*files, *more_files], settings, calculator)
        if files
        else _price_of_chain(day, settings, calculator)
    )
    if answer["price_usd"] is None and not as_json:
        note = " on the simulated chain" if answer["is_simulated"] else ""
        raise NoDataError(f"no price{note}: {answer['reason']}")
    show(answer, () if as_json else _price_lines(answer), as_json=as_json)
    if answer["price_usd"] is None:
        sys.exit(NoDataError.exit_code)


def _price_of_files(
    files: list[Path], settings: Settings, calculator: PriceCalculator
) -> dict[str, Any]:
    try:
        blocks = read_files(files)
    except ParseError as error:
        raise RequestError(f"not a file of blocks: {error}") from error
    return _answer(Range("blocks", None, None, None), blocks, blocks, settings, calculator) | {
        "network": None,
        "source": "files",
    }


def _price_of_chain(
    day: date | None, settings: Settings, calculator: PriceCalculator
) -> dict[str, Any]:
    with closing(open_sources(settings, time.time, is_lasting=False).blocks) as source:
        network, found = source.network(), find_range(source, day)
        with show_progress("reading blocks") as progress:
            blocks = read_range(source, found, progress)
    window = (
        blocks if day else blocks[:-1]
    )  # the tip is left out of the recent window, not of the spot price
    return _answer(found, window, blocks, settings, calculator) | {
        "network": network,
        "source": source.served_by,
    }


def _answer(
    found: Range,
    window: list[BlockFacts],
    blocks: list[BlockFacts],
    settings: Settings,
    calculator: PriceCalculator,
) -> dict[str, Any]:
    limits = limits_of(settings)
    estimate = estimate_window(form_window(window), calculator, limits)
    spot = None if found.day else estimate_spot(blocks, estimate, limits)
    rough = estimate.price.rough
    left_out = Counter[str]()
    for facts in window:
        left_out.update({rule.value: count for rule, count in facts.left_out.items()})
    ends = {"first": window[0], "last": window[-1]}
    return {
        "mode": found.mode,
        "date": found.day and found.day.isoformat(),
        "first_height": found.first_height,
        "last_height": found.last_height,
        **{
            f"{end}_{name}": getattr(block, name)
            for end, block in ends.items()
            for name in ("hash", "time_unix")
        },
        "blocks": len(window),
        "rough_price_usd": estimate.rough_usd,
        **take(estimate, ESTIMATED),
        **take(estimate.price, ("spread", "chart_half_height")),
        "best_slide": rough and rough.best_slide,
        "spot": spot and asdict(spot),
        "left_out": dict(sorted(left_out.items())),
        "algorithm_version": calculator.algorithm_version,
        "is_simulated": settings.is_simulated and found.mode != "blocks",
    }


def _price_lines(answer: dict[str, Any]) -> list[str]:
    spot = answer["spot"]
    day = (
        date.fromisoformat(answer["date"]) if answer["date"] else utc_date(answer["last_time_unix"])
    )
    heights = (
        f", {answer['first_height']} to {answer['last_height']}"
        if answer["first_height"] is not None
        else ""
    )
    lines = [
        f"{day:%b %d, %Y} price: ${answer['price_usd']:,.0f}"
        + (" (simulated)" if answer["is_simulated"] else ""),
        f"  {_range(answer)}, confidence {answer['confidence']:.2f}"
        + ("" if answer["is_valid"] else f": {answer['reason']}"),
        f"  {answer['blocks']} blocks{heights}, {answer['outputs']:,} outputs, "
        f"{answer['points']:,} price points",
    ]
    if spot:
        is_told = (
            f"spot ${spot['price_usd']:,.0f}, {_range(spot)}"
            if spot["is_valid"]
            else f"no spot price: {spot['reason']}"
        )
        lines.insert(2, f"  {is_told}")
    return lines


def _range(priced: dict[str, Any]) -> str:
    return f"95% from ${priced['low_usd']:,.0f} to ${priced['high_usd']:,.0f}"
