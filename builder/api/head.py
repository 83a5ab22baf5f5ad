"""How every file starts, and how it writes a moment. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder.gather import Context, Gathered
from builder.rows import BlockRow

if TYPE_CHECKING:
    from builder.api.types import Block, Head


def iso(time_unix: int) -> str:
    """Return a time as ISO 8601 UTC, to the second, with Z."""
    return datetime.fromtimestamp(time_unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_or_none(time_unix: int | None) -> str | None:
    """Return the same, None for None."""
    return None if time_unix is None else iso(time_unix)


def midnight_unix(date: str) -> int:
    """Return the first second of a UTC date, YYYY-MM-DD."""
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


def head(gathered: Gathered, generated_at_unix: int, algorithm_version: str) -> Head:
    """Return what every file starts with.

    Args:
        gathered: says which network it is.
        generated_at_unix: when the file's facts were put together.
        algorithm_version: of the newest price in the file; where it has none, of the calculator.
    """
    return {
        "schema_version": 1,
        "generated_at": iso(generated_at_unix),
        "generated_at_unix": generated_at_unix,
        "network": gathered.network,
        "is_demo": gathered.is_demo,
        "algorithm_version": algorithm_version,
    }


def newest_version(gathered: Gathered, context: Context) -> str:
    """Return which calculator made the newest prices; before the first, the one in force."""
    if gathered.spot is None:
        return context.calculator.algorithm_version
    return gathered.spot["algorithm_version"]


def block(row: BlockRow) -> Block:
    """Return a block as it is published."""
    return {
        "height": row["height"],
        "hash": row["hash"],
        "time": iso(row["time_unix"]),
        "time_unix": row["time_unix"],
    }
