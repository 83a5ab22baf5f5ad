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


# --- What the page quotes is what the source says -----------

# Code in the page that is no message: it begins with a program.
PROGRAMS = {
    *("chown", "cp", "df", "flock", "journalctl", "onchain-oracle", "oracle", "sudo", "systemctl"),
    *("timedatectl", "nginx"),
}
# Words that stand for what differs from time to time, as the page writes it.
FILLED_IN = re.compile(r"\.\.\.|\bNAME\b|\bOTHER\b|/path/\S+|\bX\b")


def texts_of(module: Path) -> Iterator[str]:
    """Every text of a module, with a mark where an f-string fills something in."""
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", None) for part in node.values]
            yield "".join(part if isinstance(part, str) else "\0" for part in parts)


TEXTS = "\n".join(" ".join(text.split()) for module in MODULES for text in texts_of(module))
TEXTS = TEXTS.replace("`", "")


def quoted() -> list[str]:
    """Every message that the page quotes: code of more than one word that is no command."""
    prose = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    codes = {" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)}
    sentences = [code for code in codes if " " in code and code.split(" ")[0] not in PROGRAMS]
    return sorted(code for code in sentences if not code.startswith(('{"', "X-")))


@pytest.mark.parametrize("sentence", quoted())
def test_every_message_that_the_page_quotes_is_one_of_the_source(sentence: str) -> None:
    parts = [part.strip(" :,;") for part in FILLED_IN.split(sentence)]
    assert [part for part in parts if part and part not in TEXTS] == []


def test_what_sources_say_is_quoted_so_that_it_is_looked_for() -> None:
    table = PAGE.partition("| sentence | what to do |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| `")]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "---" not in row]
    assert len(cells) == len(rows) > 0
