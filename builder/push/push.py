"""Put the release in force to a target: what is new, in its order; remove what is over later."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from builder.draft import fingerprint
from builder.push.headers import Headers, headers_of
from builder.push.order import Piece, last_of_all, pieces_of
from builder.push.state import State, load_state, save_state, state_path
from builder.push.target import Target, open_target
from builder.releases import MANIFEST, SIGNATURE, current_release, read_manifest, twin_of
from oracle.errors import NoDataError, TargetError

SENDERS = 8
SAVED_EACH_SECONDS = 10
CHANGED = "the release was made over while it was sent; run oracle publish again: it goes on"

Progress = Callable[[int, int], None]


class Pushed(NamedTuple):
    """What a push did: `waiting` files are over and stay until their grace is."""

    release: str
    sent_files: int
    sent_bytes: int
    unchanged_files: int
    removed_files: int
    waiting_files: int


class Push:
    """One push of a release to a target."""

    def __init__(self, release: Path, target: Target, path: Path) -> None:
        self.release = release
        self.entries = read_manifest(release)
        self.target = target
        self.path = path
        self.state = self._known()
        self.sent_bytes = 0
        self.saved_at = time.monotonic()

    def _known(self) -> State:
        """What we put there, as long as nobody else has put another manifest there, or emptied
        it."""
        state = load_state(self.path)
        there = self.target.read(MANIFEST)
        sha256 = None if there is None else hashlib.sha256(there).hexdigest()
        return state if sha256 == state.manifest_sha256 else State()

    def send(self, pieces: Iterable[Piece], done: Callable[[], None]) -> None:
        """Send files at once; what was sent is known even when one of them fails."""
        with ThreadPoolExecutor(SENDERS) as pool:
            try:
                for piece, size in pool.map(self._sent, pieces):
                    self.state.files[piece.key] = mark_of(piece)
                    self.state.gone_since_unix.pop(piece.key, None)
                    self.sent_bytes += size
                    done()
                    self.save(at_once=False)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _sent(self, piece: Piece) -> tuple[Piece, int]:
        data, headers = self._data_of(piece)
        self.target.write(piece.key, data, headers)
        return piece, len(data)

    def _data_of(self, piece: Piece) -> tuple[bytes, Headers]:
        """Return a file as it is to be put, packed where the target can say so."""
        headers = headers_of(piece.key)
        file = self.release / piece.path
        entry = self.entries[piece.path]
        try:
            data = file.read_bytes()
            is_packed = headers.is_packed and entry["gzip_bytes"] and self.target.takes_headers
            sent = twin_of(file).read_bytes() if is_packed else data
        except FileNotFoundError:
            raise TargetError(self.target.name, CHANGED) from None
        if hashlib.sha256(data).hexdigest() != piece.sha256:
            raise TargetError(self.target.name, CHANGED)
        return sent, headers._replace(is_packed=bool(is_packed))

    def finish(self) -> None:
        """Say what there is, now that it is there."""
        has_signature = (self.release / SIGNATURE).is_file()
        for key in last_of_all(has_signature):
            data = (self.release / key).read_bytes()
            self.target.write(key, data, headers_of(key)._replace(is_packed=False))
            if key == MANIFEST:
                self.state.manifest_sha256 = hashlib.sha256(data).hexdigest()

    def let_go(self, wanted: set[str], now_unix: int, grace_seconds: int) -> int:
        """Remove what is no longer wanted, once its grace is over; return how many files."""
        gone = self.state.gone_since_unix
        for key in self.state.files.keys() - wanted:
            gone.setdefault(key, now_unix)
        over = sorted(key for key, since in gone.items() if now_unix - since >= grace_seconds)
        for key in over:
            self.target.remove(key)
            gone.pop(key)
            self.state.files.pop(key, None)
        return len(over)

    def save(self, *, at_once: bool = True) -> None:
        """Keep what is known of the target; now and then, while files are sent."""
        if at_once or time.monotonic() - self.saved_at > SAVED_EACH_SECONDS:
            save_state(self.path, self.state)
            self.saved_at = time.monotonic()


def mark_of(piece: Piece) -> str:
    """Return what changes when a file must be put again."""
    return fingerprint((piece.sha256, headers_of(piece.key)))


def push(
    site_dir: Path, address: str, *, now_unix: int, grace_seconds: int, progress: Progress
) -> Pushed:
    """Put the release in force to a target.

    Args:
        site_dir: holds the releases; what was put where is kept there, too.
        address: of the target, as fsspec takes it.
        now_unix: the time.
        grace_seconds: how long files stay that are over: a page may still load them.
        progress: called with how many files of how many were sent.

    Raises:
        NoDataError: nothing is published here yet.
        RequestError: there is no such kind of target.
        TargetError: the target did not take or give a file; what went is not sent again.
    """
    release = current_release(site_dir)
    if release is None:
        raise NoDataError(f"nothing is published in {site_dir} yet: run oracle build first")
    one = Push(release, open_target(address), state_path(site_dir, address))
    pieces = pieces_of(one.entries)
    todo = [piece for piece in pieces if one.state.files.get(piece.key) != mark_of(piece)]
    sent = 0

    def done() -> None:
        nonlocal sent
        sent += 1
        progress(sent, len(todo))

    try:
        for _, turn in groupby(todo, key=lambda piece: piece.turn):
            one.send(turn, done)
        one.finish()
        wanted = {piece.key for piece in pieces}
        removed = one.let_go(wanted, now_unix, grace_seconds)
    finally:
        one.save()
    return Pushed(
        release=release.name,
        sent_files=len(todo),
        sent_bytes=one.sent_bytes,
        unchanged_files=len(pieces) - len(todo),
        removed_files=removed,
        waiting_files=len(one.state.gone_since_unix),
    )
