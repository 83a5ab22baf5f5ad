"""More processes come to the same rows, by the command as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oracle.tick import TickRules
from tests.backfill.test_backfill import same
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.ticking import FIRST, HeldSource, record_of, small_chain, tick

TIP = FIRST + 446
START = FIRST + 150
BACKFILL = (
    "from oracle.backfill import fill, stretches; fill.Backfill.__init__.__defaults__ = (90,); "
    "import sys; from oracle import cli; sys.argv = ['oracle', *sys.argv[1:]]; cli.main()"
)


def backfill(folder: Path, server: FakeElectrs, *arguments: str) -> subprocess.CompletedProcess:
    """Run the command with small chunks, so that there are some for each process."""
    settings = {"ELECTRS_URL": server.url, "DUCKDB_PATH": str(folder / "record.duckdb")}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", BACKFILL, "backfill", "--from", "2025-11-01", *arguments],
        cwd=folder, env={**kept, **settings}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_write_what_ticks_would_have_written(tmp_path):
    chain = small_chain()
    blocks = [chain.block(height) for height in range(FIRST, TIP + 1)]
    source = HeldSource(chain, TIP)
    for name, first in (("whole", FIRST), ("record", START)):
        rules = TickRules(first_run_blocks=TIP + 1 - first)
        tick(tmp_path / f"{name}.duckdb", source, rules=rules, network="regtest")
    with FakeElectrs(FakeChain(blocks, FIRST)) as server:
        done = backfill(tmp_path, server, "--jobs", "2", "--json")
        again = backfill(tmp_path, server, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lowest"] is None
    assert again.stdout.splitlines()[0] == "nothing was missing"
    assert same(tmp_path / "record.duckdb", tmp_path / "whole.duckdb")
    assert record_of(tmp_path / "record.duckdb")["prices"][0]["spot_usd"]
