"""What a run costs as a record grows: `python -m benchmarks.growth [DAYS ...] [--out PICTURE]`.

Records are made up (tests/helpers/made_history.py), with as many outputs in the newest blocks as
real ones have. To each in turn a block is added and the site built, so that a busy machine slows
all of them; figures are medians, as ratios to the shortest record:

- build: pages and files after one new block, in a process that is warm
- hourly: the same, where it crosses a full hour and renews what covers the whole history
- memory: the most that a process of its own takes for one build
- database: its size on the disk
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import duckdb

from benchmarks.startup import child
from builder.site import Output, build_site
from oracle.record.reader import open_reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, add_block, make_history

SPANS_DAYS = (1.0, 30.0, 365.0, 730.0, 3650.0)
HOUR_SECONDS = 3600
WARM_UP_BUILDS = 6  # until an old release is made over
ONE_BUILD = """
import re, sys
from pathlib import Path
from builder.site import Output, build_site
from oracle.record.reader import open_reader
from tests.helpers.circumstances import context
with open_reader(Path(sys.argv[1])) as reader:
    build_site(reader, Output(Path(sys.argv[2])), context(int(sys.argv[3])))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


class Figures(NamedTuple):
    """What one record costs."""

    days: float
    build_seconds: float
    hourly_seconds: float
    memory_mb: float
    database_mb: float


class Growing:
    """A record of so many days and its site."""

    def __init__(self, folder: Path, days: float) -> None:
        self.days = days
        self.database = folder / f"{days:g}.duckdb"
        self.output = Output(folder / f"site-{days:g}")
        dense = {"outputs_per_block": 20, "recent_outputs_per_block": 460}
        make_history(self.database, days=days, **dense).close()
        self.now_unix = END_UNIX
        self.build()
        self.seconds = self._no_seconds()
        for _ in range(WARM_UP_BUILDS):
            self.go_on()
        self.seconds = self._no_seconds()

    @staticmethod
    def _no_seconds() -> dict[bool, list[float]]:
        """By whether an hour is over."""
        return {True: [], False: []}

    def build(self) -> float:
        started = time.perf_counter()
        with open_reader(self.database) as reader:
            build_site(reader, self.output, context(self.now_unix))
        return time.perf_counter() - started

    def go_on(self) -> None:
        """Add a block and build."""
        before = self.now_unix
        with duckdb.connect(str(self.database)) as connection:
            self.now_unix = add_block(connection)
        is_hourly = before // HOUR_SECONDS < self.now_unix // HOUR_SECONDS
        self.seconds[is_hourly].append(self.build())

    def figures(self) -> Figures:
        with duckdb.connect(str(self.database)) as connection:
            self.now_unix = add_block(connection)
        site = str(self.output.site_dir)
        out = child(
            ONE_BUILD, str(self.database), site, str(self.now_unix), cwd=self.database.parent
        ).out
        return Figures(
            self.days,
            median(self.seconds[False]),
            median(self.seconds[True]),
            int(out.split()[-1]) / 1024,  # before it, DuckDB tells how far a long question is
            self.database.stat().st_size / 1e6,
        )


def draw(found: list[Figures], path: Path) -> None:
    """Draw each figure over the days, as ratios to the first."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    days = [one.days for one in found]
    for name, words, style in (
        ("build_seconds", "build", "o-"),
        ("hourly_seconds", "build at a full hour", "s-"),
        ("memory_mb", "memory", "^--"),
        ("database_mb", "database", "d:"),
    ):
        values = [getattr(one, name) for one in found]
        axes.plot(days, [value / values[0] for value in values], style, label=words)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(days, [f"{one:g}" for one in days])
    axes.minorticks_off()
    axes.set_xlabel("days of history (simulated)")
    axes.set_ylabel(f"times that of {days[0]:g} days")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("days", nargs="*", type=float, default=SPANS_DAYS)
    parser.add_argument("--builds", type=int, default=18, help="of each; one in six is hourly")
    parser.add_argument("--out", type=Path, help="a picture of it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        records = [Growing(Path(name), days) for days in options.days]
        for _ in range(options.builds):
            for record in records:
                record.go_on()
        found = [record.figures() for record in records]
    first = found[0]
    print("  days   build  hourly  memory  database")
    for one in found:
        print(
            f"{one.days:6g} {one.build_seconds / first.build_seconds:7.2f} "
            f"{one.hourly_seconds / first.hourly_seconds:7.2f} "
            f"{one.memory_mb / first.memory_mb:7.2f} {one.database_mb:6.0f} MB"
        )
    if options.out:
        draw(found, options.out)


if __name__ == "__main__":
    main()
