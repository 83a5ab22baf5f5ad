"""Databases that somebody planted: nothing of them is believed, and none reaches another file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from oracle.errors import StoreError
from oracle.record.connect import check_ours, connect
from oracle.record.store import Store


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("BITCOIN_RPC_PASSWORD=hunter2\n")
    return path


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM read_text('{path}')",
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM '{path}'",
        "COPY (SELECT 1) TO '{path}'",
        "ATTACH '{path}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "EXPORT DATABASE '{path}'",
    ],
)
def test_no_question_reaches_another_file(secret: Path, question: str) -> None:
    with connect() as connection, pytest.raises(duckdb.Error):
        connection.execute(question.format(path=secret)).fetchall()
    assert secret.read_text() == "BITCOIN_RPC_PASSWORD=hunter2\n"


def planted(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    path.chmod(0o600)
    return path


def test_a_view_with_the_name_of_a_table_is_not_read(tmp_path: Path, secret: Path) -> None:
    with Store(tmp_path / "backup.duckdb", network="main"):
        pass
    columns = "'x' AS hash, 'y' AS prev_hash"
    backup = planted(
        tmp_path / "backup.duckdb",
        "DROP VIEW IF EXISTS now_blocks",
        "DROP TABLE runs",
        f"CREATE VIEW runs AS SELECT content AS outcome, {columns} FROM read_text('{secret}')",
    )
    with Store(tmp_path / "ours.duckdb", network="main") as store:
        with pytest.raises(StoreError, match="has no table runs: it is not a backup of ours"):
            store.merge_from(backup)
        assert store.last_run() is None


def test_a_database_of_something_else_is_not_merged(tmp_path: Path) -> None:
    backup = planted(tmp_path / "backup.duckdb", "CREATE TABLE wallets (height INTEGER)")
    ours = Store(tmp_path / "ours.duckdb", network="main")
    with ours, pytest.raises(StoreError, match="not a backup of ours"):
        ours.merge_from(backup)


SPOILT: dict[str, Callable[[Path], object]] = {
    "can be written by others": lambda path: path.chmod(0o666),
    "is no ordinary file": lambda path: (
        path.rename(path.with_suffix(".real")),
        path.symlink_to(path.with_suffix(".real")),
    ),
}


@pytest.mark.parametrize("problem", SPOILT)
def test_a_backup_that_others_could_have_made_is_not_merged(tmp_path: Path, problem: str) -> None:
    backup = tmp_path / "backup.duckdb"
    with Store(backup, network="main"):
        pass
    backup.chmod(0o600)
    SPOILT[problem](backup)
    ours = Store(tmp_path / "ours.duckdb", network="main")
    with ours, pytest.raises(StoreError, match=problem):
        ours.merge_from(backup)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_backup_of_another_user_is_not_merged(tmp_path: Path) -> None:
    backup = planted(tmp_path / "backup.duckdb", "CREATE TABLE runs (a INTEGER)")
    os.chown(backup, 65534, 65534)
    with pytest.raises(StoreError, match="belongs to another user"):
        check_ours(backup)


def test_a_backup_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    check_ours(tmp_path / "none.duckdb")
