"""Somebody else's site, read without trusting it: bounded in bytes and time, held to its manifest.

Files are asked for as the manifest lists them and compared with its hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple

from oracle.address import Address
from oracle.errors import BadAnswerError, SourceUnavailableError
from oracle.fetch import Progress
from oracle.signing import check_signature
from oracle.verify.finding import Finding, Verification
from oracle.verify.record import HASH
from oracle.web import Route, WebClient, WebError, WebRequest

SITE = "the site"
MANIFEST = "api/manifest.json"
SIGNATURE = f"{MANIFEST}.minisig"
PRICES = "data/prices.parquet"
DAYS = "data/days.parquet"
LATEST = "api/latest.json"
DAY_LIST = "api/days.json"
STATUS = "api/status.json"
LOOKED_INTO = (PRICES, DAYS, LATEST, DAY_LIST, STATUS)
READ_TRIES = 3  # a site that is built meanwhile answers with files of another manifest
REQUEST_SECONDS = 60.0
OK = 200  # the status that comes with a file
MAX_MANIFEST_BYTES = 16_000_000  # ten years of days have some 4 MB
MAX_SIGNATURE_BYTES = 4_000
MAX_FILE_BYTES = 300_000_000
MAX_ALL_BYTES = 1_000_000_000
PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
ASK_THEM = "tell its publisher; the numbers are not what the site vouches for"


class File(NamedTuple):
    """What a manifest says of a file."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(NamedTuple):
    """A manifest that was read, and its bytes, which a signature is over."""

    data: bytes
    files: dict[str, File]
    network: str
    is_demo: bool
    build_id: str


class Elsewhere:
    """One site, asked file by file."""

    def __init__(self, address: Address, route: Route) -> None:
        self.address = address
        self._client = WebClient(address, route)

    def close(self) -> None:
        """Close the connections kept alive."""
        self._client.close()

    def manifest(self) -> Manifest:
        """Return its manifest.

        Raises:
            SourceUnavailableError: it does not answer.
            BadAnswerError: what it answers is no manifest.
        """
        data = self.ask(MANIFEST, MAX_MANIFEST_BYTES)
        try:
            said = json.loads(data)
            files = [_file(entry) for entry in said["files"]]
            network, is_demo, build_id = said["network"], said["is_demo"], said["build_id"]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise self._bad("its manifest is none") from error
        if not (isinstance(network, str) and isinstance(is_demo, bool)):
            raise self._bad("its manifest names no network")
        by_path = {file.path: file for file in files}
        return Manifest(data, by_path, network[:20], is_demo, str(build_id)[:80])

    def signature(self) -> bytes | None:
        """Return the signature over the manifest; None where the site has none."""
        try:
            return self.ask(SIGNATURE, MAX_SIGNATURE_BYTES)
        except BadAnswerError:
            return None

    def ask(self, path: str, max_bytes: int) -> bytes:
        """Return the bytes of a file.

        Raises:
            SourceUnavailableError: the site does not answer.
            BadAnswerError: it answers something else than the file.
        """
        request = WebRequest("GET", self.address.target(f"/{path}"), REQUEST_SECONDS, max_bytes)
        try:
            answer = self._client.exchange(request)
        except WebError as error:
            raise SourceUnavailableError(
                f"{self.address.shown}/{path} cannot be had: {error}",
                source=SITE,
                url=self.address.shown,
            ) from error
        if answer.status != OK:
            raise self._bad(f"it answers {answer.status} to {path}")
        return answer.body

    def _bad(self, problem: str) -> BadAnswerError:
        return BadAnswerError(
            f"{self.address.shown}: {problem}", source=SITE, url=self.address.shown
        )


def _file(entry: object) -> File:
    match entry:
        case {"path": str(path), "size_bytes": int(size_bytes), "sha256": str(sha256)}:
            is_path = PATH.fullmatch(path) and ".." not in path.split("/")
            if is_path and 0 <= size_bytes <= MAX_FILE_BYTES and HASH.fullmatch(sha256):
                return File(path, size_bytes, sha256)
    raise ValueError("not an entry of a manifest")


def read_site(
    site: Elsewhere, key: str | None, progress: Progress
) -> tuple[Manifest, dict[str, bytes], Verification]:
    """Read a site whole; once more where it was built anew meanwhile.

    Args:
        site: whose.
        key: the public key that must have signed the manifest, if one is demanded.
        progress: told of files read and of all.

    Returns:
        the manifest, the files that a verification looks into, and what was found so far.
    """
    for _ in range(READ_TRIES):
        found = Verification()
        manifest = site.manifest()
        if key is not None:
            found.note("signatures", 1, check_signature(manifest.data, site.signature(), key))
        files = _check_files(site, manifest, found, progress)
        if found.is_match or site.manifest().build_id == manifest.build_id:
            break
    return manifest, files, found


def _check_files(
    site: Elsewhere, manifest: Manifest, found: Verification, progress: Progress
) -> dict[str, bytes]:
    """Compare the site's files with its manifest; return those that are looked into."""
    kept = {}
    left_bytes = MAX_ALL_BYTES
    skipped = 0
    order = sorted(manifest.files, key=lambda path: (path not in LOOKED_INTO, path))
    for done, path in enumerate(order, 1):
        file = manifest.files[path]
        if file.size_bytes > left_bytes:
            skipped += 1
            continue
        left_bytes -= file.size_bytes
        data, misses = _fetched(site, file)
        found.note("files of the site", 1, misses)
        progress(done, len(order))
        if path in LOOKED_INTO and data is not None:
            kept[path] = data
    if skipped:
        found.unchecked.append(f"{skipped} files beyond the first {MAX_ALL_BYTES:,} bytes")
    return kept


def _fetched(site: Elsewhere, file: File) -> tuple[bytes | None, list[Finding]]:
    try:
        data = site.ask(file.path, file.size_bytes)
    except (SourceUnavailableError, BadAnswerError) as error:
        return None, [Finding(file.path, str(error), f"{file.size_bytes} bytes", ASK_THEM)]
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        return None, [Finding(file.path, sha256, f"{file.sha256}, as its manifest says", ASK_THEM)]
    return data, []
