"""What is installed is pinned, with hashes, and agrees with what pyproject asks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = {"deploy/requirements.txt": (), "tests/requirements.txt": ("test",)}


def pinned(lock: str) -> dict[str, list[tuple[Requirement, int]]]:
    """The packages of a lock: what is pinned, and how many hashes it has."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in re.split(r"\n(?=[^\s#])", (PROJECT / lock).read_text()):
        if entry.startswith("#") and "\n" not in entry:
            continue
        text = re.sub(r"\\\n|--hash=\S+|#.*\n", " ", entry)
        requirement = Requirement(text.strip())
        hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry))
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, hashes))
    return found


def wanted(extras: tuple[str, ...]) -> list[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    texts = project["dependencies"] + [text for extra in extras for text in optional[extra]]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_every_package_that_is_asked_for_is_pinned_as_asked(
    lock: str, extras: tuple[str, ...]
) -> None:
    locked = pinned(lock)
    for requirement in wanted(extras):
        for pin, _ in locked[canonicalize_name(requirement.name)]:
            [version] = [one.version for one in pin.specifier]
            assert requirement.specifier.contains(version), f"run make lock: {pin}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_one_version_and_hashes(lock: str) -> None:
    for pins in pinned(lock).values():
        for pin, hashes in pins:
            assert [one.operator for one in pin.specifier] == ["=="]
            assert hashes >= 1


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_server(lock: str) -> None:
    assert not re.search(r"https?:|file:|--index|--find", (PROJECT / lock).read_text())


@pytest.mark.parametrize("script", [".ci/setup", "deploy/install.sh"])
def test_what_installs_a_lock_leaves_nothing_to_the_resolver(script: str) -> None:
    lines = (PROJECT / script).read_text().splitlines()
    installs = [line for line in lines if "--require-hashes" in line]
    assert installs
    assert all("--no-deps" in line for line in installs)
