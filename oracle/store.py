"""The record: the only place that knows DuckDB and SQL (the tables are in `oracle/sql/`, numbered).

A tick's rows are handed over as one `Batch` and written in one transaction. Rows of blocks that left the
chain are kept and marked with `replaced_at_unix`; everything here reads current rows only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa

from oracle.core.block import Rule
from oracle.core.eligible import BlockFacts, RecentTxids
from oracle.errors import RequestError, StoreError

Row = dict[str, Any]
FOLLOW_THE_CHAIN = ("blocks", "outputs", "prices", "divergences")
TXID_BYTES = 32


@dataclass
class Batch:
    """Everything one tick writes; tables by name, each a list of rows keyed by column."""

    now_unix: int
    rewind_to: int | None = None  # rows above this height left the chain
    forget_txids_below: int = 0
    tables: dict[str, list[Row]] = field(default_factory=dict)
    facts: list[BlockFacts] = field(default_factory=list)
    txids: dict[int, list[bytes]] = field(default_factory=dict)
    episodes: list[Row] | None = None  # ended in this tick or still open; None leaves all as they are

    def add(self, table: str, row: Row) -> None:
        """Add a row to a table."""
        self.tables.setdefault(table, []).append(row)

    def add_block(self, facts: BlockFacts, txids: list[bytes], *, forget_below: int) -> None:
        """Add a block's outputs and txids, and forget the txids of blocks below a height."""
        self.facts.append(facts)
        self.txids[facts.height] = txids
        self.forget_txids_below = forget_below
        for height in [height for height in self.txids if height < forget_below]:
            del self.txids[height]


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
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = duckdb.connect(str(path))
        try:
            with _translated(path):
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

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a statement as dicts."""
        with _translated(self.path):
            cursor = self._db.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def columns(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """Return the rows of a statement as one numpy array a column."""
        with _translated(self.path):
            return dict(self._db.execute(sql, parameters).fetchnumpy())

    # What a tick needs to know

    @property
    def network(self) -> str | None:
        """The network whose blocks are recorded, None in an empty database."""
        rows = self.query("SELECT value FROM facts_of_database WHERE name = 'network'")
        return rows[0]["value"] if rows else None

    def chain(self, newest: int) -> dict[int, tuple[str, int]]:
        """Return hash and header time of the newest stored blocks by height, ascending."""
        rows = self.query(
            "SELECT height, hash, time_unix FROM blocks WHERE replaced_at_unix IS NULL ORDER BY height DESC LIMIT ?",
            [newest],
        )
        return {row["height"]: (row["hash"], row["time_unix"]) for row in reversed(rows)}

    def facts(self, first_height: int, last_height: int) -> list[BlockFacts]:
        """Return the facts of stored blocks of an inclusive range of heights."""
        blocks = self.query(
            "SELECT height, hash, prev_hash, time_unix, size_bytes, transactions, outputs, left_out "
            "FROM blocks WHERE height BETWEEN ? AND ? AND replaced_at_unix IS NULL ORDER BY height",
            [first_height, last_height],
        )
        outputs = self.columns(
            "SELECT height, value_sats, is_round, parent_height FROM outputs "
            "WHERE height BETWEEN ? AND ? AND replaced_at_unix IS NULL ORDER BY height, rowid",
            [first_height, last_height],
        )
        starts = np.searchsorted(outputs["height"], [block["height"] for block in blocks])
        ends = np.searchsorted(outputs["height"], [block["height"] for block in blocks], side="right")
        return [
            BlockFacts(
                **(block | {"left_out": {Rule(k): n for k, n in json.loads(block["left_out"]).items()}}),
                value_sats=outputs["value_sats"][start:end],
                is_round=outputs["is_round"][start:end],
                parent_height=outputs["parent_height"][start:end],
            )
            for block, start, end in zip(blocks, starts, ends, strict=True)
        ]

    def recent_txids(self, first_height: int, last_height: int) -> RecentTxids:
        """Return which block of a range made which txid, as far as the store remembers."""
        recent = RecentTxids()
        for row in self.query(
            "SELECT height, txids FROM recent_txids WHERE height BETWEEN ? AND ? ORDER BY height",
            [first_height, last_height],
        ):
            data = row["txids"]
            recent.add(row["height"], [data[i : i + TXID_BYTES] for i in range(0, len(data), TXID_BYTES)])
        return recent

    def samples(self, since_unix: int) -> list[Row]:
        """Return exchange samples from a time on, oldest first."""
        return self.query(
            "SELECT * FROM exchange_samples WHERE sampled_at_unix >= ? ORDER BY sampled_at_unix", [since_unix]
        )

    def recent_moments(self, newest: int) -> list[Row]:
        """Return the newest ticks with the confidence of their window, oldest first."""
        rows = self.query(
            "SELECT d.*, p.window_confidence FROM divergences d LEFT JOIN prices p "
            "ON p.height = d.height AND p.replaced_at_unix IS NULL "
            "WHERE d.replaced_at_unix IS NULL ORDER BY d.time_unix DESC LIMIT ?",
            [newest],
        )
        return rows[::-1]

    def newest_price(self, up_to_height: int) -> Row | None:
        """Return the prices as of the newest block up to a height that has any."""
        rows = self.query(
            "SELECT * FROM prices WHERE height BETWEEN ? - 1000 AND ? AND replaced_at_unix IS NULL "
            "ORDER BY height DESC LIMIT 1",
            [up_to_height, up_to_height],
        )
        return rows[0] if rows else None

    def window_span_unix(self, price: Row) -> tuple[int, int]:
        """Return earliest and latest header time of the window of a row of prices."""
        rows = self.query(
            "SELECT min(time_unix) AS first, max(time_unix) AS last FROM blocks "
            "WHERE height BETWEEN ? AND ? AND replaced_at_unix IS NULL",
            [price["window_first_height"], price["window_last_height"]],
        )
        return rows[0]["first"], rows[0]["last"]

    def open_episodes(self) -> list[Row]:
        """Return the episodes that go on."""
        return self.query("SELECT * FROM episodes WHERE ended_at_unix IS NULL")

    def day_after(self, up_to_height: int) -> date | None:
        """Return the UTC day after the newest recorded one that ends up to a height."""
        rows = self.query(
            "SELECT max(date) + 1 AS day FROM days WHERE last_height <= ? AND replaced_at_unix IS NULL", [up_to_height]
        )
        day: date | None = rows[0]["day"]
        return day

    def last_run(self) -> Row | None:
        """Return how the newest run ended."""
        rows = self.query("SELECT * FROM runs ORDER BY ended_at_unix DESC, rowid DESC LIMIT 1")
        return rows[0] if rows else None

    def last_good_run(self) -> Row | None:
        """Return the newest run that did not fail."""
        rows = self.query(
            "SELECT * FROM runs WHERE outcome <> 'failed' ORDER BY ended_at_unix DESC, rowid DESC LIMIT 1"
        )
        return rows[0] if rows else None

    # What a tick writes

    def write(self, batch: Batch) -> None:
        """Write a tick in one transaction: all of it, or nothing."""
        with _translated(self.path), self._transaction():
            if batch.rewind_to is not None:
                self._mark_replaced(batch.rewind_to, batch.now_unix)
            self._db.execute("DELETE FROM recent_txids WHERE height < ?", [batch.forget_txids_below])
            for table, rows in batch.tables.items():
                self._insert(table, pa.Table.from_pylist(rows))
            if batch.episodes is not None:
                self._db.execute("DELETE FROM episodes WHERE ended_at_unix IS NULL")
                self._insert("episodes", pa.Table.from_pylist(batch.episodes))
            self._insert_outputs(batch.facts)
            self._insert("recent_txids", _txid_table(batch.txids))

    def _insert_outputs(self, facts: Sequence[BlockFacts]) -> None:
        if not facts:
            return
        table = {
            "height": np.repeat([f.height for f in facts], [len(f.value_sats) for f in facts]),
            "value_sats": np.concatenate([f.value_sats for f in facts]),
            "is_round": np.concatenate([f.is_round for f in facts]),
            "parent_height": np.concatenate([f.parent_height for f in facts]),
        }
        self._insert("outputs", pa.table(table))

    def _insert(self, table: str, rows: pa.Table) -> None:
        if rows.num_rows:
            self._db.register("new_rows", rows)
            self._db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM new_rows")  # noqa: S608 - our own names
            self._db.unregister("new_rows")

    def _mark_replaced(self, above: int, now_unix: int) -> None:
        for table, height in [*((table, "height") for table in FOLLOW_THE_CHAIN), ("days", "last_height")]:
            self._db.execute(
                f"UPDATE {table} SET replaced_at_unix = ? WHERE {height} > ? AND replaced_at_unix IS NULL",  # noqa: S608
                [now_unix, above],
            )
        self._db.execute("DELETE FROM recent_txids WHERE height > ?", [above])

    def merge_from(self, backup: Path) -> dict[str, int]:
        """Merge what a backup holds and this database lacks, in one transaction; return rows added, by table.

        Blocks and what hangs on them are taken above our newest block, if the backup's chain goes on from it.
        """
        with _translated(self.path), self._transaction():
            self._db.execute(f"ATTACH '{str(backup).replace(chr(39), chr(39) * 2)}' AS backup (READ_ONLY)")
        try:
            with _translated(self.path), self._transaction():
                return self._merge_tables()
        finally:
            with _translated(self.path):
                self._db.execute("DETACH backup")

    def _merge_tables(self) -> dict[str, int]:
        tip = self._db.execute(
            "SELECT height, hash FROM blocks WHERE replaced_at_unix IS NULL ORDER BY height DESC LIMIT 1"
        ).fetchone()
        above = -1
        if tip:
            goes_on = self._db.execute(
                "SELECT 1 FROM backup.blocks WHERE height = ? AND prev_hash = ? AND replaced_at_unix IS NULL",
                [tip[0] + 1, tip[1]],
            ).fetchone()
            above = tip[0] if goes_on else 2**31 - 1
        chosen = dict.fromkeys(FOLLOW_THE_CHAIN, f"height > {above} AND replaced_at_unix IS NULL")
        chosen["recent_txids"] = f"height > {above}"
        chosen["days"] = (
            "replaced_at_unix IS NULL AND date NOT IN (SELECT date FROM days WHERE replaced_at_unix IS NULL)"
        )
        chosen["divergences"] = "time_unix NOT IN (SELECT time_unix FROM divergences)"
        chosen["exchange_samples"] = "sampled_at_unix NOT IN (SELECT sampled_at_unix FROM exchange_samples)"
        chosen["runs"] = "started_at_unix NOT IN (SELECT started_at_unix FROM runs)"
        chosen["facts_of_database"] = "name NOT IN (SELECT name FROM facts_of_database)"
        added = {}
        for table, condition in chosen.items():
            sql = f"INSERT INTO {table} BY NAME SELECT * FROM backup.{table} WHERE {condition}"  # noqa: S608 - our own
            added[table] = int((self._db.execute(sql).fetchone() or (0,))[0])
        return added

    def _migrate(self) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER NOT NULL)")
        done = {row["number"] for row in self.query("SELECT number FROM migrations")}
        for script in sorted(files("oracle.sql").iterdir(), key=lambda entry: entry.name):
            number = script.name.partition("_")[0]
            if script.name.endswith(".sql") and int(number) not in done:
                with self._transaction():
                    self._db.execute(script.read_text())
                    self._db.execute("INSERT INTO migrations VALUES (?)", [int(number)])

    def _check_network(self, network: str | None) -> None:
        known = self.network
        if network and known and network != known:
            raise RequestError(
                f"{self.path} records the {known} chain, and the source is on {network}; set DUCKDB_PATH to "
                f"another file"
            )
        if network and not known:
            with _translated(self.path):
                is_demo = "true" if network == "simulated" else "false"
                self._db.execute(
                    "INSERT INTO facts_of_database VALUES ('network', ?), ('is_demo', ?)", [network, is_demo]
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _txid_table(txids: dict[int, list[bytes]]) -> pa.Table:
    return pa.table({"height": list(txids), "txids": [b"".join(block) for block in txids.values()]})


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        if "lock" in text.lower():
            raise StoreError(f"{path} is held by another program; close it and try again ({text})") from error
        raise StoreError(f"the database {path} cannot be used: {text}") from error
    except OSError as error:
        raise StoreError(f"the database {path} cannot be used: {error.strerror or error}") from error
