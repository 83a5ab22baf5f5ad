"""A whole Debian, booted by systemd: installed on, read through its nginx, unplugged, booted again.

It takes root, mmdebstrap, the shared folder's boot-debian and some minutes; ORACLE_DEBIAN may name
a tree that was made before.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.deploy.running_nginx import free_port
from tests.helpers.code_lines import PROJECT
from tests.helpers.fakes.hook import Hook

pytestmark = pytest.mark.booted

STATE = "var/lib/onchain-oracle"
FIRST_BUILD_SECONDS = 600
PROGRAM = "/opt/onchain-oracle/venv"
FORGOTTEN_BLOCKS = 200  # of the past of a record, to be added again
IS_BUILDING = '[ "$(systemctl is-active oracle-build.service)" = activating ]'
ANSWERS = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {}), 1)' 2>/dev/null"


class Machine:
    """A booted tree; commands run inside as root."""

    def __init__(self, tool: Path, tree: Path) -> None:
        self.tool, self.tree = tool, tree
        self.port = free_port()

    def power(self, verb: str) -> None:
        """Start, stop (a shutdown) or kill (the plug is pulled)."""
        subprocess.run([self.tool, verb, self.tree], check=True, capture_output=True, timeout=180)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.tool, "run", self.tree, *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def install(self, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Install as an administrator does whose files are nobody else's."""
        command = 'umask 077; exec /root/oracle/deploy/install.sh "$@"'
        return self.run("sh", "-c", command, "sh", *options, check=check)

    def ask(self, path: str) -> tuple[int, bytes]:
        """Ask the machine's nginx."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as got:
                return got.status, got.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def wait_until(self, condition: str, seconds: int = FIRST_BUILD_SECONDS) -> None:
        """Let the machine wait until a condition of its shell is true."""
        loop = f"until {condition}; do sleep 0.3; done"
        done = self.run("timeout", str(seconds), "sh", "-c", loop, check=False)
        assert done.returncode == 0, self.run("journalctl", "--no-pager", "-n", "40").stdout

    def latest(self) -> dict[str, Any] | None:
        status, body = self.ask("/api/latest.json")
        return json.loads(body) if status == 200 else None


@pytest.fixture(scope="module")
def machine(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A Debian with the checkout in /root/oracle, booted, with nothing machine."""
    tool = shared / "tools/boot-debian"
    if os.geteuid() != 0 or not tool.is_file() or shutil.which("mmdebstrap") is None:
        pytest.skip("to boot a machine takes root, mmdebstrap and boot-debian")
    pristine = Path(os.environ.get("ORACLE_DEBIAN") or tmp_path_factory.mktemp("debian") / "tree")
    if not pristine.is_dir():
        subprocess.run([tool, "make", pristine], check=True, capture_output=True, timeout=900)
    tree = tmp_path_factory.mktemp("booted") / "tree"
    subprocess.run(["cp", "-a", pristine, tree], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (PROJECT / name).is_file():
            target = tree / "root/oracle" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, target)
    made = Machine(tool, tree)
    made.power("start")
    try:
        yield made
    finally:
        made.power("kill")


def rows_of(machine: Machine, table: str) -> int:
    [database] = (machine.tree / STATE / "state").glob("*.duckdb")
    copy = machine.tree / "tmp.duckdb"
    shutil.copy(database, copy)
    with closing(duckdb.connect(str(copy))) as connection:
        [(count,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    copy.unlink()
    return int(count)


def before_anything_the_port_of_another_is_told_in_a_sentence_and_the_rest_installed(
    machine: Machine,
) -> None:
    (machine.tree / "etc/nginx/sites-enabled/default").write_text(
        f"server {{ listen {machine.port} default_server; }}\n"
    )
    said = machine.install("--port", str(machine.port), check=False)
    assert said.returncode == 3
    assert f"port {machine.port} belongs to another site of nginx" in said.stderr
    assert "sites-enabled/default" in said.stderr
    (machine.tree / "etc/nginx/sites-enabled/default").unlink()
    assert machine.run("systemctl", "is-active", "oracle-build.timer").stdout.strip() == "active"
    assert machine.run("/usr/local/bin/onchain-oracle", "--version").stdout.startswith(
        "oracle, version"
    )


def a_port_that_another_program_has_is_told(machine: Machine) -> None:
    program = "import signal, socket; s = socket.create_server(('', {})); signal.pause()"
    port = free_port()
    machine.run("systemd-run", "--unit=taker", "python3", "-c", program.format(port))
    machine.wait_until(ANSWERS.format(port), 30)
    said = machine.install("--port", str(port), check=False)
    machine.run("systemctl", "stop", "taker")
    assert said.returncode == 3
    assert f"port {port} is taken by another program" in said.stderr


def installed_it_says_where_the_site_is_and_that_its_first_build_runs(machine: Machine) -> None:
    said = machine.install("--port", str(machine.port))
    assert f":{machine.port}/" in said.stdout
    assert "the first build is running" in said.stdout
    machine.wait_until(f"[ -e /{STATE}/site/public/index.html ] && ! {IS_BUILDING}")
    assert machine.latest() is not None


def the_site_is_there_and_the_timer_goes_on(machine: Machine) -> None:
    status, page = machine.ask("/")
    assert status == 200
    assert b"On-chain price" in page
    assert machine.ask("/health")[0] == 200
    assert machine.run("systemctl", "is-enabled", "oracle-build.timer").stdout == "enabled\n"


def nobody_else_can_read_settings_or_record(machine: Machine) -> None:
    machine.run("useradd", "--create-home", "curious")
    [database] = (machine.tree / STATE / "state").glob("*.duckdb")
    inside = f"/{database.relative_to(machine.tree)}"
    for path in (inside, "/etc/onchain-oracle/oracle.env", "/var/cache/onchain-oracle/x"):
        said = machine.run("runuser", "-u", "curious", "--", "cat", path, check=False)
        assert "Permission denied" in said.stderr, path
    said = machine.run("runuser", "-u", "curious", "--", "ls", f"/{STATE}/site/public/")
    assert "index.html" in said.stdout


def the_running_services_are_confined(machine: Machine) -> None:
    for name in (
        "oracle-build.service",
        "oracle-backfill.service",
        "oracle-backup.service",
        "oracle-notify@oracle-build.service",
    ):
        said = machine.run("systemd-analyze", "security", "--no-pager", name).stdout
        assert float(said.rsplit(f"{name}:", 1)[1].split()[0]) < 2.0


def the_past_is_added_by_a_timer_within_the_same_walls(machine: Machine) -> None:
    assert machine.run("systemctl", "is-active", "oracle-backfill.timer").stdout == "active\n"
    machine.run("systemctl", "stop", "oracle-build.timer")
    machine.wait_until(f"! {IS_BUILDING}")
    [database] = (machine.tree / STATE / "state").glob("*.duckdb")
    with closing(duckdb.connect(str(database))) as connection:
        [(lowest,)] = connection.execute("SELECT min(height) FROM blocks").fetchall()
        for table in ("blocks", "outputs", "prices"):
            connection.execute(f"DELETE FROM {table} WHERE height < {lowest + FORGOTTEN_BLOCKS}")
    for said in (f"{FORGOTTEN_BLOCKS} blocks, ", "nothing was missing"):
        machine.run("systemctl", "start", "oracle-backfill.service")
        # journald takes what a service printed after what systemd says of it
        machine.wait_until(f"journalctl -u oracle-backfill --no-pager | grep -q '{said}'", 60)
    machine.run("systemctl", "start", "oracle-build.timer")


def a_copy_is_made_each_night_and_a_lost_record_brought_back(machine: Machine) -> None:
    assert machine.run("systemctl", "is-active", "oracle-backup.timer").stdout == "active\n"
    machine.run("systemctl", "stop", "oracle-build.timer")
    machine.wait_until(f"! {IS_BUILDING}")
    blocks = rows_of(machine, "blocks")
    machine.run("systemctl", "start", "oracle-backup.service")
    [copy] = (machine.tree / STATE / "state/copies").glob("*.duckdb")
    said = machine.run(
        "runuser", "-u", "curious", "--", "ls", f"/{STATE}/state/copies", check=False
    )
    assert "Permission denied" in said.stderr
    [database] = (machine.tree / STATE / "state").glob("*.duckdb")
    database.write_bytes(b"lost")
    build = machine.run("systemctl", "start", "oracle-build.service", check=False)
    assert build.returncode != 0
    assert machine.ask("/")[0] == 200, "the site stays up"
    said = machine.run("/usr/local/bin/onchain-oracle", "restore")
    assert copy.name in said.stdout
    assert rows_of(machine, "blocks") == blocks
    machine.run("systemctl", "start", "oracle-build.service")
    machine.run("systemctl", "start", "oracle-build.timer")
    assert machine.ask("/health")[0] == 200


def a_build_that_was_stopped_by_systemd_is_told_once_and_its_end_too(machine: Machine) -> None:
    settings = machine.tree / "etc/onchain-oracle/oracle.env"
    before = settings.read_text()
    short = "/run/systemd/system/oracle-build.service.d"
    with Hook() as hook:
        settings.write_text(f"{before}\nALERT_WEBHOOK_URL={hook.url}/hook\n")
        machine.run("mkdir", "-p", short)
        machine.run("sh", "-c", f"printf '[Service]\\nTimeoutStartSec=200ms\\n' > {short}/a.conf")
        machine.run("systemctl", "daemon-reload")
        for said in ("it took longer than it may", "there was nothing new to tell"):
            machine.run("systemctl", "start", "oracle-build.service", check=False)
            journal = "journalctl -u oracle-notify@oracle-build.service --no-pager"
            machine.wait_until(f"{journal} | grep -q '{said}'", 60)
        machine.run("rm", "-r", short)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "oracle-build.service")
        kinds = hook.kinds
    settings.write_text(before)
    assert kinds == ["failure", "recovery"]


def a_block_of_the_node_begins_a_build_at_once(machine: Machine) -> None:
    machine.run("useradd", "--system", "bitcoin")
    said = machine.install("--blocknotify", "bitcoin")
    assert "blocknotify=touch /run/onchain-oracle/block" in said.stdout
    machine.run("systemctl", "stop", "oracle-build.timer")
    machine.wait_until(f"! {IS_BUILDING}")
    before = machine.latest()
    assert before is not None
    as_curious = ("runuser", "-u", "curious", "--", "touch", "/run/onchain-oracle/block")
    assert machine.run(*as_curious, check=False).returncode == 1
    machine.run("runuser", "-u", "bitcoin", "--", "touch", "/run/onchain-oracle/block")
    was_built = f"! grep -q '{before['generated_at_unix']}' /{STATE}/site/public/api/latest.json"
    machine.wait_until(was_built, 60)
    machine.wait_until(f"! {IS_BUILDING}")
    machine.run("systemctl", "start", "oracle-build.timer")


def after_the_plug_was_pulled_in_a_build_all_is_as_it_should_be(machine: Machine) -> None:
    before = machine.latest()
    assert before is not None
    blocks = rows_of(machine, "blocks")
    machine.run("systemctl", "start", "--no-block", "oracle-build.service")
    machine.wait_until(IS_BUILDING, 20)
    machine.power("kill")
    assert machine.ask("/")[0] == 0
    machine.power("start")
    machine.wait_until(ANSWERS.format(machine.port), 30)
    assert machine.ask("/")[0] == 200, "the last good site is served from the boot on"
    assert machine.run("systemctl", "is-active", "oracle-build.timer").stdout == "active\n"
    machine.run("systemctl", "start", "oracle-build.service")
    after = machine.latest()
    assert after is not None
    assert after["generated_at_unix"] > before["generated_at_unix"]
    assert rows_of(machine, "blocks") >= blocks
    assert machine.run("/usr/local/bin/onchain-oracle", "status").stdout


def an_upgrade_keeps_settings_and_record(machine: Machine) -> None:
    settings = machine.tree / "etc/onchain-oracle/oracle.env"
    settings.write_text(settings.read_text() + "\nORACLE_KEEP_RELEASES=7\n")
    blocks = rows_of(machine, "blocks")
    machine.install()
    assert "ORACLE_KEEP_RELEASES=7" in settings.read_text()
    machine.wait_until(f"! {IS_BUILDING}")
    assert rows_of(machine, "blocks") >= blocks
    assert machine.ask("/")[0] == 200


def an_upgrade_that_does_not_work_leaves_the_version_before(machine: Machine) -> None:
    blocks = rows_of(machine, "blocks")
    before = machine.run("readlink", PROGRAM).stdout
    for name, text, problem in (
        ("pyproject.toml", "[project", "the program could not be installed"),
        ("oracle/cli/__init__.py", "raise SystemExit('broken')", "does not start"),
        ("oracle/fields.py", "raise ImportError('broken')", "does not accept the settings"),
        ("builder/assemble.py", "raise ImportError('broken')", "cannot make a site of the record"),
    ):
        source = machine.tree / "root/oracle" / name
        whole = source.read_text()
        source.write_text(text)
        said = machine.install(check=False)
        source.write_text(whole)
        assert said.returncode == 2, said.stdout
        assert problem in said.stderr
        assert "the one before is in use as it was" in said.stderr
        assert machine.run("readlink", PROGRAM).stdout == before
        assert machine.ask("/health")[0] == 200
        machine.run("systemctl", "start", "oracle-build.service")
        assert machine.run("systemctl", "is-active", "oracle-build.timer").stdout == "active\n"
    assert rows_of(machine, "blocks") >= blocks
    assert len(list((machine.tree / "opt/onchain-oracle/programs").iterdir())) == 2
    assert not (machine.tree / "var/cache/onchain-oracle/upgrade").exists()


def uninstalled_it_leaves_record_and_settings_and_purged_nothing(machine: Machine) -> None:
    machine.install("--uninstall")
    machine.wait_until(f"! {ANSWERS.format(machine.port)}", 30)
    assert (machine.tree / STATE / "state").is_dir()
    assert not (machine.tree / "opt/onchain-oracle").exists()
    machine.install("--uninstall", "--purge")
    left = machine.run("find", "/etc", "/var", "/opt", "/usr/local", "-name", "*onchain-oracle*")
    assert left.stdout == ""
    assert machine.run("id", "onchain-oracle", check=False).returncode == 1


STORY: tuple[Callable[[Machine], None], ...] = (
    before_anything_the_port_of_another_is_told_in_a_sentence_and_the_rest_installed,
    a_port_that_another_program_has_is_told,
    installed_it_says_where_the_site_is_and_that_its_first_build_runs,
    the_site_is_there_and_the_timer_goes_on,
    nobody_else_can_read_settings_or_record,
    the_running_services_are_confined,
    the_past_is_added_by_a_timer_within_the_same_walls,
    a_copy_is_made_each_night_and_a_lost_record_brought_back,
    a_build_that_was_stopped_by_systemd_is_told_once_and_its_end_too,
    a_block_of_the_node_begins_a_build_at_once,
    after_the_plug_was_pulled_in_a_build_all_is_as_it_should_be,
    an_upgrade_keeps_settings_and_record,
    an_upgrade_that_does_not_work_leaves_the_version_before,
    uninstalled_it_leaves_record_and_settings_and_purged_nothing,
)


def test_a_machine_is_installed_on_unplugged_booted_upgraded_and_left_clean(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """One story, in its order: each step stands on the one before."""
    for step in STORY:
        step(machine)
        with capsys.disabled():
            print(f"\n  {step.__name__.replace('_', ' ')}", end="", flush=True)
