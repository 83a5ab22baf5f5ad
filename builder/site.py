"""One build of the site: gather everything, render everything, publish everything.

The record is read through `oracle.record.reader`; time and settings are arguments; the same
database, settings and time give the same bytes, whether files are carried over from an earlier
release or all made anew.

Nothing that covers the whole history is made anew at each block: closed days when they are new, the
long histories, the scorecard and the data files each full hour.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from builder.api import snapshots
from builder.api.compat import make_compatible
from builder.api.history import (
    LONG_RANGES,
    SHORT_RANGES,
    Settled,
    long_history,
    settle,
    short_history,
)
from builder.api.notices import mark_failed
from builder.api.picture import pictured, points_csv
from builder.api.scorecard import scorecard
from builder.assemble import BuildReport, Output, look_fingerprint, render_and_publish
from builder.data import export_all, make_key
from builder.draft import Draft, Objects, dump
from builder.gather import TICKS_SECONDS, Context, Record, Row, Snapshot
from builder.releases import current_release
from oracle.record.reader import Reader, empty_reader

NO_OBJECTS = ("api/days/", "api/schema/", "api/openapi.json")  # of the JSON below api/
SMALL_RECORD_BLOCKS = (
    10_000  # up to here the Parquet files are written whole at each build, then each full hour
)
NO_LIMIT = 2**31 - 1  # above every height and every time that a row can have
Progress = Callable[[int, int], None]
__all__ = ["BuildReport", "Output", "build_site", "describe_machine", "gather", "publish_failure"]


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
    draft = Draft(current_release(output.site_dir))
    objects, record = Objects(draft), gather(reader, context.now_unix)
    settled = _make_objects(objects, reader, record, context)
    newest = settled
    if record.counts["blocks"] < SMALL_RECORD_BLOCKS:
        key = make_key(record.tip, record.spot, record.window, record.exchange, record.divergence)
        newest = replace(settled, key=key, last_height=NO_LIMIT, hour_unix=NO_LIMIT)
    export_all(draft, reader, settled, newest, with_outputs=output.with_outputs)
    dates = []
    for done, date in enumerate(_make_days(draft, objects, reader, record, output.public_url), 1):
        dates += [date] if date else []
        progress(done, len(record.days))
    return render_and_publish(draft, objects, dates, output)


def publish_failure(output: Output, error: Row, context: Context) -> BuildReport:
    """Publish the current release again with the status failing; without one, a site that has no
    data yet.

    Args:
        output: where to.
        error: the documented error object: code, message, retry_after, details.
        context: the time of the failed run and the settings that show.
    """
    draft = Draft(current_release(output.site_dir))
    objects = Objects(draft)
    draft.entries.update(draft.known)
    for path in draft.paths("api/"):
        if path.endswith(".json") and not path.startswith(NO_OBJECTS):
            objects.load(path)
    if not objects:
        with empty_reader() as reader:
            _make_objects(objects, reader, gather(reader, context.now_unix), context)
    latest, status = mark_failed(
        objects["api/latest.json"], objects["api/status.json"], error, context
    )
    objects.make("api/latest.json", None, lambda: latest)
    objects.make("api/status.json", None, lambda: status)
    return render_and_publish(draft, objects, [], output)


def gather(reader: Reader, now_unix: int) -> Record:
    """Read what every build reads, whatever has changed."""
    moments: dict[str, Snapshot] = {"tip": {"now": now_unix}, "exchange": {"now": now_unix}}
    one = ("tip", "spot", "window", "exchange", "divergence", "last_good_run", "last_failed_run")
    newest: dict[str, Any] = {name: reader.row(name, **moments.get(name, {})) for name in one}
    lists: dict[str, Any] = {name: reader.rows(name) for name in ("days", "runs", "gaps")}
    return Record(
        facts={row["name"]: row["value"] for row in reader.rows("facts")},
        ticks=reader.rows("ticks", first=now_unix - TICKS_SECONDS),
        episodes=reader.rows("episodes", now=now_unix),
        counts=reader.rows("counts")[0],
        **newest,
        **lists,
    )


def _make_objects(objects: Objects, reader: Reader, record: Record, context: Context) -> Settled:
    """Make the JSON files but for those of single days; return what the longest of them are made
    from."""
    days_key = make_key(record.facts, context.limits.divergence_threshold_percent, record.days)
    settled = settle(record, context.now_unix, days_key)
    latest = snapshots.latest(record, context)
    made: dict[str, tuple[str | None, Callable[[], Snapshot]]] = {
        "latest": (None, lambda: latest),
        "status": (None, lambda: snapshots.status(record, latest, context)),
        "episodes": (None, lambda: snapshots.episodes(record, context)),
        "days": (days_key, lambda: snapshots.days(record, context)),
        **{
            f"history/{name}": (None, partial(short_history, name, record, context))
            for name in SHORT_RANGES
        },
        **{
            f"history/{name}": (settled.key, partial(long_history, name, record, reader, settled))
            for name in LONG_RANGES
        },
        "scorecard": (settled.key, lambda: scorecard(record, reader, settled)),
    }
    for name, (key, make) in made.items():
        objects.make(f"api/{name}.json", key, make)
    make_compatible(objects, settled.key)
    if record.window and reader.row("block", height=record.window["first_height"]):
        row = {name: record.window[name] for name in snapshots.WINDOW_FIELDS}
        objects.make(
            "api/window.json", make_key(latest["tip"]["hash"], row), lambda: pictured(reader, row)
        )
    return settled


def _make_days(
    draft: Draft, objects: Objects, reader: Reader, record: Record, public_url: str | None
) -> Iterator[str | None]:
    """Make each day's files; yield its date when its page is to be made, else None."""
    rows, look = objects["api/days.json"]["days"], look_fingerprint(public_url)
    names = [None, *(row["date"] for row in rows), None]
    for stored, earlier, row, later in zip(record.days, names, rows, names[2:], strict=False):
        path, key = f"api/days/{row['date']}.json", make_key(stored)
        draft.once(path, key, lambda row=row: dump(pictured(reader, row)))  # type: ignore[misc]
        draft.once(f"{path[:-5]}.csv", key, lambda path=path: points_csv(objects[path]))  # type: ignore[misc]
        has_page = draft.carry(f"days/{row['date']}/index.html", f"{look} {key} {earlier} {later}")
        if later is None:
            objects.load(path)
        yield None if has_page else row["date"]


def describe_machine(site_dir: Path, database_path: Path) -> Snapshot:
    """Return disk and versions for `status.json`; not part of what makes two builds the same."""
    site_dir.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(site_dir)
    versions = {package: version(package) for package in ("onchain-oracle", "duckdb", "pyarrow")}
    return {
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
        "database_bytes": database_path.stat().st_size if database_path.exists() else None,
        "versions": {"python": platform.python_version(), **versions},
    }
