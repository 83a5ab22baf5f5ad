"""The folders of a site: its releases in their order, and the link to the one in force.

`<site>/public` is a symbolic link to `releases/<number>-<build id>`. The number counts up, so that
the order of releases does not depend on any clock. What lies there and is no whole release, whoever
left it, is never served, never carried over and never deleted: it is set aside with a warning.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from oracle.errors import NoDataError, StoreError
from oracle.logs import get_logger

LINK = "public"
RELEASES = "releases"
ASIDE = "set-aside"  # beside the releases: what was found there and is none
UNFINISHED = ".tmp-"  # begins the name of whatever a build has not finished; ours to remove
MANIFEST = "api/manifest.json"
SIGNATURE = f"{MANIFEST}.minisig"  # over the manifest, where the publisher has a key
PUBLIC_KEY = "minisign.pub"
MANIFEST_END = b"]}\n"  # a manifest that was cut does not end so
SHA256 = re.compile(r"[0-9a-f]{64}")
NUMBERED = re.compile(r"(\d{8,12})-")  # older releases begin with their time: they come first
VERIFIED_BYTES = 1_000_000  # of a release are read and hashed at each build, in turns
FILE_MODE = 0o644  # the web server is another user, whatever our umask is
FOLDER_MODE = 0o755
TWIN_SUFFIX = ".gz"  # of the compressed twin beside a file
log = get_logger(__name__)


class Entry(TypedDict):
    """What a manifest says of a file."""

    path: str
    size_bytes: int
    sha256: str
    gzip_bytes: int | None
    made_from: str | None


def _entry(found: object) -> Entry:
    """Return what a manifest says of a file; ValueError where it cannot be that."""
    match found:
        case {
            "path": str(path),
            "size_bytes": int(size_bytes),
            "sha256": str(sha256),
            "gzip_bytes": int() | None as gzip_bytes,
            "made_from": str() | None as made_from,
        }:
            stays_inside = not path.startswith("/") and ".." not in path.split("/")
            if stays_inside and size_bytes >= 0 and SHA256.fullmatch(sha256):
                return Entry(
                    path=path,
                    size_bytes=size_bytes,
                    sha256=sha256,
                    gzip_bytes=gzip_bytes,
                    made_from=made_from,
                )
    raise ValueError("not an entry of a manifest")


class DamagedReleaseError(StoreError):
    """A release is not what its manifest says."""


def current_release(site_dir: Path) -> Path | None:
    """Return the folder that is published now, if any."""
    link = site_dir / LINK
    folder = site_dir / RELEASES
    if not link.is_symlink() or not link.is_dir():  # a link to nothing, or in a circle, is none
        return None
    target = link.resolve()
    return folder / target.name if target.parent == folder.resolve() else None


def releases(site_dir: Path) -> list[Path]:
    """Return the finished releases, oldest first."""
    found = [path for path in (site_dir / RELEASES).glob("*") if _is_release(path)]
    return sorted(found, key=lambda path: (number_of(path), path.name))


def number_of(release: Path) -> int:
    """Return the number that a release's name begins with, 0 for one that has none."""
    found = NUMBERED.match(release.name)
    return int(found[1]) if found else 0


def next_number(site_dir: Path) -> int:
    """Return a number above those of all releases; what a stranger is called does not count."""
    current = current_release(site_dir)
    known = [*releases(site_dir), *([current] if current else [])]
    return 1 + max(map(number_of, known), default=0)


def _is_release(path: Path) -> bool:
    """Tell a finished release from anything else, by its name and the end of its manifest."""
    if path.name.startswith(".") or path.is_symlink() or not path.is_dir():
        return False
    manifest = path / MANIFEST
    try:
        if not manifest.is_file():  # to open a pipe would wait for ever
            return False
        with manifest.open("rb") as file:
            file.seek(-len(MANIFEST_END), 2)
            return file.read() == MANIFEST_END
    except OSError:
        return False


def read_manifest(release: Path) -> dict[str, Entry]:
    """Return what a release's manifest says, by path.

    Raises:
        DamagedReleaseError: it is not there, or is no manifest.
    """
    path = release / MANIFEST
    if not path.is_file():  # to open a pipe would wait for ever
        raise DamagedReleaseError(f"the manifest of {release} is no file")
    try:
        manifest = json.loads(path.read_bytes())
        entries = [_entry(found) for found in manifest["files"]]
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise DamagedReleaseError(f"the manifest of {release} cannot be read") from error
    if not entries:  # none was ever published so, and what has no files would be whole at once
        raise DamagedReleaseError(f"the manifest of {release} lists no file")
    return {entry["path"]: entry for entry in entries}


def whole_files(release: Path | None) -> dict[str, Entry]:
    """Return the files of a release that are what its manifest says, by path.

    Existence and size are looked at always; contents are when a file is younger than the manifest,
    which is written last, and for the others in turns, so that each is read once in a while.
    """
    if release is None:
        return {}
    try:
        known = read_manifest(release)
    except DamagedReleaseError as error:
        log.warning("the current release is damaged: every file is made anew", reason=str(error))
        return {}
    finished_ns = (release / MANIFEST).stat().st_mtime_ns
    turns = 1 + sum(entry["size_bytes"] for entry in known.values()) // VERIFIED_BYTES
    turn = number_of(release) % turns
    damaged = [
        path
        for path, entry in known.items()
        if not _is_whole(
            release, entry, finished_ns, is_due=zlib.crc32(path.encode()) % turns == turn
        )
    ]
    if damaged:
        log.warning(
            "files of the current release are not what was published; they are made anew",
            files=len(damaged),
            first=damaged[0],
        )
    return {path: entry for path, entry in known.items() if path not in set(damaged)}


def _is_whole(release: Path, entry: Entry, finished_ns: int, *, is_due: bool) -> bool:
    file = f"{release}/{entry['path']}"  # as text: each build looks at thousands of files
    sizes = {file: entry["size_bytes"]}
    if entry["gzip_bytes"] is not None:
        sizes[f"{file}{TWIN_SUFFIX}"] = entry["gzip_bytes"]
    try:
        for path, size_bytes in sizes.items():
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size != size_bytes:
                return False
            is_due = is_due or found.st_mtime_ns > finished_ns
        return not is_due or _has_its_hash(Path(file), entry)
    except OSError:
        return False


def _has_its_hash(file: Path, entry: Entry) -> bool:
    """Read a file, and its twin where there is one, and compare with the manifest."""
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        return False
    if entry["gzip_bytes"] is None:
        return True
    try:
        return gzip.decompress(twin_of(file).read_bytes()) == data
    except (OSError, EOFError, zlib.error):
        return False


def is_whole(release: Path, entry: Entry) -> bool:
    """Tell whether a file of a release, and its twin, are what its manifest says, bytes read."""
    return _is_whole(release, entry, 0, is_due=True)


def verify(release: Path) -> None:
    """Check that every file of a release is what its manifest says.

    Raises:
        DamagedReleaseError: names the first that is not.
    """
    for path, entry in read_manifest(release).items():
        if not is_whole(release, entry):
            raise DamagedReleaseError(f"{path} of the release {release.name} is not what it was")


def rollback(site_dir: Path, to: str | None = None) -> Path:
    """Point the site at a kept release: the one named, or the one before the present one.

    Raises:
        NoDataError: there is no such release.
        DamagedReleaseError: it is not what was published; nothing was changed.
    """
    kept = releases(site_dir)
    current = current_release(site_dir)
    if to:
        wanted = [path for path in kept if path.name == to]
    else:
        wanted = kept[: kept.index(current)] if current in kept else kept
    if not wanted:
        names = ", ".join(path.name for path in kept) or "none"
        raise NoDataError(f"there is no {to or 'earlier release'} to go back to; kept are: {names}")
    verify(wanted[-1])
    point_to(site_dir, wanted[-1])
    return wanted[-1]


def point_to(site_dir: Path, release: Path) -> None:
    """Make a release the site, in one atomic step."""
    link = site_dir / LINK
    if not link.is_symlink() and link.exists():
        set_aside(site_dir, link, "is no link to a release")
    fresh = site_dir / f"{UNFINISHED}{LINK}"
    remove(fresh)
    fresh.symlink_to(Path(RELEASES) / release.name)
    fresh.replace(link)


def remove_unfinished(site_dir: Path) -> None:
    """Remove what builds that were killed have left."""
    for folder in (site_dir, site_dir / RELEASES):
        for leftover in folder.glob(f"{UNFINISHED}*"):
            remove_or_set_aside(site_dir, leftover)


def remove_or_set_aside(site_dir: Path, path: Path) -> None:
    """Remove what is ours and done with; what cannot be removed holds up no build."""
    try:
        remove(path)
    except OSError as error:
        with suppress(OSError):  # then it stays where it is
            set_aside(site_dir, path, f"cannot be removed ({error.strerror})")


def set_strangers_aside(site_dir: Path) -> None:
    """Move everything away from the releases that is no whole release, but for the one in force."""
    current = current_release(site_dir)
    for path in _strangers(site_dir / RELEASES):
        if path != current:
            set_aside(site_dir, path, "is no whole release")


def _strangers(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*")):
        if not path.name.startswith(".") and not _is_release(path):
            yield path


def set_aside(site_dir: Path, path: Path, reason: str) -> None:
    """Move something that is not ours, or is damaged, out of the way; never delete it."""
    folder = _folder_aside(site_dir)
    target = folder / path.name
    copies = 1
    while target.exists() or target.is_symlink():
        copies += 1
        target = folder / f"{path.name}-{copies}"
    path.rename(target)
    log.warning("set aside", path=str(path), reason=reason, to=str(target))


def _folder_aside(site_dir: Path) -> Path:
    """Return the folder for what is set aside; another one where its name is taken by no folder."""
    for name in (ASIDE, *(f"{ASIDE}-{number}" for number in range(2, 100))):
        folder = site_dir / name
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
    raise FileExistsError(errno.EEXIST, "is taken, and so are those with a number", str(folder))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; nothing when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def twin_of(path: Path) -> Path:
    """Return where a file's gzip twin lies."""
    return path.with_name(f"{path.name}{TWIN_SUFFIX}")
