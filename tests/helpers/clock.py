"""The moment at which tests run: one that stands still and is the same on every machine.

Three ways to tell the time to what is tested, the first that will do:

1. The library takes time as an argument: hand it a moment of the test's own, or `NOW_UNIX`.
2. The command reads the clock. In this process `time.time` is `STANDING` for the whole session
   (tests/conftest.py), so `oracle.cli.main()` reads `NOW_UNIX`; `standing_at` moves it for a while.
3. What must be a process of its own (nginx, the installed command) is started with `environ_at`:
   Debian's libfaketime shows it a clock that stands still. Its timers and the dates of files are
   left real.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

# 2026-11-26 12:00:00 UTC: later than any block, real or made, that the tests have.
NOW_UNIX = 1_795_694_400


class StandingClock:
    """Stands in for `time.time`."""

    def __init__(self, now_unix: float) -> None:
        self.now_unix = now_unix

    def __call__(self) -> float:
        return float(self.now_unix)


STANDING = StandingClock(NOW_UNIX)


@contextmanager
def standing_at(now_unix: float) -> Iterator[None]:
    """Let the clock of this process stand elsewhere until the block ends."""
    before = STANDING.now_unix
    STANDING.now_unix = now_unix
    try:
        yield
    finally:
        STANDING.now_unix = before


@cache
def library() -> str:
    """Return the path of libfaketime as the dynamic linker wants it; empty without it."""
    if shutil.which("faketime") is None:
        return ""
    said = subprocess.run(
        ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"],
        capture_output=True,
        check=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    return said.stdout.strip()


def environ_at(now_unix: float) -> dict[str, str]:
    """Return the settings of a process whose clock stands at a moment; without libfaketime the
    test is skipped."""
    if not library():
        pytest.skip(
            "a process needs Debian's faketime to be told the time: apt-get install faketime"
        )
    return {
        "LD_PRELOAD": library(),
        "FAKETIME_FMT": "%s",
        "FAKETIME": str(int(now_unix)),
        "FAKETIME_CACHE_DURATION": "1000000",  # seconds; nginx wipes its environment
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
