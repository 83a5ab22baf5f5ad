"""What systemd tells for a service that could not: killed, crashed, never begun; and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.config import Settings, load_settings
from oracle.told import told_of
from oracle.untold import Ending, tell
from tests.helpers.fakes.hook import Hook
from tests.helpers.home import Home

NOW = 1_771_700_000


def settings_of(folder: Path, hook: Hook) -> Settings:
    return load_settings(
        {
            "ALERT_WEBHOOK_URL": f"{hook.url}/hook",
            "DUCKDB_PATH": str(folder / "oracle.duckdb"),
            "ORACLE_SITE_DIR": str(folder / "site"),
            "ELECTRS_URL": "http://node:3000",
            "ORACLE_NETWORK": "main",
        }
    )


def told(hook: Hook) -> list[str]:
    return [facts["message"] for facts in hook.told]


UNTOLD = [
    (Ending("oracle-build", "signal", "KILL"), "oracle-build was killed (signal KILL)"),
    (Ending("oracle-build", "oom-kill", "KILL"), "because memory ran short"),
    (Ending("oracle-build", "timeout", "TERM"), "it took longer than it may"),
    (Ending("oracle-build", "core-dump", "SEGV"), "crashed (signal SEGV)"),
    (Ending("oracle-build", "exit-code", "203"), "ended with code 203"),
    (Ending("oracle-backfill", "exit-code", "3"), "ended with code 3"),
    (Ending("oracle-backup", "exit-code", "3"), "oracle-backup ended with code 3"),
    (Ending("oracle-backup"), "oracle-backup failed"),
    (Ending("oracle-build", "a result of next year", "?"), "oracle-build failed"),
]


@pytest.mark.parametrize(("ending", "words"), UNTOLD, ids=[words for _, words in UNTOLD])
def test_what_a_service_could_not_tell_is_told(tmp_path: Path, ending: Ending, words: str) -> None:
    with Hook() as hook:
        assert tell(ending, settings_of(tmp_path, hook), NOW) == []
    [message] = told(hook)
    assert words in message
    assert message.endswith(f"journalctl -u {ending.service} says more")
    assert hook.kinds == ["failure"]


@given(st.integers(1, 125))
def test_what_a_build_ends_with_a_code_for_it_has_told_itself(status: int) -> None:
    assert Ending("oracle-build", "exit-code", str(status)).told_itself


def test_a_source_that_fails_a_backfill_is_told_by_the_builds() -> None:
    assert Ending("oracle-backfill", "exit-code", "1").told_itself
    assert not Ending("oracle-backup", "exit-code", "1").told_itself


def test_builds_that_are_killed_time_and_again_are_told_once_until_one_works(
    tmp_path: Path,
) -> None:
    ending = Ending("oracle-build", "oom-kill", "KILL")
    with Hook() as hook:
        settings = settings_of(tmp_path, hook)
        assert tell(ending, settings, NOW) == []
        assert [tell(ending, settings, NOW + 600 * run) for run in range(1, 5)] == [None] * 4
        assert told_of(settings).ends(), "the next good build says that it is over"
        assert tell(ending, settings, NOW + 100_000) == []
    assert len(told(hook)) == 2


def test_the_command_says_what_systemd_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "signal")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "KILL")
    (tmp_path / "state").mkdir()  # as the first build does, whatever becomes of it
    with Hook() as hook:
        home = Home(tmp_path, {"ALERT_WEBHOOK_URL": f"{hook.url}/hook"})
        assert home.oracle("notify", "oracle-backup") == 0
        assert home.oracle("notify", "oracle-build") == 0
        assert home.oracle("notify", "oracle-build") == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("oracle-backup was killed (signal KILL)")
    assert second.startswith("oracle-build was killed")
    assert third == "there was nothing new to tell"
    assert told(hook) == [first, second]
    assert all(facts["is_demo"] for facts in hook.told)


def test_a_name_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Home(tmp_path, {}).oracle("notify", "a unit; with more") == 2
    assert "such as oracle-build" in capsys.readouterr().err


def test_a_webhook_that_does_not_take_it_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path, {"ALERT_WEBHOOK_URL": "http://127.0.0.1:1/hook"})
    assert home.oracle("notify", "oracle-backup") == 1
    assert "ALERT_WEBHOOK_URL did not take a notification" in capsys.readouterr().err
