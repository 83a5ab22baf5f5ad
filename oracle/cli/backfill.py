"""`oracle backfill`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date, timedelta

import click

from oracle.backfill.fill import Backfill, Filled, Wanted
from oracle.backfill.workers import Hands, Processes, Progress, ThisProcess, new_progress
from oracle.chain import utc_date
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.days import parse_day
from oracle.cli.progress import show_progress
from oracle.config import Settings
from oracle.errors import RequestError
from oracle.logs import logging_to

LOOK_SECONDS = 0.5
MEGABYTE = 1e6


@click.command()
@click.option("--days", type=click.IntRange(1, 7000), help="So many days before today.")
@click.option("--from", "first", callback=parse_day, metavar="DATE", help="From this UTC day on.")
@click.option("--to", "last", callback=parse_day, metavar="DATE", help="To this UTC day.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Processes that read and price [default: cores]."
)
@click.option(
    "--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler read and price."
)
@as_json_option
def backfill(
    *,
    days: int | None,
    first: date | None,
    last: date | None,
    jobs: int | None,
    dask: str | None,
    as_json: bool,
) -> None:
    """Add the past that the database lacks: ORACLE_HISTORY_DAYS, or the days that are named."""
    settings = read_settings()
    wanted = _wanted(settings, days, first, last)
    if wanted is None:
        show(
            Filled(0, 0, 0)._asdict(),
            ["ORACLE_HISTORY_DAYS is 0: no past is wanted"],
            as_json=as_json,
        )
        return
    with logging_to(settings), _hands(jobs, dask) as hands:
        progress = new_progress()
        work = Backfill(settings, time.time, hands, progress)
        with _shown(progress):
            filled = work.run(wanted)
    show(filled._asdict(), _lines(filled), as_json=as_json)


def _hands(jobs: int | None, dask: str | None) -> AbstractContextManager[Hands]:
    if dask and jobs:
        raise RequestError("ask for --jobs, processes here, or for --dask, workers elsewhere")
    if dask:
        from oracle.backfill.cluster import cluster

        return cluster(dask)
    count = jobs or os.cpu_count() or 1
    return nullcontext(Processes(count) if count > 1 else ThisProcess())


def _wanted(
    settings: Settings, days: int | None, first: date | None, last: date | None
) -> Wanted | None:
    if days and (first or last):
        raise RequestError("ask for --days, or for --from and --to, not for both")
    if last and not first:
        raise RequestError("--to needs --from: name the day to begin with")
    if first:
        return Wanted(first, last)
    before = days or settings.oracle_history_days
    if not before:
        return None
    return Wanted(utc_date(int(time.time())) - timedelta(days=before))


@contextmanager
def _shown(progress: Progress) -> Iterator[None]:
    """Show how far a backfill is, from beside it."""
    is_over = threading.Event()
    started = time.monotonic()

    def detail() -> dict[str, object]:
        seconds = max(time.monotonic() - started, 1e-9)
        megabytes = progress.read_bytes.value / MEGABYTE
        return {"megabytes_a_second": round(megabytes / seconds, 2), **progress.day}

    with show_progress("backfilling", detail=detail) as tell:

        def look() -> None:
            while not is_over.wait(LOOK_SECONDS):
                if progress.total:
                    tell(min(progress.blocks.value, progress.total), progress.total)

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()


def _lines(filled: Filled) -> list[str]:
    if not filled.blocks:
        lines = ["nothing was missing"]
    else:
        lines = [f"{filled.blocks} blocks, {filled.prices} prices and {filled.days} days added"]
    if filled.lowest is not None:
        lines.append(f"the source has no blocks below {filled.lowest}: the history begins there")
    return lines
