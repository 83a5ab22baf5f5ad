"""What the site reads from the record: the statements `site_...` of `sql/queries.sql`, answers as
plain rows.

Only rows of the current chain are read, through views that leave out replaced ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from oracle.core.window import Window
from oracle.errors import NoDataError, StoreError
from oracle.record.connect import connect, translated
from oracle.record.sql import check_not_newer, statements

if TYPE_CHECKING:  # it takes as long to load as all else that a build needs
    import pyarrow as pa

Row = dict[str, Any]


class Reader:
    """The site's questions to an open database, each by the name of its statement without
    `site_`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._ask("views")

    def _ask(self, name: str, **parameters: Any) -> duckdb.DuckDBPyConnection:
        return self._execute(f"site_{name}", parameters)

    def _execute(self, statement: str, parameters: Row) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(statements()[statement], parameters)
        except duckdb.Error as error:
            raise StoreError(f"the database cannot be read: {error}") from error

    def ask(self, statement: str, **parameters: Any) -> list[Row]:
        """Return all rows of a statement by its whole name, by column, as they are stored."""
        answer = self._execute(statement, parameters)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def rows(self, name: str, **parameters: Any) -> list[Row]:
        """Return all rows of an answer by column; JSON columns as objects."""
        answer = self._ask(name, **parameters)
        columns = [(column[0], str(column[1]) == "JSON") for column in answer.description or ()]
        return [
            {
                key: json.loads(cell or "null") if is_json else cell
                for (key, is_json), cell in zip(columns, row, strict=True)
            }
            for row in answer.fetchall()
        ]

    def row(self, name: str, **parameters: Any) -> Row | None:
        """Return the first row of an answer, if any."""
        return next(iter(self.rows(name, **parameters)), None)

    def table(self, name: str, **parameters: Any) -> pa.Table:
        """Return all rows of an answer as a table."""
        return self._connection.sql(
            statements()[f"site_{name}"], params=parameters
        ).to_arrow_table()

    def window(self, first_height: int, last_height: int) -> Window:
        """Form a window again from the stored outputs, by the same-window rule."""
        heights = {"first": first_height, "last": last_height}
        blocks = self._ask("window_blocks", **heights).fetchnumpy()
        outputs = self._ask("window_outputs", **heights).fetchnumpy()
        return Window(
            block_heights=np.asarray(blocks["height"]),
            block_times_unix=np.asarray(blocks["time_unix"]),
            block_index=np.searchsorted(blocks["height"], outputs["height"]).astype(np.int32),
            value_sats=np.asarray(outputs["value_sats"]),
            is_round=np.asarray(outputs["is_round"]),
        )


@contextmanager
def open_reader(database_path: Path) -> Iterator[Reader]:
    """Open a database for reading only, and close it.

    Raises:
        NoDataError: there is no such database yet.
        StoreError: it cannot be opened, or a newer version of this program made it.
    """
    if not database_path.exists():
        raise NoDataError(f"there is no database {database_path} yet; make it with: oracle build")
    with translated(database_path):
        connection = connect(database_path, read_only=True)
    with connection:
        with translated(database_path):
            check_not_newer(database_path, _migrations_of(connection))
        yield Reader(connection)


def _migrations_of(connection: duckdb.DuckDBPyConnection) -> set[int]:
    try:
        done = connection.execute(statements()["migrations"]).fetchall()
    except duckdb.CatalogException:  # no table of them: the first question says what is missing
        return set()
    return {number for (number,) in done}
