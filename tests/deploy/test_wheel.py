"""What others install: an sdist, a wheel out of it, and a command that works without a checkout."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.helpers.code_lines import PROJECT

# A build over two days of few transactions, so that it takes seconds.
SMALL_BUILD = """
import oracle.wiring
from oracle.simulated.market import SimulationSettings
from oracle.simulated.source import SimulatedSource
oracle.wiring.SITE_DAYS = 2
SimulatedSource.__init__.__defaults__ = (SimulationSettings(transactions_per_block=30),)
from oracle.cli import main
main()
"""
BUILD = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"


def run(command: list[str], folder: Path, **environ: str) -> str:
    """Run a command with an environment of nothing but what is said."""
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), **environ}
    done = subprocess.run(
        command, cwd=folder, env=plain, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def built(kind: str, source: Path, target: Path) -> Path:
    target.mkdir(exist_ok=True)
    out = run([sys.executable, "-c", BUILD.format(kind, str(target))], source)
    return target / out.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made out of the sdist, as those do who package it."""
    folder = tmp_path_factory.mktemp("packaging")
    tree = folder / "tree"
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], PROJECT)
    for name in listed.splitlines():
        if (PROJECT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, tree / name)
    sdist = built("sdist", tree, folder / "sdist")
    shutil.unpack_archive(sdist, folder / "unpacked", filter="data")
    [source] = (folder / "unpacked").iterdir()
    return built("wheel", source, folder / "wheel")


@pytest.mark.slow
def test_the_wheel_holds_every_module_template_statement_and_asset(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    listed = run(["git", "ls-files", "oracle", "builder", "templates", "site/assets"], PROJECT)
    moved = {"templates/": "builder/templates/", "site/assets/": "builder/assets/"}
    for path in listed.splitlines():
        place = next((place for place in moved if path.startswith(place)), "")
        assert moved.get(place, "") + path.removeprefix(place) in packed
    ours = re.compile(r"(oracle|builder)/|onchain_oracle-[\d.]+\.dist-info/")
    assert [name for name in packed if not ours.match(name)] == []


def install(wheel: Path, python: str, folder: Path) -> Path:
    """Make an environment that has the wheel; return its Python."""
    run([python, "-m", "venv", str(folder / "env")], folder)
    inside = folder / "env/bin/python"
    run([str(inside), "-m", "pip", "install", "--no-deps", "--no-index", str(wheel)], folder)
    return inside


def check_that_it_works(inside: Path, folder: Path) -> None:
    oracle = str(inside.with_name("oracle"))
    assert run([oracle, "--version"], folder).startswith("oracle, version")
    run([str(inside), "-c", SMALL_BUILD, "build"], folder)
    shown = (folder / "site/public/index.html").read_text()
    assert "Simulated" in shown
    assert (folder / "site/public/data/prices.parquet").stat().st_size > 0
    assert "ok" in run([oracle, "status"], folder)
    where = run([str(inside), "-c", "import oracle; print(oracle.__file__)"], folder)
    assert where.startswith(str(folder)), "not the checkout"


@pytest.mark.slow
def test_the_installed_wheel_builds_a_site_without_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    inside = install(wheel, sys.executable, tmp_path)
    # The packages that it stands on are those of this environment; the checkout is not among them.
    [packages] = (tmp_path / "env/lib").glob("python*/site-packages")
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    check_that_it_works(inside, tmp_path)


def newest_python() -> str | None:
    """Return the newest Python of this machine that is newer than the one that runs."""
    homes = glob.glob(f"{os.environ.get('PYENV_ROOT', '/nonexistent')}/versions/3.*/bin/python")  # noqa: PTH207
    found = [path for path in (shutil.which(f"python3.{minor}") for minor in range(12, 20)) if path]
    newer: dict[tuple[int, ...], str] = {}
    for path in [*homes, *found]:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if version := re.match(r"Python (\d+)\.(\d+)\.(\d+)$", said.stdout.strip()):
            newer[tuple(map(int, version.groups()))] = path
    best = max(newer, default=(0,))
    return newer[best] if best > sys.version_info[:3] else None


@pytest.mark.other_python
def test_the_wheel_works_on_the_newest_python_there_is(wheel: Path, tmp_path: Path) -> None:
    python = newest_python()
    if python is None:
        pytest.skip("there is no newer Python on this machine")
    inside = install(wheel, python, tmp_path)
    pip = [str(inside), "-m", "pip", "install", "--quiet", "--require-hashes"]
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    run([*pip, "-r", str(PROJECT / "deploy/requirements.txt")], tmp_path, **kept)
    check_that_it_works(inside, tmp_path)
