"""Real input through the main job: real outputs over HTTP, and a chain that Bitcoin Core's own
code validated."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from oracle.cli import main
from oracle.config import NAMES
from oracle.record.store import Store
from oracle.simulated.serialise import build_block, coinbase_transaction, header_hash
from oracle.sources.blkfiles import BlkFilesSource
from oracle.sources.core import CoreSource
from oracle.sources.http import RetryPolicy
from oracle.tick import TickRules, run_tick
from tests.helpers.fakes import FakeChain, FakeCore, FakeElectrs
from tests.helpers.ticking import CALCULATOR, record_of, rows_of
from tests.sources.test_simulate import blocks_carrying

PROJECT = Path(__file__).resolve().parents[2]
FIRST, EMPTY, TIP = 937_665, 937_781, 937_809
PRICE_USD = 68150.84052703316


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    exit_code: int
    out: str
    err: str


@pytest.fixture
def oracle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Said]:
    """Runs the command in a folder of the test's own with nothing but these settings."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **settings: str) -> Said:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["oracle", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def real_chain(shared: Path) -> FakeChain:
    """Blocks that carry the real outputs at their real heights and times, the empty one, and an
    empty tip on top."""
    table = pyarrow.parquet.read_table(shared / "data/window_937665.parquet")
    heights, times_unix, value_sats = (
        table[name].to_numpy() for name in ("height", "time", "value_sats")
    )
    split = int(np.searchsorted(heights, EMPTY))
    blocks = list(blocks_carrying(heights[:split], times_unix[:split], value_sats[:split]))
    blocks.append(empty_block(blocks[-1], EMPTY, times_unix[split - 1] + 1))
    rest = heights[split:], times_unix[split:], value_sats[split:]
    blocks += blocks_carrying(*rest, prev_hash=header_hash(blocks[-1]))
    return FakeChain([*blocks, empty_block(blocks[-1], TIP, times_unix[-1] + 600)], FIRST)


def empty_block(previous: bytes, height: int, time_unix: int) -> bytes:
    return build_block(header_hash(previous), int(time_unix), [coinbase_transaction(height)])


def assert_holds_the_real_price(folder: Path, source: str) -> None:
    rows = rows_of(folder / "state/oracle.duckdb", "prices")
    assert [(row["height"], row["window_usd"], row["window_outputs"]) for row in rows] == [
        (TIP, PRICE_USD, 66_647)
    ]
    assert {row["source"] for row in rows_of(folder / "state/oracle.duckdb", "blocks")} == {source}
    latest = json.loads((folder / "site/public/api/latest.json").read_text())
    assert PRICE_USD in latest["window"].values()


@pytest.mark.slow
def test_a_build_from_bitcoin_core_records_and_publishes_the_real_price(
    real_chain, oracle, tmp_path
):
    with FakeCore(real_chain) as node:
        settings = {
            "BITCOIN_RPC_URL": node.url,
            "BITCOIN_RPC_USER": node.user,
            "BITCOIN_RPC_PASSWORD": node.password,
        }
        done = oracle("build", **settings)
    assert done.exit_code == 0, done.err
    assert node.password not in done.err + done.out
    assert_holds_the_real_price(tmp_path, "bitcoin-core")


@pytest.mark.slow
def test_a_build_from_electrs_records_and_publishes_the_real_price(real_chain, oracle, tmp_path):
    with FakeElectrs(real_chain) as electrs:
        done = oracle("build", ELECTRS_URL=electrs.url)
    assert done.exit_code == 0, done.err
    assert_holds_the_real_price(tmp_path, "electrs")


@pytest.mark.slow
def test_files_of_bitcoin_cores_own_code_give_the_prices_of_the_blocks_handed_over(tmp_path):
    pytest.importorskip("pbk", reason="py-bitcoinkernel has no wheel for this machine")
    subprocess.run(
        [sys.executable, "-m", "tests.helpers.kernel_chain", str(tmp_path)], cwd=PROJECT, check=True
    )
    said = json.loads((tmp_path / "kernel.json").read_text())
    handed_over = FakeChain(
        [(tmp_path / f"{h:05}.bin").read_bytes() for h in range(1, len(said["hashes"]))], 1
    )
    rules = TickRules(first_run_blocks=148)
    files = BlkFilesSource(tmp_path)
    with Store(tmp_path / "files.duckdb", network=files.network()) as store:
        run_tick(store, files, None, CALCULATOR, rules, now_unix=1_760_000_000)
    with FakeCore(handed_over) as node, Store(tmp_path / "node.duckdb", network="regtest") as store:
        source = CoreSource(
            node.url, user=node.user, password=node.password, retry=RetryPolicy((), 20)
        )
        run_tick(store, source, None, CALCULATOR, rules, now_unix=1_760_000_000)
        source.close()
    found = record_of(tmp_path / "files.duckdb")
    assert found == record_of(tmp_path / "node.duckdb")
    assert [row["height"] for row in found["prices"]] == list(
        range(len(said["hashes"]) - 4, len(said["hashes"]))
    )
    assert found["prices"][-1]["window_usd"] == pytest.approx(68_150, rel=0.01)
    assert found["blocks"][-1]["hash"] == said["hashes"][-1]
