"""The doctor: each thing it looks at, well and unwell, and what it says to do."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from oracle.backup.copies import copy_at
from oracle.config import Settings, load_settings
from oracle.doctor import Finding, examine
from oracle.errors import BlockNotFoundError, NoQuoteError, SourceUnavailableError, StoreError
from oracle.sources import BlockSource, ChainTip, Health, Quote, QuoteSource, State
from oracle.sources.esplora import EsploraSource
from oracle.sources.http import RetryPolicy
from tests.helpers.fakes import FakeChain, FakeElectrs, small_blocks

NOW = 1_771_700_000
WELL = Health("electrs", "http://node:3000", True, 12.0, "3.1", "main", True, 937_808)


@dataclass
class FixedSource:
    """A source that is as its `health` says, with a newest block of a given age."""

    health: Health = WELL
    tip_age_seconds: int = 300

    @property
    def name(self) -> str:
        return self.health.source

    def probe(self) -> Health:
        return self.health

    def tip(self) -> ChainTip:
        if not self.health.tip_height:
            raise SourceUnavailableError("it is warming up", source=self.name)
        return ChainTip(self.health.tip_height, "00" * 32)

    def block(self, block_hash: str) -> bytes:
        return bytes(68) + (NOW - self.tip_age_seconds).to_bytes(4, "little") + bytes(8)


@dataclass
class FixedQuotes:
    quote: Quote | None
    name: str = "mempool"

    def latest(self) -> Quote | None:
        return self.quote


class BrokenQuotes:
    name = "mempool"

    def latest(self) -> Quote | None:
        raise SourceUnavailableError("mempool does not answer", source=self.name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        {
            "ELECTRS_URL": "http://node:3000",
            "DUCKDB_PATH": str(tmp_path / "state" / "oracle.duckdb"),
            "DUCKDB_BACKUP_PATH": str(tmp_path / "backup.duckdb"),
            "ORACLE_SITE_DIR": str(tmp_path / "site"),
        }
    )


@pytest.fixture(autouse=True)
def _roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    free_disk(monkeypatch, 500 << 30)


def free_disk(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))


def found(
    settings: Settings,
    *,
    sources: Sequence[object] = (FixedSource(),),
    quotes: object = None,
    probe_store: Callable[[], float] = lambda: 4.0,
) -> dict[str, Finding]:
    findings = examine(
        settings,
        cast("Sequence[BlockSource]", sources),
        cast("QuoteSource | None", quotes),
        probe_store,
        lambda: NOW,
    )
    return {finding.name: finding for finding in findings}


def test_where_all_is_well_everything_is_ok(settings: Settings) -> None:
    quotes = FixedQuotes(Quote(68_000.0, NOW - 60, "mempool"))
    assert {finding.level for finding in found(settings, quotes=quotes).values()} == {"ok"}


def test_a_block_that_is_ahead_of_this_clock_is_not_called_old(settings: Settings) -> None:
    finding = found(settings, sources=[FixedSource(tip_age_seconds=-660)])["clock"]
    assert finding.message == "the newest block of electrs is 11 minutes ahead of this clock"


def test_the_findings_come_in_the_order_of_a_run(settings: Settings) -> None:
    assert list(found(settings)) == [
        "source electrs",
        "block of electrs",
        "clock",
        "disk for DUCKDB_PATH",
        "disk for DUCKDB_BACKUP_PATH",
        "disk for ORACLE_BACKUP_DIR",
        "disk for ORACLE_SITE_DIR",
    ]


def test_the_findings_are_json(settings: Settings) -> None:
    assert json.loads(json.dumps([asdict(finding) for finding in found(settings).values()]))


def test_a_well_source_tells_version_tip_and_latency(settings: Settings) -> None:
    finding = found(settings)["source electrs"]
    assert (finding.level, finding.message) == ("ok", "version 3.1, tip 937808, 12 ms")


def test_no_secret_is_in_a_finding(settings: Settings) -> None:
    health = WELL._replace(
        url="http://oracle:hunter2@node", advice=("401 at http://oracle:hunter2@node",)
    )
    assert "hunter2" not in str(found(settings, sources=[FixedSource(health)]))


def test_a_source_that_does_not_answer_is_bad_and_says_why(settings: Settings) -> None:
    health = Health(
        "electrs",
        "http://node:3000",
        False,
        advice=("connection refused: is it running?",),
        state="unreachable",
    )
    finding = found(settings, sources=[FixedSource(health)])["source electrs"]
    assert (finding.level, finding.advice) == ("bad", "connection refused: is it running?")


def test_a_source_that_does_not_answer_is_not_asked_for_the_time(settings: Settings) -> None:
    health = Health("electrs", "http://node:3000", False, state="unreachable")
    assert "clock" not in found(settings, sources=[FixedSource(health)])


def test_a_source_that_still_syncs_is_a_warning(settings: Settings) -> None:
    finding = found(settings, sources=[FixedSource(WELL._replace(is_synced=False))])[
        "source electrs"
    ]
    assert (finding.level, finding.advice) == ("warn", "Wait until it has synced.")


@pytest.mark.parametrize(("latency_ms", "level"), [(100.0, "ok"), (100.1, "warn")])
def test_electrs_has_a_mark_at_100_ms(settings: Settings, latency_ms: float, level: str) -> None:
    source = FixedSource(WELL._replace(latency_ms=latency_ms))
    assert found(settings, sources=[source])["source electrs"].level == level


def test_other_sources_may_be_slower(settings: Settings) -> None:
    source = FixedSource(WELL._replace(source="mempool", latency_ms=400.0))
    assert found(settings, sources=[source])["source mempool"].level == "ok"


def test_the_advice_of_a_source_that_answers_is_a_warning(settings: Settings) -> None:
    finding = found(settings, sources=[FixedSource(WELL._replace(advice=("turn on rest=1",)))])[
        "source electrs"
    ]
    assert (finding.level, finding.advice) == ("warn", "turn on rest=1")


@pytest.mark.parametrize(
    ("age_seconds", "level"),
    [(300, "ok"), (-3600, "ok"), (-10_801, "warn"), (10_800, "ok"), (10_801, "warn")],
)
def test_the_clock_is_judged_by_the_newest_block(
    settings: Settings, age_seconds: int, level: str
) -> None:
    assert found(settings, sources=[FixedSource(WELL, age_seconds)])["clock"].level == level


def test_a_source_without_a_tip_says_nothing_about_the_clock(settings: Settings) -> None:
    source = FixedSource(WELL._replace(tip_height=None, state="syncing"))
    assert "clock" not in found(settings, sources=[source])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("refused", "does not let us in"),
        ("syncing", "has not caught up with its chain"),
        ("bad_answer", "answers something else than it should"),
    ],
)
def test_a_source_that_no_run_could_use_is_bad_and_says_why(
    settings: Settings, state: State, message: str
) -> None:
    source = FixedSource(WELL._replace(state=state, advice=("do this",)))
    finding = found(settings, sources=[source])["source electrs"]
    assert (finding.level, finding.message, finding.advice) == ("bad", message, "do this")


def test_a_server_of_prices_only_is_as_it_should_be(settings: Settings) -> None:
    prices = FixedSource(WELL._replace(source="mempool", state="prices_only", tip_height=None))
    findings = found(settings, sources=[FixedSource(), prices])
    assert {finding.level for finding in findings.values()} == {"ok"}


def test_a_site_whose_only_source_serves_prices_only_has_no_blocks(settings: Settings) -> None:
    prices = FixedSource(WELL._replace(source="mempool", state="prices_only", tip_height=None))
    finding = found(settings, sources=[prices])["blocks"]
    assert (finding.level, "ELECTRS_URL" in finding.advice) == ("bad", True)


def with_data_folder(tmp_path: Path, **more: str) -> Settings:
    places = {"DUCKDB_PATH": str(tmp_path / "a.duckdb"), "BITCOIN_DATADIR": str(tmp_path)}
    return load_settings(places | more)


FILES = Health("blk-files", "/node", False, state="unreachable", advice=("cannot be read",))


def test_block_files_that_nobody_asked_for_are_not_needed_beside_a_node(tmp_path: Path) -> None:
    sources = [FixedSource(WELL._replace(source="bitcoin-core")), FixedSource(FILES)]
    finding = found(with_data_folder(tmp_path), sources=sources)["source blk-files"]
    assert finding.level == "ok"
    assert "not needed" in finding.message


def test_block_files_that_were_asked_for_are_needed(tmp_path: Path) -> None:
    settings = with_data_folder(tmp_path, ORACLE_SOURCES="core,blkfiles")
    sources = [FixedSource(WELL._replace(source="bitcoin-core")), FixedSource(FILES)]
    assert found(settings, sources=sources)["source blk-files"].level == "bad"


def test_block_files_are_needed_when_the_node_does_not_answer(tmp_path: Path) -> None:
    node = WELL._replace(source="bitcoin-core", state="unreachable", is_reachable=False)
    sources = [FixedSource(node), FixedSource(FILES)]
    findings = found(with_data_folder(tmp_path), sources=sources)
    assert findings["source blk-files"].level == "bad"


def test_a_source_that_gives_no_block_is_bad(settings: Settings) -> None:
    class NoBlocks(FixedSource):
        def block(self, block_hash: str) -> bytes:
            raise SourceUnavailableError("its disk is broken", source=self.name)

    finding = found(settings, sources=[NoBlocks()])["block of electrs"]
    assert (finding.level, finding.message) == ("bad", "its disk is broken")


def test_a_tip_that_cannot_be_had_yet_is_no_fault(settings: Settings) -> None:
    class Late(FixedSource):
        def hashes(self, first_height: int, last_height: int) -> list[str]:
            return ["11" * 32]

        def block(self, block_hash: str) -> bytes:
            if block_hash == "00" * 32:
                raise BlockNotFoundError("not yet", source=self.name)
            return super().block(block_hash)

    finding = found(settings, sources=[Late()])["block of electrs"]
    assert (finding.level, finding.message[:12]) == ("ok", "block 937807")


def test_a_file_of_authorities_that_holds_none_is_bad(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    settings = with_data_folder(tmp_path, ORACLE_CA_FILE=str(tmp_path / "ca.pem"))
    finding = found(settings)["ORACLE_CA_FILE"]
    assert (finding.level, "holds no certificate" in finding.message) == ("bad", True)


def test_a_proxy_that_takes_no_connection_is_bad(tmp_path: Path) -> None:
    settings = with_data_folder(tmp_path, ORACLE_PROXY="socks5h://me:hunter2@127.0.0.1:1")
    finding = found(settings)["ORACLE_PROXY"]
    assert (finding.level, "Tor" in finding.advice) == ("bad", True)
    assert "hunter2" not in str(finding)


def test_a_proxy_that_takes_connections_is_ok(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"socks5h://127.0.0.1:{listening.getsockname()[1]}"
        settings = with_data_folder(tmp_path, ORACLE_PROXY=address)
        finding = found(settings)["ORACLE_PROXY"]
    assert finding.level == "ok"


def test_a_feed_with_a_price_not_to_believe_is_a_warning_that_says_why(settings: Settings) -> None:
    class Odd(BrokenQuotes):
        def latest(self) -> Quote | None:
            raise NoQuoteError("its time lies ahead", source=self.name)

    finding = found(settings, quotes=Odd())["quote"]
    assert (finding.level, finding.advice) == ("warn", "its time lies ahead")


@pytest.mark.parametrize(("age_seconds", "level"), [(7200, "ok"), (7201, "warn")])
def test_a_quote_older_than_the_setting_is_a_warning(
    settings: Settings, age_seconds: int, level: str
) -> None:
    finding = found(settings, quotes=FixedQuotes(Quote(68_000, NOW - age_seconds, "mempool")))[
        "quote"
    ]
    assert (finding.level, finding.message) == (level, "$68,000 from mempool, 120 minutes old")


def test_a_quote_out_of_bounds_is_a_warning(settings: Settings) -> None:
    finding = found(settings, quotes=FixedQuotes(Quote(68.0, NOW, "mempool")))["quote"]
    assert (finding.level, finding.message) == ("warn", "$68 from mempool, 0 minutes old")
    assert "ORACLE_QUOTE_MIN_USD" in finding.advice


def test_a_database_that_this_user_may_not_look_at_is_bad_and_ends_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", forbidden)
    finding = found(settings)["database"]
    assert (finding.level, finding.message) == ("bad", "cannot be looked at: Permission denied")
    assert "sudo onchain-oracle doctor" in finding.advice


def test_a_feed_without_a_price_is_a_warning(settings: Settings) -> None:
    assert found(settings, quotes=FixedQuotes(None))["quote"].level == "warn"


def test_a_feed_that_does_not_answer_is_bad(settings: Settings) -> None:
    finding = found(settings, quotes=BrokenQuotes())["quote"]
    assert (finding.level, finding.message) == ("bad", "mempool does not answer")


@pytest.mark.parametrize(("free_bytes", "level"), [(2 << 30, "ok"), (500 << 20, "warn")])
def test_a_disk_that_fills_up_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free_bytes: int, level: str
) -> None:
    free_disk(monkeypatch, free_bytes)
    assert found(settings)["disk for DUCKDB_PATH"].level == level


def test_a_folder_that_cannot_be_made_is_bad(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    finding = found(settings)["disk for DUCKDB_PATH"]
    assert finding.level == "bad"
    assert "DUCKDB_PATH" in finding.advice


def test_the_log_files_place_is_looked_at_when_it_is_set(tmp_path: Path) -> None:
    settings = load_settings({"LOG_FILE": str(tmp_path / "oracle.log")})
    assert found(settings)["disk for LOG_FILE"].level == "ok"


def test_a_database_that_is_not_there_yet_is_not_asked(settings: Settings) -> None:
    assert "database" not in found(settings)


@pytest.mark.parametrize(("query_ms", "level"), [(50.0, "ok"), (50.1, "warn")])
def test_the_database_has_a_mark_at_50_ms(settings: Settings, query_ms: float, level: str) -> None:
    settings.duckdb_path.parent.mkdir()
    settings.duckdb_path.touch()
    finding = found(settings, probe_store=lambda: query_ms)["database"]
    assert (finding.level, finding.message) == (level, f"a query takes {query_ms} ms")


@pytest.mark.parametrize(
    ("age_seconds", "level", "says"),
    [
        (3600, "ok", "1 of the database, the newest 1 hours old"),
        (3 * 86_400, "warn", "the newest 72 hours old"),
        (None, "warn", "has none"),
    ],
)
def test_copies_of_the_database_are_to_be_younger_than_two_days(
    settings: Settings, age_seconds: int | None, level: str, says: str
) -> None:
    assert "copies" not in found(settings), "without a database there is nothing to copy"
    settings.duckdb_path.parent.mkdir()
    settings.duckdb_path.touch()
    if age_seconds is not None:
        settings.oracle_backup_dir.mkdir()
        copy_at(settings.oracle_backup_dir, settings.duckdb_path, NOW - age_seconds).path.touch()
    finding = found(settings)["copies"]
    assert finding.level == level
    assert says in finding.message
    assert ("oracle backup" in finding.advice) == (level == "warn")


def test_a_database_that_cannot_be_read_is_bad(settings: Settings) -> None:
    def broken() -> float:
        raise StoreError("it is not a DuckDB file")

    settings.duckdb_path.parent.mkdir()
    settings.duckdb_path.touch()
    finding = found(settings, probe_store=broken)["database"]
    assert (finding.level, finding.message) == ("bad", "it is not a DuckDB file")


def test_a_real_electrs_answers_the_doctor(settings: Settings) -> None:
    with FakeElectrs(FakeChain(small_blocks(3, 100), 100)) as server:
        source = EsploraSource(server.url, name="electrs", retry=RetryPolicy(()))
        findings = found(settings, sources=[source])
        source.close()
    assert "tip 102, " in findings["source electrs"].message
    assert "clock" in findings
