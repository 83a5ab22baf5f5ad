"""What a build of the site costs after one new block: on a short history, and on a long one.

    python benchmarks/site.py [--days 730] [--short-days 2.6] [--builds 12] [--folder FOLDER]
    [--json]

Histories are simulated (tests/helpers/made_history.py), with as many outputs in the newest blocks
as real ones have. A block is added before each build; builds of both histories take turns, so that
a busy machine slows both. The figure is the ratio of the medians: of a whole run, which is a
process that starts, builds and ends as the timer's run does (wall and processor time), and,
stricter, of the build alone within a process that is warm. Releases are kept as by default, so the
cost of removing old ones is in it; so is the one build in six that crosses a full hour and renews
what covers the whole history.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builder.site import Output, build_site  # noqa: E402
from oracle.record.reader import open_reader  # noqa: E402
from tests.helpers.circumstances import context  # noqa: E402
from tests.helpers.made_history import END_UNIX, add_block, make_history  # noqa: E402 - found by the line above

LIMIT = 1.2


class Site:
    """A simulated record and the site made from it."""

    def __init__(self, folder: Path, days: float) -> None:
        self.database, self.output = folder / f"{days:g}.duckdb", Output(folder / f"site-{days:g}")
        dense = {"outputs_per_block": 30, "recent_outputs_per_block": 460}
        make_history(self.database, days=days, **dense).close()
        self.first_seconds = self._build(END_UNIX)
        self.seconds: dict[str, list[float]] = {"run": [], "run_processor": [], "build": []}

    def build_after_a_block(self, what: str | None) -> None:
        """Add a block and build, in a process of its own when `what` is run."""
        with duckdb.connect(str(self.database)) as connection:
            now_unix = add_block(connection)
        seconds = self._run(now_unix) if what == "run" else self._build(now_unix)
        if what:
            self.seconds[what].append(seconds)

    def _build(self, now_unix: int) -> float:
        start = time.perf_counter()
        with open_reader(self.database) as reader:
            build_site(reader, self.output, context(now_unix))
        return time.perf_counter() - start

    def _run(self, now_unix: int) -> float:
        arguments = [
            __file__,
            "--one",
            str(self.database),
            str(self.output.site_dir),
            str(now_unix),
        ]
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True)
        total = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds["run_processor"].append(
            total.ru_utime + total.ru_stime - used.ru_utime - used.ru_stime
        )
        return time.perf_counter() - start

    def median(self, what: str) -> float:
        """Return the median seconds of runs or builds."""
        return statistics.median(self.seconds[what])


def measure(folder: Path, days: float, short_days: float, builds: int) -> dict[str, Any]:
    """Build both in turns and compare."""
    sites = short, long = Site(folder, short_days), Site(folder, days)
    for what in [None] * 6 + [
        "run",
        "build",
    ] * builds:  # six, until releases are removed as new ones come
        for site in sites:
            site.build_after_a_block(what)
    published = (long.output.site_dir / "public").resolve()
    return {
        "days": days,
        "short_days": short_days,
        "builds": builds,
        "first_build_seconds": round(long.first_seconds, 1),
        "run_seconds": round(long.median("run"), 3),
        "short_run_seconds": round(short.median("run"), 3),
        "ratio_run": round(long.median("run") / short.median("run"), 3),
        "run_processor_seconds": round(long.median("run_processor"), 3),
        "short_run_processor_seconds": round(short.median("run_processor"), 3),
        "ratio_run_processor": round(
            long.median("run_processor") / short.median("run_processor"), 3
        ),
        "build_seconds": round(long.median("build"), 3),
        "short_build_seconds": round(short.median("build"), 3),
        "ratio_build": round(long.median("build") / short.median("build"), 3),
        "release_bytes": sum(f.stat().st_size for f in published.rglob("*") if f.is_file()),
        "limit": LIMIT,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=float, default=730)
    parser.add_argument("--short-days", type=float, default=2.6)
    parser.add_argument("--builds", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--one", nargs=3, metavar=("DATABASE", "SITE", "TIME"), help="one build and no figures"
    )
    options = parser.parse_args()
    if options.one:
        with open_reader(Path(options.one[0])) as reader:
            build_site(reader, Output(Path(options.one[1])), context(int(options.one[2])))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = measure(Path(folder), options.days, options.short_days, options.builds)
    text = [f"{name:24} {value}" for name, value in figures.items()]
    print(json.dumps(figures) if options.json else "\n".join(text))


if __name__ == "__main__":
    main()
