"""The other commands, as a person types them: what they say, what JSON they print, how they
exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from oracle import cli
from oracle.config import load_settings
from oracle.lock import only_run
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.fakes.mail import FakeMailServer
from tests.helpers.ticking import (
    FIRST,
    current,
    rows_of,
    small_chain,
    spot_fingerprint,
    window_fingerprint,
)

TIP = FIRST + 145


@dataclass
class Said:
    exit_code: int
    out: str
    err: str


def call(
    folder: Path, capture: Callable[[], tuple[str, str]], arguments: tuple[str, ...], settings: dict
) -> Said:
    """Run `oracle` in this process: in a folder, with nothing but these settings, prices as
    fingerprints."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name
            for name in os.environ
            if name.startswith(("ORACLE_", "BITCOIN_", "DUCKDB_", "MEMPOOL_"))
        ]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["oracle", *arguments])
        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return Said(int(ended.value.code or 0), *capture())


@pytest.fixture(scope="module")
def electrs() -> Iterator[FakeElectrs]:
    with FakeElectrs(
        FakeChain([small_chain().block(h) for h in range(FIRST, TIP + 1)], FIRST)
    ) as server:
        yield server


@pytest.fixture(scope="module")
def given(electrs: FakeElectrs) -> dict[str, str]:
    return {
        "ELECTRS_URL": electrs.url,
        "ORACLE_FIRST_RUN_BLOCKS": "146",
        "ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS": "0",
        "DUCKDB_BACKUP_PATH": "backup.duckdb",
    }


@pytest.fixture(scope="module")
def built(given: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the site was built twice."""
    folder = tmp_path_factory.mktemp("built")
    for _ in range(2):
        assert call(folder, lambda: ("", ""), ("build",), given).exit_code == 0
    return folder


@pytest.fixture
def oracle(given: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(folder: Path, *arguments: str, **settings: str) -> Said:
        capsys.readouterr()
        return call(folder, lambda: tuple(capsys.readouterr()), arguments, {**given, **settings})

    return run


def release_of(folder: Path) -> str:
    return (folder / "site/public").resolve().name


# --- build --------------------------------------------------


def test_a_build_records_and_publishes(built):
    assert len(current(built / "state/oracle.duckdb", "prices")) == 2
    latest = json.loads((built / "site/public/api/latest.json").read_text())
    assert latest["tip"]["height"] == TIP


def test_the_web_server_may_enter_the_site_of_a_first_build(built):
    folders = [built / "site", built / "site/releases", built / "site/public/api"]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o755] * 3
    assert (built / "state").stat().st_mode & 0o077 == 0


def test_a_build_says_its_release_as_json(oracle, built):
    said = oracle(built, "build", "--json")
    assert json.loads(said.out) == {"exit_code": 0, "released": release_of(built)}


def test_the_log_goes_to_standard_error_as_json_lines(oracle, built):
    said = oracle(built, "build")
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert lines[0]["message"] == "settings read"
    assert set(lines[0]) == {"timestamp", "level", "component", "message", "context"}


def test_wrong_settings_are_told_all_at_once_and_nothing_is_done(oracle, tmp_path):
    said = oracle(
        tmp_path, "build", LOG_LEVEL="LOUD", ANALYSIS_INTERVAL_MINUTES="0", ELECTRS_URL="nowhere"
    )
    lines = said.err.splitlines()
    assert (said.exit_code, len(lines)) == (2, 3)
    assert all(", for example " in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_a_second_build_beside_a_running_one_exits_4_with_a_sentence(oracle, built, given):
    settings = load_settings({**given, "DUCKDB_PATH": str(built / "state/oracle.duckdb")})
    before = rows_of(built / "state/oracle.duckdb", "runs")
    with only_run(settings):
        said = oracle(built, "build")
    assert said.exit_code == 4
    assert said.err.splitlines()[-1].startswith("oracle: another run holds ")
    assert rows_of(built / "state/oracle.duckdb", "runs") == before


def test_another_networks_source_exits_2(oracle, built, electrs, monkeypatch):
    monkeypatch.setattr(electrs.chain, "network", "signet")
    said = oracle(built, "build")
    assert said.exit_code == 2
    assert "records the regtest chain, and the source is on signet" in said.err


def test_a_build_without_its_source_exits_1_and_publishes_the_failure(oracle, built, tmp_path):
    said = oracle(built, "build", ELECTRS_URL="http://127.0.0.1:1")
    status = json.loads((built / "site/public/api/status.json").read_text())
    assert said.exit_code == 1
    assert status["last_error"]["code"] == "ELECTRS_UNAVAILABLE"
    assert (built / "site/public/api/latest.json").exists()
    assert oracle(built, "build").exit_code == 0


def test_a_site_that_cannot_be_written_exits_3_and_keeps_the_record(oracle, built):
    said = oracle(built, "build", ORACLE_SITE_DIR="/proc/oracle")
    assert said.exit_code == 3
    assert "/proc/oracle" in said.err
    assert len(current(built / "state/oracle.duckdb", "prices")) == 2


def test_an_error_that_nobody_expects_is_a_sentence_and_exit_70(
    oracle, built, tmp_path, monkeypatch
):
    monkeypatch.setattr("oracle.cli.status.context_of", lambda _: 1 / 0)
    said = oracle(built, "status")
    assert (said.exit_code, said.out) == (70, "")
    assert said.err.startswith("oracle: something went wrong that should not have (ZeroDivision")
    assert "Traceback" not in said.err


def test_its_traceback_is_in_the_log_file(oracle, built, tmp_path, monkeypatch):
    monkeypatch.setattr("oracle.cli.status.context_of", lambda _: 1 / 0)
    said = oracle(built, "status", LOG_FILE=str(tmp_path / "oracle.log"))
    assert f"the traceback is in {tmp_path / 'oracle.log'}" in said.err
    assert "Traceback" in (tmp_path / "oracle.log").read_text()


def test_a_first_build_without_its_source_makes_a_site_that_says_so(oracle, tmp_path):
    said = oracle(tmp_path, "build", ELECTRS_URL="http://127.0.0.1:1")
    api = tmp_path / "site/public/api"
    latest, published = (json.loads((api / f"{n}.json").read_text()) for n in ("latest", "status"))
    told = oracle(tmp_path, "status")
    assert (said.exit_code, told.exit_code) == (1, 1)
    assert {notice["code"] for notice in latest["notices"]} >= {"no_data", "failing"}
    assert [source["is_reachable"] for source in published["sources"]] == [False]
    assert told.out.startswith("failing: No data yet")
    assert published["failing_since"] in told.out
    assert (tmp_path / "site/public/health/failing").exists()


def test_rendering_after_a_failed_run_tells_the_same_story(oracle, tmp_path):
    oracle(tmp_path, "build", ELECTRS_URL="http://127.0.0.1:1")
    before = story(tmp_path)
    oracle(tmp_path, "render", ELECTRS_URL="http://127.0.0.1:1")
    assert story(tmp_path) == before


def story(folder: Path) -> dict:
    """Return what status.json says, but for the moment, the machine and the ages."""
    found = json.loads((folder / "site/public/api/status.json").read_text())
    moment = ("generated_at", "generated_at_unix", "machine", "next_due_at", "next_due_at_unix")
    return {name: value for name, value in found.items() if name not in moment}


def test_a_database_that_is_gone_beside_a_site_with_a_history_is_asked_about(oracle, tmp_path):
    oracle(tmp_path, "build")
    (tmp_path / "state/oracle.duckdb").unlink()
    said = oracle(tmp_path, "build")
    assert said.exit_code == 2
    assert f"the site shows blocks up to {TIP}" in said.err
    assert not (tmp_path / "state/oracle.duckdb").exists()
    assert oracle(tmp_path, "build", "--anew").exit_code == 0
    assert oracle(tmp_path, "build").exit_code == 0


# --- status, config, doctor ---------------------------------


def test_status_says_how_the_last_runs_went(oracle, built):
    said = oracle(built, "status")
    assert f"tip {TIP}" in said.out
    assert "next build due" in said.out


def test_status_as_json_is_that_of_the_site(oracle, built):
    said = oracle(built, "status", "--json")
    published = json.loads((built / "site/public/api/status.json").read_text())
    assert json.loads(said.out).keys() == published.keys()
    assert json.loads(said.out)["tip"]["height"] == TIP


def test_status_without_a_database_is_a_sentence(oracle, tmp_path):
    said = oracle(tmp_path, "status")
    assert said.exit_code in (1, 3)
    assert said.err.startswith("oracle: ")
    assert "Traceback" not in said.err


def test_config_says_where_each_value_came_from_and_masks_secrets(oracle, tmp_path):
    (tmp_path / ".env").write_text("BITCOIN_RPC_PASSWORD=from-the-file\nLOG_LEVEL=DEBUG\n")
    said = oracle(tmp_path, "config", LOG_LEVEL="ERROR")
    assert "LOG_LEVEL=ERROR  # environment" in said.out
    assert "from-the-file" not in said.out
    assert "  # .env" in said.out
    assert "  # default" in said.out


def test_config_as_json_is_a_list_of_settings(oracle, tmp_path):
    found = {row["name"]: row for row in json.loads(oracle(tmp_path, "config", "--json").out)}
    assert found["ORACLE_FIRST_RUN_BLOCKS"] == {
        "name": "ORACLE_FIRST_RUN_BLOCKS", "value": "146", "origin": "environment"
    }  # fmt: skip


def test_doctor_looks_at_every_source(oracle, built, electrs):
    said = oracle(built, "doctor", "--json")
    findings = json.loads(said.out)
    assert any("electrs" in finding["name"] for finding in findings)
    assert {finding["level"] for finding in findings} <= {"good", "note", "bad", "ok", "warn"}


def test_doctor_exits_1_and_advises_when_a_source_is_down(oracle, built):
    said = oracle(built, "doctor", ELECTRS_URL="http://127.0.0.1:1")
    assert said.exit_code == 1
    assert "is it running?" in said.out


# --- recover ------------------------------------------------


def test_recover_without_a_backup_says_that_there_is_nothing(oracle, tmp_path):
    said = oracle(tmp_path, "recover")
    assert said.exit_code == 1
    assert "nothing to recover" in said.err


def test_recover_merges_the_backup_and_removes_it(oracle, tmp_path):
    database = tmp_path / "state/oracle.duckdb"
    database.mkdir(parents=True)
    assert oracle(tmp_path, "build").exit_code == 3
    assert not (tmp_path / "site").exists()
    database.rmdir()
    said = oracle(tmp_path, "recover", "--json")
    assert json.loads(said.out)["blocks"] == 146
    assert len(current(database, "prices")) == 2
    assert not (tmp_path / "backup.duckdb").exists()


def test_recover_keeps_the_backup_while_the_database_cannot_be_used(oracle, tmp_path):
    (tmp_path / "state/oracle.duckdb").mkdir(parents=True)
    oracle(tmp_path, "build")
    assert oracle(tmp_path, "recover").exit_code == 3
    assert (tmp_path / "backup.duckdb").exists()


# --- render, rollback, preview ------------------------------


def test_render_publishes_without_asking_a_source(oracle, built, electrs):
    asked, before = len(electrs.requests), release_of(built)
    said = oracle(built, "render")
    assert said.out.strip() == release_of(built)
    assert release_of(built) != before
    assert len(electrs.requests) == asked


def test_rollback_goes_back_one_release(oracle, built):
    oracle(built, "render")
    before = release_of(built)
    oracle(built, "render")
    said = oracle(built, "rollback")
    assert said.out.strip() == release_of(built) == before


def test_rollback_to_a_release_that_is_not_there_is_a_sentence(oracle, built):
    said = oracle(built, "rollback", "20000101T000000Z")
    assert said.exit_code in (1, 2)
    assert said.err.startswith("oracle: ")


def test_preview_without_a_site_says_how_to_make_one(oracle, tmp_path):
    said = oracle(tmp_path, "preview")
    assert said.exit_code == 1
    assert "oracle build" in said.err


def test_preview_on_a_port_in_use_says_so(oracle, built, electrs):
    said = oracle(built, "preview", "--port", electrs.url.rpartition(":")[2])
    assert said.exit_code == 2
    assert "choose another with --port" in said.err


def test_preview_serves_the_finished_files(built):
    command = [
        sys.executable,
        "-u",
        "-c",
        "from oracle.cli import main; main()",
        "preview",
        "--port",
        "0",
    ]
    environ = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "ELECTRS_URL": "http://127.0.0.1:1",
    }
    with subprocess.Popen(
        command,
        cwd=built,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    ) as server:
        watchdog = threading.Timer(30, server.kill)
        watchdog.start()
        line = server.stdout.readline()
        answer = httpx.get(line.split(" ")[0] + "api/latest.json", timeout=10)
        server.terminate()
        watchdog.cancel()
    assert answer.json()["tip"]["height"] == TIP


# --- doctor --notify ----------------------------------------


def test_doctor_sends_a_test_by_every_way_that_is_set(oracle, built):
    with FakeMailServer() as server:
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_SECURITY": "none"}
        said = oracle(built, "doctor", "--notify", ALERT_EMAIL="ops@example.org", **mail)
    assert "ok    notify: a test message was taken" in said.out
    assert [str(mail["Subject"]) for mail in server.messages] == [
        "[on-chain price] test: This is a test of oracle doctor --notify; nothing is wrong."
    ]


def test_doctor_says_which_notification_was_not_taken(oracle, built):
    said = oracle(built, "doctor", "--notify", ALERT_WEBHOOK_URL="http://127.0.0.1:1/")
    assert "bad   notify: ALERT_WEBHOOK_URL did not take a notification" in said.out
    assert said.exit_code == 1


def test_doctor_says_that_no_notification_is_set(oracle, built):
    assert "warn  notify: no notification is set" in oracle(built, "doctor", "--notify").out


# --- Standard streams that are closed or full ---------------


def command_of(folder: Path, given: dict[str, str], *arguments: str, streams: str) -> int:
    """Run `oracle` in a shell of its own, and return its exit code."""
    command = [sys.executable, "-c", "from oracle.cli import main; main()", *arguments]
    environ = {**os.environ, **given, "PYTHONPATH": str(Path.cwd())}
    environ.pop("LD_PRELOAD", None)  # faketime takes the number of a closed stream for itself
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *command],
        cwd=folder,
        env=environ,
        timeout=100,
        check=False,
    ).returncode


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_run_with_closed_streams_fails_and_is_recorded_as_any(given, tmp_path, streams):
    nowhere = given | {"ELECTRS_URL": "http://127.0.0.1:9"}
    assert command_of(tmp_path, nowhere, "build", streams=streams) == 1
    assert [run["outcome"] for run in rows_of(tmp_path / "state/oracle.duckdb", "runs")] == [
        "failed"
    ]


def test_an_answer_that_standard_output_does_not_take_is_a_sentence(given, tmp_path):
    said = tmp_path / "said"
    streams = f">/dev/full 2>{said}"
    assert command_of(tmp_path, given, "config", streams=streams) == 1
    assert "cannot be written to standard output (No space left on device)" in said.read_text()
    assert len(said.read_text().splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "doctor", "render", "recover"])
def test_a_folder_that_is_closed_to_this_user_is_a_sentence(oracle, tmp_path, monkeypatch, command):
    def refuse(path: Path, **_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    said = oracle(tmp_path, command, ELECTRS_URL="http://127.0.0.1:9")
    assert said.exit_code == 3
    assert "is closed to this user: run this as the user of the service" in said.err
