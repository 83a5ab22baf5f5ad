"""How far a backfill is, in a small file beside the database: builds publish it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NamedTuple

from oracle.durable import replace_text

MAX_BYTES = 1000


class Standing(NamedTuple):
    """How far a backfill is, or was when it was stopped; `day` is the UTC day that it is at."""

    blocks_done: int
    blocks_wanted: int
    day: str | None
    updated_at_unix: int


def standing_path(database: Path) -> Path:
    """Return where the file is."""
    return database.with_name(f"{database.stem}-backfill.json")


def keep_standing(database: Path, standing: Standing) -> None:
    """Write the file whole or not at all; a disk that takes none stops no backfill."""
    with suppress(OSError):
        replace_text(standing_path(database), json.dumps(standing._asdict()))


def forget_standing(database: Path) -> None:
    """Remove the file: nothing is missing any more."""
    with suppress(OSError):
        standing_path(database).unlink(missing_ok=True)


def standing_of(database: Path) -> Standing | None:
    """Return how far a backfill is; None where there is none, or the file is not ours."""
    try:
        with standing_path(database).open("rb") as file:
            noted = json.loads(file.read(MAX_BYTES))
        day = noted["day"] and date.fromisoformat(noted["day"]).isoformat()
        counts = [int(noted[name]) for name in ("blocks_done", "blocks_wanted", "updated_at_unix")]
        done, wanted, updated_at_unix = counts
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    is_sane = 0 <= done <= wanted and updated_at_unix >= 0
    return Standing(done, wanted, day or None, updated_at_unix) if is_sane else None
