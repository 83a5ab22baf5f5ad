"""The log: its shape, where it goes, how long it stays, and that no secret is ever in it."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.config import load_settings
from oracle.logs import get_logger, log_settings, logging_to
from oracle.masking import MASK
from tests.helpers.clock import NOW_UNIX

log = get_logger("oracle.tick")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def logged(*, environ: dict[str, str] | None = None, **context: object) -> dict[str, Any]:
    """The one line that `log.warning("here", **context)` gives."""
    stream = io.StringIO()
    with logging_to(load_settings(environ or {}), stream):
        log.warning("here", **context)
    [line] = lines_of(stream.getvalue())
    return line


def test_a_line_is_exactly_timestamp_level_component_message_and_context() -> None:
    line = logged(height=840_000, price_usd=68150.84)
    assert list(line) == ["timestamp", "level", "component", "message", "context"]
    assert (line["level"], line["component"], line["message"]) == ("WARNING", "tick", "here")
    assert line["context"] == {"height": 840_000, "price_usd": 68150.84}


def test_the_timestamp_is_iso_8601_in_utc() -> None:
    assert logged()["timestamp"].endswith("Z")


def test_a_line_without_context_has_an_empty_one() -> None:
    assert logged()["context"] == {}


def test_a_message_of_several_lines_is_one_line_of_the_log() -> None:
    assert logged(body="<html>\n<body>")["context"] == {"body": "<html>\n<body>"}


def test_what_json_does_not_know_becomes_text() -> None:
    assert logged(path=Path("/x"), at={1: date(2025, 1, 2)})["context"] == {
        "path": "/x",
        "at": {"1": "2025-01-02"},
    }


def test_a_traceback_is_a_text_in_the_context() -> None:
    stream = io.StringIO()
    with logging_to(load_settings({}), stream):
        try:
            raise ValueError("no such block")
        except ValueError:
            log.critical("the database cannot be written", exc_info=True)
    [line] = lines_of(stream.getvalue())
    assert line["level"] == "CRITICAL"
    assert line["context"]["exception"].endswith("ValueError: no such block")


def test_a_line_of_a_library_has_the_same_shape() -> None:
    stream = io.StringIO()
    with logging_to(load_settings({}), stream):
        logging.getLogger("some.library").warning("it took %d ms", 12)
    [line] = lines_of(stream.getvalue())
    assert (line["component"], line["message"], line["context"]) == (
        "some.library",
        "it took 12 ms",
        {},
    )


def test_requests_are_not_logged_by_the_http_library() -> None:
    stream = io.StringIO()
    with logging_to(load_settings({"LOG_LEVEL": "DEBUG"}), stream):
        logging.getLogger("httpx").info("HTTP Request: GET http://a:b@c")
    assert stream.getvalue() == ""


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    with logging_to(load_settings({"LOG_LEVEL": "ERROR"}), stream):
        log.warning("here")
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_readable_line() -> None:
    stream = Terminal()
    with logging_to(load_settings({}), stream):
        log.warning("here", height=840_000)
    assert "here" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_the_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(load_settings({})):
        log.warning("here")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert lines_of(captured.err)[0]["message"] == "here"


def test_after_the_block_nothing_is_logged_there() -> None:
    stream = io.StringIO()
    with logging_to(load_settings({}), stream):
        pass
    logging.getLogger("oracle").info("later")
    assert stream.getvalue() == ""


def test_the_file_gets_json_while_the_terminal_gets_text(tmp_path: Path) -> None:
    path = tmp_path / "oracle.log"
    with logging_to(load_settings({"LOG_FILE": str(path)}), Terminal()):
        log.warning("here", height=1)
    [line] = lines_of(path.read_text())
    assert line["context"] == {"height": 1}


def test_two_runs_append_to_one_file(tmp_path: Path) -> None:
    settings = load_settings({"LOG_FILE": str(tmp_path / "oracle.log")})
    with logging_to(settings, io.StringIO()):
        log.warning("first")
    os.utime(tmp_path / "oracle.log", (NOW_UNIX, NOW_UNIX))
    with logging_to(settings, io.StringIO()):
        log.warning("second")
    assert [line["message"] for line in lines_of((tmp_path / "oracle.log").read_text())] == [
        "first",
        "second",
    ]


def test_a_file_of_an_earlier_day_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "oracle.log"
    path.write_text("old\n")
    yesterday = NOW_UNIX - 86_400
    os.utime(path, (yesterday, yesterday))
    with logging_to(load_settings({"LOG_FILE": str(path)}), io.StringIO()):
        log.warning("new")
    aside = tmp_path / f"oracle.log.{datetime.fromtimestamp(yesterday, UTC).date()}"
    assert aside.read_text() == "old\n"
    assert "new" in path.read_text()


def test_files_older_than_the_retention_are_removed(tmp_path: Path) -> None:
    days = [tmp_path / f"oracle.log.2026-01-0{day}" for day in range(1, 6)]
    [day.write_text("old\n") for day in days]
    path = tmp_path / "oracle.log"
    path.write_text("yesterday's\n")
    os.utime(path, (NOW_UNIX - 86_400,) * 2)
    with logging_to(
        load_settings({"LOG_FILE": str(path), "LOG_RETENTION_DAYS": "3"}), io.StringIO()
    ):
        log.warning("new")
    assert [day.exists() for day in days] == [False, False, False, True, True]


@pytest.mark.parametrize("path", ["/dev/null/oracle.log", "/"])
def test_a_file_that_cannot_be_opened_is_a_warning_and_no_more(path: str) -> None:
    stream = io.StringIO()
    with logging_to(load_settings({"LOG_FILE": path}), stream):
        log.info("the run goes on")
    warning, line = lines_of(stream.getvalue())
    assert warning["message"].startswith("LOG_FILE cannot be written")
    assert line["message"] == "the run goes on"


def test_a_disk_that_fills_up_costs_no_line_on_standard_error(tmp_path: Path) -> None:
    # In a process of its own: the limit on file sizes is the process's.
    script = """
        import resource, sys
        from oracle.config import load_settings
        from oracle.logs import get_logger, logging_to
        log = get_logger("oracle.tick")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with logging_to(load_settings({"LOG_FILE": sys.argv[1]})):
            for number in range(20):
                log.info("line", number=number)
    """
    path = tmp_path / "oracle.log"
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line["context"]["number"] for line in lines_of(run.stderr)] == list(range(20))


def test_where_the_settings_came_from_is_logged_without_their_values() -> None:
    stream = io.StringIO()
    settings = load_settings({"ELECTRS_URL": "http://node:3000", "SMTP_HOST": "mail"})
    with logging_to(settings, stream):
        log_settings(settings)
    [line] = lines_of(stream.getvalue())
    assert line["context"] == {"ELECTRS_URL": "environment", "SMTP_HOST": "environment"}


def test_a_misspelt_and_a_retired_setting_get_a_warning_each() -> None:
    stream = io.StringIO()
    settings = load_settings({"FASTAPI_PORT": "8001", "LOG_LEVLE": "DEBUG"})
    with logging_to(settings, stream):
        log_settings(settings)
    assert [line["level"] for line in lines_of(stream.getvalue())] == ["INFO", "WARNING", "WARNING"]


# Secrets of all kinds of characters; a marker keeps them from being parts of ordinary words.
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).map(
    "s3cr3t".__add__
)


@settings(max_examples=30, deadline=None)  # the logging is slow on a busy machine
@given(password=PASSWORDS)
def test_no_secret_is_ever_logged(password: str) -> None:
    environ = {"BITCOIN_RPC_USER": "oracle", "BITCOIN_RPC_PASSWORD": password}
    environ |= {
        "SMTP_USER": "mailer",
        "SMTP_PASSWORD": password,
        "ALERT_WEBHOOK_URL": "http://x/s3cr3t",
    }
    settings = load_settings(environ)
    for stream in (io.StringIO(), Terminal()):
        with logging_to(settings, stream):
            try:
                raise ValueError(f"401 for {password!r}") from KeyError(password)
            except ValueError:
                log.exception(
                    f"with {password}",
                    url=f"http://oracle:{password}@node",
                    at=[{password: password}],
                )
            log.warning("all", settings=settings, error=ValueError(password))
            logging.getLogger("urllib3").error("with %s", password)
        assert "s3cr3t" not in stream.getvalue()
        assert MASK in stream.getvalue()
