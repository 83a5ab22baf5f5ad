"""The command `oracle`: parses, calls the library, prints, and maps errors to exit codes.

The only module that prints, reads the clock and the environment, and the only one that imports `builder`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oracle import __version__
from oracle.calculator import PriceCalculator
from oracle.config import Settings, load_settings
from oracle.core.eligible import BlockFacts
from oracle.core.window import form_window, utc_date
from oracle.errors import OracleError, RequestError
from oracle.estimate import estimate_spot, estimate_window
from oracle.reading import Range, find_range, read_files, read_range
from oracle.wiring import calculator_of, limits_of, open_sources

DOTENV = Path(".env")


def main() -> NoReturn:
    """Run the command; every error we raise becomes one sentence and its exit code."""
    try:
        oracle.main(standalone_mode=False)
    except click.exceptions.Abort:
        _die("stopped", 130)
    except click.ClickException as error:
        _die(error.format_message(), RequestError.exit_code)
    except OracleError as error:
        for problem in getattr(error, "problems", [str(error)]):
            click.echo(f"oracle: {problem}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _die(sentence: str, exit_code: int) -> NoReturn:
    click.echo(f"oracle: {sentence}", err=True)
    sys.exit(exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="oracle")
def oracle() -> None:
    """The on-chain bitcoin price, from your own node's blocks.

    Settings come from the environment and from .env (see docs/settings.md). With no node configured, a
    simulated chain is used, and everything that shows its numbers says so.
    """


def _settings(**overrides: str | None) -> Settings:
    given = {name: value for name, value in overrides.items() if value}
    return load_settings(os.environ, DOTENV, overrides=given)


def _parse_day(_context: click.Context, _option: click.Parameter, text: str | None) -> date | None:
    if text is None:
        return None
    for shape in ("%Y/%m/%d", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, shape).date()  # noqa: DTZ007 - a UTC date has no time
        except ValueError:
            continue
    raise RequestError(f"{text!r} is not a date; write it as 2025/10/15 or 2025-10-15")


@oracle.command()
@click.option("-rb", "--recent-blocks", is_flag=True, help="The last 144 blocks (what it does anyway).")
@click.option("-d", "--date", "day", callback=_parse_day, metavar="DATE", help="A UTC day: YYYY/MM/DD or YYYY-MM-DD.")
@click.option("-p", "--datadir", metavar="DATADIR", help="Bitcoin Core's data folder (BITCOIN_DATADIR).")
@click.option(
    "--blocks",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Files of raw blocks or blk records, taken as one window. More files may follow.",
)
@click.argument("more_files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def price(
    *,
    recent_blocks: bool,
    day: date | None,
    datadir: str | None,
    files: tuple[Path, ...],
    more_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Print the on-chain price of the last 144 blocks, of a UTC day, or of blocks in files."""
    if more_files and not files:
        raise RequestError(f"{more_files[0]} is not an option; give files of blocks as --blocks FILE...")
    if sum((recent_blocks, day is not None, bool(files))) > 1:
        raise RequestError("ask for one of -rb, -d and --blocks at a time")
    settings = _settings(BITCOIN_DATADIR=datadir)
    calculator = calculator_of(settings)
    if files:
        answer = _price_of_files([*files, *more_files], settings, calculator)
    else:
        answer = _price_of_chain(day, settings, calculator)
    if as_json:
        click.echo(json.dumps(answer, allow_nan=False))
    else:
        _print_price(answer)
    if answer["price_usd"] is None:
        sys.exit(1)


def _price_of_files(files: list[Path], settings: Settings, calculator: PriceCalculator) -> dict[str, Any]:
    blocks = read_files(files)
    found = Range("blocks", None, None, None)
    return _answer(found, blocks, blocks, settings, calculator) | {"network": None, "source": "files"}


def _price_of_chain(day: date | None, settings: Settings, calculator: PriceCalculator) -> dict[str, Any]:
    source = open_sources(settings, time.time, is_lasting=False).blocks
    try:
        network = source.network()
        found = find_range(source, day)
        with _progress("reading blocks") as progress:
            blocks = read_range(source, found, progress)
    finally:
        source.close()
    window = blocks if day else blocks[:-1]  # the tip is left out of the recent window, not of the spot price
    answer = _answer(found, window, blocks, settings, calculator)
    return answer | {"network": network, "source": source.served_by}


def _answer(
    found: Range, window: list[BlockFacts], blocks: list[BlockFacts], settings: Settings, calculator: PriceCalculator
) -> dict[str, Any]:
    limits = limits_of(settings)
    estimate = estimate_window(form_window(window), calculator, limits)
    spot = None if found.day else estimate_spot(blocks, estimate, limits)
    rough = estimate.price.rough
    left_out = Counter[str]()
    for facts in window:
        left_out.update({rule.value: count for rule, count in facts.left_out.items()})
    return {
        "mode": found.mode,
        "date": found.day and found.day.isoformat(),
        "first_height": found.first_height,
        "last_height": found.last_height,
        "first_hash": window[0].hash,
        "last_hash": window[-1].hash,
        "first_time_unix": window[0].time_unix,
        "last_time_unix": window[-1].time_unix,
        "blocks": len(window),
        "outputs": estimate.price.outputs,
        "points": len(estimate.price.points.prices_usd),
        "rough_price_usd": estimate.price.rough_price_usd,
        "price_usd": estimate.price_usd,
        "low_usd": estimate.low_usd,
        "high_usd": estimate.high_usd,
        "confidence": estimate.confidence,
        "is_valid": estimate.is_valid,
        "reason": estimate.reason,
        "best_slide": rough and rough.best_slide,
        "spread": estimate.price.spread,
        "chart_half_height": estimate.price.chart_half_height,
        "spot": spot and asdict(spot),
        "left_out": dict(sorted(left_out.items())),
        "algorithm_version": calculator.algorithm_version,
        "is_simulated": settings.is_simulated and found.mode != "blocks",
    }


def _print_price(answer: dict[str, Any]) -> None:
    note = " (simulated)" if answer["is_simulated"] else ""
    if answer["price_usd"] is None:
        _die(f"no price{note}: {answer['reason']}", 1)
    day = answer["date"] and date.fromisoformat(answer["date"])
    day = day or utc_date(answer["last_time_unix"])
    click.echo(f"{day:%b %d, %Y} price: ${answer['price_usd']:,.0f}{note}")
    click.echo(
        f"  95% between ${answer['low_usd']:,.0f} and ${answer['high_usd']:,.0f}, "
        f"confidence {answer['confidence']:.2f}" + ("" if answer["is_valid"] else f" - {answer['reason']}")
    )
    spot = answer["spot"]
    if spot and spot["price_usd"] is not None and spot["is_valid"]:
        click.echo(f"  spot ${spot['price_usd']:,.0f}, between ${spot['low_usd']:,.0f} and ${spot['high_usd']:,.0f}")
    elif spot:
        click.echo(f"  no spot price: {spot['reason']}")
    what = f"{answer['blocks']} blocks"
    if answer["first_height"] is not None:
        what += f", {answer['first_height']} to {answer['last_height']}"
    click.echo(f"  {what}, {answer['outputs']:,} outputs, {answer['points']:,} price points")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error when it is a terminal."""
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
