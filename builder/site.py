"""One build of the site: gather everything, render everything, publish everything.

The record is read through `oracle.reader`; time and settings are arguments; the same database, settings and
time give the same bytes, whether files are carried over from an earlier release or all made anew.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

from builder import charts, pages, snapshots
from builder.compat import compatible
from builder.contract import contract
from builder.draft import Draft
from builder.exports import FORMAT, PRICES, export_all, schema_of
from builder.feeds import feeds
from builder.history import LONG_RANGES, SHORT_RANGES, Columns, columns_of, histories
from builder.notices import STALE_RUNS, mark_failed
from builder.picture import pictured, points_csv
from builder.publish import HEALTH, current_release, dump, publish
from builder.record import TICKS_SECONDS, Context, Record, Row, Snapshot, times
from builder.scorecard import scorecard
from oracle.core.params import ALGORITHM_VERSION
from oracle.reader import Reader

DEFAULT_URL = "http://127.0.0.1:8000"
NAMES = ("latest", "days", "scorecard", "episodes", "status", "window")
RENDERED = [
    f"api/{name}.json" for name in (*NAMES, *(f"history/{span}" for span in (*SHORT_RANGES, *LONG_RANGES)))
]
SICK = ("stale", "failing")
Progress = Callable[[int, int], None]


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


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how the site appears."""

    site_dir: Path
    public_url: str | None = None
    keep_releases: int = 5
    with_outputs: bool = False


def build_site(
    reader: Reader, output: Output, context: Context, progress: Progress | None = None
) -> BuildReport:
    """Build and publish the site from the record.

    Args:
        reader: the record.
        output: where to.
        context: the time of the build and the settings that show.
        progress: called with done and all of the days to render, for a progress bar.
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
    current = current_release(output.site_dir)
    draft = Draft(current)
    draft.carry_all()
    if current is None:
        made = take_snapshots(Record(), columns_of(schema_of(PRICES).empty_table()), context)
    else:
        made = {path: json.loads(draft.read(path)) for path in RENDERED if path in draft.known}
    mark_failed(made["api/latest.json"], made["api/status.json"], error, context)
    return _finish(draft, made, [], output)


def _build(
    reader: Reader, output: Output, context: Context, progress: Progress | None, draft: Draft
) -> BuildReport:
    record = gather(reader, context.now_unix)
    blocks = columns_of(export_all(draft, reader, record.days, with_outputs=output.with_outputs))
    made = take_snapshots(record, blocks, context)
    _window(draft, reader, record, made)
    dates = []
    for done, date in enumerate(_days(draft, reader, record, made, output.public_url), 1):
        dates += [date] if date else []
        if progress:
            progress(done, len(record.days))
    return _finish(draft, made, dates, output)


def gather(reader: Reader, now_unix: int) -> Record:
    """Read what every build reads, whatever has changed."""
    return Record(
        facts=reader.facts(),
        tip=reader.tip(),
        price=reader.price(),
        exchange=reader.exchange(),
        divergence=reader.divergence(),
        days=reader.days(),
        ticks=reader.history(now_unix - TICKS_SECONDS),
        episodes=reader.episodes(),
        runs=reader.runs(),
        last_good_run=reader.last_run(failed=False),
        last_failed_run=reader.last_run(failed=True),
        gaps=reader.gaps(),
        counts=reader.counts(),
    )


def take_snapshots(record: Record, blocks: Columns, context: Context) -> dict[str, Any]:
    """Return the JSON objects that are made anew by every build, by path."""
    latest = snapshots.latest(record, context)
    return {
        "api/latest.json": latest,
        **{f"api/history/{name}.json": made for name, made in histories(record, blocks, context).items()},
        "api/days.json": snapshots.days(record, context),
        "api/scorecard.json": scorecard(record, blocks, context),
        "api/episodes.json": snapshots.episodes(record, context),
        "api/status.json": snapshots.status(record, latest, context),
    }


def _window(draft: Draft, reader: Reader, record: Record, made: dict[str, Any]) -> None:
    price = record.price
    if price is None or reader.block(price["window_first_height"]) is None:
        return
    row = snapshots.window_row(price)
    key = fingerprint(price)
    draft.add_once("api/window.json", key, lambda: dump(pictured(reader, record.facts, row)))
    made["api/window.json"] = json.loads(draft.read("api/window.json"))


def _days(
    draft: Draft, reader: Reader, record: Record, made: dict[str, Any], public_url: str | None
) -> Iterator[str | None]:
    """Put each day's files into the draft; yield its date when its page is to be made."""
    rows, look = made["api/days.json"]["days"], look_fingerprint(public_url)
    names = [None, *(row["date"] for row in rows), None]
    for earlier, row, later in zip(names, rows, names[2:], strict=False):
        key, path = fingerprint(row), f"api/days/{row['date']}"
        draft.add_once(f"{path}.json", key, partial(_day, reader, record.facts, row))
        draft.add_once(f"{path}.csv", key, partial(_day_csv, draft, f"{path}.json"))
        is_same = draft.has(f"days/{row['date']}/index.html", fingerprint((look, key, earlier, later)))
        if not is_same:
            made[f"{path}.json"] = json.loads(draft.read(f"{path}.json"))
        yield None if is_same else row["date"]


def _day(reader: Reader, facts: Mapping[str, str], row: Row) -> bytes:
    return dump(pictured(reader, facts, row))


def _day_csv(draft: Draft, path: str) -> bytes:
    return points_csv(json.loads(draft.read(path)))


def _finish(draft: Draft, made: dict[str, Any], dates: list[str], output: Output) -> BuildReport:
    """Render everything that follows from the JSON objects, and publish."""
    latest, url = made["api/latest.json"], (output.public_url or DEFAULT_URL).rstrip("/")
    if days := made["api/days.json"]["days"]:
        newest = f"api/days/{days[-1]['date']}.json"
        made[newest] = json.loads(draft.read(newest))
    made |= compatible(made)
    assets = _assets()
    names = {name: f"assets/{_fingerprinted(name, data)}" for name, data in assets.items()}
    rendered = pages.render_pages(
        made,
        assets={name: f"/{path}" for name, path in names.items()},
        now_unix=latest["generated_at_unix"],
        public_url=output.public_url,
        days_to_render=dates,
    )
    files = {
        **{path: dump(value) for path, value in made.items() if draft.made_from.get(path) is None},
        **rendered,
        **feeds(made, url),
        **{names[name]: data for name, data in assets.items()},
        "favicon.svg": assets["favicon.svg"],
        **contract(url),
    }
    files |= _health_marks(made["api/status.json"])
    for path, data in files.items():
        draft.add(path, data)
    sums = "".join(f"{draft.sha256(path)}  {path[5:]}\n" for path in draft.paths("data/"))
    draft.add("data/SHA256SUMS", sums.encode())
    return _report(
        draft, latest, dates, publish(output.site_dir, draft, _manifest(latest), keep=output.keep_releases)
    )


def _health_marks(status: Row) -> dict[str, bytes]:
    """Return the empty files by which nginx answers `/health`; see deploy/README.md.

    One for each hundred seconds until the site counts as stale: when builds stop, they run out.
    """
    until = status["next_due_at_unix"] + (STALE_RUNS - 1) * status["interval_seconds"]
    fresh = range(status["generated_at_unix"] // 100, until // 100 + 1)
    marks = [f"{HEALTH}fresh/{hundreds}" for hundreds in fresh]
    return dict.fromkeys([*marks, *([f"{HEALTH}failing"] if status["status"] in SICK else [])], b"")


def _manifest(latest: Row) -> Snapshot:
    tip = latest["tip"]
    name = f"{tip['height']}-{tip['hash'][:8]}" if tip else "empty"
    moment = latest["generated_at"].replace("-", "").replace(":", "")
    shared = (
        "schema_version",
        "generated_at",
        "generated_at_unix",
        "network",
        "is_demo",
        "algorithm_version",
    )
    return {
        **{key: latest[key] for key in shared},
        "build_id": f"{moment}-{name}",
        **times("built_at", latest["generated_at_unix"]),
        **{key: latest[key] for key in ("next_due_at", "next_due_at_unix")},
        "tip": tip and {key: tip[key] for key in ("height", "hash")},
    }


def _report(draft: Draft, latest: Row, dates: list[str], folder: Path) -> BuildReport:
    return BuildReport(
        build_id=_manifest(latest)["build_id"],
        folder=folder,
        status=latest["status"],
        files_made=len(draft.files),
        files_carried=len(draft.paths()) - len(draft.files),
        bytes_made=sum(len(data) for data in draft.files.values()),
        days_rendered=len(dates),
    )


def fingerprint(facts: object) -> str:
    """Return a short text that changes with plain values and with the form of the files made from them."""
    return hashlib.blake2b(repr((FORMAT, ALGORITHM_VERSION, facts)).encode(), digest_size=10).hexdigest()


def _fingerprinted(name: str, data: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"


@cache
def _assets() -> dict[str, bytes]:
    return pages.asset_files()


def look_fingerprint(public_url: str | None) -> str:
    """Return a text that changes whenever a page would look different with the same numbers in it."""
    look = hashlib.sha256((public_url or "").encode())
    for name, data in _assets().items():
        look.update(_fingerprinted(name, data).encode())
    templates = pages.environment().loader
    assert templates is not None  # noqa: S101 - the pages have one
    for name in templates.list_templates():
        look.update(templates.get_source(pages.environment(), name)[0].encode())
    for module in (pages, charts):
        look.update(Path(str(module.__file__)).read_bytes())
    return look.hexdigest()


def describe_machine(site_dir: Path, database_path: Path) -> Snapshot:
    """Return disk and versions for `status.json`; not part of what makes two builds the same."""
    site_dir.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(site_dir)
    return {
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
        "database_bytes": database_path.stat().st_size if database_path.exists() else None,
        "versions": {
            "oracle": version("onchain-oracle"),
            "python": platform.python_version(),
            "duckdb": duckdb.__version__,
            "pyarrow": pyarrow.__version__,
        },
    }
