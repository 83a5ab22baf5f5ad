"""One build of the site: gather everything, render everything, publish everything.

The record is read through `oracle.reader`; time and settings are arguments; the same database, settings and
time give the same bytes, whether files are carried over from an earlier release or all made anew.

Nothing that covers the whole history is made anew at each block: closed days when they are new, the long
histories and the scorecard each full hour, data files by adding rows to what is closed.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from builder import charts, pages, snapshots
from builder.compat import make_compatible
from builder.contract import contract
from builder.draft import Draft, Objects, dump, fingerprint
from builder.exports import FORMAT, export_all, read_prices
from builder.feeds import feeds
from builder.history import LONG_RANGES, SHORT_RANGES, Columns, Settled, columns_of, long_history, settle, short_history
from builder.notices import STALE_RUNS, mark_failed
from builder.picture import pictured, points_csv
from builder.publish import HEALTH, current_release, publish
from builder.record import HEAD_FIELDS, TICKS_SECONDS, Context, Record, Row, Snapshot, times
from builder.scorecard import scorecard
from oracle.core.params import ALGORITHM_VERSION
from oracle.reader import Reader

DEFAULT_URL = "http://127.0.0.1:8000"
SICK = ("stale", "failing")
NO_OBJECTS = ("api/days/", "api/schema/", "api/openapi.json")  # of the JSON below api/
SETTLED_PAGES = {"history": "api/days.json", "accuracy": "api/scorecard.json"}  # and what they are made from
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how the site appears."""

    site_dir: Path
    public_url: str | None = None
    keep_releases: int = 5
    with_outputs: bool = False


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did."""

    build_id: str
    folder: Path
    status: str
    files_made: int
    files_carried: int
    bytes_made: int
    days_rendered: int


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
    return _finish(draft, objects, [], output)


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
    return _finish(draft, objects, dates, output)


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


def _finish(draft: Draft, objects: Objects, dates: list[str], output: Output) -> BuildReport:
    """Render everything that follows from the JSON objects, and publish."""
    latest = objects["api/latest.json"]
    assets = pages_assets()
    names = {name: f"assets/{_fingerprinted(name, data)}" for name, data in assets.items()}
    look = look_fingerprint(output.public_url)
    settled = {f"{page}/index.html": f"{look} {draft.made_from[path]}" for page, path in SETTLED_PAGES.items()}
    rendered = pages.render_pages(
        objects,
        assets={name: f"/{path}" for name, path in names.items()},
        now_unix=latest["generated_at_unix"],
        public_url=output.public_url,
        days_to_render=dates,
        carried=[page for page, key in settled.items() if draft.has(page, key)],
    )
    files = {
        **rendered,
        **feeds(objects, (output.public_url or DEFAULT_URL).rstrip("/")),
        **{names[name]: data for name, data in assets.items()},
        "favicon.svg": assets["favicon.svg"],
        **contract((output.public_url or DEFAULT_URL).rstrip("/")),
    }
    for path, data in files.items():
        draft.add(path, data)
    draft.marks = _health_marks(objects["api/status.json"])
    _keep_earlier_assets(draft, set(names.values()))
    sums = "".join(f"{draft.sha256(path)}  {path[5:]}\n" for path in draft.paths("data/"))
    draft.add("data/SHA256SUMS", sums.encode())
    folder = publish(output.site_dir, draft, _manifest(latest), keep=output.keep_releases)
    return BuildReport(
        build_id=_manifest(latest)["build_id"],
        folder=folder,
        status=latest["status"],
        files_made=len(draft.files),
        files_carried=len(draft.paths()) - len(draft.files),
        bytes_made=sum(len(data) for data in draft.files.values()),
        days_rendered=len(dates),
    )


def _keep_earlier_assets(draft: Draft, present: set[str]) -> None:
    """Carry over what the pages of the release before load: one loaded just before the swap still works."""
    for path, entry in draft.known.items():
        if path.startswith("assets/") and path not in present and entry["made_from"] is None:
            draft.carried.add(path)
            draft.made_from[path] = "the release before"


def _health_marks(status: Row) -> list[str]:
    """Return the empty files by which nginx answers `/health`; see deploy/README.md.

    One for each hundred seconds until the site counts as stale: when builds stop, they run out.
    """
    until = status["next_due_at_unix"] + (STALE_RUNS - 1) * status["interval_seconds"]
    fresh = range(status["generated_at_unix"] // 100, until // 100 + 1)
    marks = [f"{HEALTH}/fresh/{hundreds}" for hundreds in fresh]
    return [*marks, *([f"{HEALTH}/failing"] if status["status"] in SICK else [])]


def _manifest(latest: Row) -> Snapshot:
    tip = latest["tip"]
    name = f"{tip['height']}-{tip['hash'][:8]}" if tip else "empty"
    moment = latest["generated_at"].replace("-", "").replace(":", "")
    return {
        **{key: latest[key] for key in HEAD_FIELDS},
        "build_id": f"{moment}-{name}",
        **times("built_at", latest["generated_at_unix"]),
        **{key: latest[key] for key in ("next_due_at", "next_due_at_unix")},
        "tip": tip and {key: tip[key] for key in ("height", "hash")},
    }


def _key(*facts: object) -> str:
    return fingerprint((FORMAT, ALGORITHM_VERSION, *facts))


def _fingerprinted(name: str, data: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"


@cache
def pages_assets() -> dict[str, bytes]:
    """Return the files that pages load, read once."""
    return pages.asset_files()


@cache
def look_fingerprint(public_url: str | None) -> str:
    """Return a text that changes whenever a page would look different with the same numbers in it."""
    look = hashlib.sha256((public_url or "").encode())
    for name, data in pages_assets().items():
        look.update(_fingerprinted(name, data).encode())
    templates = pages.environment().loader
    assert templates is not None  # noqa: S101 - the pages have one
    for name in templates.list_templates():
        look.update(templates.get_source(pages.environment(), name)[0].encode())
    for module in (pages, charts):
        look.update(Path(str(module.__file__)).read_bytes())
    return look.hexdigest()[:12]


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
