"""The runnable cases of the shared folder: small inputs from reports of people who do this job.

Each case is a program of its own that starts loopback servers, runs the installed command, and
exits with 0 when it behaves right; the first lines of its `run.sh` say what must hold. The clock is
the machine's here: a case makes its chain end at now. `make test-slow` runs them.

`NOT_YET` names those that fail, and why. Whoever mends one takes its line out: a case that passes
while it is named there fails the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, SHARED

pytestmark = pytest.mark.cases
TIMEOUT_SECONDS = 400  # the longest takes a minute on two free cores
NAMES = sorted(path.parent.name for path in SHARED.glob("cases/*/run.sh"))
NOT_YET: dict[str, str] = {}


def marked(name: str) -> object:
    is_open = pytest.mark.xfail(strict=True, reason=NOT_YET.get(name, ""))
    return pytest.param(name, marks=[is_open] if name in NOT_YET else [])


@pytest.mark.parametrize("name", [marked(name) for name in NAMES] or ["none"])
def test_the_case_holds(shared: Path, tmp_path: Path, name: str) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ORACLE": str(Path(sys.executable).with_name("oracle")),
        "PY": sys.executable,
        "SRC": str(PROJECT),
        "CASE_TMP": str(tmp_path),
    }
    tmp_path.parent.chmod(0o755)  # the web server of a case runs as another user
    done = subprocess.run(
        [shared / "cases" / name / "run.sh"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_case_that_is_not_yet_right_is_there(shared: Path) -> None:
    assert sorted(set(NOT_YET) - set(NAMES)) == []
