"""`oracle price`: what is asked for, and how an answer is written for a person."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import click

from oracle.answer import Answer, answer_json, price_of_chain, price_of_files
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.days import parse_day
from oracle.cli.progress import show_progress
from oracle.config import Settings
from oracle.errors import NoDataError, RequestError
from oracle.estimate.window import SpotEstimate
from oracle.sources.networks import require_network
from oracle.wiring import calculator_of, limits_of, open_sources

FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "-rb", "--recent-blocks", is_flag=True, help="The last 144 blocks (what it does anyway)."
)
@click.option(
    "-d",
    "--date",
    "day",
    callback=parse_day,
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
    answer = _answer(settings, day, [*files, *more_files])
    has_price = answer.estimate.price_usd is not None
    if not has_price and not as_json:
        note = " on the simulated chain" if answer.is_simulated else ""
        raise NoDataError(f"no price{note}: {answer.estimate.reason}")
    show(answer_json(answer), () if as_json else _lines(answer), as_json=as_json)
    if not has_price:
        sys.exit(NoDataError.exit_code)


def _answer(settings: Settings, day: date | None, files: list[Path]) -> Answer:
    calculator = calculator_of(settings)
    limits = limits_of(settings)
    if files:
        return price_of_files(files, calculator, limits)
    with (
        closing(open_sources(settings, time.time, is_lasting=False).blocks) as source,
        show_progress("reading blocks") as progress,
    ):
        require_network(source.network(), settings.oracle_network, source.name)
        return price_of_chain(source, day, calculator, limits, progress, now_unix=int(time.time()))


def _lines(answer: Answer) -> list[str]:
    estimate = answer.estimate
    note = " (simulated)" if answer.is_simulated else ""
    lines = [
        f"{answer.day:%b %d, %Y} price: ${estimate.price_usd:,.0f}{note}",
        f"  {_interval(estimate.low_usd, estimate.high_usd)}, confidence {estimate.confidence:.2f}"
        + ("" if estimate.is_valid else f": {estimate.reason}"),
    ]
    if answer.spot:
        lines.append(f"  {_spot(answer.spot)}")
    first = answer.asked.first_height
    last = answer.asked.last_height
    heights = f", {first} to {last}" if first is not None else ""
    lines.append(
        f"  {len(answer.blocks)} blocks{heights}, {estimate.outputs:,} outputs, "
        f"{estimate.points:,} price points"
    )
    if answer.newest and answer.newest.is_old:
        lines.append(f"  warning: {answer.newest.warning}")
    return lines


def _spot(spot: SpotEstimate) -> str:
    if not spot.is_valid:
        return f"no spot price: {spot.reason}"
    return f"spot ${spot.price_usd:,.0f}, {_interval(spot.low_usd, spot.high_usd)}"


def _interval(low_usd: float | None, high_usd: float | None) -> str:
    return f"95% from ${low_usd:,.0f} to ${high_usd:,.0f}"
