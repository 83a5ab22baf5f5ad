"""The files beside nginx, each by its own tool: units, install script, cron, logrotate, compose
file."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.conftest import PROJECT
from tests.deploy.running_nginx import DEPLOY
from tests.helpers.clock import NOW_UNIX, environ_at

INSTALL = DEPLOY / "install.sh"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
SERVICE = (DEPLOY / "systemd" / "oracle-build.service").read_text(encoding="utf-8")
BACKFILL = (DEPLOY / "systemd" / "oracle-backfill.service").read_text(encoding="utf-8")
BACKUP = (DEPLOY / "systemd" / "oracle-backup.service").read_text(encoding="utf-8")
NOTIFY = (DEPLOY / "systemd" / "oracle-notify@.service").read_text(encoding="utf-8")
TIMER = (DEPLOY / "systemd" / "oracle-build.timer").read_text(encoding="utf-8")
PROGRAM = "/opt/onchain-oracle/venv/bin/oracle"
COMPOSE = DEPLOY / "mempool-stack" / "docker-compose.yml"
COMPOSE_SCHEMA = PROJECT / (
    ".venv/tools/usr/lib/python3/dist-packages/compose/config/compose_spec.json"
)


def tool(name: str, package: str) -> str:
    """Return a program's path, or skip with the package that has it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return path


def run(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [str(word) for word in words], check=False, capture_output=True, text=True
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def install(destdir: Path, *options: str) -> str:
    return run(INSTALL, "--destdir", destdir, "--no-program", *options).stdout


def tree(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Return every file and link below a folder with its mode and content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode & 0o777,
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The shipped units, their program replaced by one that is here (systemd wants it to exist)."""
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, sys.executable))
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(units: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    result = run(analyze, "verify", "--man=no", *units.glob("oracle-*"))
    assert "oracle-" not in result.stderr


@pytest.mark.parametrize("service", [unit.name for unit in SERVICES])
def test_systemd_finds_the_services_well_closed(units: Path, service: str) -> None:
    analyze = tool("systemd-analyze", "systemd")
    run(analyze, "security", "--offline=yes", "--threshold=20", units / service)


def test_all_services_are_closed_alike() -> None:
    def closed(text: str) -> list[str]:
        start = text.index("ProtectSystem=")
        lines = text[start:].splitlines()
        return [line for line in lines if not line.startswith(("#", "MemoryMax=", "TasksMax="))]

    assert closed(BACKFILL) == closed(BACKUP) == closed(NOTIFY) == closed(SERVICE)


def test_whatever_ends_a_service_is_told() -> None:
    for service in (SERVICE, BACKFILL, BACKUP):
        assert "OnFailure=oracle-notify@%p.service\n" in service
    assert "OnFailure" not in NOTIFY


def test_the_past_is_added_after_all_else_and_never_given_up_for_its_length() -> None:
    for line in ("Nice=19", "IOSchedulingClass=idle", "TimeoutStartSec=infinity"):
        assert f"{line}\n" in BACKFILL


def test_systemd_runs_the_timer_every_ten_minutes() -> None:
    analyze = tool("systemd-analyze", "systemd")
    calendar = re.findall(r"^OnCalendar=(.*)$", TIMER, re.MULTILINE)
    assert calendar == ["*:0/10"]
    start = ["--base-time=2025-10-09 12:00:30 UTC", "--iterations=3"]
    elapses = re.findall(r"12:\d\d:\d\d UTC", run(analyze, "calendar", *start, calendar[0]).stdout)
    assert list(dict.fromkeys(elapses)) == ["12:10:00 UTC", "12:20:00 UTC", "12:30:00 UTC"]


def test_a_run_that_finds_the_lock_taken_is_no_failure() -> None:
    from oracle.errors import BusyError

    for service in (SERVICE, BACKFILL, BACKUP):
        assert f"SuccessExitStatus={BusyError.exit_code}\n" in service


def test_systemd_gives_the_folders_the_modes_that_the_install_script_gives_them() -> None:
    # Without a mode systemd opens a folder to everybody each time that the service starts.
    script = INSTALL.read_text()
    for folder, setting in {
        "$state": "StateDirectoryMode",
        "$destdir/var/cache/$name": "CacheDirectoryMode",
        "$destdir/var/log/$name": "LogsDirectoryMode",
    }.items():
        [mode] = re.findall(rf'owned (\d+) "{re.escape(folder)}"', script)
        for service in (SERVICE, BACKFILL, BACKUP, NOTIFY):
            assert f"{setting}={mode}\n" in service


def test_the_service_writes_only_its_own_folders() -> None:
    assert "ProtectSystem=strict\n" in SERVICE
    assert "ReadWritePaths" not in SERVICE


def test_the_shell_check_finds_nothing_in_the_install_script() -> None:
    run(tool("shellcheck", "shellcheck"), INSTALL)


def test_a_dry_run_says_much_and_changes_nothing(tmp_path: Path) -> None:
    said = run(
        INSTALL, "--dry-run", "--no-nginx", "--destdir", tmp_path, "--python", sys.executable
    ).stdout
    assert re.search(
        rf"\+ {tmp_path}/opt/onchain-oracle/programs/\w+/bin/python -m pip install", said
    )
    assert list(tmp_path.iterdir()) == []


def test_an_installation_puts_every_file_in_its_place(tmp_path: Path) -> None:
    install(tmp_path)
    assert set(tree(tmp_path)) == {
        "etc/logrotate.d/onchain-oracle",
        "etc/nginx/sites-available/onchain-oracle.conf",
        "etc/nginx/sites-enabled/onchain-oracle.conf",
        "etc/onchain-oracle/oracle.env",
        *(f"etc/systemd/system/{unit.name}" for unit in UNITS if unit.suffix != ".path"),
        "opt/onchain-oracle/share/.env.example",
        "opt/onchain-oracle/share/README.md",
        "usr/local/bin/onchain-oracle",
        "var/lib/onchain-oracle/.env",
    }


def test_a_build_at_each_block_is_asked_for_by_the_user_of_the_node(tmp_path: Path) -> None:
    install(tmp_path, "--blocknotify", "bitcoin")
    named = tree(tmp_path)
    assert "etc/systemd/system/oracle-build.path" in named
    _, text = named["etc/tmpfiles.d/onchain-oracle.conf"]
    assert b"f /run/onchain-oracle/block 0644 bitcoin root" in text
    install(tmp_path)
    assert tree(tmp_path) == named, "an upgrade without the option keeps it"
    run(INSTALL, "--destdir", tmp_path, "--uninstall", "--purge")
    assert tree(tmp_path) == {}


def test_installing_twice_is_installing_once(tmp_path: Path) -> None:
    install(tmp_path)
    once = tree(tmp_path)
    install(tmp_path)
    assert tree(tmp_path) == once


def test_installing_again_keeps_settings_and_port(tmp_path: Path) -> None:
    install(tmp_path, "--port", "8123")
    settings = tmp_path / "etc/onchain-oracle/oracle.env"
    settings.write_text("LOG_LEVEL=DEBUG\n")
    install(tmp_path)
    assert settings.read_text() == "LOG_LEVEL=DEBUG\n"
    assert (
        "listen 8123;" in (tmp_path / "etc/nginx/sites-available/onchain-oracle.conf").read_text()
    )


def test_secrets_in_the_settings_are_not_for_everyone(tmp_path: Path) -> None:
    install(tmp_path)
    assert tree(tmp_path)["etc/onchain-oracle/oracle.env"][0] == 0o640


def test_the_installed_settings_are_accepted(tmp_path: Path) -> None:
    from oracle.config import load_settings

    install(tmp_path)
    settings = load_settings({}, tmp_path / "etc/onchain-oracle/oracle.env")
    assert settings.warnings == ()
    assert str(settings.duckdb_backup_path).startswith("/var/cache/onchain-oracle/")


def test_installed_units_and_site_are_the_shipped_ones(tmp_path: Path) -> None:
    install(tmp_path)
    assert (tmp_path / "etc/systemd/system/oracle-build.service").read_text() == SERVICE
    shipped = (DEPLOY / "nginx" / "oracle.conf").read_text()
    assert (tmp_path / "etc/nginx/sites-available/onchain-oracle.conf").read_text() == shipped


def test_cron_replaces_the_timer(tmp_path: Path) -> None:
    install(tmp_path)
    install(tmp_path, "--cron")
    files = tree(tmp_path)
    assert "etc/cron.d/onchain-oracle" in files
    assert not [name for name in files if name.startswith("etc/systemd")]


def test_the_timer_replaces_cron(tmp_path: Path) -> None:
    install(tmp_path, "--cron")
    install(tmp_path)
    assert "etc/cron.d/onchain-oracle" not in tree(tmp_path)


def test_uninstalling_keeps_settings_and_data(tmp_path: Path) -> None:
    install(tmp_path)
    database = tmp_path / "var/lib/onchain-oracle/state/oracle.duckdb"
    database.parent.mkdir()
    database.write_text("rows")
    run(INSTALL, "--destdir", tmp_path, "--uninstall")
    assert set(tree(tmp_path)) == {
        "etc/onchain-oracle/oracle.env",
        "var/lib/onchain-oracle/.env",
        "var/lib/onchain-oracle/state/oracle.duckdb",
    }


def test_purging_leaves_nothing(tmp_path: Path) -> None:
    install(tmp_path)
    run(INSTALL, "--destdir", tmp_path, "--uninstall", "--purge")
    assert tree(tmp_path) == {}


def test_uninstalling_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    run(INSTALL, "--destdir", tmp_path, "--uninstall", "--purge")


WRONG_OPTIONS = [
    "--port 0",
    "--port 70000",
    "--port x",
    "--port",
    "--what",
    "--purge",
    "--destdir x",
    "--blocknotify a;b",
    "--blocknotify nobody-of-that-name",
    "--blocknotify root --cron",
]


@pytest.mark.parametrize("options", WRONG_OPTIONS)
def test_wrong_options_are_one_sentence_and_exit_code_2(options: str) -> None:
    result = run(INSTALL, "--dry-run", *options.split(), check=False)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("said", "calendar", "cron"),
    [
        ("", "*:0/10", "*/10 * * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=5", "*:0/5", "*/5 * * * *"),
        ('ANALYSIS_INTERVAL_MINUTES="20"', "*:0/20", "*/20 * * * *"),
        ("ANALYSIS_INTERVAL_MINUTES = 30 # enough", "*:0/30", "*/30 * * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=5\nANALYSIS_INTERVAL_MINUTES=15", "*:0/15", "*/15 * * * *"),
        ("#ANALYSIS_INTERVAL_MINUTES=5", "*:0/10", "*/10 * * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=60", "0/1:00", "0 */1 * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=180", "0/3:00", "0 */3 * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=0", "*:0/10", "*/10 * * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=08", "*:0/8", "*/8 * * * *"),
        ("ANALYSIS_INTERVAL_MINUTES=1; rm -rf", "*:0/10", "*/10 * * * *"),
    ],
)
def test_the_interval_of_the_settings_is_that_of_timer_and_cron(
    tmp_path: Path, said: str, calendar: str, cron: str
) -> None:
    settings = tmp_path / "etc/onchain-oracle/oracle.env"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"{said}\n")
    install(tmp_path)
    timer = (tmp_path / "etc/systemd/system/oracle-build.timer").read_text()
    assert re.findall("^OnCalendar=(.*)$", timer, re.MULTILINE) == [calendar]
    assert run(tool("systemd-analyze", "systemd"), "calendar", calendar).returncode == 0
    install(tmp_path, "--cron")
    jobs = (tmp_path / "etc/cron.d/onchain-oracle").read_text()
    [build] = [line for line in jobs.splitlines() if "oracle build" in line]
    assert build.startswith(f"{cron} onchain-oracle ")
    backups = (DEPLOY / "systemd/oracle-backup.timer").read_text()
    assert "OnCalendar=*:0/10" not in backups


def test_cron_runs_the_same_program_as_often_as_the_timer() -> None:
    lines = (DEPLOY / "cron" / "onchain-oracle").read_text().splitlines()
    jobs = [line for line in lines if re.match(r"[*\d]", line)]
    assert jobs[0].startswith(
        "*/10 * * * * onchain-oracle cd /var/lib/onchain-oracle && " + PROGRAM + " build"
    )
    assert [job.split(" >")[0].rsplit(maxsplit=1)[1] for job in jobs] == [
        "build",
        "backfill",
        "backup",
    ]


def test_logrotate_understands_its_file(tmp_path: Path) -> None:
    rotate = tool("logrotate", "logrotate")
    file, log = tmp_path / "rotate", tmp_path / "build.log"
    log.write_text("a line\n")
    shipped = (DEPLOY / "logrotate" / "onchain-oracle").read_text()
    ours = shipped.replace("/var/log/onchain-oracle/build.log", str(log))
    file.write_text(
        re.sub(r"    (su|create) .*\n", "", ours)
    )  # the user exists after an installation only
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    run(rotate, "--force", "--state", tmp_path / "state", file)
    assert (tmp_path / "build.log.1").read_text() == "a line\n"


def test_forty_days_of_logrotate_lose_no_line_and_keep_files_small(tmp_path: Path) -> None:
    rotate = tool("logrotate", "logrotate")
    file, log = tmp_path / "rotate", tmp_path / "build.log"
    shipped = (DEPLOY / "logrotate" / "onchain-oracle").read_text()
    file.write_text(
        re.sub(
            r"    (su|create) .*\n", "", shipped.replace("/var/log/onchain-oracle", str(tmp_path))
        )
    )
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    line = "x" * 999
    for day in range(40):
        lines = 25_000 if day == 20 else 200  # one night everything fails, and says so
        with log.open("a") as written:
            written.writelines(f"{day:3} {number:6} {line}\n" for number in range(lines))
        subprocess.run(
            [rotate, "--state", tmp_path / "state", file],
            env=os.environ | environ_at(NOW_UNIX + day * 86_400),
            check=True,
        )
        assert not log.exists() or log.stat().st_size < 20 << 20
    kept = [log, *tmp_path.glob("build.log.*")]
    assert len(kept) <= 1 + 8
    texts = [
        (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
        for path in kept
        if path.exists()
    ]
    seen = Counter(line[:10] for text in texts for line in text.splitlines())
    assert set(seen.values()) == {1}
    assert len(seen) == 39 * 200 + 25_000
    assert sorted(path.suffix for path in kept if path.suffix == ".gz") == [".gz"] * (len(kept) - 2)


def test_the_compose_file_is_sound_yaml_with_a_pinnable_image_each() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert set(services) == {"database", "backend", "electrs", "website"}
    assert all(
        re.fullmatch(r"[\w/]+:\$\{\w+_VERSION:-[\w.]+\}", it["image"]) for it in services.values()
    )


def test_the_compose_file_holds_no_secret_and_no_default_for_one() -> None:
    secrets = re.findall(r"^ *\w*PASSWORD: (.*)$", COMPOSE.read_text(), re.MULTILINE)
    assert len(secrets) == 4
    assert all(
        re.fullmatch(r"\$\{\w+:\?set \w+ in \.env\}", value) or value == '"yes"'
        for value in secrets
    )


def test_every_variable_of_the_compose_file_is_in_its_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    example = (COMPOSE.parent / "env.example").read_text()
    named = set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))
    assert named == used


def test_the_compose_file_is_as_the_specification_says() -> None:
    schema = COMPOSE_SCHEMA if COMPOSE_SCHEMA.exists() else None
    if schema is None:
        pytest.skip("the schema of compose files is not there (make test fetches it from Debian)")
    found = yaml.safe_load(COMPOSE.read_text())
    errors = Draft7Validator(json.loads(schema.read_text())).iter_errors(found)
    assert [f"{list(error.path)}: {error.message}" for error in errors] == []


def with_defaults(text: str) -> str:
    """Fill in what compose would, with an empty environment and the secrets set."""
    return re.sub(r"\$\{\w+:[-?]([^}]*)\}", lambda found: found[1].split()[0], text)


def test_every_port_of_the_stack_is_the_same_wherever_it_stands() -> None:
    found = yaml.safe_load(with_defaults(COMPOSE.read_text()))["services"]
    backend = found["backend"]
    assert found["database"]["ports"] == [
        f"127.0.0.1:{backend['environment']['DATABASE_PORT']}:3306"
    ]
    for name in ("backend", "website"):
        waits_for = re.search(r"127\.0\.0\.1:(\d+)", found[name]["command"])
        assert waits_for
        assert int(waits_for[1]) == backend["environment"]["DATABASE_PORT"]
    port = backend["environment"]["BACKEND_HTTP_PORT"]
    assert f":{port}/api/v1/backend-info" in backend["healthcheck"]["test"][-1]
    assert found["website"]["environment"]["BACKEND_MAINNET_HTTP_PORT"] == port
    assert f":{found['website']['environment']['FRONTEND_HTTP_PORT']}/" in str(
        found["website"]["healthcheck"]
    )
    served = next(word for word in found["electrs"]["command"] if "--http-addr" in word)
    assert served.partition("=")[2] in backend["environment"]["ESPLORA_REST_API_URL"]


def test_whatever_waits_for_a_service_waits_until_it_is_well() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, name
            assert "healthcheck" in services[other]


def test_the_stacks_unit_is_one_and_is_left_little(tmp_path: Path) -> None:
    unit = COMPOSE.parent / "mempool-stack.service"
    analyze = tool("systemd-analyze", "systemd")
    text = unit.read_text().replace("/usr/bin/docker", "/bin/true")
    text = re.sub("^Requires=docker.service\n", "", text, flags=re.MULTILINE)
    (tmp_path / unit.name).write_text(text)
    assert run(analyze, "verify", tmp_path / unit.name).stderr == ""
    run(analyze, "security", "--offline=true", "--threshold=20", unit)
