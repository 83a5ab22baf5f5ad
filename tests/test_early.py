"""A first run shows what is happening: a site at once, one with the first price, and how far it
is."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from oracle.cli.progress import LINE_EVERY_SECONDS, Lines
from oracle.config import load_settings
from oracle.early import EarlySite
from oracle.logs import logging_to
from oracle.tick import CHUNK_BLOCKS
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.ticking import FIRST, current, small_chain
from tests.test_commands import call

LONG = CHUNK_BLOCKS + 3


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """A folder after a first run of more than a chunk, and each `latest.json` of its releases, the
    oldest first."""
    folder = tmp_path_factory.mktemp("first")
    blocks = [small_chain().block(height) for height in range(FIRST, FIRST + LONG)]
    with FakeElectrs(FakeChain(blocks, FIRST)) as server:
        given = {
            "ELECTRS_URL": server.url,
            "ORACLE_FIRST_RUN_BLOCKS": str(LONG),
            "ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS": "0",
            "DUCKDB_BACKUP_PATH": "backup.duckdb",
        }
        assert call(folder, lambda: ("", ""), ("build",), given).exit_code == 0
    releases = sorted((folder / "site/releases").iterdir())
    return folder, [json.loads((one / "api/latest.json").read_text()) for one in releases]


def test_a_first_run_publishes_at_once_then_the_first_price_then_all(first_run):
    _, shown = first_run
    assert [latest["tip"] and latest["tip"]["height"] for latest in shown] == [
        None,
        FIRST + CHUNK_BLOCKS - 1,
        FIRST + LONG - 1,
    ]


def test_until_the_run_is_done_the_site_says_so_and_is_not_healthy(first_run):
    folder, shown = first_run
    assert [latest["status"] for latest in shown[:2]] == ["failing", "stale"]
    says_so = ["first run is still reading" in json.dumps(one["notices"]) for one in shown]
    assert says_so == [True, True, False]
    releases = sorted((folder / "site/releases").iterdir())[:2]
    assert all((release / "health/failing").exists() for release in releases)


def test_a_site_before_the_end_changes_nothing_in_the_record(first_run):
    folder, _ = first_run
    assert len(current(folder / "state/oracle.duckdb", "blocks")) == LONG


def test_what_takes_no_longer_than_a_chunk_publishes_once():
    published = []
    early = EarlySite(lambda: published.append(1) or "release", lambda _done, _total: None)
    for done in range(CHUNK_BLOCKS + 1):
        early(done, CHUNK_BLOCKS)
    assert published == []


def test_a_site_that_cannot_be_built_yet_is_tried_no_more_and_the_run_goes_on():
    tried = []
    told = []

    def publish() -> str:
        tried.append(1)
        raise RuntimeError("no template")

    early = EarlySite(publish, lambda done, total: told.append((done, total)))
    log = io.StringIO()
    with logging_to(load_settings({}), log):
        for done in range(LONG + 1):
            early(done, LONG)
    assert (len(tried), len(told)) == (1, LONG + 1)
    assert json.loads(log.getvalue())["message"] == "the site could not be published yet"


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is():
    times = iter([100.0, 104.0, 100.0 + LINE_EVERY_SECONDS, 111.0, 130.0])
    log = io.StringIO()
    with logging_to(load_settings({}), log):
        lines = Lines("reading blocks", "blocks", lambda: next(times))
        for done in (0, 20, 50, 55, 120):
            lines(done, 200)
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["message"] for line in told] == ["reading blocks"] * 2
    assert [line["context"] for line in told] == [
        {"blocks_done": 50, "blocks_in_all": 200, "blocks_a_second": 5.0, "seconds_left": 30},
        {"blocks_done": 120, "blocks_in_all": 200, "blocks_a_second": 4.0, "seconds_left": 20},
    ]
