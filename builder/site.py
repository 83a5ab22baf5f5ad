"""One build of the site: gather everything, render everything, publish everything.

The record is read through `oracle.reader`; time and settings are arguments; the same database, settings and
time give the same bytes, whether files are carried over from an earlier release or all made anew.

Nothing that covers the whole history is made anew at each block: closed days when they are new, the long
histories and the scorecard each full hour, data files by adding rows to what is closed.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from builder import snapshots
from builder.compat import make_compatible
from builder.draft import Draft, Objects, dump, fingerprint
from builder.exports import FORMAT, export_all, read_prices
from builder.history import LONG_RANGES, SHORT_RANGES, Columns, Settled, columns_of, long_history, settle, short_history
from builder.notices import mark_failed
from builder.picture import pictured, points_csv
from builder.publish import current_release
from builder.record import TICKS_SECONDS, Context, Record, Row, Snapshot
from builder.render import BuildReport, Output, look_fingerprint, render_and_publish
from builder.scorecard import scorecard
from oracle.core.params import ALGORITHM_VERSION
from oracle.reader import Reader

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
    try:
        return _build(reader, output, context, progress, Draft(current_release(output.site_dir)))
    except (FileNotFoundError, json.JSONDecodeError):  # the current release is damaged: owe nothing to it
        return _build(reader, output, context, progress, Draft())


def publish_failure(output: Output, error: Row, context: Context) -> BuildReport:
    """Publish the current release again with the status failing; without one, a site that has no data yet.

    Args:
        output: where to.
        error: the documented error object: code, message, retry_after, details.
        context: the time of the failed run and the settings that show.
    """
    draft = Draft(current_release(output.site_dir))
    objects = Objects(draft)
    if "api/latest.json" in draft.known:
        draft.carry_all()
        for path in draft.known:
            if path.startswith("api/") and path.endswith(".json") and not path.startswith(NO_OBJECTS):
                objects.offer(path)
    else:
        nothing = Record()
        _make_objects(draft, objects, nothing, context, settle(nothing, context.now_unix, ""))
    latest, status = mark_failed(objects["api/latest.json"], objects["api/status.json"], error, context)
    objects.make("api/latest.json", None, lambda: latest)
    objects.make("api/status.json", None, lambda: status)
    return render_and_publish(draft, objects, [], output)


def _build(reader: Reader, output: Output, context: Context, progress: Progress | None, draft: Draft) -> BuildReport:
    record, objects = gather(reader, context.now_unix), Objects(draft)
    keys = [_key(row) for row in record.days]
    settled = settle(record, context.now_unix, _key(record.facts, context.threshold_percent, keys))
    export_all(draft, reader, record.days, settled, with_outputs=output.with_outputs)
    _make_objects(draft, objects, record, context, settled)
    _make_window(objects, reader, record)
    dates = []
    for done, date in enumerate(_make_days(draft, objects, reader, keys, output.public_url), 1):
        dates += [date] if date else []
        if progress:
            progress(done, len(keys))
    return render_and_publish(draft, objects, dates, output)


def gather(reader: Reader, now_unix: int) -> Record:
    """Read what every build reads, whatever has changed."""
    counts = reader.rows("counts")[0]
    has_gaps = counts["blocks"] and counts["last_height"] - counts["first_height"] + 1 > counts["blocks"]
    newest = {name: reader.row(name) for name in ("tip", "price", "exchange", "divergence")}
    return Record(
        **newest,
        facts={row["name"]: row["value"] for row in reader.rows("facts")},
        days=reader.rows("days"),
        ticks=reader.rows("history", first=now_unix - TICKS_SECONDS),
        episodes=reader.rows("episodes"),
        runs=reader.rows("runs"),
        last_good_run=reader.row("last_run", failed=False),
        last_failed_run=reader.row("last_run", failed=True),
        gaps=reader.rows("gaps") if has_gaps else (),
        counts=counts,
    )


def _make_objects(draft: Draft, objects: Objects, record: Record, context: Context, settled: Settled) -> None:
    """Make the JSON files but for those of single days, all of the record as it is now."""
    latest = snapshots.latest(record, context)
    objects.make("api/latest.json", None, lambda: latest)
    objects.make("api/status.json", None, lambda: snapshots.status(record, latest, context))
    objects.make("api/episodes.json", None, lambda: snapshots.episodes(record, context))
    objects.make("api/days.json", settled.days_key, lambda: snapshots.days(record, context))
    for name in SHORT_RANGES:
        objects.make(f"api/history/{name}.json", None, partial(short_history, name, record, context))

    @cache
    def blocks() -> Columns:
        return columns_of(read_prices(draft), settled.last_height)

    for name in LONG_RANGES:
        path = f"api/history/{name}.json"
        objects.make(path, settled.key, partial(long_history, name, record, blocks, settled))
    objects.make("api/scorecard.json", settled.key, lambda: scorecard(record, blocks(), settled.hour_unix))
    make_compatible(objects, settled.key)


def _make_window(objects: Objects, reader: Reader, record: Record) -> None:
    price = record.price
    if price and reader.row("block", height=price["window_first_height"]):
        row = snapshots.window_row(price)
        objects.make("api/window.json", _key(price), lambda: pictured(reader, row))


def _make_days(
    draft: Draft, objects: Objects, reader: Reader, keys: list[str], public_url: str | None
) -> Iterator[str | None]:
    """Make each day's files; yield its date when its page is to be made, else None."""
    rows, look = objects["api/days.json"]["days"], look_fingerprint(public_url)
    names = [None, *(row["date"] for row in rows), None]
    for key, earlier, row, later in zip(keys, names, rows, names[2:], strict=False):
        path = f"api/days/{row['date']}"
        _make_day(draft, reader, path, key, row)
        has_page = draft.has(f"days/{row['date']}/index.html", f"{look} {key} {earlier} {later}")
        if not has_page or later is None:
            objects.offer(f"{path}.json")
        yield None if has_page else row["date"]


def _make_day(draft: Draft, reader: Reader, path: str, key: str, row: Row) -> None:
    draft.once(f"{path}.json", key, lambda: dump(pictured(reader, row)))
    draft.once(f"{path}.csv", key, lambda: points_csv(json.loads(draft.read(f"{path}.json"))))


def _key(*facts: object) -> str:
    return fingerprint((FORMAT, ALGORITHM_VERSION, *facts))


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
