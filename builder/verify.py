"""Whether a release is what its manifest says, and says what the record says.

The same record, settings and time give the same bytes. So the site is built once more, aside, as of
the moment of the release, and compared file by file: JSON by what it says, Parquet by its rows, all
others byte by byte. The manifest is looked at by itself, since a change of it would hide others.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from builder.gather import Context
from builder.releases import (
    MANIFEST,
    PUBLIC_KEY,
    SIGNATURE,
    DamagedReleaseError,
    Entry,
    is_whole,
    read_manifest,
    twin_of,
)
from builder.site import Output, Progress, build_site
from oracle.record.reader import Reader
from oracle.verify.finding import Finding, Verification
from oracle.verify.recompute import is_same, shown

if TYPE_CHECKING:
    import pyarrow as pa

# What tells of the machine and the moment, not of the record alone; and what follows from the rest.
NOT_OF_THE_RECORD = frozenset(
    {
        "api/status.json",
        "api/index.html",  # shows status.json as an example
        "status/index.html",
        "metrics.txt",
        PUBLIC_KEY,
        "data/SHA256SUMS",
        MANIFEST,
    }
)
HEAD = ("build_id", "network", "is_demo", "algorithm_version", "built_at", "built_at_unix", "tip")
ALL_ANEW = "remove the link `public`, and publish again from the record: oracle render"
MAX_SHOWN = 3  # differences of one file; the rest of them say no more
Difference = tuple[str, str, str]
"""Where in a file, what is there, and what should be."""


def check_release(
    reader: Reader, release: Path, output: Output, context: Context, progress: Progress
) -> Verification:
    """Compare a release with its manifest, and with what the record makes.

    Args:
        reader: the record.
        release: the folder that is published.
        output: how the site is made; its folder is not touched.
        context: the settings that show; its time is not used.
        progress: told of days done and of all days.
    """
    found = Verification()
    try:
        manifest = json.loads((release / MANIFEST).read_bytes())
        entries = read_manifest(release)
    except (DamagedReleaseError, OSError, ValueError):
        miss = Finding(MANIFEST, "no manifest that can be read", "one", ALL_ANEW)
        found.note("files of the release", 1, [miss])
        return found
    found.note("files of the release", len(entries), _check_files(release, entries))
    built_unix = manifest.get("built_at_unix")
    if not isinstance(built_unix, int):
        miss = Finding("built_at_unix of the manifest", shown(built_unix), "a time", ALL_ANEW)
        found.note("manifest", 1, [miss])
        return found
    newest = reader.row("runs", now=built_unix)
    if newest and newest["started_at_unix"] > built_unix:
        found.unchecked.append(
            "whether the site says what the record says: runs were recorded since it was built; "
            "oracle render publishes them"
        )
        return found
    with tempfile.TemporaryDirectory(prefix="oracle-verify-") as folder:
        aside = Output(
            Path(folder),
            output.public_url,
            with_outputs=output.with_outputs,
            public_key=output.public_key,
        )
        made = build_site(reader, aside, context._replace(now_unix=built_unix), progress).folder
        found.note("manifest", len(HEAD), _check_head(manifest, made))
        expected = read_manifest(made)
        compared = sorted(expected.keys() - NOT_OF_THE_RECORD)
        found.note(
            "files beside the record", len(compared), _compare_all(release, made, compared, entries)
        )
    return found


def _check_files(release: Path, entries: dict[str, Entry]) -> Iterator[Finding]:
    for path, entry in entries.items():
        if not is_whole(release, entry):
            expected = f"the {entry['size_bytes']} bytes of its hash in the manifest"
            yield Finding(path, "something else or absent", expected, ALL_ANEW)
    known = {MANIFEST, SIGNATURE, *entries, *(str(twin_of(Path(path))) for path in entries)}
    for file in sorted(release.rglob("*")):
        name = file.relative_to(release).as_posix()
        if not file.is_dir() and name not in known and not name.startswith("health/"):
            yield Finding(name, "there", "absent: the manifest does not know it", ALL_ANEW)


def _check_head(manifest: dict[str, object], made: Path) -> Iterator[Finding]:
    expected = json.loads((made / MANIFEST).read_bytes())
    for name in HEAD:
        if manifest.get(name) != expected[name]:
            place = f"{name} of the manifest"
            yield Finding(place, shown(manifest.get(name)), shown(expected[name]), ALL_ANEW)


def _compare_all(
    release: Path, made: Path, paths: list[str], entries: dict[str, Entry]
) -> Iterator[Finding]:
    for path in paths:
        if path not in entries:
            yield Finding(path, "absent from the manifest", "there", ALL_ANEW)
            continue
        try:
            published = (release / path).read_bytes()
        except OSError:
            continue  # it is among the files that are not what they were
        yield from _compare(path, published, (made / path).read_bytes())


def _compare(path: str, published: bytes, made: bytes) -> Iterator[Finding]:
    if published == made:
        return
    try:
        for place, seen, expected in islice(_differences(path, published, made), MAX_SHOWN):
            yield Finding(f"{place} in {path}".removeprefix(" in "), seen, expected, ALL_ANEW)
    except (ValueError, RecursionError, OSError):  # pyarrow's errors are among them
        yield Finding(path, "unreadable", "what the record makes", ALL_ANEW)


def _differences(path: str, published: bytes, made: bytes) -> Iterator[Difference]:
    if path.endswith(".json"):
        yield from _differences_of_json(json.loads(published), json.loads(made), "")
    elif path.endswith(".parquet"):
        yield from _differences_of_rows(_table(published), _table(made))
    else:
        yield "", "other bytes", "those that the record makes"


def _differences_of_json(one: object, other: object, place: str) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _differences_of_json(one.get(key), other.get(key), f"{place}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences_of_json(left, right, f"{place}[{number}]")
    elif isinstance(one, list) and isinstance(other, list):
        yield place.lstrip("."), f"{len(one)} entries", f"{len(other)}"
    elif not is_same(one, other):
        yield place.lstrip("."), shown(one), shown(other)


def _table(data: bytes) -> pa.Table:
    import pyarrow.parquet as pq  # where it is needed, as in `builder.data`

    return pq.read_table(io.BytesIO(data))


def _differences_of_rows(one: pa.Table, other: pa.Table) -> Iterator[Difference]:
    if one.column_names != other.column_names:
        yield "columns", ", ".join(one.column_names), ", ".join(other.column_names)
    elif one.num_rows != other.num_rows:
        yield "rows", str(one.num_rows), str(other.num_rows)
    else:
        for name in one.column_names:
            pairs = zip(one[name].to_pylist(), other[name].to_pylist(), strict=True)
            for number, (left, right) in enumerate(pairs):
                if not is_same(left, right):
                    yield f"{name} of row {number}", shown(left), shown(right)
