"""More processes come to the same rows, by the command as a person types it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from oracle.backfill.cluster import _read as read_in_worker
from oracle.backfill.cluster import cluster
from oracle.backfill.stretches import Chunk
from oracle.errors import OracleError, RequestError
from oracle.tick import TickRules
from tests.backfill.test_backfill import same
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.fakes.server import Reply, Request
from tests.helpers.home import Home
from tests.helpers.ticking import FIRST, HeldSource, record_of, small_chain, tick

TIP = FIRST + 446
START = FIRST + 150
BACKFILL = (
    "from oracle.backfill import fill, stretches; fill.Backfill.__init__.__defaults__ = (90,); "
    "import sys; from oracle import cli; sys.argv = ['oracle', *sys.argv[1:]]; cli.main()"
)


CLUSTER = """
import os, sys
from distributed import Client, LocalCluster
if __name__ == "__main__":
    count = int(sys.argv[1])
    with LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as made:
        with Client(made) as client:
            print(made.scheduler_address, *client.run(os.getpid).values(), flush=True)
        sys.stdin.read()
"""


class Electrs(FakeElectrs):
    """One that tells when it has served so many blocks more."""

    def __init__(self, chain: FakeChain) -> None:
        super().__init__(chain)
        self._awaited = (0, threading.Event())
        self._blocks = 0

    def blocks_more(self, count: int) -> threading.Event:
        """Return what is set when so many blocks more are served."""
        self._awaited = (self._blocks + count, threading.Event())
        return self._awaited[1]

    def respond(self, request: Request) -> Reply | None:
        if request.path.endswith("/raw"):
            self._blocks += 1
            at, is_reached = self._awaited
            if self._blocks >= at:
                is_reached.set()
        return super().respond(request)


@contextmanager
def begun(folder: Path, server: FakeElectrs, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Begin the command with small chunks, so that there are some for each process; it ends with
    the block, whatever becomes of that."""
    settings = {"ELECTRS_URL": server.url, "DUCKDB_PATH": str(folder / "record.duckdb")}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-c", BACKFILL, "backfill", "--from", "2025-11-01", *arguments],
        cwd=folder, env={**kept, **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as command:  # fmt: skip
        try:
            yield command
        finally:
            command.kill()


def backfill(folder: Path, server: FakeElectrs, *arguments: str) -> subprocess.CompletedProcess:
    """Run the command to its end."""
    with begun(folder, server, *arguments) as command:
        out, err = command.communicate(timeout=300)
    return subprocess.CompletedProcess(command.args, command.returncode, out, err)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Electrs]]:
    """A folder with a record of the whole chain and one of its newest part, and a server of all
    blocks."""
    folder = tmp_path_factory.mktemp("jobs")
    chain = small_chain()
    source = HeldSource(chain, TIP)
    for name, first in (("whole", FIRST), ("record", START)):
        rules = TickRules(first_run_blocks=TIP + 1 - first)
        tick(folder / f"{name}.duckdb", source, rules=rules, network="regtest")
    blocks = [chain.block(height) for height in range(FIRST, TIP + 1)]
    with Electrs(FakeChain(blocks, FIRST)) as server:
        yield folder, server


@pytest.fixture
def late(tmp_path: Path, served: tuple[Path, Electrs]) -> Path:
    """A folder with a record of the newest part, to be given its past."""
    shutil.copy(served[0] / "record.duckdb", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_two_processes_write_what_ticks_would_have_written(late, served):
    folder, server = served
    done = backfill(late, server, "--jobs", "2", "--json")
    again = backfill(late, server, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lowest"] is None
    assert again.stdout.splitlines()[0] == "nothing was missing"
    assert same(late / "record.duckdb", folder / "whole.duckdb")
    assert record_of(late / "record.duckdb")["prices"][0]["spot_usd"]


class Workers:
    """A Dask cluster of processes, begun by one of its own."""

    def __init__(self, count: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.address, *pids = self.process.stdout.readline().split()
        self.pids = [int(pid) for pid in pids]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=60)  # the end of its input ends it


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_writes_what_ticks_would_have_written(late, served):
    folder, server = served
    is_amid = server.blocks_more(100)
    with Workers(2) as workers, begun(late, server, "--dask", workers.address, "--json") as command:
        assert is_amid.wait(120)
        os.kill(workers.pids[0], signal.SIGKILL)
        out, err = command.communicate(timeout=180)
    assert command.returncode == 0, err
    assert json.loads(out)["blocks"] == START - FIRST
    assert same(late / "record.duckdb", folder / "whole.duckdb")


@pytest.mark.slow
def test_a_scheduler_that_goes_away_ends_a_backfill_with_a_sentence(late, served):
    is_amid = served[1].blocks_more(100)
    with Workers(2) as workers, begun(late, served[1], "--dask", workers.address) as command:
        assert is_amid.wait(120)
        workers.process.kill()
        _, err = command.communicate(timeout=180)
    assert command.returncode == 1
    assert f"scheduler at {workers.address} is gone; what is merged stays" in err
    assert "Traceback" not in err, err


@pytest.mark.slow
def test_a_cluster_without_workers_is_told_in_a_sentence(late, served):
    with Workers(0) as empty:
        done = backfill(late, served[1], "--dask", empty.address)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"begin one with dask worker {empty.address} --nthreads 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:1"])
def test_an_address_that_is_none_is_told_in_a_sentence(address):
    with pytest.raises(RequestError, match="no Dask scheduler answers"), cluster(address):
        pass


def test_an_address_is_judged_in_a_notebook_as_well():
    async def in_a_notebook() -> None:
        with pytest.raises(RequestError, match="no Dask scheduler answers"), cluster("nonsense"):
            pass

    with ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, in_a_notebook()).result()


@pytest.mark.slow
def test_an_address_where_nothing_listens_is_told_in_a_sentence(late, served):
    done = backfill(late, served[1], "--dask", "tcp://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_processes_here_and_workers_elsewhere_are_not_asked_for_at_once(tmp_path, capsys):
    asked = ("backfill", "--days", "1", "--jobs", "2", "--dask", "tcp://127.0.0.1:1")
    assert Home(tmp_path, {}).oracle(*asked) == 2
    assert "ask for --jobs, processes here, or for --dask" in capsys.readouterr().err


def test_without_the_package_for_it_a_cluster_is_refused_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RequestError, match=r"onchain-oracle\[dask\]"), cluster("tcp://x:1"):
        pass


def test_a_worker_of_another_version_unpacks_nothing():
    with pytest.raises(OracleError, match=r"has version .* and here it is 0\.0\.7"):
        read_in_worker("0.0.7", b"no task at all", Chunk(1, 2))
