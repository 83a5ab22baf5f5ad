"""Publishing: a draft becomes a release, and the release becomes the site in one atomic step.

A release is built beside the others under a name that begins with `.tmp-`, flushed to disk,
renamed, and then the link is replaced. Whenever a build dies, the link still points at a whole
release; the next build removes what was left.
"""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from builder.draft import Draft, dump
from builder.releases import (
    FILE_MODE,
    FOLDER_MODE,
    MANIFEST,
    RELEASES,
    SIGNATURE,
    TWIN_SUFFIX,
    UNFINISHED,
    DamagedReleaseError,
    Entry,
    current_release,
    next_number,
    point_to,
    read_manifest,
    releases,
    remove,
    remove_or_set_aside,
    remove_unfinished,
    set_aside,
    set_strangers_aside,
    twin_of,
)
from oracle.durable import sync_folder

HEALTH = "health"  # the folder of marks for nginx
GZIP_SUFFIXES = {".html", ".json", ".css", ".js", ".svg", ".csv", ".txt", ".xml", ".atom", ".bin"}
GZIP_FROM_BYTES = 1000
GZIP_BELOW_BYTES = 8_000_000  # beyond: whole-history CSV, whose small twin is the Parquet file
GZIP_LEVEL = 6
Sign = Callable[[bytes, str], bytes]
"""From the bytes of a manifest and a comment to the signature over both."""
WRITERS = 4  # most of writing a file is waiting for the disk to have it


def publish(
    site_dir: Path,
    draft: Draft,
    manifest: Mapping[str, object],
    *,
    keep: int = 5,
    sign: Sign | None = None,
) -> Path:
    """Write a release, make it the site, remove the oldest ones, and return its folder.

    Args:
        site_dir: holds `releases/` and the link `public`.
        draft: the files.
        manifest: `api/manifest.json` without its list of files; names the build id.
        keep: how many releases to keep, this one included.
        sign: signs the manifest, if it is to be signed.
    """
    folder = site_dir / RELEASES
    make_folder(site_dir)
    _let_others_in(site_dir)
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        set_aside(site_dir, folder, "is no folder of releases")
    make_folder(folder)
    remove_unfinished(site_dir)
    set_strangers_aside(site_dir)
    name = f"{next_number(site_dir):08d}-{manifest['build_id']}"
    unfinished = folder / f"{UNFINISHED}{name}"
    write_release(unfinished, draft, manifest, _begin(site_dir, unfinished, keep))
    if sign:
        data = (unfinished / MANIFEST).read_bytes()
        _write_flushed(unfinished / SIGNATURE, sign(data, str(manifest["build_id"])))
    final = folder / name
    unfinished.rename(final)
    sync_folder(folder)
    point_to(site_dir, final)
    sync_folder(site_dir)
    set_strangers_aside(site_dir)
    others = [path for path in releases(site_dir) if path != final]
    for old in others[: -(keep - 1) or None]:
        remove_or_set_aside(site_dir, old)
    return final


def _begin(site_dir: Path, unfinished: Path, keep: int) -> Mapping[str, Entry]:
    """Begin with the oldest release when its time is over: most of its files are wanted again.

    They are links that stay, so the cost of a build does not grow with the number of files carried
    over. Returns the files in it.
    """
    kept = releases(site_dir)
    if len(kept) < max(keep, 2) or kept[0] == current_release(site_dir):
        return {}
    try:
        found = read_manifest(kept[0])
    except DamagedReleaseError:
        set_aside(site_dir, kept[0], "has a manifest that cannot be read")
        return {}
    kept[0].rename(unfinished)
    _open_folders(unfinished)
    _set_unknown_aside(site_dir, unfinished, found)
    return found


def _set_unknown_aside(site_dir: Path, release: Path, found: Mapping[str, Entry]) -> None:
    """Move away what lies in a release and is not in its manifest, so that it is not published
    again."""
    known = {MANIFEST, SIGNATURE, *found, *(f"{path}{TWIN_SUFFIX}" for path in found)}
    root = os.fspath(release)  # as text: each build looks at thousands of files
    lying = [
        os.path.join(folder, name)[len(root) + 1 :]  # noqa: PTH118
        for folder, _, names in os.walk(root)
        for name in names
    ]
    for path in lying:
        if path not in known and path.split("/", maxsplit=1)[0] != HEALTH:
            set_aside(site_dir, release / path, "is not in the manifest of its release")


def _open_folders(release: Path) -> None:
    """Let the web server into every folder of a release that was made under another umask."""
    if release.stat().st_mode & 0o777 != FOLDER_MODE:
        for folder, _, _ in os.walk(release):
            Path(folder).chmod(FOLDER_MODE)


def write_release(
    folder: Path, draft: Draft, manifest: Mapping[str, object], found: Mapping[str, Entry]
) -> None:
    """Write all files of a draft: carried ones as hard links, new ones flushed to disk.

    Args:
        folder: new, or an old release to be made over.
        draft: the files.
        manifest: without its list of files.
        found: the files of that old release by path, as in its manifest.
    """
    for path in draft.entries:
        if path not in draft.files:
            _carry(folder, draft, path)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(partial(_write, folder, draft), draft.files))
    for path in found.keys() - draft.entries.keys():
        _clear(folder / path)
    entries = [draft.entries[path] for path in draft.paths()]
    remove(folder / HEALTH)
    remove(folder / SIGNATURE)  # it is over another manifest
    for mark in draft.marks:
        _write_file(_place(folder, mark), b"")
    _write_flushed(_place(folder, MANIFEST), dump({**manifest, "files": entries}))


def _carry(folder: Path, draft: Draft, path: str) -> None:
    source = f"{draft.current or folder}/{path}"  # as text: each build carries thousands of files
    target = f"{folder}/{path}"
    _link(source, target)
    if draft.entries[path]["gzip_bytes"]:
        _link(f"{source}{TWIN_SUFFIX}", f"{target}{TWIN_SUFFIX}")


def _link(source: str, target: str) -> None:
    """Make a file the same as another; in a release that is made over it may be so already."""
    wanted = os.lstat(source)
    try:
        is_there = os.path.samestat(os.lstat(target), wanted)
    except (FileNotFoundError, NotADirectoryError):
        is_there = False
    if not is_there:
        make_folder(Path(target).parent)
        remove(Path(target))
        Path(target).hardlink_to(source)
    if wanted.st_mode & 0o777 != FILE_MODE:
        Path(target).chmod(FILE_MODE)


def _write(folder: Path, draft: Draft, path: str) -> None:
    target = _place(folder, path)
    data = draft.files[path]
    _write_flushed(target, data)
    if packed := compress(target.suffix, data):
        _write_flushed(twin_of(target), packed)
        draft.entries[path]["gzip_bytes"] = len(packed)


def _place(folder: Path, path: str) -> Path:
    """Return where a file goes, with nothing there: an old one may be a link that others share."""
    target = folder / path
    make_folder(target.parent)
    _clear(target)
    return target


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; new ones can be entered by the web server."""
    if folder.is_dir():
        return
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(FOLDER_MODE)


def _let_others_in(site_dir: Path) -> None:
    """Open a site that nobody but us may enter, as one that was made under our umask; a mode that
    lets some others in is somebody's choice."""
    if not site_dir.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH):
        site_dir.chmod(FOLDER_MODE)


def _clear(target: Path) -> None:
    remove(target)
    remove(twin_of(target))


def compress(suffix: str, data: bytes) -> bytes | None:
    """Return the gzip twin of a file where it is worth one.

    There is no time inside, so the same input gives the same bytes.
    """
    if suffix not in GZIP_SUFFIXES or not GZIP_FROM_BYTES <= len(data) < GZIP_BELOW_BYTES:
        return None
    packed = gzip.compress(data, GZIP_LEVEL, mtime=0)
    return packed if len(packed) < 0.9 * len(data) else None


def _write_flushed(target: Path, data: bytes) -> None:
    _write_file(target, data, is_flushed=True)


def _write_file(target: Path, data: bytes, *, is_flushed: bool = False) -> None:
    with target.open("xb", buffering=0) as file:
        os.fchmod(file.fileno(), FILE_MODE)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if is_flushed:
            os.fsync(file)
