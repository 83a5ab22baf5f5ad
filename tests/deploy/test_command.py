"""`onchain-oracle`, the command for people: the user, the folder and the groups of the service."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
STUBS = {
    "runuser": 'echo "$@"',
    "systemctl": "echo bitcoin tor",
    "id": 'if [ "$1" = -un ]; then echo root; else echo onchain-oracle; fi',
}


def command(folder: Path) -> str:
    """Write the command as install.sh does, for a folder that is there, and return its path."""
    script = (PROJECT / "deploy/install.sh").read_text()
    [text] = re.findall(r"put 0755 \"\$command_file\" <<'TEXT'\n(.*?)\nTEXT\n", script, re.DOTALL)
    (folder / "onchain-oracle").write_text(text.replace("/var/lib/onchain-oracle", str(folder)))
    (folder / "onchain-oracle").chmod(0o755)
    return str(folder / "onchain-oracle")


def said(folder: Path, **stubs: str) -> str:
    for name, text in (STUBS | stubs).items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environ = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        [command(folder), "doctor", "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_root_runs_it_as_the_service_with_the_groups_of_the_unit(tmp_path: Path) -> None:
    assert said(tmp_path) == (
        "-u onchain-oracle -g onchain-oracle -G onchain-oracle -G bitcoin -G tor "
        "-- /opt/onchain-oracle/venv/bin/oracle doctor --json"
    )


def test_without_systemd_it_has_the_groups_of_the_user(tmp_path: Path) -> None:
    assert "-G onchain-oracle -- " in said(tmp_path, systemctl="exit 1")
