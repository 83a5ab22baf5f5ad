"""The settings: where they come from, what is wrong with them, and that their documents say the
same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle.config import NAMES, Settings, help_of, load_settings
from oracle.errors import SettingsError
from oracle.masking import MASK
from tests.conftest import PROJECT


def problems_of(environ: dict[str, str], dotenv: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, dotenv)
    return caught.value.problems


def origin_of(name: str, settings: Settings) -> str:
    return next(line.origin for line in settings.describe() if line.name == name)


def written(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text)
    return path


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = load_settings({"LOG_LEVEL": "ERROR"}, written(tmp_path, "LOG_LEVEL=DEBUG"))
    assert (settings.log_level, origin_of("LOG_LEVEL", settings)) == ("ERROR", "environment")


def test_the_file_wins_over_the_default(tmp_path: Path) -> None:
    settings = load_settings({}, written(tmp_path, "LOG_LEVEL=DEBUG"))
    assert (settings.log_level, origin_of("LOG_LEVEL", settings)) == ("DEBUG", ".env")


def test_a_command_line_option_wins_over_the_environment() -> None:
    settings = load_settings({"BITCOIN_DATADIR": "/a"}, overrides={"BITCOIN_DATADIR": "/b"})
    assert (settings.bitcoin_datadir, origin_of("BITCOIN_DATADIR", settings)) == (
        Path("/b"),
        "command line",
    )


def test_what_nobody_set_is_the_default() -> None:
    settings = load_settings({})
    assert (settings.log_level, origin_of("LOG_LEVEL", settings)) == ("INFO", "default")


def test_the_defaults_are_those_of_the_issue() -> None:
    settings = load_settings({})
    assert settings.utxoracle_confidence_threshold == 0.3
    assert (settings.utxoracle_min_price_usd, settings.utxoracle_max_price_usd) == (10_000, 500_000)
    assert settings.analysis_interval_minutes == 10
    assert settings.oracle_mempool_retry_delays_seconds == (5, 15, 45)
    assert settings.oracle_rpc_retry_delays_seconds == (10, 10)
    assert settings.oracle_quote_max_age_seconds == 7200


def test_an_empty_setting_counts_as_unset() -> None:
    settings = load_settings({"MEMPOOL_API_URL": "", "LOG_LEVEL": "  "})
    assert settings.mempool_api_url is None
    assert origin_of("LOG_LEVEL", settings) == "default"


def test_an_empty_setting_in_the_environment_leaves_the_file_its_say(tmp_path: Path) -> None:
    settings = load_settings({"LOG_LEVEL": ""}, written(tmp_path, "LOG_LEVEL=DEBUG"))
    assert settings.log_level == "DEBUG"


def test_the_environment_of_the_process_is_not_read_behind_our_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert load_settings({}).log_level == "INFO"


def test_a_file_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path / ".env").log_level == "INFO"


def test_a_value_in_the_file_may_be_quoted_and_exported(tmp_path: Path) -> None:
    settings = load_settings({}, written(tmp_path, 'export SMTP_HOST="mail.example.org"  # ours\n'))
    assert settings.smtp_host == "mail.example.org"


def test_a_dollar_sign_in_the_file_is_a_character(tmp_path: Path) -> None:
    text = "BITCOIN_RPC_URL=http://x:1\nBITCOIN_RPC_USER=a\nBITCOIN_RPC_PASSWORD=p${HOME}$1\n"
    password = load_settings({"HOME": "/root"}, written(tmp_path, text)).bitcoin_rpc_password
    assert password is not None
    assert password.get_secret_value() == "p${HOME}$1"


def test_a_file_from_windows_is_read_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfLOG_LEVEL=DEBUG\r\nSMTP_PORT=25\r\n")
    settings = load_settings({}, path)
    assert (settings.log_level, settings.smtp_port) == ("DEBUG", 25)


def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"LOG_LEVEL=\xff\xfe")
    assert "cannot be read" in problems_of({}, path)[0]


def test_all_problems_are_told_at_once() -> None:
    problems = problems_of(
        {
            "LOG_LEVEL": "loud",
            "MEMPOOL_API_URL": "localhost:8999",
            "SMTP_PORT": "mail",
            "ALERT_EMAIL": "ops@example.org",
            "UTXORACLE_MIN_PRICE_USD": "9",
            "UTXORACLE_MAX_PRICE_USD": "8",
        }
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "MEMPOOL_API_URL",
        "UTXORACLE_MAX_PRICE_USD",
        "LOG_LEVEL",
        "SMTP_HOST",
        "SMTP_PORT",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEMPOOL_API_URL", "localhost:8999"),
        ("MEMPOOL_API_URL", "ftp://localhost"),
        ("ELECTRS_URL", "http://host:port"),
        ("ELECTRS_URL", "http://[::1"),
        ("BITCOIN_RPC_URL", "http://"),
        ("ALERT_WEBHOOK_URL", "hooks.slack.com/x"),
        ("LOG_LEVEL", "loud"),
        ("LOG_RETENTION_DAYS", "0"),
        ("UTXORACLE_CONFIDENCE_THRESHOLD", "30"),
        ("UTXORACLE_MIN_PRICE_USD", "nan"),
        ("UTXORACLE_MAX_PRICE_USD", "10000"),
        ("ANALYSIS_INTERVAL_MINUTES", "0"),
        ("ALERT_EMAIL", "ops at example.org"),
        ("ALERT_EMAIL", "a@b\nBcc: c@d"),
        ("SMTP_SECURITY", "perhaps"),
        ("ORACLE_RPC_RETRY_DELAYS_SECONDS", "10,soon"),
        ("ORACLE_RPC_RETRY_DELAYS_SECONDS", "-1"),
        ("ORACLE_CALCULATOR", "oracle.calculator"),
        ("ORACLE_SOURCES", "core,bitcoind"),
        ("ORACLE_SOURCES", ","),
        ("ORACLE_SOURCES", "core"),
        ("ORACLE_KEEP_RELEASES", "1"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_the_name_and_an_example(name: str, value: str) -> None:
    [problem] = problems_of({name: value, "SMTP_HOST": "mail.example.org"})
    assert re.fullmatch(r"([A-Z_]+): .+, for example \1=.+", problem)


def test_a_wrong_value_itself_is_not_repeated() -> None:
    [problem] = problems_of({"BITCOIN_RPC_URL": "htp://user:hunter2@node"})
    assert "hunter2" not in problem


def test_the_simulated_chain_does_not_mix_with_real_ones() -> None:
    [problem] = problems_of(
        {"ORACLE_SOURCES": "simulated,electrs", "ELECTRS_URL": "http://localhost:3000"}
    )
    assert problem.startswith(
        "ORACLE_SOURCES: should be simulated, or some of the sources set up (electrs)"
    )


def test_the_calculators_name_may_be_dotted() -> None:
    assert load_settings({"ORACLE_CALCULATOR": "a.b_2.c:D3"}).oracle_calculator == "a.b_2.c:D3"


def test_a_list_of_addresses_is_split_at_commas() -> None:
    settings = load_settings({"ALERT_EMAIL": "a@x.org, b@y.org", "SMTP_HOST": "mail"})
    assert settings.alert_email == ("a@x.org", "b@y.org")


def test_a_level_may_be_written_small() -> None:
    assert load_settings({"LOG_LEVEL": "debug"}).log_level == "DEBUG"


def test_an_address_loses_its_trailing_slash() -> None:
    assert load_settings({"MEMPOOL_API_URL": "http://x:8999/"}).mempool_api_url == "http://x:8999"


def test_a_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/satoshi")
    assert load_settings({"BITCOIN_DATADIR": "~/.bitcoin"}).bitcoin_datadir == Path(
        "/home/satoshi/.bitcoin"
    )


def test_no_retry_is_written_as_zero_or_nothing() -> None:
    assert (
        load_settings({"ORACLE_RPC_RETRY_DELAYS_SECONDS": ","}).oracle_rpc_retry_delays_seconds
        == ()
    )


def test_without_a_node_the_source_is_the_simulated_chain() -> None:
    settings = load_settings({})
    assert (settings.oracle_sources, settings.is_simulated) == (("simulated",), True)


def test_the_sources_are_those_configured_in_their_order() -> None:
    environ = {"MEMPOOL_API_URL": "http://m", "ELECTRS_URL": "http://e", "BITCOIN_DATADIR": "/b"}
    assert load_settings(environ).oracle_sources == ("core", "electrs", "mempool", "blkfiles")


def test_an_explicit_order_of_sources_is_kept() -> None:
    environ = {
        "MEMPOOL_API_URL": "http://m",
        "BITCOIN_RPC_URL": "http://c",
        "ORACLE_SOURCES": "mempool, core",
    }
    assert load_settings(environ).oracle_sources == ("mempool", "core")


def test_a_source_that_is_named_but_not_configured_is_a_problem() -> None:
    [problem] = problems_of({"ORACLE_SOURCES": "electrs"})
    assert problem.startswith(
        "ORACLE_SOURCES: should be simulated, or some of the sources set up (none)"
    )


def test_simulated_numbers_go_to_a_database_of_their_own() -> None:
    assert load_settings({}).duckdb_path == Path("state/simulated.duckdb")


def test_real_numbers_go_to_the_default_database() -> None:
    assert load_settings({"ELECTRS_URL": "http://e"}).duckdb_path == Path("state/oracle.duckdb")


def test_a_chosen_database_is_used_for_simulated_numbers_too() -> None:
    assert load_settings({"DUCKDB_PATH": "/x.duckdb"}).duckdb_path == Path("/x.duckdb")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="log_level"):
        load_settings({}).log_level = "DEBUG"  # type: ignore[misc]


SECRET = {
    "BITCOIN_RPC_URL": "http://node-user:url%20secret@127.0.0.1:8332",
    "BITCOIN_RPC_USER": "oracle",
    "BITCOIN_RPC_PASSWORD": "rpc'secret\"\\",
    "ALERT_WEBHOOK_URL": "https://hooks.example.org/services/T0/B0/webhook-secret",
    "ALERT_WEBHOOK_SECRET": "signing-secret",
    "SMTP_USER": "mailer",
    "SMTP_PASSWORD": "smtp-secret",
}


def test_no_secret_shows_in_the_description() -> None:
    shown = [line.value for line in load_settings(SECRET).describe()]
    assert "secret" not in " ".join(shown)


def test_a_secret_that_is_set_shows_as_a_mask() -> None:
    values = {line.name: line.value for line in load_settings(SECRET).describe()}
    assert values["SMTP_PASSWORD"] == MASK
    assert values["BITCOIN_RPC_URL"] == f"http://{MASK}@127.0.0.1:8332"


def test_the_description_has_every_setting_with_its_origin() -> None:
    lines = load_settings(SECRET).describe()
    assert [line.name for line in lines] == list(NAMES)
    assert {line.origin for line in lines} == {"environment", "default"}


@pytest.mark.parametrize(
    "text",
    [
        "password rpc'secret\"\\ was wrong",
        repr({"password": "rpc'secret\"\\"}),
        "http://node-user:url%20secret@127.0.0.1:8332/",
        "POST https://hooks.example.org/services/T0/B0/webhook-secret: 404",
        "http://other:secret@host",
        "Authorization: Basic b3JhY2xlOnNlY3JldA==",
        "__cookie__:5ec2e7",
    ],
)
def test_a_secret_is_masked_in_every_spelling(text: str) -> None:
    redacted = load_settings(SECRET).redact(text)
    assert MASK in redacted
    assert not re.search(r"secret|b3JhY2xl|5ec2e7", redacted)


def test_all_of_a_password_with_an_at_sign_is_masked() -> None:
    settings = load_settings({"BITCOIN_RPC_URL": "http://user:p@ssw0rd@node:8332"})
    assert (
        dict(line[:2] for line in settings.describe())["BITCOIN_RPC_URL"]
        == f"http://{MASK}@node:8332"
    )


def test_a_text_without_a_secret_stays_as_it_is() -> None:
    text = "block 840000 from http://127.0.0.1:8332 took 12 ms"
    assert load_settings(SECRET).redact(text) == text


def test_cleaning_goes_into_lists_and_objects() -> None:
    cleaned = load_settings(SECRET).clean(
        {"a": ["smtp-secret", 1, None], "b": ValueError("smtp-secret")}
    )
    assert cleaned == {"a": [MASK, 1, None], "b": MASK}


@pytest.mark.parametrize(
    "name", ["MEMPOOL_WS_URL", "FASTAPI_HOST", "FASTAPI_PORT", "FASTAPI_WORKERS"]
)
def test_a_retired_name_gets_a_line_that_says_what_replaced_it(name: str) -> None:
    [warning] = load_settings({name: "x"}).warnings
    assert warning.startswith(f"{name} is no longer read: ")
    assert re.search("timer|nginx", warning)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("MEMPOOL_API_ULR", "MEMPOOL_API_URL"),
        ("mempool_api_url", "MEMPOOL_API_URL"),
        ("MEMPOL_API_URL", "MEMPOOL_API_URL"),
        ("BITCOIN_RPC_PASS", "BITCOIN_RPC_PASSWORD"),
        ("DUCKDB_PAHT", "DUCKDB_PATH"),
        ("ORACLE_SITEDIR", "ORACLE_SITE_DIR"),
        ("LOG_LEVLE", "LOG_LEVEL"),
    ],
)
def test_a_misspelt_name_in_the_environment_is_pointed_out(wrong: str, right: str) -> None:
    assert load_settings({wrong: "x"}).warnings == (
        f"{wrong} is not a setting; did you mean {right}?",
    )


def test_variables_of_other_programs_are_left_alone() -> None:
    others = ["PATH", "HOME", "LOGNAME", "ORACLE_HOME", "ORACLE_SID", "SMTPD", "URL", "EMAIL"]
    assert load_settings(dict.fromkeys(others, "x")).warnings == ()


def documented_in_the_example() -> dict[str, tuple[str, str]]:
    """Name to (comment, value) of `.env.example`, where every setting is written as a comment to
    take out."""
    text = (PROJECT / ".env.example").read_text()
    found = re.findall(r"((?:^# .*\n)+)^#([A-Z_]+)=(.*)$", text, flags=re.MULTILINE)
    return {
        name: (" ".join(comment.replace("#", "").split()), value) for comment, name, value in found
    }


def test_the_example_file_has_every_setting_with_its_comment_and_example() -> None:
    assert documented_in_the_example() == {name: help_of(name) for name in NAMES}


def test_the_example_file_changes_nothing_as_it_is() -> None:
    settings = load_settings({}, PROJECT / ".env.example")
    assert (settings, settings.warnings) == (load_settings({}), ())


def test_every_example_of_the_example_file_is_a_right_value(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, (_, value) in documented_in_the_example().items()]
    settings = load_settings({}, written(tmp_path, "\n".join(lines)))
    assert {line.origin for line in settings.describe()} == {".env"}


def test_the_table_of_settings_is_that_of_the_model() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \| (.*?) \|$",
        (PROJECT / "docs" / "settings.md").read_text(),
        flags=re.MULTILINE,
    )
    defaults = {
        line.name: line.value for line in load_settings({"ELECTRS_URL": "http://e"}).describe()
    }
    computed = {"ELECTRS_URL": "", "ORACLE_SOURCES": ""}
    computed |= {"DUCKDB_BACKUP_PATH": "", "ORACLE_BACKUP_DIR": ""}
    expected = {
        name: (f"`{default}`" if default else "", help_of(name)[0], f"`{help_of(name)[1]}`")
        for name, default in (defaults | computed).items()
    }
    assert {name: tuple(rest) for name, *rest in rows} == expected


def test_a_network_that_there_is_not_is_refused() -> None:
    assert problems_of({"ORACLE_NETWORK": "mainnet"})[0].startswith("ORACLE_NETWORK: ")
