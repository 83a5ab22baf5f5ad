"""The database: migrations, one transaction a tick, and sentences for what goes wrong with it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pytest

from oracle.core.block import Rule
from oracle.core.eligible import BlockFacts
from oracle.errors import RequestError, StoreError
from oracle.record.batch import Batch
from oracle.record.connect import STORAGE_VERSION
from oracle.record.reader import open_reader
from oracle.record.sql import migrations, statements
from oracle.record.store import Store
from oracle.record.tables import TXIDS_A_ROW
from oracle.rows import block_row
from tests.conftest import PROJECT
from tests.helpers.ticking import rows_of


def facts_of(height: int, outputs: int = 3) -> BlockFacts:
    values = np.arange(outputs, dtype=np.int64) * 1000 + height
    parents = np.full(outputs, height - 1, np.int32)
    left_out = Counter({next(iter(Rule)): 2})
    about = {"hash": f"{height:064x}", "prev_hash": f"{height - 1:064x}", "time_unix": 600 * height}
    counts = {"size_bytes": 900, "transactions": 5, "outputs": 9}
    return BlockFacts(height, **about, **counts, left_out=left_out, value_sats=values,
                      is_round=values % 2000 == 0, parent_height=parents)  # fmt: skip


def batch_of(first: int, last: int, **more: object) -> Batch:
    batch = Batch(1_760_000_000, **more)
    for height in range(first, last + 1):
        facts = facts_of(height)
        batch.add_block(facts, [bytes((height,)) * 32, bytes((height, 1)) * 16], forget_below=0)
        batch.add("blocks", block_row([facts], "test"))
    return batch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder/a.duckdb"


@pytest.fixture
def store(path: Path):
    with Store(path, network="regtest") as made:
        yield made


def test_a_new_database_and_its_folder_are_made(path, store):
    assert path.exists()
    assert store.network == "regtest"


def test_migrations_are_numbered_without_gaps():
    assert [number for number, _ in migrations()] == list(range(1, len(list(migrations())) + 1))


def test_each_migration_runs_once(path, store):
    store.close()
    Store(path).close()
    assert [row["number"] for row in rows_of(path, "migrations")] == [
        number for number, _ in migrations()
    ]


def test_a_migration_that_fails_leaves_the_database_as_it_was(path, monkeypatch):
    Store(path).close()
    scripts = [*migrations(), (99, "CREATE TABLE half (a INTEGER); SELECT nonsense FROM nowhere")]
    monkeypatch.setattr("oracle.record.store.migrations", lambda: iter(scripts))
    with pytest.raises(StoreError):
        Store(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert ("half",) not in connection.execute(
            "SELECT table_name FROM information_schema.tables"
        ).fetchall()


def test_no_statement_is_empty():
    assert all(text for text in statements().values())


def test_facts_come_back_as_they_went_in(store):
    store.write(batch_of(10, 12))
    for found, expected in zip(store.facts(10, 12), map(facts_of, (10, 11, 12)), strict=True):
        assert (found.height, found.hash, found.time_unix, found.left_out) == (
            expected.height, expected.hash, expected.time_unix, expected.left_out,
        )  # fmt: skip
        assert found.value_sats.tolist() == expected.value_sats.tolist()
        assert found.is_round.tolist() == expected.is_round.tolist()
        assert found.parent_height.tolist() == expected.parent_height.tolist()


def test_a_block_without_eligible_outputs_comes_back_empty(store):
    batch = Batch(0)
    facts = facts_of(7, outputs=0)
    batch.add_block(facts, [bytes(32)], forget_below=0)
    batch.add("blocks", block_row([facts], "test"))
    store.write(batch)
    assert store.facts(7, 7)[0].value_sats.tolist() == []


def test_txids_come_back_and_are_forgotten(store):
    batch = batch_of(1, 5)
    store.write(batch)
    assert store.recent_txids(1, 5).made_at({bytes((4,)) * 32}) == {bytes((4,)) * 32: 4}
    store.write(Batch(0, forget_txids_below=5))
    assert 4 not in store.recent_txids(1, 5)
    assert 5 in store.recent_txids(1, 5)


@pytest.mark.parametrize("count", [1, TXIDS_A_ROW, TXIDS_A_ROW + 1, 3000])
def test_the_txids_of_a_block_come_back_from_rows_that_are_short(path, store, count):
    txids = [number.to_bytes(32, "big") for number in range(count)]
    batch = Batch(0)
    batch.add_block(facts_of(4), txids, forget_below=0)
    store.write(batch)
    assert store.recent_txids(1, 5).made_at(set(txids)) == dict.fromkeys(txids, 4)
    store.close()
    rows = [row["txids"] for row in rows_of(path, "recent_txids")]
    assert b"".join(rows) == b"".join(txids)
    assert max(len(row) for row in rows) <= 4096  # what DuckDB reads in place


def test_the_newest_blocks_come_from_the_top_down_and_one_more_that_is_asked_for(store):
    store.write(batch_of(1, 9))
    assert list(store.chain(3, or_height=2)) == [9, 8, 7, 2]


def test_a_rewind_marks_rows_and_forgets_txids(path, store):
    store.write(batch_of(1, 9))
    store.write(Batch(77, rewind_to=6))
    assert max(store.chain(10, or_height=0)) == 6
    assert 7 not in store.recent_txids(1, 9)
    store.close()
    assert {row["height"] for row in rows_of(path, "outputs") if row["replaced_at_unix"] == 77} == {
        7,
        8,
        9,
    }


def test_a_tick_is_written_whole_or_not_at_all(path, store):
    batch = batch_of(1, 3)
    batch.add("runs", {"started_at_unix": 1, "outcome": "ok"})  # the rest of the row is missing
    with pytest.raises(StoreError):
        store.write(batch)
    store.close()
    assert (
        rows_of(path, "blocks") == rows_of(path, "outputs") == rows_of(path, "recent_txids") == []
    )


def test_after_a_write_that_failed_the_next_one_works(store):
    bad = batch_of(1, 3)
    bad.add("runs", {"outcome": None})
    with pytest.raises(StoreError):
        store.write(bad)
    store.write(batch_of(1, 3))
    assert len(store.chain(9, or_height=0)) == 3


def test_open_episodes_are_replaced_and_ended_ones_kept(path, store):
    row = {
        "kind": "divergence",
        "leg": "spot",
        "started_at_unix": 1,
        "ended_at_unix": None,
        "start_height": 1,
    }
    row |= {"end_height": None, "peak_percent": 3.0}
    store.write(Batch(0, episodes=[row]))
    store.write(Batch(0))
    assert store.open_episodes() == [row]
    store.write(Batch(0, episodes=[row | {"ended_at_unix": 9, "end_height": 2}]))
    assert store.open_episodes() == []
    store.close()
    assert [row["ended_at_unix"] for row in rows_of(path, "episodes")] == [9]


def test_another_networks_database_is_refused(path, store):
    store.close()
    with pytest.raises(RequestError, match=r"regtest chain.*on main.*DUCKDB_PATH"):
        Store(path, network="main")


def test_the_simulated_networks_database_says_that_it_is_a_demo(tmp_path):
    Store(tmp_path / "demo.duckdb", network="simulated").close()
    facts = {
        row["name"]: row["value"] for row in rows_of(tmp_path / "demo.duckdb", "facts_of_database")
    }
    assert facts == {"network": "simulated", "is_demo": "true"}


def test_a_damaged_file_is_not_said_to_be_held_by_another_program(path, store):
    store.write(batch_of(1, 200))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = bytes(byte ^ 0xFF for byte in data[4096 * 3 :])
    path.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be used") as caught, Store(path) as damaged:
        damaged.facts(1, 200)
    assert "another program" not in str(caught.value)


def test_a_path_with_a_quote_in_it_can_be_merged(tmp_path, store):
    backup = tmp_path / "it's.duckdb"
    with Store(backup, network="regtest") as other:
        other.write(batch_of(1, 3))
    assert store.merge_from(backup)["blocks"] == 3


def test_a_backup_that_is_no_database_is_an_error_and_changes_nothing(tmp_path, store):
    (tmp_path / "junk.duckdb").write_bytes(b"junk" * 5000)
    with pytest.raises(StoreError):
        store.merge_from(tmp_path / "junk.duckdb")
    assert store.chain(9, or_height=0) == {}


# --- Other versions, and damage -----------------------------


def test_a_database_of_a_newer_version_of_us_is_told_as_that(path, store):
    store.close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO migrations VALUES (999)")
    with pytest.raises(StoreError, match=r"newer version of this program .*migration 999"):
        Store(path)


def test_a_reader_tells_a_newer_version_of_us_too(path, store):
    store.close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO migrations VALUES (999)")
    with (
        pytest.raises(StoreError, match=r"newer version of this program .*migration 999"),
        open_reader(path),
    ):
        pass


def test_a_database_of_a_newer_duckdb_is_told_as_that(path, monkeypatch):
    text = (  # DuckDB 1.4.0 on a file of 2.0.1
        "IO Error: Trying to read a database file with version number 999, but we can only read "
        "versions between 64 and 67.\nThe database file was created with an newer version of "
        "DuckDB.\n"
    )

    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(text)

    monkeypatch.setattr("oracle.record.connect.duckdb.connect", refuse)
    with pytest.raises(StoreError, match="written by a newer DuckDB than the one installed here"):
        Store(path)


def test_what_we_write_can_be_read_by_the_oldest_duckdb_that_is_allowed(path, store):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    oldest = next(need for need in project["dependencies"] if need.startswith("duckdb"))
    assert f"{oldest.removeprefix('duckdb>=')}.0" == STORAGE_VERSION.removeprefix("v")
    store.close()
    with duckdb.connect(str(path), read_only=True) as connection:
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal")
        assert tags.fetchall()[0][0]["storage_version"] == f"{STORAGE_VERSION}+"


KILLED = """
import os, sys
import duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '1GB'")
connection.execute("INSERT INTO recent_txids SELECT n, repeat('x', 99)::BLOB FROM range(2000) t(n)")
os._exit(0)
"""


def test_a_damaged_journal_is_named(path, store):
    store.close()
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=True)
    journal = path.with_name(f"{path.name}.wal")
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 0xFF
    journal.write_bytes(data)
    with pytest.raises(StoreError, match=rf"the journal {journal}.* put it aside"):
        Store(path)
