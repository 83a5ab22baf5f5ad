"""The SQL: numbered migrations, and every statement by name in `queries.sql`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from oracle.errors import StoreError


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


def check_not_newer(database: Path, done: Collection[int]) -> None:
    """Check that a database has no migration that this version of the program does not know.

    Raises:
        StoreError: it has one.
    """
    known = max(number for number, _ in migrations())
    newest = max(done, default=known)
    if newest > known:
        raise StoreError(
            f"the database {database} was made by a newer version of this program (it has "
            f"migration {newest}, this one knows {known}): install that version again, "
            f"or restore the copy made before the upgrade"
        )
