"""The doctor: each thing it looks at, well and unwell, and what it says to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from oracle.config import Settings, load_settings
from oracle.doctor import Finding, examine
from oracle.errors import SourceUnavailableError, StoreError
from oracle.sources import BlockSource, ChainTip, Health, Quote, QuoteSource
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

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        return [bytes(68) + (NOW - self.tip_age_seconds).to_bytes(4, "little") + bytes(8)]


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


def test_the_findings_come_in_the_order_of_a_run(settings: Settings) -> None:
    assert list(found(settings)) == [
        "source electrs",
        "clock",
        "disk for DUCKDB_PATH",
        "disk for DUCKDB_BACKUP_PATH",
        "disk for ORACLE_SITE_DIR",
    ]


def test_the_findings_are_json(settings: Settings) -> None:
    assert json.loads(json.dumps([asdict(finding) for finding in found(settings).values()]))


def test_a_well_source_tells_version_tip_and_latency(settings: Settings) -> None:
    finding = found(settings)["source electrs"]
    assert (finding.level, finding.message) == ("ok", "version 3.1, tip 937808, 12 ms")


def test_no_secret_is_in_a_finding(settings: Settings) -> None:
    health = replace(
        WELL, url="http://oracle:hunter2@node", advice=("401 at http://oracle:hunter2@node",)
    )
    assert "hunter2" not in str(found(settings, sources=[FixedSource(health)]))


def test_a_source_that_does_not_answer_is_bad_and_says_why(settings: Settings) -> None:
    health = Health(
        "electrs", "http://node:3000", False, advice=("connection refused: is it running?",)
    )
    finding = found(settings, sources=[FixedSource(health)])["source electrs"]
    assert (finding.level, finding.advice) == ("bad", "connection refused: is it running?")


def test_a_source_that_does_not_answer_is_not_asked_for_the_time(settings: Settings) -> None:
    health = Health("electrs", "http://node:3000", False)
    assert "clock" not in found(settings, sources=[FixedSource(health)])


def test_a_source_that_still_syncs_is_a_warning(settings: Settings) -> None:
    finding = found(settings, sources=[FixedSource(replace(WELL, is_synced=False))])[
        "source electrs"
    ]
    assert (finding.level, finding.advice) == ("warn", "Wait until it has synced.")


@pytest.mark.parametrize(("latency_ms", "level"), [(100.0, "ok"), (100.1, "warn")])
def test_electrs_has_a_mark_at_100_ms(settings: Settings, latency_ms: float, level: str) -> None:
    source = FixedSource(replace(WELL, latency_ms=latency_ms))
    assert found(settings, sources=[source])["source electrs"].level == level


def test_other_sources_may_be_slower(settings: Settings) -> None:
    source = FixedSource(replace(WELL, source="mempool", latency_ms=400.0))
    assert found(settings, sources=[source])["source mempool"].level == "ok"


def test_the_advice_of_a_source_that_answers_is_a_warning(settings: Settings) -> None:
    finding = found(settings, sources=[FixedSource(replace(WELL, advice=("turn on rest=1",)))])[
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
    finding = found(settings, sources=[FixedSource(replace(WELL, tip_height=None))])["clock"]
    assert (finding.level, finding.message) == ("bad", "it is warming up")


@pytest.mark.parametrize(("age_seconds", "level"), [(7200, "ok"), (7201, "warn")])
def test_a_quote_older_than_the_setting_is_a_warning(
    settings: Settings, age_seconds: int, level: str
) -> None:
    finding = found(settings, quotes=FixedQuotes(Quote(68_000, NOW - age_seconds, "mempool")))[
        "quote"
    ]
    assert (finding.level, finding.message) == (level, "$68,000 from mempool, 120 minutes old")


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
