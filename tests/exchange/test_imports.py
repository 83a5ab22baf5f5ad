"""Quotes of a file beside a past that was recorded without: what comes out is what ticks with these
quotes would have written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from oracle.config import Settings, load_settings
from oracle.errors import NoDataError
from oracle.exchange.imports import Imported, import_quotes
from oracle.exchange.quote_file import read_quotes
from oracle.tick import TickRules
from tests.helpers.home import Home
from tests.helpers.ticking import FIRST, HeldSource, rows_of, small_chain, tick

TIP = FIRST + 320
NOW = 1_900_000_000
TABLES = ("divergences", "days", "episodes", "prices", "blocks")
FORGET = """
DELETE FROM exchange_samples;
UPDATE divergences SET exchange_usd = NULL, spot_percent = NULL, exchange_mean_usd = NULL,
    window_percent = NULL, headline_percent = NULL, leg = NULL, is_large = false;
UPDATE days SET exchange_mean_usd = NULL, exchange_close_usd = NULL;
"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record whose ticks had quotes, but for the newest: it was compared with one of now."""
    from tests.helpers.ticking import spot_fingerprint, window_fingerprint

    path = tmp_path_factory.mktemp("compared") / "record.duckdb"
    source = HeldSource(small_chain(), TIP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oracle.tick.estimate_window", window_fingerprint)
        patch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
        rules = TickRules(first_run_blocks=TIP - FIRST + 1)
        tick(path, source, source, rules, now_unix=source.time_unix + 3 * 3_600)
    return path


@pytest.fixture
def bare(compared: Path, tmp_path: Path) -> Path:
    """The same record as it would be without quotes."""
    path = Path(shutil.copy(compared, tmp_path / "record.duckdb"))
    change(path, FORGET)
    return path


@pytest.fixture
def csv(compared: Path, tmp_path: Path) -> Path:
    """The quotes that the ticks had."""
    path = tmp_path / "exchange.csv"
    rows = rows_of(compared, "exchange_samples")
    lines = [f"{row['quoted_at_unix']},{row['price_usd']!r}\n" for row in rows]
    path.write_text("time,price\n" + "".join(lines))
    return path


def change(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def settings_of(path: Path) -> Settings:
    return load_settings({"DUCKDB_PATH": str(path)})


def imported(path: Path, csv: Path, name: str = "file") -> Imported:
    return import_quotes(settings_of(path), read_quotes(csv, name, 7_200, NOW), NOW)


def of(path: Path, table: str) -> list[dict]:
    return sorted(rows_of(path, table), key=str)


def test_every_comparison_and_day_is_what_a_tick_with_the_quotes_wrote(compared, bare, csv):
    found = imported(bare, csv)
    ours = {row["height"]: row for row in rows_of(bare, "divergences") if row["height"] < TIP}
    theirs = {row["height"]: row for row in rows_of(compared, "divergences") if row["height"] < TIP}
    assert ours == theirs
    assert sum(row["window_percent"] is not None for row in ours.values()) > 100
    for table in ("days", "episodes", "prices", "blocks"):
        assert of(bare, table) == of(compared, table)
    assert found.comparisons == len(rows_of(compared, "divergences"))
    assert found.days >= 1


def test_imported_twice_changes_nothing(bare, csv):
    imported(bare, csv)
    before = {table: rows_of(bare, table) for table in (*TABLES, "exchange_samples")}
    again = imported(bare, csv)
    assert (again.quotes, again.comparisons, again.days) == (0, 0, 0)
    assert before == {table: rows_of(bare, table) for table in (*TABLES, "exchange_samples")}


def test_what_has_an_exchange_price_keeps_it(compared, csv, tmp_path):
    record = Path(shutil.copy(compared, tmp_path / "whole.duckdb"))
    times = [line.split(",")[0] for line in csv.read_text().splitlines()[1:]]
    csv.write_text("time,price\n" + "".join(f"{time},50000\n" for time in times))
    imported(record, csv)
    assert of(record, "days") == of(compared, "days")
    had = {row["time_unix"]: row["exchange_usd"] for row in rows_of(compared, "divergences")}
    has = {row["time_unix"]: row["exchange_usd"] for row in rows_of(record, "divergences")}
    assert {time: has[time] for time, usd in had.items() if usd} == {
        time: usd for time, usd in had.items() if usd
    }


def test_the_source_of_each_quote_is_kept(bare, csv):
    imported(bare, csv, "bitstamp-hourly")
    assert {row["source"] for row in rows_of(bare, "exchange_samples")} == {"bitstamp-hourly"}


def test_quotes_too_far_from_the_price_are_kept_and_compare_with_nothing(bare, csv):
    times = [line.split(",")[0] for line in csv.read_text().splitlines()[1:]]
    csv.write_text("time,price\n" + "".join(f"{time},900\n" for time in times))
    found = imported(bare, csv)
    samples = rows_of(bare, "exchange_samples")
    doubted = [row for row in samples if row["suspicion"]]
    assert (found.suspect, found.comparisons) == (len(doubted), 0)
    assert len(doubted) > 100


def test_only_the_part_that_a_file_reaches_is_completed(compared, bare, csv):
    lines = csv.read_text().splitlines(keepends=True)
    csv.write_text("".join([lines[0], *lines[200:260]]))
    found = imported(bare, csv)
    has = [row["height"] for row in rows_of(bare, "divergences") if row["exchange_usd"] is not None]
    assert 50 <= found.comparisons <= 80
    assert max(has) - min(has) < 80


def test_without_a_record_there_is_nothing_to_compare(csv, tmp_path):
    with pytest.raises(NoDataError, match="there is no record yet"):
        imported(tmp_path / "none.duckdb", csv)


def test_the_command_says_what_it_did_and_the_site_has_it(bare, csv, tmp_path, capsys):
    home = Home(tmp_path, {"DUCKDB_PATH": str(bare), "ORACLE_SITE_DIR": str(tmp_path / "site")})
    assert home.oracle("render") == 0
    days = tmp_path / "site/public/api/days.json"
    assert json.loads(days.read_text())["days"][0]["exchange_mean_usd"] is None
    assert home.oracle("import-quotes", str(csv), "--source", "bitstamp", "--json") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["source"], said["comparisons"] > 100, said["suspect"]) == ("bitstamp", True, 0)
    assert home.oracle("import-quotes", str(csv)) == 0
    assert "nothing that was recorded lacks" in capsys.readouterr().out
    assert home.oracle("render") == 0
    assert json.loads(days.read_text())["days"][0]["exchange_mean_usd"] > 0
    home.render_anew()


@pytest.mark.parametrize("name", ["", "two words", "../up", "x" * 41])
def test_a_name_that_is_none_is_wrong_input(bare, csv, tmp_path, capsys, name):
    home = Home(tmp_path, {"DUCKDB_PATH": str(bare)})
    assert home.oracle("import-quotes", str(csv), f"--source={name}") == (0 if not name else 2)
