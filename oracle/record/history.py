"""Rows of a stretch of the chain that go from one database into another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from oracle.core.params import PARAMETERS
from oracle.errors import ChainMovedError
from oracle.record.connect import connect, transaction, translated
from oracle.record.sql import statements

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# In this order: what is new is told by the blocks that were not there before.
TABLES = ("exchange_samples", "blocks", "outputs", "prices", "days", "divergences")


class Held(NamedTuple):
    """Which heights a record has, and which of them have a price."""

    blocks: frozenset[int]
    priced: frozenset[int]


def cut_out(path: Path, first_height: int, last_height: int) -> dict[str, pa.Table]:
    """Return the rows of a database that belong to an inclusive range of heights, by table: days
    that became final there, and quotes of its blocks."""
    between: dict[str, Any] = {"first": first_height, "last": last_height}
    settled = {name: height - PARAMETERS.final_depth_blocks for name, height in between.items()}
    with translated(path), connect(path, read_only=True) as db:
        return {
            table: db.sql(
                statements()[f"cut_{table}"], params=settled if table == "days" else between
            ).to_arrow_table()
            for table in TABLES
        }


def held(path: Path) -> Held:
    """Return which heights a database has."""
    with translated(path), connect(path, read_only=True) as db:
        rows = db.execute(statements()["held"]).fetchnumpy()
    heights = rows["height"].tolist()
    priced = rows["is_priced"].tolist()
    return Held(
        frozenset(heights),
        frozenset(height for height, has in zip(heights, priced, strict=True) if has),
    )


def add_history(path: Path, tables: dict[str, pa.Table]) -> dict[str, int]:
    """Add the rows of a stretch to a database that lacks them, in one transaction; return how many
    more there are, by table.

    Blocks that are there already are replaced by the same blocks with more known of them (their
    parents); prices, days, quotes and comparisons that are there stay.

    Raises:
        ChainMovedError: the stretch does not fit between the blocks that are there.
        StoreError: the database cannot be written.
    """
    with translated(path), connect(path) as db:
        for table, rows in tables.items():
            db.register(f"new_{table}", rows)
        with transaction(db):
            return _add(db)


def _add(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    (misfit,) = db.execute(statements()["history_misfit"]).fetchone() or (None,)
    if misfit is not None:
        raise ChainMovedError.between_questions(misfit)
    added = {}
    for table in TABLES:
        gone = 0
        if table in {"blocks", "outputs"}:
            gone = _count(db, statements()["forget_history"].format(table=table))
        added[table] = _count(db, statements()[f"add_{table}"]) - gone
    return added


def _count(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Run a statement; return how many rows it touched."""
    row = db.execute(sql).fetchone()
    return int(row[0]) if row else 0
