"""The table of failures, row by row, each made to happen; and what people are told."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from oracle import remarks
from oracle.config import load_settings
from oracle.errors import BusyError, RequestError, SourceUnavailableError, StoreError
from oracle.lock import only_run
from oracle.logs import logging_to
from oracle.record.store import Store
from oracle.run import Publish, Run, run_once
from oracle.tick import Tick, TickRules, run_tick
from tests.helpers.fakes import FakeChain, FakeCore, FakeElectrs, FakeMempoolBackend
from tests.helpers.fakes.hook import Hook
from tests.helpers.ticking import CALCULATOR, FIRST, HeldSource, current, rows_of, small_chain

pytestmark = pytest.mark.usefixtures("quick_prices")
SEED_TIP, TIP = FIRST + 146, FIRST + 148
BLOCKS = [small_chain().block(height) for height in range(FIRST, TIP + 1)]
NOW = small_chain().arrival_unix(TIP) + 60


class Machine:
    """A folder with settings, a clock, and the log of its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_unix = NOW
        self.log = ""
        self.published = 0
        self.settings_given = {
            "DUCKDB_PATH": str(folder / "state/record.duckdb"),
            "DUCKDB_BACKUP_PATH": str(folder / "backup.duckdb"),
            "ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS": "0,0,0",
            "ORACLE_RPC_RETRY_DELAYS_SECONDS": "0,0",
            "ORACLE_SOURCE_TIMEOUT_SECONDS": "0.2",
            "ORACLE_FIRST_RUN_BLOCKS": "147",
            "ORACLE_SITE_DIR": str(folder / "site"),
        }

    @property
    def database(self) -> Path:
        return Path(self.settings_given["DUCKDB_PATH"])

    @property
    def backup(self) -> Path:
        return Path(self.settings_given["DUCKDB_BACKUP_PATH"])

    def settings(self, **more: str):
        return load_settings({**self.settings_given, **more})

    def publish(self) -> str:
        """Build the site."""
        self.published += 1
        return "release"

    def run(self, publish: Publish | None = None, **more: str) -> Run:
        settings, stream = self.settings(**more), io.StringIO()
        with logging_to(settings, stream):
            run = run_once(settings, lambda: self.now_unix, publish or self.publish)
        self.log = stream.getvalue()
        return run

    def logged(self, level: str) -> list[dict]:
        return [line for line in map(json.loads, self.log.splitlines()) if line["level"] == level]

    def seed(self) -> None:
        """Record the chain up to two blocks below the tip, half an hour ago."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        source = HeldSource(small_chain(), SEED_TIP)
        with Store(self.database, network="regtest") as store:
            run_tick(
                store,
                source,
                None,
                CALCULATOR,
                TickRules(first_run_blocks=147),
                now_unix=NOW - 1800,
            )


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    machine = Machine(tmp_path_factory.mktemp("seed"))
    with pytest.MonkeyPatch.context() as patch:
        from tests.helpers.ticking import spot_fingerprint, window_fingerprint

        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        machine.seed()
    return machine.database


@pytest.fixture
def machine(tmp_path: Path, seed: Path) -> Machine:
    made = Machine(tmp_path)
    made.database.parent.mkdir()
    shutil.copy(seed, made.database)
    return made


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(BLOCKS, FIRST)


@pytest.fixture
def node(chain: FakeChain, machine: Machine) -> Iterator[FakeCore]:
    with FakeCore(chain) as server:
        machine.settings_given |= {
            "BITCOIN_RPC_URL": server.url,
            "BITCOIN_RPC_USER": server.user,
            "BITCOIN_RPC_PASSWORD": server.password,
        }
        yield server


@pytest.fixture
def mempool(chain: FakeChain, machine: Machine) -> Iterator[FakeMempoolBackend]:
    with FakeMempoolBackend(chain) as server:
        machine.settings_given["MEMPOOL_API_URL"] = server.url
        yield server


@pytest.fixture
def electrs(chain: FakeChain, machine: Machine) -> Iterator[FakeElectrs]:
    with FakeElectrs(chain) as server:
        machine.settings_given["ELECTRS_URL"] = server.url
        yield server


@pytest.fixture
def hook(machine: Machine) -> Iterator[Hook]:
    with Hook() as server:
        machine.settings_given["ALERT_WEBHOOK_URL"] = server.url
        yield server


# --- A good run ---------------------------------------------


def test_a_good_run_records_and_may_publish(machine, node):
    run = machine.run()
    assert (run.exit_code, run.released, run.events) == (0, "release", [])
    assert current(machine.database, "prices")[-1]["height"] == TIP
    assert machine.logged("INFO")[-1]["context"]["blocks_added"] == 2


# --- Sources ------------------------------------------------


def test_mempool_unreachable_is_asked_four_times_and_then_the_next_source(
    machine, mempool, electrs
):
    mempool.fail(503)
    run = machine.run(ORACLE_SOURCES="mempool,electrs")
    assert run.exit_code == 0
    assert mempool.paths.count("/blocks/tip/hash") == 4 + 1  # and the probe, which has no patience
    assert [row["source"] for row in rows_of(machine.database, "blocks")[-2:]] == [
        "electrs",
        "electrs",
    ]


def test_no_source_left_is_an_error_told_recorded_and_exit_1(machine, mempool, hook):
    mempool.stop()
    run = machine.run()
    assert (run.exit_code, run.released) == (1, "release")
    assert machine.logged("ERROR")[0]["context"]["code"] == "MEMPOOL_API_UNAVAILABLE"
    assert hook.kinds == ["failure"]
    last = rows_of(machine.database, "runs")[-1]
    error = json.loads(last["error"])
    assert last["outcome"] == "failed"
    assert (error["code"], error["retry_after"], error["details"]["attempts"]) == (
        "MEMPOOL_API_UNAVAILABLE",
        600,
        4,
    )


def test_a_failure_is_told_once_and_so_is_the_recovery(machine, mempool, hook):
    mempool.stop()
    machine.run()
    machine.run()
    mempool.start()
    machine.run()
    machine.run()
    assert hook.kinds == ["failure", "recovery"]


def test_all_sources_down_names_each(machine, mempool, electrs):
    mempool.stop()
    electrs.stop()
    run = machine.run()
    assert "electrs at" in str(run.error)
    assert "mempool at" in str(run.error)


@pytest.mark.parametrize("first", ["core", "electrs"])
def test_bad_data_names_its_source_and_is_not_asked_of_the_next(
    machine, node, electrs, chain, first
):
    wrong = BLOCKS[-1][:-1] + bytes((BLOCKS[-1][-1] ^ 1,))
    for server in (node, electrs):
        server.wrong_bytes[chain.tip_hash] = wrong
    other = {"core": electrs, "electrs": node}[first]
    asked = len(other.requests)
    run = machine.run(ORACLE_SOURCES=",".join([first, *({"core", "electrs"} - {first})]))
    assert run.exit_code == 1
    assert ("bitcoin-core" if first == "core" else "electrs") in str(run.error)
    assert current(machine.database, "blocks")[-1]["height"] == SEED_TIP
    assert not [path for path in other.paths[asked:] if "raw" in path]


def test_a_wrong_password_is_not_failed_over(machine, node, electrs):
    run = machine.run(BITCOIN_RPC_PASSWORD="wrong-word")
    assert run.exit_code == 1
    assert "BITCOIN_RPC_PASSWORD" in str(run.error)
    assert "wrong-word" not in machine.log


def test_a_node_that_hangs_is_asked_three_times_and_the_fresh_record_still_serves(
    machine, node, hook
):
    node.hang()
    run = machine.run()
    assert (run.exit_code, run.released) == (0, "release")
    assert len(node.requests) == 3 + 1  # and the probe, which has no patience
    assert machine.logged("WARNING")[0]["context"]["recorded_seconds_ago"] == 1800
    assert hook.kinds == []


def test_a_node_that_hangs_is_an_error_when_the_record_is_over_an_hour_old(machine, node, hook):
    node.hang()
    machine.run()
    machine.now_unix += 3600
    run = machine.run()
    assert (run.exit_code, run.released) == (1, "release")
    assert machine.logged("ERROR")
    machine.now_unix += 600
    machine.run()
    assert hook.kinds == ["failure"]


def test_a_record_from_the_future_does_not_count_as_fresh(machine, node):
    node.hang()
    machine.now_unix -= 86_400
    assert machine.run().exit_code == 1


def test_a_first_run_without_a_source_is_recorded_in_a_database_of_no_network(
    tmp_path, machine, mempool
):
    mempool.stop()
    path = tmp_path / "other/record.duckdb"
    run = machine.run(DUCKDB_PATH=str(path))
    assert (run.exit_code, run.released) == (1, "release")
    assert [row["outcome"] for row in rows_of(path, "runs")] == ["failed"]
    with Store(path) as store:
        assert store.network is None


def test_the_run_after_a_first_one_that_failed_records_as_a_first_one(tmp_path, machine, mempool):
    path = tmp_path / "other/record.duckdb"
    mempool.stop()
    machine.run(DUCKDB_PATH=str(path))
    mempool.start()
    assert machine.run(DUCKDB_PATH=str(path)).exit_code == 0
    with Store(path) as store:
        assert store.network == "regtest"


def test_a_failed_run_is_recorded_with_what_the_sources_say_then(machine, mempool, electrs):
    mempool.stop()
    electrs.fail(503)
    machine.run(ORACLE_SOURCES="mempool,electrs")
    probes = json.loads(rows_of(machine.database, "runs")[-1]["sources"])
    assert [(probe["source"], probe["is_reachable"]) for probe in probes] == [
        ("mempool", False),
        ("electrs", False),
    ]


def test_another_network_is_refused_before_anything_is_written_and_told_once(
    machine, node, chain, hook
):
    chain.network = "signet"
    run = machine.run()
    machine.run()
    assert isinstance(run.error, RequestError)
    assert re.search(r"records the regtest chain.*signet.*DUCKDB_PATH", str(run.error))
    assert (run.exit_code, run.released) == (2, None)
    assert hook.kinds == ["failure"]
    assert len(rows_of(machine.database, "runs")) == 1


def test_another_network_than_the_one_asked_for_is_refused_before_anything_is_written(
    machine, node
):
    run = machine.run(ORACLE_NETWORK="main")
    assert isinstance(run.error, RequestError)
    assert "ORACLE_NETWORK asks for main, and bitcoin-core is on" in str(run.error)
    assert len(rows_of(machine.database, "runs")) == 1


def test_a_reorganisation_is_logged(machine, node, chain):
    machine.run()
    fork = small_chain().forked(TIP - 1, 1)
    chain.reorganise(
        TIP - 1, [fork.block(h) for h in range(TIP - 1, TIP + 2) if fork.headers(FIRST, TIP + 1)]
    )
    machine.run()
    assert machine.logged("WARNING")[0]["context"]["blocks_replaced"] == 2


def test_a_chain_that_shares_nothing_is_exit_5_and_nothing_is_lost(machine, node, chain):
    other = small_chain().forked(FIRST, 1)
    other.headers(FIRST, TIP + 3)
    chain.reorganise(FIRST, [other.block(height) for height in range(FIRST, TIP + 4)])
    before = rows_of(machine.database, "blocks")
    assert machine.run().exit_code == 5
    assert rows_of(machine.database, "blocks") == before


# --- The database -------------------------------------------


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def corrupt(path: Path) -> None:
    path.write_bytes(b"no database at all " * 1000)


def corrupt_inside(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[12_288:] = bytes(byte ^ 0x5A for byte in data[12_288:])
    path.write_bytes(data)


@pytest.mark.parametrize("break_it", [a_folder, corrupt, corrupt_inside])
def test_a_database_that_cannot_be_used_sends_the_rows_to_the_backup(machine, node, hook, break_it):
    break_it(machine.database)
    run = machine.run()
    assert (run.exit_code, run.released) == (3, None)
    assert [row["height"] for row in current(machine.backup, "prices")][-1] == TIP
    line = machine.logged("CRITICAL")[0]
    assert "Traceback" in str(line["context"])
    assert "held by another" not in line["context"]["exception"]
    assert hook.kinds == ["failure"]


def test_a_folder_that_nobody_can_write_sends_the_rows_to_the_backup(machine, node):
    run = machine.run(DUCKDB_PATH="/proc/oracle/record.duckdb")
    assert run.exit_code == 3
    assert len(current(machine.backup, "blocks")) == 147


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_only_be_read_sends_the_rows_to_the_backup(machine, node):
    machine.database.chmod(0o400)
    assert machine.run().exit_code == 3
    assert len(current(machine.backup, "blocks")) == 147


HOLD = (
    "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); "
    "sys.stdin.read()"
)


def test_a_database_held_by_another_program_is_told_as_such(machine, node):
    command = [sys.executable, "-c", HOLD, str(machine.database)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        run = machine.run()
        other.stdin.close()
    assert run.exit_code == 3
    assert "held by another program" in str(run.error)
    assert current(machine.backup, "prices")[-1]["height"] == TIP


@pytest.fixture
def full_disk(tmp_path: Path, seed: Path) -> Iterator[Path]:
    """A file system with no room for another block's rows."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = seed.stat().st_size + 40_000
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_sends_the_rows_to_the_backup_and_leaves_the_database_as_it_was(
    machine, node, seed, full_disk
):
    database = Path(shutil.copy(seed, full_disk))
    before = database.read_bytes()
    with (full_disk / "rest").open("wb", buffering=0) as rest:
        while True:
            try:
                rest.write(bytes(4096))
            except OSError:
                break
    run = machine.run(DUCKDB_PATH=str(database))
    assert (run.exit_code, run.released) == (3, None)
    assert current(machine.backup, "prices")[-1]["height"] == TIP
    (full_disk / "rest").unlink()
    assert current(database, "blocks")[-1]["height"] == SEED_TIP
    assert len(before) == database.stat().st_size


def test_when_the_backup_fails_too_that_is_told_as_well(machine, node, hook):
    corrupt(machine.database)
    run = machine.run(DUCKDB_BACKUP_PATH="/proc/oracle/backup.duckdb")
    assert run.exit_code == 3
    assert len(machine.logged("CRITICAL")) == 2
    assert "not saved" in json.loads(hook.requests[0].body)["message"]


def test_the_next_good_run_says_that_the_backup_holds_rows_and_tells_it_once(
    machine, node, hook, seed
):
    corrupt(machine.database)
    machine.run()
    shutil.copy(seed, machine.database)
    os.utime(machine.backup, (machine.now_unix, machine.now_unix))
    machine.now_unix += 600
    machine.run()
    assert "oracle recover" in machine.logged("WARNING")[0]["message"]
    machine.run()
    assert hook.kinds == ["failure", "backup_holds_rows", "recovery"]


# --- Recover ------------------------------------------------


def test_what_the_backup_holds_is_merged_as_if_it_had_never_been_away(
    machine, node, seed, tmp_path
):
    shutil.copy(machine.database, tmp_path / "healthy.duckdb")
    machine.run(DUCKDB_PATH=str(tmp_path / "healthy.duckdb"))
    corrupt(machine.database)
    machine.run()
    shutil.copy(seed, machine.database)
    with Store(machine.database) as store:
        added = store.merge_from(machine.backup)
    assert (added["blocks"], added["prices"]) == (2, 2)
    for table in ("blocks", "prices", "days"):
        assert current(machine.database, table) == current(tmp_path / "healthy.duckdb", table)
    outputs = current(machine.database, "outputs", frozenset({"parent_height"}))
    assert outputs == current(tmp_path / "healthy.duckdb", "outputs", frozenset({"parent_height"}))


def test_merging_twice_adds_nothing(machine, node, seed):
    corrupt(machine.database)
    machine.run()
    shutil.copy(seed, machine.database)
    with Store(machine.database) as store:
        store.merge_from(machine.backup)
        assert set(store.merge_from(machine.backup).values()) == {0}


def test_a_tick_after_merging_goes_on_from_there(machine, node, seed, chain):
    corrupt(machine.database)
    machine.run()
    shutil.copy(seed, machine.database)
    with Store(machine.database) as store:
        store.merge_from(machine.backup)
    small_chain().headers(FIRST, TIP + 1)
    chain.extend([small_chain().block(TIP + 1)])
    assert machine.run().report.blocks_added == 1


def test_blocks_of_a_backup_that_do_not_follow_ours_are_left_out(machine, node, seed, tmp_path):
    corrupt(machine.database)
    machine.run()
    path = tmp_path / "forked.duckdb"
    shutil.copy(seed, path)
    fork = HeldSource(small_chain().forked(SEED_TIP - 1, 1), SEED_TIP + 1)
    with Store(path) as store:
        run_tick(store, fork, None, CALCULATOR, TickRules(), now_unix=NOW)
        added = store.merge_from(machine.backup)
    assert {
        added[table] for table in ("blocks", "outputs", "prices", "recent_txids", "divergences")
    } == {0}


def test_a_backup_is_merged_into_a_new_database_whole(machine, node, tmp_path):
    corrupt(machine.database)
    machine.run()
    with Store(tmp_path / "new.duckdb") as store:
        store.merge_from(machine.backup)
    assert current(tmp_path / "new.duckdb", "outputs") == current(machine.backup, "outputs")
    with Store(tmp_path / "new.duckdb") as store:
        assert store.network == "regtest"


# --- Prices and divergences ---------------------------------


def test_a_price_that_is_not_valid_is_a_warning_with_a_summary(machine, node, monkeypatch):
    from tests.helpers.ticking import window_fingerprint

    def doubtful(*about: object):
        return window_fingerprint(*about)._replace(
            is_valid=False, reason="confidence 0.10 is below 0.3", confidence=0.1
        )

    monkeypatch.setattr("oracle.tick.estimate_window", doubtful)
    assert machine.run().exit_code == 0
    warning = machine.logged("WARNING")[0]
    assert warning["message"].startswith("Low confidence")
    assert warning["context"]["window_reason"] == "confidence 0.10 is below 0.3"
    assert warning["context"]["window_outputs"] > 0


def spot_usd(machine: Machine) -> float:
    return current(machine.database, "prices")[-1]["spot_usd"]


def test_a_large_divergence_is_told_at_its_start_and_at_its_end(machine, node, mempool, hook):
    machine.run()
    for percent in (0.2, 3.2, 2.9, 0.1, 0.1, 0.1, 0.1):
        machine.now_unix += 600
        mempool.prices = {
            "time": machine.now_unix - 60,
            "USD": spot_usd(machine) / (1 + percent / 100),
        }
        machine.run()
    assert hook.kinds == ["divergence_started", "divergence_ended"]
    told = json.loads(hook.requests[0].body)
    assert told["message"] == "Large divergence detected: +3.2%"


def test_confidence_that_stays_low_is_told_at_its_start_and_at_its_end(
    machine, node, mempool, hook
):
    machine.run()
    for threshold in ("1", "0"):
        for _ in range(8):
            machine.now_unix += 600
            mempool.prices = {"time": machine.now_unix - 60, "USD": spot_usd(machine)}
            machine.run(UTXORACLE_CONFIDENCE_THRESHOLD=threshold)
    assert hook.kinds == ["low_confidence_started", "low_confidence_ended"]


def test_an_episode_of_a_run_that_failed_behind_it_is_told(
    machine, node, mempool, hook, monkeypatch
):
    """The chunk that began it was written; what came behind went wrong."""
    machine.run()
    machine.now_unix += 600
    quote = {"time": machine.now_unix - 60, "USD": spot_usd(machine) / 1.05}
    mempool.prices = quote
    finish = Tick.finish

    def failing(*given: object) -> None:
        finish(*given)
        raise SourceUnavailableError("gone", source="mempool")

    monkeypatch.setattr(Tick, "finish", failing)
    machine.run()
    assert "divergence_started" in hook.kinds
    monkeypatch.undo()
    machine.now_unix += 600
    mempool.prices = quote | {"time": machine.now_unix - 60}
    machine.run()
    assert hook.kinds.count("divergence_started") == 1


def test_an_episode_that_began_in_a_run_that_was_killed_is_told_by_the_next(
    machine, node, mempool, hook
):
    machine.run()
    machine.now_unix += 600
    mempool.prices = {"time": machine.now_unix - 60, "USD": spot_usd(machine) / 1.05}
    machine.run()
    hook.requests.clear()
    machine.database.with_suffix(".told").unlink()  # as if it had been killed behind the record
    machine.run()
    assert hook.kinds == ["divergence_started"]


def test_a_webhook_that_fails_does_not_fail_the_run(machine, node, mempool, hook):
    hook.fail(500)
    machine.run()
    mempool.prices = {"time": machine.now_unix - 60, "USD": spot_usd(machine) / 2}
    machine.now_unix += 600
    assert machine.run().exit_code == 0


def test_a_dead_quote_server_costs_a_warning_only(machine, node, mempool):
    mempool.stop()
    run = machine.run()
    assert run.exit_code == 0
    assert "no exchange price" in machine.logged("WARNING")[0]["message"]


# --- What nobody expects ------------------------------------


@pytest.mark.parametrize("problem", [MemoryError(), RuntimeError("boom"), KeyError("key")])
def test_an_error_that_is_not_ours_is_recorded_published_told_and_exit_70(
    machine, node, hook, monkeypatch, problem
):
    def broken(*_: object) -> None:
        raise problem

    monkeypatch.setattr("oracle.tick.estimate_window", broken)
    run = machine.run()
    last = rows_of(machine.database, "runs")[-1]
    assert (run.exit_code, run.released) == (70, "release")
    assert (last["outcome"], json.loads(last["error"])["code"]) == ("failed", "INTERNAL_ERROR")
    assert "Traceback" in machine.logged("CRITICAL")[0]["context"]["exception"]
    assert hook.kinds == ["failure"]
    assert current(machine.database, "blocks")[-1]["height"] == SEED_TIP


@pytest.mark.parametrize(
    ("problem", "lack"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "room for threads or processes"),
        (OSError(errno.EMFILE, "Too many open files"), "room for open files"),
    ],
)
@pytest.mark.parametrize("place", ["price", "site"])
def test_a_machine_that_gives_no_more_is_told_as_that_with_what_to_raise(
    machine, node, hook, monkeypatch, problem, lack, place
):
    if place == "price":

        def broken(*_: object) -> None:
            raise problem

        monkeypatch.setattr("oracle.tick.estimate_window", broken)
        run = machine.run()
    else:
        run = machine.run(raising(problem))
    assert run.exit_code == 70
    assert f"there is no more {lack} for it" in str(run.error)
    assert "of the service" in str(run.error)
    assert json.loads(hook.requests[0].body)["message"].endswith(f"no more {lack} for it")


def test_the_text_of_an_error_that_is_not_ours_is_neither_published_nor_told(
    machine, node, hook, monkeypatch
):
    monkeypatch.setattr("oracle.tick.estimate_spot", lambda *_: 1 / 0)
    machine.run()
    assert "division" not in rows_of(machine.database, "runs")[-1]["error"]
    assert "ZeroDivisionError" in json.loads(hook.requests[0].body)["message"]


# --- The site -----------------------------------------------


def raising(problem: Exception) -> Publish:
    def publish() -> str:
        raise problem

    return publish


@pytest.mark.parametrize(
    ("problem", "exit_code", "code"),
    [
        (OSError(28, "No space left on device"), 3, "SITE_UNWRITABLE"),
        (NotADirectoryError(20, "Not a directory"), 3, "SITE_UNWRITABLE"),
        (ValueError("a template"), 70, "INTERNAL_ERROR"),
    ],
)
def test_a_site_that_cannot_be_built_is_recorded_and_told_once(
    machine, node, hook, problem, exit_code, code
):
    runs = [machine.run(raising(problem)) for _ in range(2)]
    last = rows_of(machine.database, "runs")[-1]
    assert [run.exit_code for run in runs] == [exit_code, exit_code]
    assert (last["outcome"], json.loads(last["error"])["code"]) == ("failed", code)
    assert hook.kinds == ["failure"]
    assert current(machine.database, "blocks")[-1]["height"] == TIP


def test_a_site_that_cannot_be_written_needs_no_traceback(machine, node):
    run = machine.run(raising(NotADirectoryError(20, "Not a directory")))
    assert run.exit_code == 3
    assert "Traceback" not in machine.log


def test_the_good_run_after_a_site_that_could_not_be_built_says_so(machine, node, hook):
    machine.run(raising(OSError("full")))
    machine.run()
    assert hook.kinds == ["failure", "recovery"]


def test_what_there_was_to_tell_is_told_although_the_site_cannot_be_written(
    machine, node, mempool, hook
):
    machine.run()
    machine.now_unix += 600
    quote = {"time": machine.now_unix - 60, "USD": spot_usd(machine) / 1.05}
    mempool.prices = quote
    machine.run(raising(OSError("full")))
    assert hook.kinds == ["divergence_started", "failure"]


def test_events_that_cannot_be_delivered_are_logged(machine, mempool, hook, monkeypatch):
    mempool.stop()
    monkeypatch.setattr("oracle.run.deliver", lambda *_: 1 / 0)
    assert machine.run().exit_code == 1
    assert machine.logged("CRITICAL")[-1]["context"]["kinds"] == ["failure"]


def test_a_source_that_fails_every_other_run_is_told_once(machine, mempool, hook):
    for minute in range(0, 240, 10):
        machine.now_unix = NOW + 60 * minute
        mempool.prices = {"time": machine.now_unix - 60, "USD": 60_000.0}
        (mempool.stop if minute % 20 == 0 else mempool.start)()
        machine.run(ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS="0")
    assert [kind for kind in hook.kinds if not kind.startswith("divergence")] == [
        "failure",
        "recovery",
    ]


def test_what_comes_back_and_stays_is_told_again(machine, mempool, hook):
    mempool.stop()
    machine.run()
    mempool.start()
    machine.run()
    mempool.stop()
    for _ in range(3):
        machine.run()
    assert hook.kinds == ["failure", "recovery", "failure"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"told": 5}'])
def test_a_damaged_note_of_what_was_told_costs_a_message_twice_and_no_run(
    machine, mempool, hook, text
):
    mempool.stop()
    machine.run()
    machine.database.with_suffix(".told").write_text(text)
    assert machine.run().exit_code == 1
    assert hook.kinds == ["failure", "failure"]


# --- One run at a time --------------------------------------


def test_the_second_run_is_told_at_once(machine):
    settings = machine.settings()
    with (
        only_run(settings),
        pytest.raises(BusyError, match="another run holds") as busy,
        only_run(settings),
    ):
        pass
    assert busy.value.exit_code == 4


def test_a_lock_that_cannot_be_taken_stops_the_run_before_the_database(machine, node, hook):
    machine.database.with_suffix(".lock").mkdir()
    runs = [machine.run() for _ in range(2)]
    assert [(run.exit_code, run.released) for run in runs] == [(3, None)] * 2
    assert "the lock" in str(runs[0].error)
    assert len(rows_of(machine.database, "runs")) == 1
    assert current(machine.backup, "prices")[-1]["height"] == TIP
    assert hook.kinds == ["failure"]


def test_the_lock_is_free_after_a_run_that_failed(machine):
    settings = machine.settings()
    with pytest.raises(StoreError), only_run(settings):
        raise StoreError("full")
    with only_run(settings):
        pass


def test_readers_need_not_wait_for_a_database_nobody_holds(machine, node):
    machine.run()
    with (
        duckdb.connect(str(machine.database), read_only=True) as one,
        duckdb.connect(str(machine.database), read_only=True) as two,
    ):
        assert (
            one.execute("SELECT count(*) FROM blocks").fetchone()
            == two.execute("SELECT count(*) FROM blocks").fetchone()
        )


# --- The clock ----------------------------------------------


def test_a_clock_that_cannot_be_right_is_told_once_and_records_nothing(machine, node):
    machine.run()
    before = rows_of(machine.database, "runs"), rows_of(machine.database, "blocks")
    machine.now_unix = NOW - 2 * 86_400
    first, second = machine.run(), machine.run()
    assert (first.exit_code, [event.kind for event in first.events]) == (0, ["failure"])
    assert "set the clock" in first.events[0].message
    assert second.events == []
    assert [line["message"] for line in machine.logged("WARNING")] == [remarks.MESSAGES["clock"]]
    assert (rows_of(machine.database, "runs"), rows_of(machine.database, "blocks")) == before


def test_a_clock_that_is_right_again_is_told(machine, node):
    machine.run()
    machine.now_unix = NOW - 2 * 86_400
    machine.run()
    machine.now_unix = NOW + 600
    assert [event.kind for event in machine.run().events] == ["recovery"]
