"""The SQL: numbered migrations, and every statement by name in `queries.sql`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files


@cache
def statements() -> dict[str, str]:
    """Return every statement of `queries.sql` by its name."""
    parts = files(__name__).joinpath("queries.sql").read_text().split("-- name: ")[1:]
    return {
        name.strip(): text.strip() for name, _, text in (part.partition("\n") for part in parts)
    }


def migrations() -> Iterator[tuple[int, str]]:
    """Yield number and script of each migration, in order."""
    for script in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        number = script.name.partition("_")[0]
        if number.isdigit():
            yield int(number), script.read_text()
