"""What starting costs: CPU time of commands beside that of importing the libraries they stand on.

    python -m benchmarks.startup [--runs 9]

Each figure is user and system time of a child process, taken in turn with the imports'. A machine
that others use is fast and slow by turns, so a ratio is the median of those of neighbours. At most
2 are allowed each.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from oracle.simulated.market import SimulationSettings
from oracle.simulated.source import SimulatedSource

BUDGET = 2.0  # times the import of the libraries
SHOWN_MODULES = 12
SHOWN_CALLS = 12
NOW_UNIX = 1_762_000_000
BLOCKS_IN_FILE = 12  # a small file: 12 blocks of about 25 kB
ORACLE = "from oracle.cli import main; main()"
# A small record: two days of a simulated chain with few transactions, so that it is soon made.
SMALL_CHAIN = """
import oracle.wiring
from oracle.simulated.market import SimulationSettings
from oracle.simulated.source import SimulatedSource
oracle.wiring.SITE_DAYS = 2
SimulatedSource.__init__.__defaults__ = (SimulationSettings(transactions_per_block=30),)
"""
BUILD = SMALL_CHAIN + ORACLE
PRICE_LIBRARIES = "import numpy, click"
BUILD_LIBRARIES = "import duckdb, numpy, pyarrow"


class Ran(NamedTuple):
    """What a child cost in user and system time, and what it printed."""

    cpu_seconds: float
    out: bytes


def child(code: str, *arguments: str, cwd: Path) -> Ran:
    """Run some Python in a child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return Ran(seconds, done.stdout)


def ratio(floors: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the median ratio of neighbouring runs."""
    return median(after / before for before, after in zip(floors, seconds, strict=True))


def compare(
    name: str, libraries: str, command_code: str, arguments: tuple[str, ...], runs: int, cwd: Path
) -> None:
    """Print a command's CPU time, its libraries', and the ratio."""
    floor, command = [], []
    for _ in range(runs):
        floor.append(child(libraries, cwd=cwd).cpu_seconds)
        command.append(child(command_code, *arguments, cwd=cwd).cpu_seconds)
    print(
        f"{name}: {median(command):.3f} s of CPU, {ratio(floor, command):.2f} times {libraries!r}"
        f" ({median(floor):.3f} s; at most {BUDGET:g} times)"
    )


def print_imports(command_code: str, arguments: tuple[str, ...], cwd: Path) -> None:
    """Print the modules of a command that take longest to import by themselves."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", command_code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", done.stderr, re.MULTILINE)
    slowest = sorted(((int(micros), module) for micros, module in rows), reverse=True)
    total = sum(micros for micros, _ in slowest)
    print(f"  {len(slowest)} modules in {total / 1000:.0f} ms, of which")
    for micros, module in slowest[:SHOWN_MODULES]:
        print(f"  {micros / 1000:6.1f} ms  {module}")


def print_calls(command_code: str, arguments: tuple[str, ...], cwd: Path) -> None:
    """Print the functions of a command that take longest by themselves."""
    code = f"import cProfile; cProfile.run({command_code!r}, 'calls.prof')"
    child(code, *arguments, cwd=cwd)
    show = "import pstats; pstats.Stats('calls.prof').sort_stats('tottime').print_stats({})"
    done = subprocess.run(
        [sys.executable, "-c", show.format(SHOWN_CALLS)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    print("\n".join(line for line in done.stdout.splitlines()[6:] if line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="how often each is measured")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = SimulationSettings(transactions_per_block=60)
        chain = SimulatedSource(settings, now=lambda: NOW_UNIX, history_days=1).chain
        first = chain.settings.first_height
        paths = [folder / f"{height}.bin" for height in range(first, first + BLOCKS_IN_FILE)]
        for height, path in enumerate(paths, first):
            path.write_bytes(chain.block(height))
        price = ("price", "--json", "--blocks", *map(str, paths))
        compare("oracle price --blocks", PRICE_LIBRARIES, ORACLE, price, runs, folder)
        print_imports(ORACLE, price, folder)
        # The first build reads the simulated chain; a block may arrive or an hour begin in later
        # ones, so that the least of several runs is one without.
        for _ in range(2):
            child(BUILD, "build", cwd=folder)
        compare("oracle build, no new block", BUILD_LIBRARIES, BUILD, ("build",), runs, folder)
        print_imports(BUILD, ("build",), folder)
        print_calls(BUILD, ("build",), folder)


if __name__ == "__main__":
    main()
