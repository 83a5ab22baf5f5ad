"""The shape of the packages: who imports whom, who touches the world, how much code there is."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from oracle import cli
from oracle.cli import oracle as command
from tests.helpers.code_lines import code_lines_below

PROJECT = Path(__file__).resolve().parent.parent
SQL_FILES = {f"oracle/record/{name}.py" for name in ("connect", "reader", "store")}
# The index of a node's block files is SQLite, made anew when it is lost: no part of the record.
BLOCK_INDEX = "oracle/sources/blkindex.py"
SQL = re.compile(
    r"\b(SELECT\s|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|VIEW)|ATTACH\s|COPY\s+\()"
)
# What reaches outside: a pure module has no use for any of these.
WORLDLY = {
    *(
        "os",
        "io",
        "pathlib",
        "shutil",
        "tempfile",
        "glob",
        "socket",
        "ssl",
        "http",
        "urllib",
        "subprocess",
        "signal",
    ),
    *(
        "time",
        "logging",
        "threading",
        "asyncio",
        "concurrent",
        "multiprocessing",
        "random",
        "secrets",
        "sqlite3",
    ),
}
CLOCKS = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.argv", "sys.exit", "click.echo"}


def files(*folders: str) -> list[Path]:
    """Return the Python files below folders of the project."""
    return sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def imports(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in it; `from a import b` may mean a.b,
    too."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def is_below(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def importing(paths: list[Path], *packages: str) -> list[str]:
    """Return "file: module" for each import from packages."""
    return [
        f"{name_of(path)}: {module}"
        for path in paths
        for module in sorted(imports(path))
        if is_below(module, *packages)
    ]


def dotted(node: ast.AST) -> str:
    """Return `a.b` for such an expression."""
    is_dotted = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return f"{node.value.id}.{node.attr}" if is_dotted else ""  # type: ignore[attr-defined]


def where(paths: list[Path], is_found: Callable[[ast.AST], bool]) -> list[str]:
    """Return "file:line" of each node found."""
    return [
        f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        for path in paths
        for node in nodes(path)
        if is_found(node)
    ]


def is_call_of(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def without(paths: list[Path], *names: str) -> list[Path]:
    return [path for path in paths if name_of(path) not in names]


CLI = [name_of(path) for path in files("oracle/cli")]
ALL_BUT_CLI = without(files("oracle", "builder"), *CLI)


# --- Who imports whom ---------------------------------------


@pytest.mark.parametrize("path", files("oracle/core"), ids=name_of)
def test_the_core_imports_the_standard_library_numpy_itself_and_the_errors(path: Path) -> None:
    allowed = ("numpy", "oracle.core", "oracle.errors", *(sys.stdlib_module_names - WORLDLY))
    assert [module for module in sorted(imports(path)) if not is_below(module, *allowed)] == []


@pytest.mark.parametrize("path", files("oracle/estimate"), ids=name_of)
def test_the_estimate_imports_the_standard_library_numpy_the_core_and_the_errors(
    path: Path,
) -> None:
    allowed = (
        "numpy",
        "threadpoolctl",
        "oracle.estimate",
        "oracle.core",
        "oracle.errors",
        *(sys.stdlib_module_names - WORLDLY),
    )
    assert [module for module in sorted(imports(path)) if not is_below(module, *allowed)] == []


def test_the_core_and_the_estimate_open_print_and_ask_nothing() -> None:
    assert (
        where(
            files("oracle/core", "oracle/estimate"),
            lambda node: is_call_of(node, "open", "print", "input", "exec", "eval"),
        )
        == []
    )


def test_the_errors_import_nothing_of_ours() -> None:
    assert importing([PROJECT / "oracle/errors.py"], "oracle", "builder") == []


def test_only_the_command_imports_the_builder() -> None:
    assert importing(without(files("oracle"), *CLI), "builder") == []


def test_nothing_imports_the_command() -> None:
    assert importing(ALL_BUT_CLI, "oracle.cli") == []


def test_the_builder_knows_no_source_no_setting_and_no_run() -> None:
    banned = (
        "sources",
        "config",
        "tick",
        "run",
        "wiring",
        "doctor",
        "notify",
        "simulated",
        "cli",
        "store",
    )
    assert importing(files("builder"), *(f"oracle.{name}" for name in banned)) == []


def test_sources_do_not_know_the_store() -> None:
    known = [
        f"oracle.{name}" for name in ("store", "reader", "sql", "tick", "run", "rows", "builder")
    ]
    assert importing(files("oracle/sources"), *known) == []


def test_the_store_does_not_know_the_sources() -> None:
    stores = [path for path in files("oracle") if name_of(path) in SQL_FILES]
    assert importing(stores, "oracle.sources", "oracle.simulated") == []


def test_simulated_blocks_come_only_through_the_source_that_says_so() -> None:
    others = [path for path in files("oracle", "builder") if path.parent.name != "simulated"]
    makers = [f"oracle.simulated.{name}" for name in ("chain", "draw", "market", "serialise")]
    assert importing(others, *makers) == []


def test_no_package_imports_the_tests() -> None:
    assert importing(files("oracle", "builder"), "tests", "pytest", "hypothesis") == []


# --- Who touches the world ----------------------------------


def test_only_the_command_prints() -> None:
    assert where(ALL_BUT_CLI, lambda node: is_call_of(node, "print", "input")) == []
    assert importing(ALL_BUT_CLI, "click", "rich") == []


def test_only_the_command_sees_the_streams_and_ends_the_process() -> None:
    # The log goes to standard error; `make docs` runs the other one, no command does.
    allowed = without(ALL_BUT_CLI, "oracle/logs.py", "builder/api/reference.py")
    assert (
        where(allowed, lambda node: dotted(node) in STREAMS or is_call_of(node, "exit", "quit"))
        == []
    )


def test_only_the_command_reads_the_clock() -> None:
    assert where(ALL_BUT_CLI, lambda node: dotted(node) in CLOCKS) == []


def test_only_the_command_reads_the_environment() -> None:
    assert where(ALL_BUT_CLI, lambda node: dotted(node) in ENVIRONMENT) == []


def texts(path: Path) -> Iterator[str]:
    """Return the texts in a file's code, docstrings left out."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_sql_stands_in_the_store_and_in_sql_files_alone() -> None:
    elsewhere = without(files("oracle", "builder"), *SQL_FILES, BLOCK_INDEX)
    assert [
        name_of(path) for path in elsewhere if any(SQL.search(text) for text in texts(path))
    ] == []


def test_the_store_alone_opens_a_database() -> None:
    elsewhere = without(files("oracle", "builder"), *SQL_FILES)
    assert (
        where(
            elsewhere,
            lambda node: dotted(node) in {"duckdb.connect", "duckdb.sql", "duckdb.execute"},
        )
        == []
    )


def test_no_module_names_a_place_of_a_single_machine() -> None:
    odd = re.compile(r"/work/|/home/\w|/tmp/")
    assert [
        name_of(path) for path in files("oracle", "builder") if odd.search(path.read_text())
    ] == []


# --- How much code there is ---------------------------------

LINES = {**code_lines_below(PROJECT / "oracle"), **code_lines_below(PROJECT / "builder")}


def lines_of(*names: str) -> int:
    return sum(count for path, count in LINES.items() if path.startswith(names))


def test_the_core_has_fewer_than_500_code_lines() -> None:
    assert lines_of("oracle/core/") < 500


def test_core_tick_and_latest_have_fewer_than_800_code_lines() -> None:
    assert lines_of("oracle/core/", "oracle/tick.py", "builder/api/latest.py") < 800


@pytest.mark.parametrize("path", [path for path in LINES if path.startswith("builder/api/")])
def test_no_module_has_more_than_200_code_lines(path: str) -> None:
    assert LINES[path] <= 200


def test_docstrings_comments_blank_lines_and_wrapping_are_no_code(tmp_path: Path) -> None:
    (tmp_path / "some" / "deep").mkdir(parents=True)
    source = (
        '"""Prose.\n\nMore."""\n\n# why\nA = (\n    1,  # one\n\n)\n\n\n'
        'def f():\n    """Say."""\n    return A\n'
    )
    (tmp_path / "some" / "deep" / "a.py").write_text(source)
    assert code_lines_below(tmp_path / "some") == {"some/deep/a.py": 3}


# --- What commands there are --------------------------------

CONTEXT = click.Context(command)
COMMANDS = [(name, command.get_command(CONTEXT, name)) for name in command.list_commands(CONTEXT)]


@pytest.mark.parametrize(("name", "it"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_has_help(name: str, it: click.Command) -> None:
    assert (it.help or "").strip().endswith(".")


@pytest.mark.parametrize(("name", "it"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_the_list_of_commands_says_what_a_command_says_of_itself(
    name: str, it: click.Command
) -> None:
    assert it.help == cli.COMMANDS[name].help


@pytest.mark.parametrize(("name", "it"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_option_has_help(name: str, it: click.Command) -> None:
    options = [parameter for parameter in it.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize(("name", "it"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_its_options_stand_in_the_docs(name: str, it: click.Command) -> None:
    rows = (PROJECT / "docs" / "commands.md").read_text().splitlines()
    row = next(
        (row for row in rows if row.startswith((f"| `oracle {name}`", f"| `oracle {name} "))), ""
    )
    options = [parameter.opts[0] for parameter in it.params if isinstance(parameter, click.Option)]
    assert row
    assert [option for option in options if option not in row] == []


def test_the_docs_name_no_command_that_does_not_exist() -> None:
    named = re.findall(
        r"^\| `oracle ([\w-]+)", (PROJECT / "docs" / "commands.md").read_text(), re.MULTILINE
    )
    assert sorted(named) == [name for name, _ in COMMANDS]


def test_every_exit_code_stands_in_the_docs() -> None:
    text = (PROJECT / "oracle" / "errors.py").read_text()
    found = re.findall(r"exit_code(?:: ClassVar\[int\])? = (\d+)", text)
    codes = {int(code) for code in found} | {0}
    documented = re.findall(
        r"^\| (\d+) \| ", (PROJECT / "docs" / "commands.md").read_text(), re.MULTILINE
    )
    assert sorted(codes) == [int(code) for code in documented]
