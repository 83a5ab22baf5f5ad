"""Count code lines: logical lines, that is statements.

Blank lines, comments and docstrings are no code, and a statement is one line however the formatter
wraps it, so that nobody is tempted to write densely.
"""

from __future__ import annotations

import ast
from pathlib import Path


def code_lines(path: Path) -> int:
    """Return the number of code lines of a Python file."""
    return sum(
        isinstance(node, ast.stmt) and not _is_prose(node)
        for node in ast.walk(ast.parse(path.read_text()))
    )


def _is_prose(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def code_lines_below(folder: Path) -> dict[str, int]:
    """Return the code lines of every Python file below a folder, by path."""
    return {
        str(path.relative_to(folder.parent)): code_lines(path)
        for path in sorted(folder.rglob("*.py"))
    }
