"""The real Bitcoin Core on regtest: what our source says of it, and prices by a second road.

Its blocks pay round dollar amounts and pass Core's own validation; the folder of real data has the
program that mines them. `make test-slow` runs these with BITCOIND=/path/to/bitcoind (else the one
on the PATH).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from oracle.chain import utc_date
from oracle.cli import main
from oracle.config import NAMES
from oracle.errors import BlockNotFoundError, SourceError, SourceSyncingError
from oracle.sources import BlockSource
from oracle.sources.blkfiles import BlkFilesSource
from oracle.sources.core import CoreSource
from oracle.sources.http import RetryPolicy
from tests.helpers import plain_blocks, plain_price
from tests.helpers.clock import NOW_UNIX, environ_at
from tests.helpers.ticking import OF_THE_EXCHANGE, rows_of

pytestmark = [
    pytest.mark.real_node,
    # The program that mines leaves connections behind that it tried while the node was starting.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ONCE = RetryPolicy((), 20)
WINDOW = 144
# Core keeps 288 blocks whatever is pruned; a few more than that, and there is something to prune.
PRICED_BLOCKS = 300


@dataclass(frozen=True)
class Said:
    exit_code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def start(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Starts a node of one's own, with options of bitcoind."""
    program = os.environ.get("BITCOIND") or shutil.which("bitcoind")
    if not program or not Path(program).is_file():
        pytest.skip("no bitcoind here: BITCOIND=/path/to/bitcoind names one")
    spec = util.spec_from_file_location("real_node", shared / "tools/real_node.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started = []

    def begin(*options: str) -> Any:
        folder = tmp_path_factory.mktemp("node")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        start_unix = NOW_UNIX - 14 * 86_400
        node = module.RealNode(program, folder, port=port, options=options, start_unix=start_unix)
        started.append(node)
        return node

    yield begin
    for node in started:
        node.__exit__()


@pytest.fixture(scope="session")
def node(start: Callable[..., Any]) -> Any:
    """A node with some 570 blocks up to now; it may forget all but 288 of them. Tests that need
    another tip put it back."""
    node = start("-prune=1", "-fastprune")
    node.fund()
    node.grow(PRICED_BLOCKS, end_unix=NOW_UNIX - 60, transactions=30)
    return node


@pytest.fixture(scope="session")
def bare(start: Callable[..., Any]) -> Any:
    """A node without REST that has three blocks and thinks them all."""
    node = start("-rest=0")
    node.grow(3, transactions=0, end_unix=NOW_UNIX - 60)
    return node


def source_of(node: Any, **more: Any) -> CoreSource:
    """Return our source, which finds the node's cookie in its folder."""
    url = f"http://127.0.0.1:{node.port}"
    datadir = None if more else Path(node.folder, "regtest")
    return CoreSource(url, datadir=datadir, retry=ONCE, **more)


@pytest.fixture
def source(node: Any) -> Iterator[CoreSource]:
    source = source_of(node)
    yield source
    source.close()


@pytest.fixture
def oracle(
    node: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Said]:
    """Runs the command beside the node, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    Path(node.folder, "bitcoin.conf").write_text(f"regtest=1\n[regtest]\nrpcport={node.port}\n")
    monkeypatch.setenv("BITCOIN_DATADIR", node.folder)
    monkeypatch.setenv("ORACLE_SOURCES", "core")
    monkeypatch.setenv("ORACLE_FIRST_RUN_BLOCKS", str(WINDOW + 6))

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["oracle", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capsys.readouterr())

    return run


def plain_price_of(node: Any, first_height: int, last_height: int) -> float | None:
    """Return the price of a range of the node's blocks, straight from the method's description."""
    walk = plain_blocks.Walk()
    for height in range(first_height, last_height + 1):
        walk.over(plain_blocks.read_block(node.raw(height))[1])
    return plain_price.price_of(walk.value_sats).price_usd


# --- The source ---------------------------------------------


def test_the_tip_is_the_nodes(node: Any, source: CoreSource) -> None:
    tip = source.tip()
    assert (tip.height, tip.hash) == (node.rpc("getblockcount"), node.rpc("getbestblockhash"))


def test_the_network_is_the_nodes(source: CoreSource) -> None:
    assert source.network() == "regtest"


def test_hashes_are_those_of_the_node_in_order(node: Any, source: CoreSource) -> None:
    last = node.height
    assert source.hashes(last - 9, last) == [
        node.rpc("getblockhash", height) for height in range(last - 9, last + 1)
    ]


def test_headers_are_those_of_the_node_in_order(node: Any, source: CoreSource) -> None:
    last = node.height
    headers = [header.hex() for header in source.headers(last - 9, last)]
    hashes = [node.rpc("getblockhash", height) for height in range(last - 9, last + 1)]
    assert headers == [node.rpc("getblockheader", name, False) for name in hashes]


def test_a_block_over_rest_is_that_of_the_node(node: Any, source: CoreSource) -> None:
    assert source.block(node.rpc("getbestblockhash")) == node.raw(node.height)


def test_a_block_of_a_node_without_rest_is_that_of_the_node(bare: Any) -> None:
    source = source_of(bare)
    assert source.block(bare.rpc("getbestblockhash")) == bare.raw(bare.height)
    source.close()


def test_a_node_that_answers_is_reachable_synced_and_told_with_its_version(
    node: Any, source: CoreSource
) -> None:
    health = source.probe()
    assert (health.is_reachable, health.is_synced, health.tip_height) == (True, True, node.height)
    assert health.version == node.rpc("getnetworkinfo")["subversion"].strip("/")


def test_a_wrong_password_is_an_error_that_says_so(node: Any) -> None:
    source = source_of(node, user="oracle", password="wr0ng-pass")
    with pytest.raises(SourceError, match=r"password|refused|log in|401") as caught:
        source.tip()
    assert "wr0ng-pass" not in str(caught.value)
    source.close()


def test_a_node_that_has_just_started_is_syncing_and_has_no_tip(start: Callable[..., Any]) -> None:
    node = start("-maxtipage=1")
    assert node.rpc("getblockchaininfo")["initialblockdownload"] is True
    source = source_of(node)
    with pytest.raises(SourceSyncingError):
        source.tip()
    source.close()


def test_a_block_that_no_node_knows_is_not_found(source: CoreSource) -> None:
    with pytest.raises(BlockNotFoundError):
        source.block("11" * 32)


def test_a_pruned_block_is_not_found_while_its_header_is(node: Any, source: CoreSource) -> None:
    pruned_to = node.rpc("pruneblockchain", node.height - 288)
    assert pruned_to > 0, "there was nothing to prune"
    [block_hash] = source.hashes(pruned_to, pruned_to)
    assert len(source.headers(pruned_to, pruned_to)) == 1
    with pytest.raises(BlockNotFoundError, match="pruned"):
        source.block(block_hash)


def test_after_a_reorganisation_hashes_are_those_of_the_new_branch(
    node: Any, source: CoreSource
) -> None:
    height = node.height
    before = source.hashes(height - 3, height)
    node.reorganise(3, 4)
    after = source.hashes(height - 3, height)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True] + [False] * 3
    assert source.tip().hash == node.rpc("getbestblockhash")


def test_block_files_hold_the_same_blocks_under_the_same_heights(bare: Any) -> None:
    files: BlockSource = BlkFilesSource(Path(bare.folder, "regtest"))
    assert files.tip().hash == bare.rpc("getbestblockhash")
    assert files.block(files.tip().hash) == bare.raw(bare.height)


# --- The commands -------------------------------------------


def test_the_price_is_that_of_a_plain_reading_of_the_nodes_blocks(node: Any, oracle: Any) -> None:
    said = oracle("price", "--json")
    assert said.exit_code == 0, said.err
    answer = json.loads(said.out)
    first, last = answer["first_height"], answer["last_height"]
    assert (last - first + 1, last) == (WINDOW, node.height - 1)
    assert answer["price_usd"] == plain_price_of(node, first, last)


def window_prices(folder: Path) -> dict[int, float]:
    rows = rows_of(folder / "state/oracle.duckdb", "prices")
    return {row["height"]: row["window_usd"] for row in rows if row["replaced_at_unix"] is None}


def test_builds_before_and_after_a_reorganisation_record_the_plain_prices(
    node: Any, oracle: Any, tmp_path: Path
) -> None:
    assert oracle("build").exit_code == 0
    before = window_prices(tmp_path)
    assert before[node.height] == plain_price_of(node, node.height - WINDOW, node.height - 1)
    node.reorganise(2, 3)
    said = oracle("build")
    assert said.exit_code == 0, said.err
    after, tip = window_prices(tmp_path), node.height
    assert max(after) == tip
    assert after[tip - 1] != before[tip - 1]
    assert [after[height] for height in (tip - 1, tip)] == [
        plain_price_of(node, height - WINDOW, height - 1) for height in (tip - 1, tip)
    ]


# --- The past -----------------------------------------------


@pytest.mark.parametrize("kind", ["core", "blkfiles,core"])
def test_a_past_from_a_real_node_is_what_runs_would_have_written(
    start: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: str,
) -> None:
    node = start()
    node.fund()
    node.grow(PRICED_BLOCKS, end_unix=NOW_UNIX - 60, transactions=30)
    first = node.height - PRICED_BLOCKS
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    Path(node.folder, "bitcoin.conf").write_text(f"regtest=1\n[regtest]\nrpcport={node.port}\n")
    monkeypatch.setenv("BITCOIN_DATADIR", node.folder)
    monkeypatch.setenv("ORACLE_SOURCES", kind)

    def oracle(database: str, blocks: int, *arguments: str) -> None:
        monkeypatch.setenv("DUCKDB_PATH", database)
        monkeypatch.setenv("ORACLE_SITE_DIR", f"site of {database}")
        monkeypatch.setenv("ORACLE_FIRST_RUN_BLOCKS", str(blocks))
        monkeypatch.setattr(sys, "argv", ["oracle", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, capsys.readouterr().err

    oracle("whole.duckdb", PRICED_BLOCKS + 1, "build")
    oracle("record.duckdb", WINDOW + 6, "build")
    node.reorganise(3, 4)  # what the tip does meanwhile changes nothing below
    day = rows_of(tmp_path / "whole.duckdb", "blocks")[0]["time_unix"]
    oracle("record.duckdb", WINDOW + 6, "backfill", "--from", str(utc_date(day)), "--jobs", "2")

    def rows(name: str, table: str, above: int) -> list[dict[str, Any]]:
        found = rows_of(tmp_path / f"{name}.duckdb", table, frozenset({"source"}))
        return sorted(
            (row for row in found if row["height"] >= above), key=lambda row: row["height"]
        )

    assert rows("record", "blocks", first + 11) == rows("whole", "blocks", first + 11)
    assert rows("record", "prices", first + WINDOW) == rows("whole", "prices", first + WINDOW)
    assert len(rows("record", "prices", first)) > PRICED_BLOCKS


# --- Nodes that have not all, not yet, or are read by a run that dies


def environment_of(node: Any, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a command beside a node, in a folder of its own."""
    Path(node.folder, "bitcoin.conf").write_text(f"regtest=1\n[regtest]\nrpcport={node.port}\n")
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    return clean | {
        **environ_at(NOW_UNIX),
        "BITCOIN_DATADIR": str(node.folder),
        "ORACLE_SOURCES": "core",
        "DUCKDB_PATH": str(folder / "oracle.duckdb"),
        "ORACLE_SITE_DIR": str(folder / "site"),
        **more,
    }


def build(environment: dict[str, str], seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `oracle build` in a process of its own, which is killed after so long."""
    command = [str(Path(sys.executable).with_name("oracle")), "build"]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=seconds, check=False
    )


def test_a_node_that_kept_288_blocks_gives_a_record_of_all_of_them(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    node = start("-prune=1", "-fastprune")
    node.fund()
    node.grow(PRICED_BLOCKS, end_unix=NOW_UNIX - 60, transactions=30)
    node.rpc("pruneblockchain", node.height - 288)
    lowest = node.rpc("getblockchaininfo")["pruneheight"]
    assert node.height - lowest < PRICED_BLOCKS
    made = build(environment_of(node, tmp_path, ORACLE_FIRST_RUN_BLOCKS="1300"))
    assert made.returncode == 0, made.stderr
    heights = [row["height"] for row in rows_of(tmp_path / "oracle.duckdb", "blocks")]
    assert heights == list(range(lowest, node.height + 1))
    prices = rows_of(tmp_path / "oracle.duckdb", "prices")
    assert [row["height"] for row in prices] == list(range(lowest + WINDOW, node.height + 1))
    newest = plain_price_of(node, node.height - WINDOW, node.height - 1)
    assert prices[-1]["window_usd"] == newest
    assert "the record starts with fewer blocks than wanted" in made.stderr


def test_a_node_in_the_middle_of_its_first_download_records_nothing_until_it_is_done(
    start: Callable[..., Any], node: Any, tmp_path: Path
) -> None:
    young = start("-maxtipage=86400")  # as on main: behind by more than a day it is syncing
    heights = range(1, 400)
    for height in heights:
        young.rpc(
            "submitheader", node.rpc("getblockheader", node.rpc("getblockhash", height), False)
        )
    environment = environment_of(young, tmp_path, ORACLE_FIRST_RUN_BLOCKS="150")
    given = iter(heights)
    for blocks in (0, 1, 200, 398):
        while young.rpc("getblockcount") < blocks:
            block_hash = node.rpc("getblockhash", next(given))
            young.rpc("submitblock", node.rpc("getblock", block_hash, 0))
        early = build(environment)
        assert early.returncode == 1, early.stderr
        assert "Traceback" not in early.stderr
        assert f"(block {blocks} of 399)" in early.stderr
        assert not (tmp_path / "oracle.duckdb").exists() or not rows_of(
            tmp_path / "oracle.duckdb", "blocks"
        )
    young.rpc("submitblock", node.rpc("getblock", node.rpc("getblockhash", next(given)), 0))
    assert build(environment).returncode == 0
    assert rows_of(tmp_path / "oracle.duckdb", "blocks")[-1]["height"] == 399


def grow(node: Any, blocks: int, end_unix: int) -> None:
    """Mine many priced blocks; coins that are spent over and over would become too small to
    spend."""
    parts = blocks // 50
    for left in range(parts - 1, -1, -1):
        node.recent.clear()
        node.grow(50, end_unix=end_unix - left * 50 * 600, transactions=30)


def test_a_catch_up_that_is_killed_time_and_again_records_what_one_run_does(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    node = start()
    node.fund()
    grow(node, 150, NOW_UNIX - 5 * 86_400)
    first = node.height - 149
    killed = environment_of(node, tmp_path / "killed", ORACLE_FIRST_RUN_BLOCKS="150")
    early = build(killed)
    assert early.returncode == 0, early.stderr
    grow(node, 600, NOW_UNIX - 60)
    kills = 0
    for seconds in range(3, 90, 5):  # the longer ones get further than a chunk
        try:
            last = build(killed, seconds)
        except subprocess.TimeoutExpired:
            kills += 1
            continue
        assert last.returncode == 0, last.stderr
        break
    blocks = str(node.height - first + 1)
    whole = environment_of(node, tmp_path / "whole", ORACLE_FIRST_RUN_BLOCKS=blocks)
    assert build(whole).returncode == 0
    for table in ("blocks", "outputs", "prices", "days"):
        ours, theirs = (
            rows_of(tmp_path / name / "oracle.duckdb", table, OF_THE_EXCHANGE)
            for name in ("killed", "whole")
        )
        assert ours == theirs, table
    assert kills >= 2
