"""What people have been told of: one message when trouble begins, and one when it ends.

The state is a small file, not the record: what is wrong may be the database itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from oracle.config import Settings
from oracle.durable import replace_text
from oracle.logs import get_logger

# Trouble that comes back so soon after it was said to be over is the same trouble, and is told
# again only when it stays for so many runs in a row: a source that fails every other run would
# otherwise send a message each time.
SAME_TROUBLE_SECONDS = 3_600
RUNS_THAT_STAY = 3
log = get_logger(__name__)


@dataclass
class Trouble:
    """The codes of errors told and not over, those that the last recovery ended, and the count; and
    the episodes told."""

    told: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    failed_in_a_row: int = 0
    last_failed_unix: int = 0
    episodes: list[tuple[str, int]] = field(default_factory=list)
    """Kind and start of the episodes that people heard of and that go on."""

    def begins(self, code: str, now_unix: int) -> bool:
        """Count a failed run; return whether people should hear of it."""
        is_recent = abs(now_unix - self.last_failed_unix) <= SAME_TROUBLE_SECONDS
        self.failed_in_a_row += 1
        self.last_failed_unix = now_unix
        if code in self.told:
            return False
        if is_recent and code in self.over and self.failed_in_a_row < RUNS_THAT_STAY:
            return False
        self.told.append(code)
        return True

    def ends(self) -> bool:
        """Count a good run; return whether people should hear that all is well again."""
        self.failed_in_a_row = 0
        if not self.told:
            return False
        self.told, self.over = [], self.told
        return True


class Told:
    """The trouble as it stands between runs, in the first of some folders that can be written.

    Args:
        paths: where the file may be, the best first.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.trouble = self._read()

    def _read(self) -> Trouble:
        for path in self._paths:
            try:
                return _trouble_of(json.loads(path.read_bytes()))
            except (OSError, ValueError, TypeError, KeyError):  # none yet, or not ours: the next
                continue
        return Trouble()

    def begins(self, code: str, now_unix: int) -> bool:
        """Remember a failed run; return whether people should hear of it."""
        is_news = self.trouble.begins(code, now_unix)
        self._write()
        return is_news

    def ends(self) -> bool:
        """Remember a good run; return whether people should hear of it."""
        before = replace(self.trouble)
        is_news = self.trouble.ends()
        if self.trouble != before:
            self._write()
        return is_news

    @property
    def episodes(self) -> list[tuple[str, int]]:
        """Kind and start of the episodes that people heard of and that go on, as far as they
        know."""
        return self.trouble.episodes

    def knows(self, episodes: list[tuple[str, int]]) -> None:
        """Remember that people heard of these episodes, and that no others go on."""
        if episodes != self.trouble.episodes:
            self.trouble.episodes = episodes
            self._write()

    def _write(self) -> None:
        text = json.dumps(asdict(self.trouble))
        for path in self._paths:
            try:
                replace_text(path, text)
            except OSError:
                continue
            return
        log.warning("what was told cannot be remembered; it will be told again")


def told_of(settings: Settings) -> Told:
    """Return what people have been told of, beside the database or else in the site's folder."""
    return Told([settings.duckdb_path.with_suffix(".told"), settings.oracle_site_dir / ".told"])


def _trouble_of(noted: dict[str, Any]) -> Trouble:
    """Return what a file says; raises what it finds first where it is not such a file."""
    return Trouble(
        told=[str(code) for code in noted["told"]],
        over=[str(code) for code in noted["over"]],
        failed_in_a_row=int(noted["failed_in_a_row"]),
        last_failed_unix=int(noted["last_failed_unix"]),
        episodes=[(str(kind), int(start)) for kind, start in noted.get("episodes", [])],
    )
