"""The answer of `oracle price` as a program that imports us gets it."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import pytest

from oracle.answer import answer_json, price_of_chain, price_of_files
from oracle.calculator import UTXOracleCalculator
from oracle.cli import main
from oracle.errors import BlockNotFoundError, NotFinalError, RequestError, VerificationError
from oracle.estimate.window import Limits
from oracle.headers import WORK_RULES, WorkRules
from oracle.simulated.source import SimulatedSource

NOW_UNIX = 1_762_000_000  # 2025-11-01, 12:26 UTC


@pytest.fixture(scope="module")
def source() -> SimulatedSource:
    return SimulatedSource(now=lambda: NOW_UNIX, history_days=2)


@pytest.fixture(scope="module")
def blocks(source: SimulatedSource, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("blocks")
    first = source.chain.settings.first_height
    paths = [folder / f"{height}.bin" for height in range(first, first + 20)]
    for height, path in enumerate(paths, first):
        path.write_bytes(source.chain.block(height))
    return paths


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_program_gets_what_the_command_prints(blocks, capsys, monkeypatch):
    answer = price_of_files(blocks, UTXOracleCalculator(), Limits())
    monkeypatch.setattr(sys, "argv", ["oracle", "price", "--json", "--blocks", *map(str, blocks)])
    with pytest.raises(SystemExit):
        main()
    assert json.dumps(answer_json(answer)) + "\n" == capsys.readouterr().out


def test_a_recent_answer_leaves_the_tip_to_the_spot_price(source):
    answer = price_of_chain(source, None, UTXOracleCalculator(), Limits())
    assert answer.asked.last_height == source.tip().height - 1
    assert len(answer.blocks) == 144
    assert answer.spot.last_height == source.tip().height
    assert answer.is_simulated


def test_a_day_has_its_date_and_no_spot_price(source):
    answer = price_of_chain(source, date(2025, 10, 31), UTXOracleCalculator(), Limits())
    said = answer_json(answer)
    assert (said["mode"], said["date"], said["spot"]) == ("date", "2025-10-31", None)
    assert answer.day == date(2025, 10, 31)


def test_a_day_that_is_not_over_is_no_answer_yet(source):
    with pytest.raises(NotFinalError):
        price_of_chain(source, date(2025, 11, 1), UTXOracleCalculator(), Limits())


def test_progress_is_told_of_every_block_and_the_tip(source):
    told = []
    price_of_chain(
        source, None, UTXOracleCalculator(), Limits(), lambda done, all_: told.append((done, all_))
    )
    assert told == [(done, 145) for done in range(1, 146)]


def test_a_file_that_is_no_block_is_a_wrong_request(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_bytes(b"dear reader " * 20)
    with pytest.raises(RequestError, match="not a file of blocks"):
        price_of_files([path], UTXOracleCalculator(), Limits())


def test_a_fresh_tip_needs_no_warning(source):
    answer = price_of_chain(source, None, UTXOracleCalculator(), Limits(), now_unix=NOW_UNIX)
    said = answer_json(answer)
    assert said["newest_block"]["height"] == source.tip().height
    assert said["newest_block"]["age_seconds"] < 3_600
    assert said["warning"] is None


def test_a_recent_window_whose_tip_is_old_says_so(source):
    later_unix = NOW_UNIX + 4 * 3_600
    answer = price_of_chain(source, None, UTXOracleCalculator(), Limits(), now_unix=later_unix)
    said = answer_json(answer)
    assert said["newest_block"]["age_seconds"] >= 4 * 3_600
    assert f"{source.tip().height}, is of 2025-11-01" in said["warning"]
    assert "not of now" in said["warning"]


def test_a_tip_ahead_of_the_clock_has_no_age(source):
    answer = price_of_chain(source, None, UTXOracleCalculator(), Limits(), now_unix=1_000)
    assert answer.newest.age_seconds == 0


def test_the_age_of_a_day_is_nothing_to_warn_of(source):
    day = date(2025, 10, 31)
    answer = price_of_chain(source, day, UTXOracleCalculator(), Limits(), now_unix=2_000_000_000)
    assert (answer_json(answer)["newest_block"], answer_json(answer)["warning"]) == (None, None)


def test_blocks_that_cost_nothing_have_no_price_on_main(source):
    """A chain of regtest difficulty that a server passes off as main's."""

    class AsMain:
        name, block, hashes, headers, tip = (
            source.name,
            source.block,
            source.hashes,
            source.headers,
            source.tip,
        )

        def network(self) -> str:
            return "main"

    with pytest.raises(VerificationError, match="easier than anything on network main"):
        price_of_chain(AsMain(), None, UTXOracleCalculator(), Limits())


@pytest.mark.parametrize("missing", [1, 3])
def test_a_newest_block_that_cannot_be_had_yet_is_no_tip_yet(missing):
    class Slow(SimulatedSource):
        def block(self, block_hash: str) -> bytes:
            if self.chain.heights[block_hash] > self.tip().height - missing:
                raise BlockNotFoundError("404", source=self.name)
            return super().block(block_hash)

    slow = Slow(now=lambda: NOW_UNIX, history_days=2)
    answer = price_of_chain(slow, None, UTXOracleCalculator(), Limits(), now_unix=NOW_UNIX)
    assert answer.newest.height == slow.tip().height - missing
    assert answer.blocks[-1].height == slow.tip().height - missing - 1


def test_an_old_block_that_cannot_be_had_is_no_reason_to_go_back():
    class Pruned(SimulatedSource):
        def block(self, block_hash: str) -> bytes:
            if self.chain.heights[block_hash] < self.tip().height - 100:
                raise BlockNotFoundError("pruned", source=self.name)
            return super().block(block_hash)

    pruned = Pruned(now=lambda: NOW_UNIX, history_days=2)
    with pytest.raises(BlockNotFoundError, match="pruned"):
        price_of_chain(pruned, None, UTXOracleCalculator(), Limits())


class ClaimedMain(SimulatedSource):
    """A chain that says it is main; the header below the asked range has bits of its own."""

    def network(self) -> str:
        return "main"

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        found = super().headers(first_height, last_height)
        if last_height == self.tip().height - 145:
            found[-1] = found[-1][:72] + (0x1E00_FFFF).to_bytes(4, "little") + found[-1][76:]
        return found


def test_the_first_block_of_a_window_is_judged_by_the_headers_below_it(monkeypatch):
    monkeypatch.setitem(WORK_RULES, "main", WorkRules(0x207F_FFFF))
    source = ClaimedMain(now=lambda: NOW_UNIX, history_days=2)
    with pytest.raises(VerificationError, match="207fffff are not what network main asks for"):
        price_of_chain(source, None, UTXOracleCalculator(), Limits(), now_unix=NOW_UNIX)
