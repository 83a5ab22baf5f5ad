"""Releases: a draft becomes a folder, and the folder becomes the site in one atomic step.

`<site>/public` is a symbolic link to `releases/<build id>`. A release is built beside the others
under a name that begins with `.tmp-`, flushed to disk, renamed, and then the link is replaced.
Whenever a build dies, the link still points at a whole release; the next build removes what was
left.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from builder.draft import MANIFEST, Draft, dump, read_manifest
from builder.gather import Snapshot
from oracle.errors import NoDataError

LINK, RELEASES, UNFINISHED = "public", "releases", ".tmp-"
HEALTH = "health"  # the folder of marks for nginx
GZIP_SUFFIXES = {".html", ".json", ".css", ".js", ".svg", ".csv", ".txt", ".xml", ".atom"}
GZIP_FROM_BYTES = 1000
GZIP_BELOW_BYTES = 8_000_000  # beyond: whole-history CSV, whose small twin is the Parquet file
GZIP_LEVEL = 6
WRITERS = 4  # most of writing a file is waiting for the disk to have it


def current_release(site_dir: Path) -> Path | None:
    """Return the folder that is published now, if any."""
    link = site_dir / LINK
    return link.resolve() if link.is_dir() else None


def releases(site_dir: Path) -> list[Path]:
    """Return the finished releases, oldest first."""
    return sorted(
        p for p in (site_dir / RELEASES).glob("*") if p.is_dir() and not p.name.startswith(".")
    )


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
    write_release(unfinished, draft, manifest, _begin(site_dir, unfinished, keep))
    final = _free_name(folder / manifest["build_id"])
    unfinished.rename(final)
    _flush(folder)
    _point_to(site_dir, final)
    for old in [p for p in releases(site_dir) if p != final][: -(keep - 1) or None]:
        shutil.rmtree(old)
    return final


def _begin(site_dir: Path, unfinished: Path, keep: int) -> Mapping[str, Any]:
    """Begin with the oldest release when its time is over: most of its files are wanted again, as
    links.

    So the cost of a build does not grow with the number of files carried over. Returns the files
    in it.
    """
    kept = releases(site_dir)
    if len(kept) < max(keep, 2) or kept[0] == current_release(site_dir):
        return {}
    found = read_manifest(kept[0])
    kept[0].rename(unfinished)
    return found


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


def write_release(folder: Path, draft: Draft, manifest: Snapshot, found: Mapping[str, Any]) -> None:
    """Write all files of a draft: carried ones as hard links, new ones flushed to disk.

    Args:
        folder: new, or an old release to be made over.
        draft: the files.
        manifest: without its list of files.
        found: the files of that old release by path, as in its manifest.
    """
    for path, entry in draft.entries.items():
        if path not in draft.files and found.get(path, {}).get("sha256") != entry["sha256"]:
            _carry(folder, draft, path)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(partial(_write, folder, draft), draft.files))
    for path in found.keys() - draft.entries.keys():
        _clear(folder / path)
    entries = [draft.entries[path] for path in draft.paths()]
    _write_flushed(_place(folder, MANIFEST), dump({**manifest, "files": entries}))
    shutil.rmtree(folder / HEALTH, ignore_errors=True)
    for mark in draft.marks:
        _place(folder, mark).touch()


def _carry(folder: Path, draft: Draft, path: str) -> None:
    source, target = (draft.current or folder) / path, _place(folder, path)
    target.hardlink_to(source)
    if draft.entries[path]["gzip_bytes"]:
        _twin(target).hardlink_to(_twin(source))


def _write(folder: Path, draft: Draft, path: str) -> None:
    target, data = _place(folder, path), draft.files[path]
    _write_flushed(target, data)
    if packed := compress(target.suffix, data):
        _write_flushed(_twin(target), packed)
        draft.entries[path]["gzip_bytes"] = len(packed)


def _twin(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _place(folder: Path, path: str) -> Path:
    """Return where a file goes, with nothing there: an old one may be a link that others share."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target)
    return target


def _clear(target: Path) -> None:
    target.unlink(missing_ok=True)
    _twin(target).unlink(missing_ok=True)


def compress(suffix: str, data: bytes) -> bytes | None:
    """Return the gzip twin of a file where it is worth one; no time inside, so same input, same
    bytes."""
    if suffix not in GZIP_SUFFIXES or not GZIP_FROM_BYTES <= len(data) < GZIP_BELOW_BYTES:
        return None
    packed = gzip.compress(data, GZIP_LEVEL, mtime=0)
    return packed if len(packed) < 0.9 * len(data) else None


def _write_flushed(target: Path, data: bytes) -> None:
    with target.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def _free_name(wanted: Path) -> Path:
    others = (wanted.with_name(f"{wanted.name}-{number}") for number in count(2))
    return next(
        path for path in chain([wanted], others) if not path.exists()
    )  # the same moment built twice


def _point_to(site_dir: Path, release: Path) -> None:
    fresh = site_dir / f"{UNFINISHED}{LINK}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(RELEASES) / release.name)
    fresh.replace(site_dir / LINK)
    _flush(site_dir)
