"""`oracle price` as a person runs it: exact prices from a node and from files, and one sentence
when it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oracle.cli import main
from oracle.config import NAMES
from oracle.core.block import Rule
from tests.helpers import plain_blocks as plain
from tests.helpers.clock import NOW_UNIX, environ_at
from tests.helpers.fakes import FakeChain, FakeCore
from tests.helpers.vectors import expected, raw_blocks

RECENT = 67933.85959429899
DAYS = [("2024/04/20", 0), ("2024-04-20", 0), ("2024/04/21", 1), ("2024-04-22", 2)]


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1
        return dict(json.loads(self.out))


Oracle = Callable[..., Said]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, with no setting set."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Oracle:
    """Runs the command with arguments, and with settings as keywords."""

    def run(*arguments: str | Path, **settings: str) -> Said:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["oracle", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return Said(int(caught.value.code or 0), out, err)

    return run


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, FakeCore]]:
    """Nodes by the name of the vector that they serve, started when asked for."""
    started: dict[str, FakeCore] = {}
    yield started
    for node in started.values():
        node.stop()


@pytest.fixture
def settings_of(shared: Path, nodes: dict[str, FakeCore]) -> Callable[[str], dict[str, str]]:
    """Gives the settings that name a node with the blocks of a vector."""

    def start(name: str) -> dict[str, str]:
        if name not in nodes:
            first_height = expected(shared / "vectors")[name]["first_height"]
            nodes[name] = FakeCore(FakeChain(raw_blocks(shared / "vectors", name), first_height))
            nodes[name].start()
        node = nodes[name]
        return {
            "BITCOIN_RPC_URL": node.url,
            "BITCOIN_RPC_USER": node.user,
            "BITCOIN_RPC_PASSWORD": node.password,
            "ORACLE_RPC_RETRY_DELAYS_SECONDS": "0",
        }

    return start


@pytest.fixture
def recent(settings_of: Callable[[str], dict[str, str]]) -> dict[str, str]:
    return settings_of("recent_small")


@pytest.fixture
def days(settings_of: Callable[[str], dict[str, str]]) -> dict[str, str]:
    return settings_of("days")


@pytest.fixture(scope="module")
def kept() -> dict[str, Said]:
    return {}


@pytest.fixture
def recent_json(oracle: Oracle, recent: dict[str, str], kept: dict[str, Said]) -> Said:
    """What `oracle price --json` says of the recent window, asked once."""
    if not kept:
        kept["recent"] = oracle("price", "--json", **recent)
    return kept["recent"]


def records(blocks: list[bytes], magic: str = "fabfb5da") -> bytes:
    """Return blocks as a node keeps them in its files."""
    return b"".join(
        bytes.fromhex(magic) + len(block).to_bytes(4, "little") + block for block in blocks
    )


# --- From a node --------------------------------------------


def test_the_recent_window_has_its_published_price(recent_json: Said) -> None:
    assert recent_json.json["price_usd"] == RECENT


def test_json_says_what_the_vector_says(recent_json: Said, shared: Path) -> None:
    said = recent_json.json
    answer = expected(shared / "vectors")["recent_small"]["answers"][0]
    names = {
        **{
            name: name
            for name in (
                "mode",
                "date",
                "first_height",
                "last_height",
                "blocks",
                "outputs",
                "points",
            )
        },
        **{"best_slide": "best_slide", "rough_price_usd": "rough_price", "price_usd": "price"},
        **{"spread": "deviation", "chart_half_height": "axis_range"},
    }
    assert {key: said[key] for key in names} == {key: answer[name] for key, name in names.items()}


def test_json_says_where_it_comes_from(recent_json: Said) -> None:
    said = recent_json.json
    found = [said[key] for key in ("network", "source", "is_simulated", "algorithm_version")]
    assert found == ["regtest", "bitcoin-core", False, "9.1+2"]


def test_a_price_with_json_says_nothing_on_standard_error(recent_json: Said) -> None:
    assert (recent_json.exit_code, recent_json.err) == (0, "")


def test_json_holds_no_number_that_is_none(recent_json: Said) -> None:
    assert [word for word in ("NaN", "Infinity") if word in recent_json.out] == []


def test_left_out_transactions_are_counted_a_rule(recent_json: Said) -> None:
    left_out = recent_json.json["left_out"]
    assert set(left_out) <= {rule.value for rule in Rule}
    assert sum(left_out.values()) > 144


def test_the_first_line_is_the_familiar_one(oracle: Oracle, recent: dict[str, str]) -> None:
    said = oracle("price", **recent)
    assert said.out.splitlines()[0] == "Apr 21, 2024 price: $67,934"
    assert (said.exit_code, said.err) == (0, "")


@pytest.mark.parametrize("option", ["-rb", "--recent-blocks"])
def test_recent_blocks_may_be_asked_for_by_name(
    oracle: Oracle, recent: dict[str, str], recent_json: Said, option: str
) -> None:
    assert oracle("price", option, "--json", **recent).json == recent_json.json


@pytest.mark.parametrize(("date", "number"), DAYS)
def test_a_day_in_either_spelling_has_its_published_price(
    oracle: Oracle, days: dict[str, str], shared: Path, date: str, number: int
) -> None:
    said = oracle("price", "-d", date, "--json", **days).json
    answer = expected(shared / "vectors")["days"]["answers"][number]
    found = [
        said[key]
        for key in ("mode", "date", "first_height", "last_height", "price_usd", "rough_price_usd")
    ]
    wanted = [
        answer[name]
        for name in ("mode", "date", "first_height", "last_height", "price", "rough_price")
    ]
    assert found == [wanted[0], wanted[1].replace("/", "-"), *wanted[2:]]


def test_the_line_of_a_day_has_that_day(oracle: Oracle, days: dict[str, str]) -> None:
    assert oracle("price", "-d", "2024/04/21", **days).out.startswith(
        "Apr 21, 2024 price: $67,440\n"
    )


def test_a_day_has_no_spot_price(oracle: Oracle, days: dict[str, str]) -> None:
    assert oracle("price", "-d", "2024-04-20", "--json", **days).json["spot"] is None


def test_the_cookie_of_a_data_folder_opens_the_node(
    oracle: Oracle, recent: dict[str, str], nodes: dict[str, FakeCore], tmp_path: Path
) -> None:
    node = nodes["recent_small"]
    (tmp_path / "node" / "regtest").mkdir(parents=True)
    (tmp_path / "node" / "regtest" / ".cookie").write_text(f"{node.user}:{node.password}")
    said = oracle("price", "-p", tmp_path / "node", "--json", BITCOIN_RPC_URL=node.url)
    assert said.json["price_usd"] == RECENT


# --- No answer ----------------------------------------------


@pytest.mark.parametrize("date", ["2024-04-24", "2030-01-01", "9999-12-31"])
def test_a_day_beyond_the_data_ends_with_one_sentence_and_code_1(
    oracle: Oracle, days: dict[str, str], date: str
) -> None:
    said = oracle("price", "-d", date, **days)
    assert (said.exit_code, said.out) == (1, "")
    assert said.err == f"oracle: {date} is not in the data yet: the newest block is 840519\n"


@pytest.mark.parametrize("date", ["2024-04-19", "2009-01-03", "2015-06-01"])
def test_a_day_before_the_data_ends_with_one_sentence_and_code_1(
    oracle: Oracle, days: dict[str, str], date: str
) -> None:
    said = oracle("price", "-d", date, **days)
    assert (said.exit_code, said.out) == (1, "")
    assert said.err == f"oracle: the data does not go back to the start of {date}\n"


def test_a_day_not_yet_over_is_not_final(oracle: Oracle, days: dict[str, str]) -> None:
    said = oracle("price", "-d", "2024-04-23", "--json", **days)
    assert (said.exit_code, said.out) == (1, "")
    assert said.err.startswith(
        "oracle: 2024-04-23 is not final yet: it needs 6 blocks on top, and the newest block is"
    )


def test_a_chain_too_short_for_a_window_is_told(oracle: Oracle, shared: Path) -> None:
    with FakeCore(FakeChain(raw_blocks(shared / "vectors", "recent_small")[:100])) as node:
        settings = {"BITCOIN_RPC_USER": node.user, "BITCOIN_RPC_PASSWORD": node.password}
        said = oracle("price", BITCOIN_RPC_URL=node.url, **settings)
    assert said.exit_code == 1
    assert said.err == "oracle: the chain has 100 blocks; the recent window needs 145 of them\n"


@pytest.mark.parametrize("size", [-10, 81, 0])
def test_a_node_that_hands_over_a_part_of_a_block_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
    oracle: Oracle,
    recent: dict[str, str],
    nodes: dict[str, FakeCore],
    size: int,
) -> None:
    node = nodes["recent_small"]
    block = node.chain.blocks[70]
    monkeypatch.setitem(node.wrong_bytes, plain.double_sha256(block[:80])[::-1].hex(), block[:size])
    said = oracle("price", "--json", **recent)
    assert (said.exit_code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "bitcoin-core" in said.err


def test_a_cut_off_block_of_a_node_is_told_with_height_and_offset(
    monkeypatch: pytest.MonkeyPatch,
    oracle: Oracle,
    recent: dict[str, str],
    nodes: dict[str, FakeCore],
) -> None:
    node = nodes["recent_small"]
    block = node.chain.blocks[70]
    monkeypatch.setitem(node.wrong_bytes, plain.double_sha256(block[:80])[::-1].hex(), block[:-10])
    said = oracle("price", **recent)
    assert said.err.startswith(
        f"oracle: block 840070 at byte {len(block) - 10}: the bytes end in the middle (from "
    )


def test_a_node_that_hands_over_another_block_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
    oracle: Oracle,
    recent: dict[str, str],
    nodes: dict[str, FakeCore],
) -> None:
    node = nodes["recent_small"]
    asked = plain.double_sha256(node.chain.blocks[70][:80])[::-1].hex()
    monkeypatch.setitem(node.wrong_bytes, asked, node.chain.blocks[71])
    said = oracle("price", "--json", **recent)
    assert (said.exit_code, said.out, said.err.count("\n")) == (1, "", 1)
    assert f"...{asked[-8:]}" in said.err  # whole, it would fill a line


def test_a_node_that_is_not_there_is_one_sentence(oracle: Oracle) -> None:
    with FakeCore(FakeChain([plain.block_of(plain.Transaction())])) as node:
        url = node.url
    said = oracle(
        *("price", "--json"),
        BITCOIN_RPC_URL=url,
        BITCOIN_RPC_USER="a",
        BITCOIN_RPC_PASSWORD="b",
        ORACLE_RPC_RETRY_DELAYS_SECONDS="0",
    )
    assert (said.exit_code, said.out) == (1, "")
    assert said.err.startswith("oracle: ")
    assert said.err.count("\n") == 1


def test_a_wrong_password_is_one_sentence_without_the_password(
    oracle: Oracle, recent: dict[str, str]
) -> None:
    said = oracle("price", **(recent | {"BITCOIN_RPC_PASSWORD": "not-this-one"}))
    assert (said.exit_code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "not-this-one" not in said.err


# --- Wrong input --------------------------------------------


@pytest.mark.parametrize(
    "date", ["2024-13-01", "20240420", "yesterday", "", "2024/04-20", "2023-02-29", "20-04-2024"]
)
def test_what_is_no_date_is_wrong_input(oracle: Oracle, date: str) -> None:
    said = oracle("price", "-d", date)
    assert (said.exit_code, said.out) == (2, "")
    assert said.err == f"oracle: {date!r} is not a date; write it as 2025/10/15 or 2025-10-15\n"


@pytest.mark.parametrize("date", ["2009-01-02", "2008/12/31", "0001-01-01"])
def test_a_day_before_2009_is_wrong_input(oracle: Oracle, days: dict[str, str], date: str) -> None:
    said = oracle("price", "-d", date, **days)
    assert (said.exit_code, said.out) == (2, "")
    assert said.err == (
        f"oracle: {date.replace('/', '-')} is before the first bitcoin block (2009-01-03); ask "
        f"for a later day\n"
    )


@pytest.mark.parametrize(
    "options",
    [("-rb", "-d", "2024-04-20"), ("-rb", "--blocks", "x"), ("-d", "2024-04-20", "--blocks", "x")],
)
def test_two_questions_at_once_are_wrong_input(oracle: Oracle, options: tuple[str, ...]) -> None:
    said = oracle("price", *options)
    assert (said.exit_code, said.err) == (
        2,
        "oracle: ask for one of -rb, -d and --blocks at a time\n",
    )


@pytest.mark.parametrize(
    "arguments", [("--nonsense",), ("-d",), ("-p",), ("--blocks",), ("stray",)]
)
def test_arguments_that_make_no_sense_are_one_sentence_and_code_2(
    oracle: Oracle, arguments: tuple[str, ...]
) -> None:
    said = oracle("price", *arguments)
    assert (said.exit_code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("oracle: ")


def test_a_command_that_does_not_exist_is_one_sentence_and_code_2(oracle: Oracle) -> None:
    said = oracle("prize")
    assert (said.exit_code, said.out, said.err.count("\n")) == (2, "", 1)


def test_wrong_settings_are_told_all_at_once(oracle: Oracle) -> None:
    said = oracle(
        "price",
        UTXORACLE_CONFIDENCE_THRESHOLD="high",
        ORACLE_KEEP_RELEASES="0",
        BITCOIN_RPC_URL="here",
    )
    assert (said.exit_code, said.out, said.err.count("\n")) == (2, "", 3)


# --- From files ---------------------------------------------


@pytest.fixture
def window(shared: Path) -> list[bytes]:
    """The 144 blocks of a recent window, without its tip."""
    return raw_blocks(shared / "vectors", "recent_small")[1:-1]


def test_a_file_of_records_is_one_window(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "blk00000.dat").write_bytes(records(window))
    said = oracle("price", "--json", "--blocks", "blk00000.dat").json
    assert (said["price_usd"], said["blocks"]) == (RECENT, 144)


@pytest.mark.parametrize("magic", ["f9beb4d9", "0b110907", "1c163f28", "fabfb5da", "0a03cf40"])
def test_records_of_any_network_are_read(
    oracle: Oracle, window: list[bytes], tmp_path: Path, magic: str
) -> None:
    (tmp_path / "blocks").write_bytes(records(window[:3], magic))
    assert oracle("price", "--json", "--blocks", "blocks").json["blocks"] == 3


def test_zeros_behind_the_last_record_are_the_end(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "blk").write_bytes(records(window[:3]) + bytes(100))
    assert oracle("price", "--json", "--blocks", "blk").json["blocks"] == 3


def test_raw_blocks_in_several_files_are_one_window_in_their_order(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(144)]
    for path, block in zip(files, window, strict=True):
        path.write_bytes(block)
    said = oracle("price", "--json", "--blocks", *files).json
    assert (said["price_usd"], said["blocks"]) == (RECENT, 144)


def test_raw_blocks_and_records_may_be_mixed_and_the_option_repeated(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(window[0])
    (tmp_path / "b").write_bytes(records(window[1:100]))
    (tmp_path / "c").write_bytes(records(window[100:]))
    assert (
        oracle("price", "--json", "--blocks", "a", "--blocks", "b", "--blocks", "c").json[
            "price_usd"
        ]
        == RECENT
    )


def test_blocks_in_files_have_no_heights_and_are_not_simulated(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "blk").write_bytes(records(window))
    said = oracle("price", "--json", "--blocks", "blk").json
    found = [
        said[key]
        for key in (
            "mode",
            "first_height",
            "last_height",
            "date",
            "network",
            "source",
            "is_simulated",
        )
    ]
    assert found == ["blocks", None, None, None, None, "files", False]


def test_the_line_for_files_has_the_day_of_the_last_block(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "blk").write_bytes(records(window))
    assert oracle("price", "--blocks", "blk").out.startswith("Apr 21, 2024 price: $67,934\n")


@pytest.mark.parametrize("height", ["739990", "757739", "849236"])
def test_a_real_block_alone_has_its_published_price(
    oracle: Oracle, shared: Path, height: str
) -> None:
    said = oracle("price", "--json", "--blocks", shared / "blocks" / f"{height}.bin").json
    row = next(
        line
        for line in (shared / "blocks" / "index.csv").read_text().splitlines()
        if line.startswith(height)
    )
    assert repr(said["price_usd"]) in row.split(",")


@pytest.mark.parametrize("kind", ["json", "words"])
def test_blocks_without_a_price_end_with_the_reason_and_code_1(
    oracle: Oracle, shared: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "empty").write_bytes(
        plain.block_of(plain.Transaction((plain.Input(bytes(32), 0xFFFF_FFFF),)))
    )
    said = oracle("price", "--blocks", "empty", *(["--json"] if kind == "json" else []))
    assert said.exit_code == 1
    assert "no eligible output" in (said.json["reason"] if kind == "json" else said.err)


def test_no_price_in_words_leaves_standard_output_empty(oracle: Oracle, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(
        plain.block_of(plain.Transaction((plain.Input(bytes(32), 0xFFFF_FFFF),)))
    )
    said = oracle("price", "--blocks", "empty")
    assert (said.out, said.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (b"", "is too short for a block"),
        (b"not a block", "is too short for a block"),
        (
            bytes.fromhex("fabfb5da") + b"\xff\xff\xff\xff",
            "ends inside a record of 4294967295 bytes",
        ),
        (bytes.fromhex("fabfb5da"), "has no record where the next should start"),
        (b"x" * 500, "its hash does not meet the target in its bits"),
    ],
)
def test_a_file_of_something_else_is_one_sentence_and_wrong_input(
    oracle: Oracle, tmp_path: Path, contents: bytes, sentence: str
) -> None:
    (tmp_path / "odd.dat").write_bytes(contents)
    said = oracle("price", "--json", "--blocks", "odd.dat")
    assert (said.exit_code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "odd.dat" in said.err
    assert sentence in said.err


def test_a_file_that_is_not_there_is_wrong_input(oracle: Oracle) -> None:
    said = oracle("price", "--blocks", "nowhere.dat")
    assert (said.exit_code, said.out) == (2, "")
    assert (
        said.err
        == "oracle: cannot read nowhere.dat: No such file or directory; name a file of blocks\n"
    )


def test_a_folder_is_no_file_of_blocks(oracle: Oracle, tmp_path: Path) -> None:
    said = oracle("price", "--blocks", tmp_path)
    assert (said.exit_code, said.out, said.err.count("\n")) == (2, "", 1)


def test_a_second_record_cut_off_says_which_file_and_where(
    oracle: Oracle, window: list[bytes], tmp_path: Path
) -> None:
    data = records(window[:2])
    (tmp_path / "cut.dat").write_bytes(data[:-1])
    said = oracle("price", "--blocks", "cut.dat")
    assert (
        f"at byte {8 + len(window[0])}: cut.dat ends inside a record of {len(window[1])} bytes"
        in said.err
    )


# --- Nothing configured -------------------------------------


def test_without_a_node_the_chain_is_simulated_and_says_so(oracle: Oracle) -> None:
    said = oracle("price")
    assert said.exit_code == 0
    assert "(simulated)" in said.out.splitlines()[0]


def test_an_empty_setting_counts_as_unset(oracle: Oracle, tmp_path: Path) -> None:
    said = oracle(
        "price",
        "--json",
        BITCOIN_RPC_URL="",
        BITCOIN_DATADIR="",
        ORACLE_SOURCES="",
        MEMPOOL_API_URL="",
    )
    assert (said.json["is_simulated"], said.json["network"], said.json["source"]) == (
        True,
        "simulated",
        "simulated",
    )
    assert list(tmp_path.iterdir()) == []


# --- Another calculator -------------------------------------


def test_the_command_uses_the_calculator_of_the_setting(
    oracle: Oracle, recent: dict[str, str]
) -> None:
    said = oracle(
        "price",
        "--json",
        ORACLE_CALCULATOR="tests.helpers.swapped_calculator:OneDollarMore",
        **recent,
    ).json
    assert (said["price_usd"], said["algorithm_version"]) == (RECENT + 1, "one-dollar-more")


def test_a_calculator_without_a_price_gives_its_reason(
    oracle: Oracle, recent: dict[str, str]
) -> None:
    said = oracle(
        "price", ORACLE_CALCULATOR="tests.helpers.swapped_calculator:Speechless", **recent
    )
    assert (said.exit_code, said.err) == (1, "oracle: no price: nothing to say\n")


def test_a_wrong_calculator_is_told_before_anything_is_fetched(
    oracle: Oracle, recent: dict[str, str], nodes: dict[str, FakeCore]
) -> None:
    asked = len(nodes["recent_small"].requests)
    said = oracle("price", ORACLE_CALCULATOR="tests.helpers.swapped_calculator:NoWindow", **recent)
    assert (said.exit_code, said.out) == (2, "")
    assert said.err == (
        "oracle: ORACLE_CALCULATOR=tests.helpers.swapped_calculator:NoWindow: has no method "
        "price_window; "
        "docs/calculator.md describes the protocol\n"
    )
    assert len(nodes["recent_small"].requests) == asked


# --- The command itself -------------------------------------


def test_the_installed_command_is_this_one(recent: dict[str, str], tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("oracle")
    environ = {**recent, **environ_at(NOW_UNIX)}
    done = subprocess.run(
        [command, "price", "--json"], env=environ, cwd=tmp_path, capture_output=True, check=True
    )
    assert json.loads(done.stdout)["price_usd"] == RECENT


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_tells_every_option(oracle: Oracle, option: str) -> None:
    said = oracle("price", option)
    assert (said.exit_code, said.err) == (0, "")
    assert [
        name for name in ("-rb", "-d", "-p", "--blocks", "--json") if name not in said.out
    ] == []
