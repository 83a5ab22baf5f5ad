"""The operations page: it knows every exit code and every message that may wake somebody."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle import errors, remarks
from tests.conftest import PROJECT

PAGE = (PROJECT / "docs" / "operations.md").read_text()
MODULES = sorted([*(PROJECT / "oracle").rglob("*.py"), *(PROJECT / "builder").rglob("*.py")])


def messages_of(module: Path) -> Iterator[str]:
    """The texts that a module logs at WARNING and above, as far as they are written out in the
    call."""
    for node in ast.walk(ast.parse(module.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"warning", "error", "critical", "exception"}
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


LOGGED = {message for module in MODULES for message in messages_of(module)}
MESSAGES = sorted(LOGGED | set(remarks.MESSAGES.values()))


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_of_the_log_says_what_to_do(message: str) -> None:
    assert f"| `{message.replace('`', '')}` |" in PAGE


def test_every_exit_code_is_in_the_table() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.OracleError)}
    assert documented == {0, *raised}


def test_every_link_inside_the_page_has_its_heading() -> None:
    headings = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", PAGE)) <= headings
