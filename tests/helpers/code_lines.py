"""Count code lines: logical lines, that is statements; and what else the limits are about.

Blank lines, comments and docstrings are no code, and a statement is one line however the formatter
wraps it, so that nobody is tempted to write densely.

    python -m tests.helpers.code_lines      prints the measures of oracle and builder
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
LONGEST_LINE = 100
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(path: Path) -> int:
    """Return the number of code lines of a Python file."""
    return sum(
        isinstance(node, ast.stmt) and not _is_prose(node)
        for node in ast.walk(ast.parse(path.read_text()))
    )


def _is_prose(node: ast.AST) -> bool:
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


def function_lines(path: Path) -> dict[str, int]:
    """Return the lines of every function of a file, from `def` to the end, docstring left out."""
    return {
        node.name: node.end_lineno - node.lineno + 1 - _docstring_lines(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Function)
    }


def _docstring_lines(node: Function) -> int:
    first = node.body[0]
    return first.end_lineno - first.lineno + 1 if _is_prose(first) else 0


def tuple_constants(path: Path) -> list[str]:
    """Return the assignments of several constants at once, as "A, B"."""
    return [
        ast.unparse(target)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Tuple) and len(target.elts) > 1
    ]


def tuple_assignments(path: Path) -> int:
    """Return how often several names are assigned from as many values written side by side."""
    return sum(
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        for node in ast.walk(ast.parse(path.read_text()))
    )


def comprehensions(path: Path) -> Iterator[Comprehension]:
    """Yield every comprehension of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Comprehension):
            yield node


def nested_comprehensions(path: Path) -> list[str]:
    """Return the lines of comprehensions that hold another one in what they collect."""
    return [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for node in comprehensions(path)
        for part in _collected(node)
        if any(isinstance(inner, Comprehension) for inner in ast.walk(part))
    ]


def _collected(node: Comprehension) -> list[ast.expr]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def loose_types(path: Path) -> int:
    """Return how often a file says Any, Row or Snapshot, imports left out."""
    names = (
        node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
    )
    return sum(name in {"Any", "Row", "Snapshot"} for name in names)


def long_lines(path: Path) -> int:
    """Return how many lines of a file are too long."""
    return sum(len(line) > LONGEST_LINE for line in path.read_text().splitlines())


def main() -> None:
    """Print the measures by which the house is compared with others, per 100 statements."""
    shares = ("long lines", "tuple assignments", "comprehensions")
    print(f"| folder | statements | {' | '.join(shares)} | nested | loose types |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in ("oracle/core", "oracle", "builder"):
        paths = sorted((PROJECT / name).rglob("*.py"))
        statements = sum(map(code_lines, paths))
        per_cent = [
            sum(map(long_lines, paths)),
            sum(map(tuple_assignments, paths)),
            sum(len(list(comprehensions(path))) for path in paths),
        ]
        shown = " | ".join(f"{100 * count / statements:.1f}" for count in per_cent)
        nested = sum(len(nested_comprehensions(path)) for path in paths)
        loose = sum(map(loose_types, paths))
        print(f"| {name} | {statements} | {shown} | {nested} | {loose} |")
    templates = [path for path in (PROJECT / "templates").rglob("*") if path.is_file()]
    total = sum(len(path.read_text().splitlines()) for path in templates)
    computing = sum(len(re.findall(r"\{%-? *set ", path.read_text())) for path in templates)
    print(f"templates: {total} lines, {sum(map(long_lines, templates))} too long, {computing} set")


if __name__ == "__main__":
    main()
