"""A command loads what it needs, and only when it runs: modules are counted, not seconds.

`benchmarks/startup.py` has the CPU time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oracle.simulated.source import SimulatedSource
from tests.conftest import PROJECT
from tests.helpers.no_pandas import NO_PANDAS

NOW_UNIX = 1_762_000_000
HEAVY = ("duckdb", "pyarrow", "jinja2", "plotly", "httpx", "pydantic", "rich", "structlog")
SCRIPT = """
import json, sys
from oracle.cli import main
sys.argv[0] = "oracle"
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code or 0, sorted(sys.modules)]), file=sys.stderr)
"""


def modules_of(folder: Path, *arguments: str, first: str = "") -> set[str]:
    """Return every module that a command has loaded when it ends well; `first` is run before."""
    done = subprocess.run(
        [sys.executable, "-c", first + SCRIPT, *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(PROJECT),
            "ORACLE_FIRST_RUN_BLOCKS": "150",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return set(names)


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty small blocks in one file of records, enough for a price."""
    chain = SimulatedSource(now=lambda: NOW_UNIX, history_days=2).chain
    path = tmp_path_factory.mktemp("blocks") / "some.blk"
    first = chain.settings.first_height
    blocks = [chain.block(height) for height in range(first, first + 60)]
    magic = bytes.fromhex("fabfb5da")
    path.write_bytes(b"".join(magic + len(one).to_bytes(4, "little") + one for one in blocks))
    return path


def test_help_loads_no_command_and_no_array(tmp_path: Path) -> None:
    assert modules_of(tmp_path, "--help").isdisjoint({"numpy", "oracle.cli.price", *HEAVY})


def test_a_price_of_files_loads_neither_database_nor_pages_nor_network(
    block: Path, tmp_path: Path
) -> None:
    loaded = modules_of(tmp_path, "price", "--json", "--blocks", str(block))
    assert "numpy" in loaded
    assert loaded.isdisjoint({"builder", "oracle.tick", "oracle.sources.http", *HEAVY})


def test_a_price_of_files_loads_no_masked_arrays(block: Path, tmp_path: Path) -> None:
    assert "numpy.ma" not in modules_of(tmp_path, "price", "--json", "--blocks", str(block))


def test_the_settings_are_shown_without_arrays_or_database(tmp_path: Path) -> None:
    assert modules_of(tmp_path, "config").isdisjoint({"numpy", *HEAVY})


def test_the_package_alone_loads_nothing_of_its_parts() -> None:
    script = (
        "import sys, oracle; print([name for name in sys.modules if name.startswith('oracle')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['oracle']\n"


def test_every_public_name_is_there() -> None:
    import oracle

    assert [name for name in oracle.__all__ if not hasattr(oracle, name)] == []


def test_a_library_that_is_hidden_is_not_loaded_and_there_again_afterwards() -> None:
    script = (
        "import sys, oracle.logs; print('rich' in sys.modules); import rich; print(rich.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "rich"]


def test_a_module_that_was_hollow_is_whole_for_whoever_loads_it_later() -> None:
    script = (
        "import builder.pages.metrics, http.server, socketserver as s;"
        "print(issubclass(http.server.BaseHTTPRequestHandler, s.StreamRequestHandler))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_a_build_loads_neither_models_nor_charts_library_nor_the_sources_it_has_not() -> None:
    script = "import sys, json, oracle.cli.build; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    unused = {"pydantic", "plotly", "httpx", "rich", "oracle.web", "oracle.simulated.chain"}
    assert unused.isdisjoint(json.loads(done.stdout))


BUILD = f"""{NO_PANDAS}
import oracle.wiring
from oracle.simulated.market import SimulationSettings
from oracle.simulated.source import SimulatedSource
oracle.wiring.SITE_DAYS = 2
SimulatedSource.__init__.__defaults__ = (SimulationSettings(transactions_per_block=4),)
import time
time.time = lambda: 1_762_000_000.0
"""


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules of a build without a new block, in the same hour as the one before."""
    folder = tmp_path_factory.mktemp("again")
    modules_of(folder, "build", first=BUILD)
    return modules_of(folder, "build", first=BUILD)


def test_a_build_without_a_new_block_loads_nothing_that_it_does_not_use(again: set[str]) -> None:
    unused = {"pydantic", "plotly", "httpx", "rich", "asyncio", "pyarrow.compute", "PIL"}
    assert unused.isdisjoint(again)
    assert again.isdisjoint({"http.server", "urllib.request", "logging.handlers", "statistics"})


def test_a_build_that_carries_the_contract_over_loads_none_of_its_classes(again: set[str]) -> None:
    assert again.isdisjoint({"builder.api.types", "builder.api.endpoints", "builder.api.contract"})


def test_a_build_without_a_new_block_loads_no_page_that_it_carries_over(again: set[str]) -> None:
    carried = {f"builder.pages.views.{page}" for page in ("history", "accuracy", "day")}
    assert carried.isdisjoint(again)
    assert "builder.pages.views.dashboard" in again


def test_what_is_put_off_is_loaded_once_it_is_used() -> None:
    script = (
        "import sys, oracle.logs, structlog.stdlib as used; print('asyncio' in sys.modules);"
        "print(used.asyncio.sleep.__module__); import asyncio;"
        "print(used.asyncio.run is asyncio.run)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "asyncio.tasks", "True"]
