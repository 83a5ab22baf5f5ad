"""How much sooner two processes have added a past than one: wall time of `oracle backfill`.

    python -m benchmarks.backfill [--blocks 1200]

A record of the simulated chain loses so many of its oldest blocks, and they are added again with
one process and with two. The blocks are drawn by the processes that read them, which takes as long
as getting them from a node. The ratio is that of neighbouring runs on one machine; 1.8 are wanted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import duckdb

WANTED = 1.8
FORGOTTEN = ("blocks", "outputs", "prices")
ORACLE = (sys.executable, "-c", "from oracle.cli import main; main()")


def oracle(folder: Path, *arguments: str) -> float:
    """Run a command in a folder and return its wall time."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    started = time.perf_counter()
    subprocess.run(
        [*ORACLE, *arguments],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def without_its_past(whole: Path, folder: Path, blocks: int) -> Path:
    """Copy the state of a record and forget its oldest blocks."""
    shutil.copytree(whole, folder)
    [database] = (folder / "state").glob("*.duckdb")
    with closing(duckdb.connect(str(database))) as record:
        [(lowest,)] = record.execute("SELECT min(height) FROM blocks").fetchall()
        for table in FORGOTTEN:
            record.execute(f"DELETE FROM {table} WHERE height < {lowest + blocks}")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=1200, help="how many are added again")
    blocks = parser.parse_args().blocks
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name, "whole")
        whole.mkdir()
        oracle(whole, "build")
        took = {
            jobs: oracle(
                without_its_past(whole, Path(name, f"jobs-{jobs}"), blocks),
                "backfill", "--jobs", str(jobs),
            )
            for jobs in (1, 2)
        }  # fmt: skip
    print(
        f"{blocks:,} blocks with one process {took[1]:.1f} s, with two {took[2]:.1f} s: "
        f"{took[1] / took[2]:.2f} times as fast (aim: {WANTED}; {os.cpu_count()} cores)"
    )


if __name__ == "__main__":
    main()
