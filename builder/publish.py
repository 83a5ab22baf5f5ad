"""Releases: a draft becomes a folder, and the folder becomes the site in one atomic step.

`<site>/public` is a symbolic link to `releases/<build id>`. A release is built beside the others under a name
that begins with `.tmp-`, flushed to disk, renamed, and then the link is replaced. Whenever a build dies, the
link still points at a whole release; the next build removes what was left.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

from builder.draft import MANIFEST, Draft
from builder.record import Snapshot
from oracle.errors import NoDataError

LINK, RELEASES, UNFINISHED = "public", "releases", ".tmp-"
HEALTH = "health/"  # marks for nginx, made anew by each build: not published, so not in the manifest
GZIP_SUFFIXES = {".html", ".json", ".css", ".js", ".svg", ".csv", ".txt", ".xml", ".atom", ""}
GZIP_FROM_BYTES, GZIP_BELOW_BYTES = (
    1000,
    8_000_000,
)  # beyond: whole-history CSV, for which Parquet is the small twin
GZIP_LEVEL = 6


def current_release(site_dir: Path) -> Path | None:
    """Return the folder that is published now, if any."""
    link = site_dir / LINK
    return link.resolve() if link.is_dir() else None


def releases(site_dir: Path) -> list[Path]:
    """Return the finished releases, oldest first."""
    return sorted(p for p in (site_dir / RELEASES).glob("*") if p.is_dir() and not p.name.startswith("."))


def publish(site_dir: Path, draft: Draft, manifest: Snapshot, *, keep: int = 5) -> Path:
    """Write a release, make it the site, remove the oldest ones, and return its folder.

    Args:
        site_dir: holds `releases/` and the link `public`.
        draft: the files.
        manifest: `api/manifest.json` without its list of files; names the build id.
        keep: how many releases to keep, this one included.
    """
    folder = site_dir / RELEASES
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    unfinished = folder / f"{UNFINISHED}{manifest['build_id']}"
    write_release(unfinished, draft, manifest)
    final = _free_name(folder / manifest["build_id"])
    unfinished.rename(final)
    _flush(folder)
    _point_to(site_dir, final)
    for old in [p for p in releases(site_dir) if p != final][: -(keep - 1) or None]:
        shutil.rmtree(old)
    return final


def rollback(site_dir: Path, to: str | None = None) -> Path:
    """Point the site at a kept release: the one named, or the one before the present one.

    Raises:
        NoDataError: there is no such release.
    """
    kept, current = releases(site_dir), current_release(site_dir)
    earlier = [p for p in kept if current is None or p.name < current.name]
    wanted = [p for p in kept if p.name == to] if to else earlier[-1:]
    if not wanted:
        names = ", ".join(p.name for p in kept) or "none"
        raise NoDataError(f"there is no {to or 'earlier release'} to go back to; kept are: {names}")
    _point_to(site_dir, wanted[0])
    return wanted[0]


def write_release(folder: Path, draft: Draft, manifest: Snapshot) -> None:
    """Write all files of a draft into a new folder: carried ones as hard links, new ones flushed to disk."""
    made: set[Path] = set()
    entries = [
        (_write if path in draft.files else _carry)(folder, draft, path, made) for path in draft.paths()
    ]
    draft.add(MANIFEST, dump({**manifest, "files": entries}))
    _write(folder, draft, MANIFEST, made)


def dump(value: Any) -> bytes:
    """Return JSON without spaces, and one line end."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


def _carry(folder: Path, draft: Draft, path: str, made: set[Path]) -> Snapshot:
    entry = draft.known[path]
    assert draft.current is not None  # noqa: S101 - a carried file comes from there
    for name in (path, f"{path}.gz") if entry["gzip_bytes"] else (path,):
        _link(draft.current / name, _place(folder, name, made))
    return {**entry, "made_from": draft.made_from.get(path)}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links, or too many of them
        shutil.copyfile(source, target)


def _write(folder: Path, draft: Draft, path: str, made: set[Path]) -> Snapshot:
    target, data = _place(folder, path, made), draft.files[path]
    _write_flushed(target, data)
    packed = compress(target.suffix, data)
    if packed:
        _write_flushed(target.with_name(f"{target.name}.gz"), packed)
    return {
        "path": path,
        "size_bytes": len(data),
        "sha256": draft.digests[path],
        "gzip_bytes": len(packed) if packed else None,
        "made_from": draft.made_from.get(path),
    }


def compress(suffix: str, data: bytes) -> bytes | None:
    """Return the gzip twin of a file where it is worth one; no time inside, so same input, same bytes."""
    if suffix not in GZIP_SUFFIXES or not GZIP_FROM_BYTES <= len(data) < GZIP_BELOW_BYTES:
        return None
    packed = gzip.compress(data, GZIP_LEVEL, mtime=0)
    return packed if len(packed) < 0.9 * len(data) else None


def _place(folder: Path, path: str, made: set[Path]) -> Path:
    target = folder / path
    if target.parent not in made:
        target.parent.mkdir(parents=True, exist_ok=True)
        made.add(target.parent)
    return target


def _write_flushed(target: Path, data: bytes) -> None:
    with target.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_name(wanted: Path) -> Path:
    number = 1
    free = wanted
    while free.exists():  # the same moment built twice: both stay whole
        number += 1
        free = wanted.with_name(f"{wanted.name}-{number}")
    return free


def _point_to(site_dir: Path, release: Path) -> None:
    fresh = site_dir / f"{UNFINISHED}{LINK}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(RELEASES) / release.name)
    fresh.replace(site_dir / LINK)
    _flush(site_dir)
