"""The tables of docs/api.md, out of the types: `python -m builder.api.reference docs/api.md`.

Each table stands between `<!-- table: name -->` and `<!-- end -->`; what stands there is replaced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from builder.api.contract import Schema, components
from builder.api.endpoints import ENDPOINTS, REFUSALS, Endpoint, Group
from builder.api.types.columns import COLUMNS

PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}


def with_tables(text: str) -> str:
    """Return a text with every table in its place as the types have it."""
    return PLACE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", text)


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    names = list(head)
    rows = [names, ["---"] * len(names), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _of(*groups: Group) -> Iterator[Endpoint]:
    return (endpoint for endpoint in ENDPOINTS if endpoint.group in groups)


def _json_table() -> str:
    lines = ((f"`{it.path}`", it.shape or "", f"{it.holds}") for it in _of("JSON", "Contract"))
    return _table(("path", "schema", "what it holds"), lines)


def _plain_table(*groups: Group) -> str:
    return _table(("path", "what it holds"), ((f"`{it.path}`", it.holds) for it in _of(*groups)))


def _error_table() -> str:
    lines = []
    for status, words in REFUSALS.items():
        code, _, sentence = words.partition(": ")
        lines.append((str(status), f"`{code}`", sentence))
    return _table(("status", "code", "when"), lines)


def _column_tables() -> str:
    parts = []
    for name, columns in COLUMNS.items():
        lines = ((f"`{it.name}`", it.kind, it.unit, it.comment) for it in columns)
        table = _table(("column", "type", "unit", "meaning"), lines)
        parts.append(f"\n### {name}\n\n{table}")
    return "".join(parts) + "\n"


def _field_tables() -> str:
    return "".join(_field_table(name, made) for name, made in sorted(components().items())) + "\n"


def _field_table(name: str, made: Schema) -> str:
    if "properties" not in made:
        return f"\n### {name}\n\nOne of {_kind(made)}.\n"
    always = made.get("required", ())
    lines = (
        (
            f"`{key}`",
            _kind(field) + ("" if key in always else ", or absent"),
            field.get("description", ""),
        )
        for key, field in made["properties"].items()
    )
    words = " ".join(made["description"].split())
    return f"\n### {name}\n\n{words}\n\n{_table(('key', 'type', 'meaning'), lines)}"


def _kind(field: Schema) -> str:
    """Return in words what a value may be."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_kind(part) for part in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    return _plain_kind(field)


def _plain_kind(field: Schema) -> str:
    if "const" in field:
        return str(field["const"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if isinstance(field.get("additionalProperties"), dict):
        return f"{_kind(field['additionalProperties'])} by name"
    bounds = [f"{words} {field[key]}" for key, words in BOUNDS.items() if key in field]
    return ", ".join([field.get("format") or field.get("type", "anything"), *bounds])


TABLES: dict[str, Callable[[], str]] = {
    "json": _json_table,
    "compatible": lambda: _plain_table("Compatible", "Health"),
    "files": lambda: _plain_table("Files", "Feeds"),
    "errors": _error_table,
    "columns": _column_tables,
    "fields": _field_tables,
}

if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
