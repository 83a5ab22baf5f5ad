"""The record as it is written; `oracle/record` alone knows DuckDB and SQL (the tables are in
`oracle/record/sql/`, numbered).

A tick's rows are handed over as one `Batch` and written in one transaction. Rows of blocks that
left the chain are kept and marked with `replaced_at_unix`; everything here reads current rows only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import duckdb
import numpy as np

from oracle.core.block import Rule
from oracle.core.eligible import BlockFacts
from oracle.core.params import PARAMETERS
from oracle.errors import RequestError, StoreError
from oracle.record.batch import Batch
from oracle.record.connect import check_ours, connect, transaction, translated
from oracle.record.sql import check_not_newer, migrations, statements
from oracle.record.txids import RememberedTxids
from oracle.rows import RecentMoment, StoredEpisode, StoredPrices, StoredRun, StoredSample

if TYPE_CHECKING:  # it takes as long to load as all else that a run needs
    import pyarrow as pa

Row = dict[str, Any]  # an answer before it has a class
ENDLESS_UNIX = 2**53
MAX_HEIGHT = 2**31 - 1
TXIDS_AT_ONCE = 16  # blocks; DuckDB and we hold them at the same time
FEW_ROWS = 8  # up to so many are written one by one: tables of columns take long to load
OUTPUT_COLUMNS = ("value_sats", "is_round", "parent_height")
FINAL_DEPTH = PARAMETERS.final_depth_blocks
# table: the height of the block that settles a row; a reorg marks rows above the fork as replaced
FOLLOW_THE_CHAIN = {
    **dict.fromkeys(("blocks", "outputs", "prices", "divergences"), "height"),
    "days": f"last_height + {FINAL_DEPTH}",
}
MERGED = {  # table: which rows of a backup are taken
    **dict.fromkeys(
        ("blocks", "outputs", "prices"), "height > {above} AND replaced_at_unix IS NULL"
    ),
    "recent_txids": "height > {above}",
    "days": "replaced_at_unix IS NULL AND date NOT IN (FROM our_dates) AND last_hash IN (FROM "
    "our_hashes)",
    "divergences": "replaced_at_unix IS NULL AND time_unix NOT IN (FROM our_ticks) AND height "
    "IN (FROM our_heights)",
    "exchange_samples": "sampled_at_unix NOT IN (SELECT sampled_at_unix FROM exchange_samples)",
    "runs": "started_at_unix NOT IN (SELECT started_at_unix FROM runs)",
    "facts_of_database": "name NOT IN (SELECT name FROM facts_of_database)",
}


class StoredHeader(NamedTuple):
    """What is recorded of a block's header; `bits` is None where older versions recorded it."""

    height: int
    hash: str  # display order
    time_unix: int
    bits: int | None


class Store:
    """The open database. One writer at a time; the caller holds the run's lock."""

    def __init__(self, path: Path, *, network: str | None = None) -> None:
        """Open or make the database and bring its tables up to date.

        Args:
            path: the DuckDB file; its folder is made when absent.
            network: main, regtest, simulated, ...; None to take what is there.

        Raises:
            StoreError: the file cannot be opened, is no database, or is held by another process.
            RequestError: the database holds another network's blocks.
        """
        self.path = path
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(path)
        try:
            with translated(path):
                self._migrate()
            self._check_network(network)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # What a tick needs to know

    @property
    def network(self) -> str | None:
        """The network whose blocks are recorded, None in an empty database."""
        rows = self._rows("network")
        return rows[0]["value"] if rows else None

    def chain(self, newest: int, *, or_height: int) -> dict[int, str]:
        """Return the hashes of the newest stored blocks, and of one at a height, by height from
        the top down."""
        return {
            row["height"]: row["hash"]
            for row in self._rows("chain", newest=newest, or_height=or_height)
        }

    def headers(self, first_height: int, last_height: int) -> list[StoredHeader]:
        """Return what is recorded of the headers of an inclusive range of heights."""
        rows = self._rows("headers", first=first_height, last=last_height)
        return [StoredHeader(**row) for row in rows]

    def header(self, height: int) -> StoredHeader | None:
        """Return what is recorded of the header at a height."""
        found = self.headers(height, height)
        return found[0] if found else None

    def facts(self, first_height: int, last_height: int) -> list[BlockFacts]:
        """Return the facts of stored blocks of an inclusive range of heights."""
        blocks = self._rows("block_facts", first=first_height, last=last_height)
        with translated(self.path):
            outputs = self._execute(
                "output_facts", first=first_height, last=last_height
            ).fetchnumpy()
        found = []
        for block in blocks:
            start, end = (
                np.searchsorted(outputs["height"], block["height"], side)
                for side in ("left", "right")
            )
            left_out = Counter(
                {Rule(name): count for name, count in json.loads(block.pop("left_out")).items()}
            )
            columns: Row = {name: outputs[name][start:end] for name in OUTPUT_COLUMNS}
            found.append(BlockFacts(**block, **columns, left_out=left_out))
        return found

    def recent_txids(self, first_height: int, last_height: int) -> RememberedTxids:
        """Return which block of a range made which txid, as far as the store remembers."""
        recent = RememberedTxids()
        for low in range(first_height, last_height + 1, TXIDS_AT_ONCE):
            high = min(low + TXIDS_AT_ONCE - 1, last_height)
            rows = self._rows("recent_txids", first=low, last=high)
            for height, of_block in groupby(rows, itemgetter("height")):
                recent.add_stored(height, b"".join(row["txids"] for row in of_block))
        return recent

    def samples(self, since_unix: int, until_unix: int = ENDLESS_UNIX) -> list[StoredSample]:
        """Return exchange samples of an inclusive span of time, oldest first."""
        span = {"since": since_unix, "until": until_unix}
        return cast("list[StoredSample]", self._rows("samples", **span))

    def recent_moments(self, newest: int, up_to_height: int = MAX_HEIGHT) -> list[RecentMoment]:
        """Return the newest ticks, of blocks up to a height, with the confidence of their window,
        oldest first."""
        rows = self._rows("recent_moments", newest=newest, up_to=up_to_height)
        return cast("list[RecentMoment]", rows[::-1])

    def newest_price(self, up_to_height: int) -> tuple[StoredPrices | None, tuple[int, int]]:
        """Return the prices as of the newest block up to a height that has any, and the span of
        their window."""
        rows = self._rows("newest_price", up_to=up_to_height)
        if not rows:
            return None, (0, 0)
        price = cast("StoredPrices", rows[0])
        heights = {"first": price["window_first_height"], "last": price["window_last_height"]}
        span = self._rows("span", **heights)[0]
        return price, (span["first_unix"], span["last_unix"])

    def open_episodes(self) -> list[StoredEpisode]:
        """Return the episodes that go on."""
        return cast("list[StoredEpisode]", self._rows("open_episodes"))

    def episode(self, kind: str, started_at_unix: int) -> StoredEpisode | None:
        """Return the episode that began at a time; None when a reorganisation took it back."""
        rows = self._rows("episode", kind=kind, started_at_unix=started_at_unix)
        return cast("StoredEpisode", rows[0]) if rows else None

    def day_after(self, up_to_height: int) -> date | None:
        """Return the UTC day after the newest recorded one that is final at a height."""
        day: date | None = self._rows("day_after", up_to=up_to_height - FINAL_DEPTH)[0]["day"]
        return day

    def last_run(self, *, or_failed: bool = True) -> StoredRun | None:
        """Return how the newest run ended; the newest that did not fail, if so wanted."""
        rows = cast("list[StoredRun]", self._rows("last_run", or_failed=or_failed))
        return rows[0] if rows else None

    # What a tick writes

    def write(self, batch: Batch) -> None:
        """Write a tick in one transaction: all of it, or nothing."""
        with translated(self.path), transaction(self._db):
            if batch.rewind_to is not None:
                for table, height in FOLLOW_THE_CHAIN.items():
                    names = {"table": table, "height": height}
                    self._execute("replace", names, now=batch.now_unix, above=batch.rewind_to)
            above = batch.rewind_to if batch.rewind_to is not None else MAX_HEIGHT
            if batch.forget_txids_below or batch.rewind_to is not None:
                self._execute("forget_txids", below=batch.forget_txids_below, above=above)
            if batch.episodes is not None:
                self._execute("forget_open_episodes")
            for table, rows in batch.tables.items():
                self._insert_rows(table, rows)
            self._insert_rows("episodes", batch.episodes or [])
            if batch.facts or batch.txids:
                from oracle.record.tables import output_table, txid_table

                self._insert("outputs", output_table(batch.facts))
                self._insert("recent_txids", txid_table(batch.txids))

    def merge_from(self, backup: Path) -> dict[str, int]:
        """Merge what a backup holds and this database lacks, in one transaction; return rows
        added, by table.

        Blocks and what hangs on them are taken above our newest block, if the backup's chain goes
        on from it. Only tables are read, never views: a view may say what it likes.

        Raises:
            StoreError: the backup is somebody else's, or lacks a table of ours.
        """
        check_ours(backup)
        saved = _tables_of(backup)
        with translated(self.path):
            for table, rows in saved.items():
                self._db.register(f"backup_{table}", rows)
            try:
                with transaction(self._db):
                    above = self._rows("merge_above")[0]["above"]
                    return {
                        table: self._merge(table, condition, above)
                        for table, condition in MERGED.items()
                    }
            finally:
                for table in saved:
                    self._db.unregister(f"backup_{table}")

    def _merge(self, table: str, condition: str, above: int) -> int:
        row = self._execute(
            "merge", {"table": table, "condition": condition.format(above=above)}
        ).fetchone()
        return int(row[0]) if row else 0

    def _execute(
        self, name: str, names: dict[str, str] | None = None, **parameters: Any
    ) -> duckdb.DuckDBPyConnection:
        """Run a statement of `queries.sql`; `names` are our own tables and columns, never input."""
        sql = statements()[name]
        return self._db.execute(sql.format(**names) if names else sql, parameters)

    def _rows(self, name: str, **parameters: Any) -> list[Row]:
        with translated(self.path):
            cursor = self._execute(name, **parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _insert_rows(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        if len(rows) > FEW_ROWS:
            import pyarrow as pa

            self._insert(table, pa.Table.from_pylist(list(rows)))
            return
        for row in rows:
            names = {"table": table, "columns": ", ".join(row)}
            names["values"] = ", ".join(f"${name}" for name in row)
            self._execute("insert_row", names, **row)

    def _insert(self, table: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self._db.register("new_rows", rows)
            self._execute("insert", {"table": table})
            self._db.unregister("new_rows")

    def _migrate(self) -> None:
        self._execute("make_migrations")
        done = {row["number"] for row in self._rows("migrations")}
        check_not_newer(self.path, done)
        for number, script in migrations():
            if number not in done:
                with transaction(self._db):
                    self._db.execute(script)
                    self._execute("add_migration", number=number)

    def _check_network(self, network: str | None) -> None:
        known = self.network
        if network and known and network != known:
            raise RequestError(
                f"{self.path} records the {known} chain, and the source is on {network}; set "
                f"another DUCKDB_PATH"
            )
        if network and not known:
            with translated(self.path):
                self._execute("set_network", network=network)


def _tables_of(backup: Path) -> dict[str, pa.Table]:
    """Read the tables of a backup that are merged; what only has the name of one is not read."""
    with translated(backup), connect(backup, read_only=True) as connection:
        there = connection.execute(statements()["tables"]).fetchall()
        if missing := MERGED.keys() - {name for (name,) in there}:
            raise StoreError(
                f"{backup} has no table {min(missing)}: it is not a backup of ours, and not used"
            )
        return {
            table: connection.sql(statements()["whole_table"].format(table=table)).to_arrow_table()
            for table in MERGED
        }
