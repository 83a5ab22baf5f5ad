"""The command `oracle`: parses, calls the library, prints, and maps errors to exit codes.

The only module that prints, reads the clock and the environment, and the only one that imports
`builder`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

from builder.api import snapshots
from builder.gather import Context
from builder.publish import current_release, rollback
from builder.site import Output, build_site, describe_machine, gather, publish_failure
from oracle import __version__
from oracle.calculator import PriceCalculator
from oracle.chain import utc_date
from oracle.config import Settings, load_settings
from oracle.core.eligible import BlockFacts
from oracle.core.window import form_window
from oracle.doctor import examine
from oracle.errors import NoDataError, OracleError, ParseError, RequestError, StoreError
from oracle.estimate.window import estimate_spot, estimate_window
from oracle.fetch import Range, find_range, read_files, read_range
from oracle.logs import get_logger, log_settings, logging_to
from oracle.notify import deliver
from oracle.record.reader import open_reader
from oracle.record.store import Store
from oracle.rows import take
from oracle.run import Run, error_object, only_run, record
from oracle.wiring import calculator_of, limits_of, open_sources

DOTENV = Path(".env")
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
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")
FILE = click.Path(path_type=Path)
log = get_logger(__name__)


def main() -> NoReturn:
    """Run the command; every error we raise becomes one sentence and its exit code."""
    try:
        with threadpool_limits(1):  # our matrices are small: more threads only wait for each other
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


def _show(value: object, lines: Iterable[str], *, as_json: bool) -> None:
    click.echo(json.dumps(value, allow_nan=False) if as_json else "\n".join(lines))


def _die(sentence: str, exit_code: int) -> NoReturn:
    click.echo(f"oracle: {sentence}", err=True)
    sys.exit(exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="oracle")
def oracle() -> None:
    """The on-chain bitcoin price, from your own node's blocks.

    Settings come from the environment and from .env (see docs/settings.md). With no node
    configured, a simulated chain is used, and everything that shows its numbers says so.
    """


def _settings(**overrides: str) -> Settings:
    return load_settings(os.environ, DOTENV, overrides=overrides)


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
@AS_JSON
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
    settings = _settings(BITCOIN_DATADIR=datadir or "")
    calculator = calculator_of(settings)
    answer = (
        _price_of_files([*files, *more_files], settings, calculator)
        if files
        else _price_of_chain(day, settings, calculator)
    )
    if answer["price_usd"] is None and not as_json:
        note = " on the simulated chain" if answer["is_simulated"] else ""
        raise NoDataError(f"no price{note}: {answer['reason']}")
    _show(answer, () if as_json else _price_lines(answer), as_json=as_json)
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
        with _progress("reading blocks") as progress:
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


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error when it is a terminal."""
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@oracle.command()
@AS_JSON
def build(*, as_json: bool) -> None:
    """Run once: fetch what is new, price it, record it, and publish the site."""
    settings = _settings()
    with logging_to(settings), only_run(settings):
        log_settings(settings)
        with _progress("reading blocks") as progress:
            result = record(settings, time.time, progress)
        released = _publish(settings, result)
        deliver(result.events, settings)
        if as_json:
            _show({"exit_code": result.exit_code, "released": released}, (), as_json=True)
    if result.error:
        raise result.error


def _publish(settings: Settings, result: Run) -> str | None:
    """Publish what the run found, or that it failed; nothing when the database cannot be used."""
    if result.may_publish:
        return _build_site(settings)
    if isinstance(result.error, StoreError) or result.error is None:
        return None
    error = error_object(result.error, settings)
    with _site_errors(settings):
        return publish_failure(_output(settings), error, _context(settings)).folder.name


def _build_site(settings: Settings) -> str:
    with (
        _site_errors(settings),
        open_reader(settings.duckdb_path) as reader,
        _progress("drawing days") as progress,
    ):
        report = build_site(reader, _output(settings), _context(settings), progress)
    log.info("published", **asdict(report) | {"folder": str(report.folder)})
    return report.folder.name


@contextmanager
def _site_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the site cannot be written to {settings.oracle_site_dir}: {error}"
        ) from error


def _output(settings: Settings) -> Output:
    where, url = settings.oracle_site_dir, settings.oracle_public_url
    return Output(where, url, settings.oracle_keep_releases, settings.oracle_publish_outputs)


def _context(settings: Settings) -> Context:
    return Context(
        int(time.time()),
        60 * settings.analysis_interval_minutes,
        settings.oracle_divergence_threshold_percent,
        settings.oracle_quote_max_age_seconds,
        describe_machine(settings.oracle_site_dir, settings.duckdb_path),
    )


@oracle.command()
def render() -> None:
    """Publish the site again from the database, without asking any source."""
    settings = _settings()
    with logging_to(settings), only_run(settings):
        click.echo(_build_site(settings))


@oracle.command("rollback")
@click.argument("release", required=False)
def roll_back(release: str | None) -> None:
    """Go back to the release before the present one, or to the one named."""
    settings = _settings()
    with only_run(settings):
        click.echo(rollback(settings.oracle_site_dir, release).name)


@oracle.command()
@click.option("--port", default=8000, show_default=True, help="Port on 127.0.0.1.")
def preview(port: int) -> None:
    """Serve the finished files on 127.0.0.1 for a look; nginx is the real server."""
    folder = current_release(_settings().oracle_site_dir)
    if folder is None:
        raise NoDataError("there is no site yet; make one with: oracle build")
    try:
        server = ThreadingHTTPServer(
            ("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=folder)
        )
    except OSError as error:
        raise RequestError(
            f"port {port} cannot be used ({error.strerror}); choose another with --port"
        ) from error
    click.echo(
        f"http://127.0.0.1:{server.server_port}/ (for a look; nginx is the real server; stop "
        f"with Ctrl-C)"
    )
    with server:
        server.serve_forever()


@oracle.command()
@AS_JSON
def status(*, as_json: bool) -> None:
    """Say how the last runs went, from the database."""
    settings = _settings()
    with open_reader(settings.duckdb_path) as reader:
        context = _context(settings)
        rows = gather(reader, context.now_unix)
        found = snapshots.status(rows, snapshots.latest(rows, context), context)
    tip, error = found["tip"], found["last_error"]
    reasons = "; ".join(reason["message"] for reason in found["reasons"]) or "all is well"
    lines = [
        f"{found['status']}: {reasons}",
        f"  tip {tip['height']}, {tip['age_seconds'] / 60:.0f} minutes old"
        if tip
        else "  no block yet",
        f"  last success {found['last_success_at']}, next build due {found['next_due_at']}",
        *([f"  last error {found['last_error_at']}: {error['message']}"] if error else []),
    ]
    _show(found, lines, as_json=as_json)
    sys.exit(0 if found["status"] in ("ok", "degraded") else 1)


@oracle.command("config")
@AS_JSON
def show_config(*, as_json: bool) -> None:
    """Print each setting, where its value came from, and what is wrong; secrets are masked."""
    settings = _settings()
    shown = settings.describe()
    lines = [f"{setting.name}={setting.value}  # {setting.origin}" for setting in shown]
    _show([setting._asdict() for setting in shown], lines, as_json=as_json)
    for warning in settings.warnings:
        click.echo(f"oracle: {warning}", err=True)


@oracle.command()
@AS_JSON
def recover(*, as_json: bool) -> None:
    """Merge the rows that failed runs left in DUCKDB_BACKUP_PATH into the database."""
    settings = _settings()
    backup = settings.duckdb_backup_path
    if not backup.exists():
        raise NoDataError(f"{backup} does not exist: there is nothing to recover")
    with only_run(settings):
        with Store(backup) as saved:
            network = saved.network
        with Store(settings.duckdb_path, network=network) as store:
            added = store.merge_from(backup)
        backup.unlink()
    lines = [f"{count} rows of {table}" for table, count in added.items() if count] or [
        "nothing was missing"
    ]
    _show(added, lines, as_json=as_json)


@oracle.command()
@AS_JSON
def doctor(*, as_json: bool) -> None:
    """Look at every source, the clock, disks, permissions, the quote and the database."""
    settings = _settings()
    sources = open_sources(settings, time.time, is_lasting=False, is_patient=False)
    try:
        findings = examine(
            settings, sources.blocks.sources, sources.quotes, lambda: _query_ms(settings), time.time
        )
    finally:
        sources.close()
    lines = [
        f"{found.level:4}  {found.name}: {found.message}"
        + (f"\n      {found.advice}" if found.advice else "")
        for found in findings
    ]
    _show([asdict(finding) for finding in findings], lines, as_json=as_json)
    sys.exit(1 if any(finding.level == "bad" for finding in findings) else 0)


def _query_ms(settings: Settings) -> float:
    with open_reader(settings.duckdb_path) as reader:
        started = time.perf_counter()
        gather(reader, int(time.time()))
        return 1000 * (time.perf_counter() - started)
