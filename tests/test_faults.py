"""Faults at every step of a run, as exception and as SIGKILL: nothing lost, nothing doubled,
nothing wrong."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pytest

from oracle.lock import only_run
from tests.helpers import faulty_run
from tests.helpers.faulty_run import STEPS, build, faulty_build, quick, settings_of
from tests.helpers.ticking import FIRST, rows_of, small_chain

SEED_TIP, TIP = FIRST + 149, FIRST + 151
ACTS = {"kill": faulty_run.kill, "raise": faulty_run.fail}
FORKS = (
    None,
    SEED_TIP - 3,
)  # the newest blocks go on from the record, or replace four of its blocks
TABLES = (
    *("blocks", "outputs", "recent_txids", "prices", "days"),
    *("exchange_samples", "divergences", "episodes", "facts_of_database"),
)


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record two blocks below the tip."""
    folder = tmp_path_factory.mktemp("seed")
    with quick():
        build(folder, SEED_TIP)
    return folder


@pytest.fixture(scope="module")
def undisturbed(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int | None, Path]:
    folders = {fork: fresh(seed, tmp_path_factory.mktemp("undisturbed") / "run") for fork in FORKS}
    with quick():
        for fork, folder in folders.items():
            build(folder, TIP, fork)
    return folders


def fresh(seed: Path, folder: Path) -> Path:
    return Path(shutil.copytree(seed, folder))


def disturbed_build(folder: Path, fork: int | None, kind: str, step: str, visit: int) -> str:
    """Build in a child that is forked, not started anew: it has everything imported and the chain
    drawn."""
    told = folder.with_suffix(".outcome")
    child = os.fork()
    if child == 0:
        try:
            told.write_text(faulty_build(folder, TIP, fork, step, visit, ACTS[kind]))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else told.read_text()


def differences(folder: Path, undisturbed: Path) -> list[str]:
    """Name the tables that differ from those of a run without a fault."""
    found, expected = digests(folder), digests(undisturbed)
    return [table for table in TABLES if found[table] != expected[table]]


@lru_cache(3)
def digests(folder: Path) -> dict[str, tuple]:
    """Return the number of rows of each table, and a digest of them in the order in which they
    were written."""
    query = "SELECT count(*), md5(string_agg(hash(t)::VARCHAR, ' ' ORDER BY rowid)) FROM {} AS t"
    with duckdb.connect(str(folder / "record.duckdb"), read_only=True) as connection:
        return {table: connection.execute(query.format(table)).fetchone() for table in TABLES}


def outcome_of(case: tuple[Path, Path, int | None, str, str, int]) -> tuple[str, list[str]]:
    """Disturb a run, let the next one go through; say how the first ended and what is wrong after
    the second."""
    folder, undisturbed, *fault = case
    outcome = disturbed_build(folder, *fault)
    shown = {int((folder / "shown").read_text())}
    with quick():
        build(folder, TIP, fault[0])
    wrong = [f"{fault}: {table}" for table in differences(folder, undisturbed)]
    if not shown <= {SEED_TIP, TIP} or (folder / "shown").read_text() != str(TIP):
        wrong.append(f"{fault}: what is shown")
    shutil.rmtree(folder)
    return f"{fault[1]}: {outcome}", wrong


FAULTS = [
    (fork, kind, step, visit)
    for fork, kind in product(FORKS, ACTS)
    for step, visits in STEPS.items()
    for visit in range(1, visits + 1)
]


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fault_at_any_step_the_next_run_leaves_the_record_of_runs_without_faults(
    seed, undisturbed, tmp_path, capsys, every
):
    faults = FAULTS[::every]
    ready = [
        (fresh(seed, tmp_path / str(n)), undisturbed[fault[0]], *fault)
        for n, fault in enumerate(faults)
    ]
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        found = list(pool.map(outcome_of, ready))
    outcomes = Counter(outcome for outcome, _ in found)
    wrong = [problem for _, problems in found for problem in problems]
    with capsys.disabled():
        print(
            f"\n{len(found)} faults: {dict(sorted(outcomes.items()))}; wrong: {wrong or 'nothing'}"
        )
    assert wrong == []
    assert len(found) >= 200 // every
    kills = sum(kind == "kill" for _, kind, *_ in faults)
    assert outcomes["kill: killed"] == kills, "a step is visited less often than it says"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_run_leaves_the_lock_free(seed, tmp_path):
    folder = fresh(seed, tmp_path / "run")
    small_chain().headers(FIRST, TIP)
    assert disturbed_build(folder, None, "kill", "oracle.record.store.Store.write", 1) == "killed"
    with only_run(settings_of(folder)):
        assert len(rows_of(folder / "record.duckdb", "blocks")) == 150
