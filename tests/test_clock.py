"""No test takes the day or the hour from the machine: which names would, and that they are not
used."""

from __future__ import annotations

import ast
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clock import NOW_UNIX, environ_at, standing_at

TESTS = Path(__file__).resolve().parent
# A file's date is the machine's clock, too; `st_mtime_ns`, which tells that nothing was written, is
# compared with itself only.
CLOCKS = {
    *("time.time", "time.time_ns", "time.sleep", "time.monotonic", "time.perf_counter"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("st_mtime", "st_ctime", "st_atime", "getmtime"),
}
FROM_TIME = {"time", "time_ns", "sleep", "monotonic", "perf_counter"}
# Each file that may, what it may, and why.
ALLOWED = {
    ("conftest.py", "time.sleep"): "replaces it where libfaketime breaks it",
    ("deploy/running_nginx.py", "time.sleep"): "nginx does not say when it is ready",
    ("deploy/running_nginx.py", "time.monotonic"): "how long to wait for it; judges nothing",
}


def names_in(node: ast.AST) -> Iterator[str]:
    """Yield the clocks that one node names: `time.time`, `x.datetime.now`, `file.st_mtime`."""
    if isinstance(node, ast.Attribute):
        owner = node.value
        parts = {ast.Name: "id", ast.Attribute: "attr"}
        before = getattr(owner, parts.get(type(owner), ""), "")
        yield f"{before}.{node.attr}"
        yield node.attr
    elif isinstance(node, ast.ImportFrom) and node.module == "time":
        yield from (f"time.{it.name}" for it in node.names if it.name in FROM_TIME)


def clocks_in(source: str) -> set[str]:
    """Return the names of clocks that a file's source reads."""
    return {
        name for node in ast.walk(ast.parse(source)) for name in names_in(node) if name in CLOCKS
    }


def test_no_test_reads_a_clock_or_sleeps() -> None:
    found = {
        (path.relative_to(TESTS).as_posix(), name)
        for path in sorted(TESTS.rglob("*.py"))
        for name in clocks_in(path.read_text(encoding="utf-8"))
    }
    assert sorted(found - set(ALLOWED)) == []


def test_every_exception_is_still_needed() -> None:
    for name, clock in ALLOWED:  # a fact about all of them
        assert clock in clocks_in((TESTS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "from time import time",
        "from time import sleep as wait",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "from datetime import date\ndate.today()",
        "handler(now=time.time)",
        "path.stat().st_mtime",
    ],
)
def test_the_guard_sees_each_way_to_read_a_clock(source: str) -> None:
    assert clocks_in(source)


def test_in_this_process_the_clock_stands() -> None:
    read = vars(time)["time"]
    assert (read(), read()) == (NOW_UNIX, NOW_UNIX)


def test_the_clock_stands_elsewhere_for_a_while_only() -> None:
    read = vars(time)["time"]
    with standing_at(NOW_UNIX + 86_400):
        assert read() == NOW_UNIX + 86_400
    assert read() == NOW_UNIX


def test_a_process_of_its_own_can_be_told_the_time() -> None:
    said = subprocess.run(
        ["date", "-u", "+%s"],
        env={"PATH": os.environ["PATH"], **environ_at(NOW_UNIX)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(said.stdout) == NOW_UNIX
