"""One build of the site: gather everything, render everything, publish everything.

The record is read through `oracle.record.reader`; time and settings are arguments; the same
database, settings and time give the same bytes, whether files are carried over from an earlier
release or all made anew.

Nothing that covers the whole history is made anew at each block: closed days when they are new, the
long histories, the scorecard and the data files each full hour, or, once there is more than a year
of it, what covers all of it each midnight.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.compat import make_compatible
from builder.api.days import make_days
from builder.api.episodes import make_episodes
from builder.api.history import (
    LONG_RANGES,
    SHORT_RANGES,
    Full,
    history_csv,
    last_full_hour,
    long_history,
    short_history,
    whole_record,
)
from builder.api.latest import make_latest
from builder.api.mempool import PricesAt
from builder.api.peers import make_peers
from builder.api.picture import (
    amounts_of,
    amounts_path,
    has_first_block,
    make_day,
    make_window,
    points_csv,
)
from builder.api.scorecard import make_scorecard
from builder.api.status import make_status
from builder.assemble import BuildReport, Output, look_fingerprint, render_and_publish
from builder.data import Extent, Source, export_all, export_outputs, export_price_months
from builder.draft import Draft, Objects, dump
from builder.gather import Context, Gathered, gather
from builder.pages import share_of
from builder.releases import current_release
from builder.rows import DayRow, FirstComparisonsRow
from builder.rows import rows as rows_of
from oracle.core.params import PARAMETERS
from oracle.record.journal import journal_of
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Day, Machine, Scorecard

SMALL_RECORD_BLOCKS = 10_000
"""Up to here the Parquet files are written whole at each build, then each full hour."""

Progress = Callable[[int, int], None]
__all__ = ["BuildReport", "Output", "build_site", "describe_machine"]


@dataclass(frozen=True)
class Build:
    """One build: what it is made from, and the draft that it fills."""

    reader: Reader
    context: Context
    gathered: Gathered
    draft: Draft
    objects: Objects

    @cached_property
    def days_key(self) -> str:
        """What the list of days is made from."""
        limits = self.context.limits
        limit = limits.divergence_threshold_percent
        return self.context.key(
            self.gathered.facts, limit, self.gathered.days, self.gathered.unpriced_from
        )


def build_site(
    reader: Reader, output: Output, context: Context, progress: Progress = lambda _done, _days: None
) -> BuildReport:
    """Build and publish the site from the record.

    Args:
        reader: the record.
        output: where to.
        context: the time of the build and the settings that show.
        progress: called with done and all of the days, for a progress bar.
    """
    site_dir = output.site_dir
    draft = Draft(current_release(site_dir), site_dir if site_dir.is_dir() else None)
    build = Build(reader, context, gather(reader, context.now_unix), draft, Objects(draft))
    hour = last_full_hour(build.gathered, context, build.days_key)
    record = whole_record(build.gathered, context, build.days_key)
    _make_objects(build, hour, record)
    whole = Extent(record.key, record.last_height, record.time_unix)
    prices, quotes, months = whole, whole, Extent(hour.key, hour.last_height)
    if build.gathered.counts["blocks"] < SMALL_RECORD_BLOCKS:
        prices, quotes = _newest(build)
        months = prices
    source = Source(reader, context.licence)
    export_all(draft, source, prices=prices, quotes=quotes, csv=whole, days_key=build.days_key)
    export_price_months(draft, source, build.gathered, context, months)
    if output.with_outputs:
        export_outputs(draft, source, context)
    to_render = []
    for done, (date, is_new) in enumerate(_make_days(build, output.public_url), 1):
        if is_new:
            to_render.append(date)
        progress(done, len(build.gathered.days))
    return render_and_publish(draft, build.objects, to_render, output, context)


def _newest(build: Build) -> tuple[Extent, Extent]:
    """Return what the files of prices and of quotes are made from when they hold all up to the
    newest block: that of quotes ends with the first one compared with it.

    The ages in the rows, which change with each build, do not count.
    """
    gathered = build.gathered
    key = build.context.key
    tip = gathered.tip
    compared = rows_of(build.reader, FirstComparisonsRow, "first_comparisons")[0]
    newest_hash = tip["hash"] if tip else None
    prices = key(newest_hash, gathered.spot, gathered.window, gathered.counts["prices"], compared)
    end_unix = compared["quotes_end_unix"]
    return Extent(prices), Extent(key(end_unix, compared["quotes"]), end_unix=end_unix)


def _make_objects(build: Build, hour: Full, record: Full) -> None:
    """Make the JSON files but for those of single days."""
    gathered = build.gathered
    context = build.context
    objects = build.objects
    latest = make_latest(gathered, context)
    objects.make("api/latest.json", None, lambda: latest)
    objects.make("api/status.json", None, lambda: make_status(gathered, latest, context))
    objects.make("api/episodes.json", None, lambda: make_episodes(gathered, context))
    objects.make("api/peers.json", None, lambda: make_peers(gathered, context))
    reader = build.reader
    objects.make("api/days.json", build.days_key, lambda: make_days(gathered, reader, context))
    for short in SHORT_RANGES:
        path = f"api/history/{short}.json"
        objects.make(path, None, partial(short_history, short, gathered, context))
        _make_csv(build, path, None)
    for long in LONG_RANGES:
        path = f"api/history/{long}.json"
        full = record if LONG_RANGES[long].days is None else hour
        objects.make(path, full.key, partial(long_history, long, gathered, build.reader, full))
        _make_csv(build, path, full.key)
    _make_scorecard(build, hour, record)
    make_compatible(objects, hour.key, has_market=gathered.has_market)
    if gathered.has_market:
        PricesAt(gathered, build.reader, context).make(build.draft)
    _make_window(build)


def _make_scorecard(build: Build, hour: Full, record: Full) -> None:
    """Make `/api/scorecard.json`; what it says of all history is that of the earlier one as long as
    that was made from the same."""
    path = "api/scorecard.json"

    def make() -> Scorecard:
        known = build.draft.earlier(path, record.key)
        earlier = json.loads(known) if known else None
        return make_scorecard(build.gathered, build.reader, hour, record, earlier)

    build.objects.make(path, f"{hour.key} {record.key}", make)


def _make_csv(build: Build, path: str, key: str | None) -> None:
    """Make the CSV beside a history."""
    csv_path = f"{path.removesuffix('.json')}.csv"
    build.draft.once(csv_path, key, lambda: history_csv(build.objects[path]))


def _make_window(build: Build) -> None:
    """Make `/api/window.json` once all blocks of the newest window are known."""
    row = build.gathered.window
    tip = build.gathered.tip
    if row is None or tip is None or not has_first_block(build.reader, row):
        return
    key = build.context.key(tip["hash"], row)
    calculator = build.context.calculator
    build.objects.make(
        "api/window.json", key, lambda: make_window(build.gathered, build.reader, row, calculator)
    )


def _make_days(build: Build, public_url: str | None) -> Iterator[tuple[str, bool]]:
    """Make each day's files; yield its date, and whether its page is to be made."""
    days = build.gathered.days
    look = look_fingerprint(public_url)
    for place, row in enumerate(days):
        path = f"api/days/{row['date']}.json"
        key = build.context.key(row, _unpriced_in(build.gathered, row))
        earlier = days[place - 1]["date"] if place else None
        later = days[place + 1]["date"] if place + 1 < len(days) else None
        make = partial(make_day, build.gathered, build.reader, row, build.context.calculator)
        _make_day(build, path, key, make)
        build.draft.once(amounts_path(row["date"]), key, partial(amounts_of, build.reader, row))
        has_page = build.draft.carry(
            f"days/{row['date']}/index.html", f"{look} {key} {earlier} {later}"
        )
        has_page &= build.draft.carry(share_of(row["date"]), f"{look} {key}")
        if later is None:
            build.objects.load(path)
        yield row["date"], not has_page


def _unpriced_in(gathered: Gathered, row: DayRow) -> list[int]:
    """Return where blocks begin that have no price and reach into a day: a backfill prices them."""
    reach = PARAMETERS.window_blocks
    return [
        height
        for height in gathered.unpriced_from
        if row["first_height"] - reach < height <= row["last_height"]
    ]


def _make_day(build: Build, path: str, key: str, make: Callable[[], Day]) -> None:
    build.draft.once(path, key, lambda: dump(make()))
    csv_path = f"{path.removesuffix('.json')}.csv"
    build.draft.once(csv_path, key, lambda: points_csv(build.objects[path]))


def describe_machine(site_dir: Path, database_path: Path) -> Machine:
    """Return disk and versions for `status.json`; not part of what makes two builds the same."""
    nearest = next(folder for folder in (site_dir, *site_dir.absolute().parents) if folder.exists())
    disk = shutil.disk_usage(nearest)
    versions = {package: version(package) for package in ("onchain-oracle", "duckdb", "pyarrow")}
    return {
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
        "database_bytes": _size_with_journal(database_path),
        "versions": {"python": platform.python_version(), **versions},
    }


def _size_with_journal(database: Path) -> int | None:
    """Return what a database takes on the disk; of a run's rows most are in its journal until the
    run ends. None where there is none."""
    if not database.exists():
        return None
    return sum(path.stat().st_size for path in (database, journal_of(database)) if path.exists())
