"""`oracle backup` and `oracle restore`, as a person types them, on a record that ticks made."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from oracle.config import load_settings
from oracle.lock import locked
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.home import Home
from tests.helpers.ticking import FIRST, record_of, small_chain

BEGUN, TIP = FIRST + 160, FIRST + 166
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def chain() -> FakeChain:
    return FakeChain(_blocks(FIRST, BEGUN), FIRST)


def _blocks(first: int, last: int) -> list[bytes]:
    return [small_chain().block(height) for height in range(first, last + 1)]


@pytest.fixture(scope="module")
def node(chain: FakeChain) -> Iterator[FakeElectrs]:
    with FakeElectrs(chain) as server:
        yield server


@pytest.fixture(scope="module")
def made(chain: FakeChain, node: FakeElectrs, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A record, its copy, and the blocks that came after."""
    settings = {
        "ELECTRS_URL": node.url,
        "ORACLE_FIRST_RUN_BLOCKS": str(BEGUN - FIRST + 1),
        "ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS": "0",
    }
    home = Home(tmp_path_factory.mktemp("made"), settings)
    assert home.oracle("build") == 0
    assert home.oracle("backup") == 0
    chain.extend(_blocks(BEGUN + 1, TIP))
    assert home.oracle("build") == 0
    return home


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    """A copy of all that to change."""
    return made.copied_to(tmp_path / "home")


def copies_of(home: Home) -> list[Path]:
    return sorted(home.folder.glob("state/copies/*.duckdb"))


def said(home: Home, capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    exit_code = home.oracle(*arguments)
    out, err = capsys.readouterr()
    return exit_code, out, err


# --- Making one ---------------------------------------------


def test_a_copy_holds_what_the_record_holds(home: Home, capsys: Capture) -> None:
    exit_code, out, _ = said(home, capsys, "backup", "--json")
    answer = json.loads(out)
    assert exit_code == 0
    assert answer["record"]["tip_height"] == TIP
    copy = home.folder / answer["path"]
    assert record_of(copy) == record_of(home.database)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert list(copy.parent.glob("*.part*")) == []


def test_debians_sha256sum_accepts_the_sum_beside_a_copy(made: Home) -> None:
    [copy] = copies_of(made)
    command = ["sha256sum", "--check", f"{copy.name}.sha256"]
    subprocess.run(command, cwd=copy.parent, check=True, capture_output=True)


def test_a_folder_can_be_named(home: Home, tmp_path: Path, capsys: Capture) -> None:
    exit_code, out, _ = said(home, capsys, "backup", "--to", str(tmp_path / "usb"))
    assert exit_code == 0
    [copy] = (tmp_path / "usb").glob("*.duckdb")
    assert out.startswith(f"{copy}: ")
    assert "of the regtest chain" in out


def test_a_copy_waits_for_the_tick_that_runs(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    tick = locked(home.database)
    tick.__enter__()
    waits: list[float] = []

    def end_of_tick(seconds: float) -> None:
        waits.append(seconds)
        tick.__exit__(None, None, None)

    monkeypatch.setattr("oracle.lock.time.sleep", end_of_tick)
    assert said(home, capsys, "backup")[0] == 0
    assert len(waits) == 1


def test_what_a_killed_run_left_in_its_journal_is_in_the_copy(home: Home, capsys: Capture) -> None:
    connection = duckdb.connect(str(home.database))
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute("INSERT INTO facts_of_database VALUES ('left', 'by a killed run')")
    connection.close()
    assert home.database.with_name(f"{home.database.name}.wal").stat().st_size
    answer = json.loads(said(home, capsys, "backup", "--json")[1])
    with duckdb.connect(str(home.folder / answer["path"]), read_only=True) as copy:
        rows = copy.execute("SELECT value FROM facts_of_database WHERE name = 'left'").fetchall()
    assert rows == [("by a killed run",)]


def test_a_damaged_record_is_not_copied_and_costs_no_copy(home: Home, capsys: Capture) -> None:
    before = copies_of(home)
    home.execute(f"DELETE FROM prices WHERE height = {TIP - 2}")
    exit_code, _, err = said(home, capsys, "backup")
    assert exit_code == 3
    assert f"block {TIP - 2}" in err
    assert "no copy was removed" in err
    assert copies_of(home) == before
    assert list(home.folder.glob("state/copies/*.part*")) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(home: Home, capsys: Capture) -> None:
    before = copies_of(home)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        exit_code, _, err = said(home, capsys, "backup")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert exit_code == 3
    assert "is the disk full" in err
    assert copies_of(home) == before
    assert list(home.folder.glob("state/copies/*.part*")) == []


def test_what_a_killed_copy_left_is_swept_up(home: Home, capsys: Capture) -> None:
    left = home.folder / f"state/copies/{home.database.stem}-20200101T000000Z.duckdb.part"
    left.write_bytes(b"half")
    assert said(home, capsys, "backup")[0] == 0
    assert not left.exists()


def test_old_copies_go_with_their_sums(home: Home, capsys: Capture) -> None:
    [copy] = copies_of(home)
    for year in range(1990, 2010):
        old = copy.with_name(f"{home.database.stem}-{year}0101T000000Z.duckdb")
        old.touch()
        old.with_name(f"{old.name}.sha256").touch()
    before = set(copies_of(home))
    answer = json.loads(said(home, capsys, "backup", "--json")[1])
    gone = before - set(copies_of(home))
    assert gone == {home.folder / removed for removed in answer["removed"]}
    assert min(gone).name.endswith("-19900101T000000Z.duckdb")
    assert [path for path in gone if path.with_name(f"{path.name}.sha256").exists()] == []


def test_without_a_record_there_is_nothing_to_copy(tmp_path: Path, capsys: Capture) -> None:
    exit_code, _, err = said(Home(tmp_path, {}), capsys, "backup")
    assert exit_code == 1
    assert "make one with: oracle build" in err
    assert list(tmp_path.iterdir()) == []


# --- Bringing one back --------------------------------------


def garbage(database: Path) -> None:
    database.write_bytes(os.urandom(100_000))


def cut_in_half(database: Path) -> None:
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)


def damaged_inside(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(8192))


LOSSES = [garbage, cut_in_half, damaged_inside, Path.unlink]


@pytest.mark.parametrize(
    "lose",
    [LOSSES[0], *(pytest.param(loss, marks=pytest.mark.slow) for loss in LOSSES[1:])],
    ids=["garbage", "half", "damaged", "deleted"],
)
def test_restored_and_caught_up_is_never_having_failed(
    home: Home, made: Home, capsys: Capture, lose: Callable[[Path], None]
) -> None:
    lose(home.database)
    assert said(home, capsys, "build")[0] in (2, 3)
    assert json.loads((home.public / "api/latest.json").read_bytes())["tip"]["height"] == TIP
    exit_code, out, err = said(home, capsys, "restore")
    assert exit_code == 0, err
    assert "comes out again to the last digit" in out
    assert "now run: oracle build" in out
    assert home.oracle("build") == 0
    assert record_of(home.database) == record_of(made.database)
    assert said(home, capsys, "verify")[0] == 0


def test_what_was_there_is_kept_aside_with_its_journal(home: Home, capsys: Capture) -> None:
    before = home.database.read_bytes()
    journal = home.database.with_name(f"{home.database.name}.wal")
    journal.write_bytes(b"a journal")
    for _ in range(2):
        aside = home.folder / json.loads(said(home, capsys, "restore", "--json")[1])["aside"]
    first = min(home.folder.glob("state/*.replaced-*Z"))
    assert first != aside, "a second one does not overwrite the first"
    assert first.read_bytes() == before
    assert first.with_name(f"{first.name}.wal").read_bytes() == b"a journal"
    assert not journal.exists()


def test_there_is_a_record_whenever_a_restore_is_killed(
    home: Home, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = home.database
    before = database.read_bytes()
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target == database.relative_to(home.folder):
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        assert home.oracle("restore") == 130
    assert database.read_bytes() == before
    assert said(home, capsys, "restore")[0] == 0


def change(copy: Path, sql: str) -> None:
    with duckdb.connect(str(copy)) as connection:
        connection.execute(sql)


def a_bit(copy: Path) -> None:
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)


def another_price(copy: Path) -> None:
    change(copy, f"UPDATE prices SET window_usd = window_usd + 1e-8 WHERE height = {BEGUN}")


def without_a_row(copy: Path) -> None:
    change(copy, f"DELETE FROM outputs WHERE height = {BEGUN - 50}")


def of_another_network(copy: Path) -> None:
    change(copy, "UPDATE facts_of_database SET value = 'simulated' WHERE name = 'network'")


def of_a_newer_version(copy: Path) -> None:
    change(copy, "INSERT INTO migrations (number) VALUES (99)")


def a_text(copy: Path) -> None:
    copy.write_text("no database")


FAULTS: list[tuple[Callable[[Path], None], bool, int, str]] = [
    (a_bit, True, 3, "has changed since it was made"),
    (another_price, False, 3, f"window_usd of block {BEGUN}"),
    (without_a_row, False, 3, "is not as it must be"),
    (of_another_network, False, 2, "records the simulated chain"),
    (of_a_newer_version, False, 3, "newer version"),
    (a_text, False, 3, "database"),
]


@pytest.mark.parametrize(
    ("spoil", "has_sum", "code", "sentence"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS]
)
def test_a_copy_that_is_not_right_is_refused_and_the_record_stays(
    home: Home, capsys: Capture, spoil: Callable[[Path], None], has_sum: bool, code: int,
    sentence: str,
) -> None:  # fmt: skip
    [copy] = copies_of(home)
    spoil(copy)
    if not has_sum:
        copy.with_name(f"{copy.name}.sha256").unlink()
    before = home.database.read_bytes()
    exit_code, _, err = said(home, capsys, "restore", str(copy))
    assert (exit_code, err.count("\n")) == (code, 1)
    assert sentence in err
    assert ".restoring" not in err, "a person knows the copy by its own name"
    assert home.database.read_bytes() == before
    assert list(home.folder.glob("state/*.restoring*")) == []
    assert list(home.folder.glob("state/*.replaced-*")) == []


def test_a_copy_that_is_only_a_link_is_not_followed(home: Home, capsys: Capture) -> None:
    [copy] = copies_of(home)
    link = home.folder / "link.duckdb"
    link.symlink_to(copy)
    exit_code, _, err = said(home, capsys, "restore", str(link))
    assert exit_code == 3
    assert "is no ordinary file" in err


def test_where_there_is_no_copy_the_way_out_is_said(home: Home, capsys: Capture) -> None:
    shutil.rmtree(home.folder / "state/copies")
    exit_code, _, err = said(home, capsys, "restore")
    assert exit_code == 1
    assert "oracle build --anew" in err
    assert said(home, capsys, "restore", "absent.duckdb")[0] == 1


def test_a_copy_without_a_sum_says_so(home: Home, capsys: Capture) -> None:
    [copy] = copies_of(home)
    copy.with_name(f"{copy.name}.sha256").unlink()
    assert "its bytes not compared" in said(home, capsys, "restore")[1]


def test_copies_lie_beside_the_database_unless_told(tmp_path: Path) -> None:
    settings = load_settings({"DUCKDB_PATH": str(tmp_path / "oracle.duckdb")})
    assert settings.oracle_backup_dir == tmp_path / "copies"
