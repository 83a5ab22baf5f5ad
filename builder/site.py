"""One build of the site: gather everything, render everything, publish everything.

The record is read through `oracle.reader`; time and settings are arguments; the same database, settings and
time give the same bytes, whether files are carried over from an earlier release or all made anew.

Nothing that covers the whole history is made anew at each block: closed days when they are new, the long
histories, the scorecard and the data files each full hour.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from builder import snapshots
from builder.compat import make_compatible
from builder.draft import Draft, Objects, dump
from builder.exports import export_all, make_key
from builder.history import LONG_RANGES, SHORT_RANGES, Settled, long_history, settle, short_history
from builder.notices import mark_failed
from builder.picture import pictured, points_csv
from builder.publish import current_release
from builder.record import TICKS_SECONDS, Context, Record, Row, Snapshot
from builder.render import BuildReport, Output, look_fingerprint, render_and_publish
from builder.scorecard import scorecard
from oracle.reader import Reader, empty_reader

NO_OBJECTS = ("api/days/", "api/schema/", "api/openapi.json")  # of the JSON below api/
Progress = Callable[[int, int], None]
__all__ = ["BuildReport", "Output", "build_site", "describe_machine", "gather", "publish_failure"]


def build_site(reader: Reader, output: Output, context: Context, progress: Progress | None = None) -> BuildReport:
    """Build and publish the site from the record.

    Args:
        reader: the record.
        output: where to.
        context: the time of the build and the settings that show.
        progress: called with done and all of the days, for a progress bar.
    """
    draft = Draft(current_release(output.site_dir))
    objects = Objects(draft)
    dates = _make(draft, objects, reader, output, context, progress=progress)
    return render_and_publish(draft, objects, dates, output)


def _make(
    draft: Draft,
    objects: Objects,
    reader: Reader,
    output: Output,
    context: Context,
    *,
    progress: Progress | None = None,
) -> list[str]:
    """Make everything but the pages; return the dates whose pages are to be made."""
    record = gather(reader, context.now_unix)
    keys = [make_key(row) for row in record.days]
    settled = settle(record, context.now_unix, make_key(record.facts, context.threshold_percent, keys))
    export_all(draft, reader, settled, with_outputs=output.with_outputs)
    _make_objects(objects, reader, record, context, settled)
    dates = []
    for done, date in enumerate(_make_days(draft, objects, reader, keys, output.public_url), 1):
        dates += [date] if date else []
        if progress:
            progress(done, len(keys))
    return dates


def publish_failure(output: Output, error: Row, context: Context) -> BuildReport:
    """Publish the current release again with the status failing; without one, a site that has no data yet.

    Args:
        output: where to.
        error: the documented error object: code, message, retry_after, details.
        context: the time of the failed run and the settings that show.
    """
    draft = Draft(current_release(output.site_dir))
    objects = Objects(draft)
    if draft.known:
        draft.carry_all()
        for path in draft.paths("api/"):
            if path.endswith(".json") and not path.startswith(NO_OBJECTS):
                objects.offer(path)
    else:
        with empty_reader() as reader:
            _make(draft, objects, reader, output, context)
    latest, status = mark_failed(objects["api/latest.json"], objects["api/status.json"], error, context)
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


def _make_objects(objects: Objects, reader: Reader, record: Record, context: Context, settled: Settled) -> None:
    """Make the JSON files but for those of single days."""
    latest = snapshots.latest(record, context)
    objects.make("api/latest.json", None, lambda: latest)
    objects.make("api/status.json", None, lambda: snapshots.status(record, latest, context))
    objects.make("api/episodes.json", None, lambda: snapshots.episodes(record, context))
    objects.make("api/days.json", settled.days_key, lambda: snapshots.days(record, context))
    for name in SHORT_RANGES:
        objects.make(f"api/history/{name}.json", None, partial(short_history, name, record, context))
    for name in LONG_RANGES:
        make = partial(long_history, name, record, reader, settled)
        objects.make(f"api/history/{name}.json", settled.key, make)
    objects.make("api/scorecard.json", settled.key, lambda: scorecard(record, reader, settled))
    make_compatible(objects, settled.key)
    window = record.window
    if window and reader.row("block", height=window["first_height"]):
        row = {name: window[name] for name in snapshots.WINDOW_FIELDS}
        objects.make("api/window.json", make_key(record.tip and record.tip["hash"], row), lambda: pictured(reader, row))


def _make_days(
    draft: Draft, objects: Objects, reader: Reader, keys: list[str], public_url: str | None
) -> Iterator[str | None]:
    """Make each day's files; yield its date when its page is to be made, else None."""
    rows, look = objects["api/days.json"]["days"], look_fingerprint(public_url)
    names = [None, *(row["date"] for row in rows), None]
    for key, earlier, row, later in zip(keys, names, rows, names[2:], strict=False):
        path = f"api/days/{row['date']}"
        draft.once(f"{path}.json", key, partial(_day_json, reader, row))
        draft.once(f"{path}.csv", key, partial(_day_csv, draft, f"{path}.json"))
        has_page = draft.has(f"days/{row['date']}/index.html", f"{look} {key} {earlier} {later}")
        if not has_page or later is None:
            objects.offer(f"{path}.json")
        yield None if has_page else row["date"]


def _day_json(reader: Reader, row: Row) -> bytes:
    return dump(pictured(reader, row))


def _day_csv(draft: Draft, path: str) -> bytes:
    return points_csv(json.loads(draft.read(path)))


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
