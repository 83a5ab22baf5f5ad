"""The limits that keep the house one that a person can see through; CONTRIBUTING.md has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import stage_table
from tests.helpers.code_lines import (
    LONGEST_LINE,
    PROJECT,
    code_lines_below,
    function_lines,
    long_lines,
    loose_types,
    nested_comprehensions,
    tuple_constants,
)

MODULES = sorted(path for name in ("oracle", "builder") for path in (PROJECT / name).rglob("*.py"))
LINES = {**code_lines_below(PROJECT / "oracle"), **code_lines_below(PROJECT / "builder")}
TEMPLATES = sorted(path for path in (PROJECT / "templates").rglob("*") if path.is_file())

CORE_LINES = 500
METHOD_LINES = 800
MODULE_LINES = 200
FUNCTION_LINES = 40
# The hot path of the product: one loop over the bytes, because a call a transaction costs a third.
LONG_FUNCTIONS = {"oracle/core/block.py: read_transactions", "oracle/compiled.py: _walk"}
# Written twice, because they are the two ends of one range; the function returns both.
TUPLE_CONSTANTS = {"oracle/core/eligible.py: (_ROUND_LOW, _ROUND_HIGH)"}
LOOSE_TYPES = 20  # seams of builder where a value may be anything: JSON that others wrote, Parquet
NESTED = 5  # all of rows in rows, each on a line of its own


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def lines_of(*names: str) -> int:
    return sum(count for path, count in LINES.items() if path.startswith(names))


def test_the_core_has_at_most_500_code_lines() -> None:
    assert lines_of("oracle/core/") <= CORE_LINES


def test_core_tick_and_latest_have_at_most_800_code_lines() -> None:
    assert lines_of("oracle/core/", "oracle/tick.py", "builder/api/latest.py") <= METHOD_LINES


def test_no_module_has_more_than_200_code_lines() -> None:
    assert {path: count for path, count in LINES.items() if count > MODULE_LINES} == {}


def test_no_function_has_more_than_40_lines_without_its_docstring() -> None:
    long = {
        f"{name_of(path)}: {name}"
        for path in MODULES
        for name, lines in function_lines(path).items()
        if lines > FUNCTION_LINES
    }
    assert long == LONG_FUNCTIONS


def test_a_constant_has_a_line_of_its_own() -> None:
    found = {f"{name_of(path)}: {text}" for path in MODULES for text in tuple_constants(path)}
    assert found == TUPLE_CONSTANTS


def test_no_line_of_a_template_is_longer_than_100_characters() -> None:
    assert LONGEST_LINE == 100
    assert [path.name for path in TEMPLATES if long_lines(path)] == []


def test_nested_comprehensions_are_few() -> None:
    found = [place for path in MODULES for place in nested_comprehensions(path)]
    assert len(found) <= NESTED, found


def test_the_builder_has_loose_types_at_its_seams_alone() -> None:
    counts = {name_of(path): loose_types(path) for path in MODULES if "builder" in path.parts}
    assert sum(counts.values()) <= LOOSE_TYPES, {name: n for name, n in counts.items() if n}


def test_complexity_is_checked_by_ruff_at_ten() -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    assert '"C90"' in text
    assert "max-complexity = 10" in text


# --- The stage table ----------------------------------------


@pytest.mark.parametrize("place", stage_table.places())
def test_every_file_of_the_stage_table_exists(place: str) -> None:
    assert (PROJECT / place).exists()


def test_every_module_belongs_to_a_stage() -> None:
    placed = [name for names in stage_table.modules().values() for name in names]
    assert sorted(placed) == stage_table.all_modules()


def test_the_stage_table_has_the_numbers_of_the_code() -> None:
    assert stage_table.in_the_page() == stage_table.table(), "run: make stages"
