"""Bitcoin Core as a source: what a node answers on good and bad days, and the sentence that
follows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    SourceRefusedError,
    SourceSyncingError,
    SourceUnavailableError,
)
from oracle.simulated.serialise import header_hash
from oracle.sources import ChainTip
from oracle.sources.core import CoreSource
from oracle.sources.http import RetryPolicy
from oracle.sources.networks import SIGNET_CHALLENGE
from oracle.sources.replies import HASH
from tests.helpers.fakes import FakeChain, FakeCore, Reply, small_blocks
from tests.helpers.fakes.core import RpcError

BLOCKS = small_blocks(30, first_height=100)
PATIENCE = RetryPolicy((10.0, 10.0), 1.0)


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(BLOCKS, first_height=100)


@pytest.fixture(params=[False, True], ids=["rpc", "rest"])
def either_node(chain: FakeChain, request: pytest.FixtureRequest) -> Iterator[FakeCore]:
    with FakeCore(chain, rest=request.param) as node:
        yield node


@pytest.fixture
def node(chain: FakeChain) -> Iterator[FakeCore]:
    with FakeCore(chain) as node:
        yield node


class Pauses(list[float]):
    """A sleep function that only writes down how long."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def open_source(pauses: Pauses) -> Iterator[object]:
    opened: list[CoreSource] = []

    def open_it(node: FakeCore, **settings: object) -> CoreSource:
        defaults = {
            "user": node.user,
            "password": node.password,
            "retry": RetryPolicy((10.0, 10.0), 1.0, pauses),
        }
        opened.append(CoreSource(node.url, **(defaults | settings)))
        return opened[-1]

    yield open_it
    for source in opened:
        source.close()


# What it gives


def test_the_tip_is_height_and_hash_of_one_answer(either_node, open_source):
    assert open_source(either_node).tip() == ChainTip(129, header_hash(BLOCKS[-1]))


def test_the_network_is_the_nodes_own_word(either_node, open_source):
    assert open_source(either_node).network() == "regtest"


def test_a_chain_with_another_first_block_is_an_unknown_network(open_source):
    with FakeCore(FakeChain(small_blocks(3), network="signet")) as node:
        assert open_source(node).network() == "unknown"


def test_a_network_of_another_name_is_an_unknown_one(open_source):
    with FakeCore(FakeChain(BLOCKS, 100, "simulated")) as node:
        assert open_source(node).network() == "unknown"


@pytest.mark.parametrize(
    ("challenge", "network"), [(SIGNET_CHALLENGE, "signet"), (None, "signet"), ("51", "unknown")]
)
def test_a_signet_of_somebodys_own_is_an_unknown_network(open_source, challenge, network):
    with FakeCore(FakeChain(BLOCKS, 100, "signet")) as node:
        node.signet_challenge = challenge
        assert open_source(node).network() == network


def test_hashes_are_those_of_the_range(either_node, open_source):
    assert open_source(either_node).hashes(103, 107) == [
        header_hash(block) for block in BLOCKS[3:8]
    ]


def test_headers_are_the_first_80_bytes_of_the_blocks(either_node, open_source):
    assert open_source(either_node).headers(100, 129) == [block[:80] for block in BLOCKS]


def test_a_block_comes_as_on_the_wire(either_node, open_source):
    assert open_source(either_node).block(header_hash(BLOCKS[5])) == BLOCKS[5]


def test_an_empty_range_is_an_empty_list(either_node, open_source):
    assert open_source(either_node).hashes(110, 109) == []


def test_headers_of_any_range_take_two_requests(open_source):
    with FakeCore(FakeChain(small_blocks(40, payments=0))) as node:
        open_source(node).headers(0, 39)
        assert node.batch_sizes == [40, 40]


def test_a_batch_of_one_may_be_answered_with_an_object(node, open_source):
    node.answers_plainly = True
    assert open_source(node).tip().height == 129


def test_a_server_like_core_without_getblockchaininfo_has_a_tip(node, open_source):
    node.unknown_methods.add("getblockchaininfo")
    assert open_source(node).tip() == ChainTip(129, header_hash(BLOCKS[-1]))


def test_the_network_of_such_a_server_is_known_by_its_genesis(node, open_source):
    node.unknown_methods.add("getblockchaininfo")
    assert open_source(node).network() == "regtest"


def test_the_network_of_such_a_server_without_block_0_is_unknown(open_source):
    with FakeCore(FakeChain(BLOCKS, 100, "nowhere")) as node:
        node.unknown_methods.add("getblockchaininfo")
        assert open_source(node).network() == "unknown"


def test_a_node_before_28_is_understood(chain, open_source):
    with FakeCore(chain, is_old=True) as node:
        assert open_source(node).hashes(100, 101) == [header_hash(block) for block in BLOCKS[:2]]


def test_an_old_nodes_error_in_a_500_is_read(chain, open_source):
    with FakeCore(chain, is_old=True) as node, pytest.raises(BlockNotFoundError):
        open_source(node).block("00" * 32)


def test_rest_answers_without_any_password(chain, open_source):
    with FakeCore(chain, rest=True) as node:
        assert (
            open_source(node, user=None, password=None).block(header_hash(BLOCKS[0])) == BLOCKS[0]
        )


def test_rest_switched_off_later_is_no_obstacle(chain, open_source):
    with FakeCore(chain, rest=True) as node:
        source = open_source(node)
        source.tip()
        node.rest = False
        assert source.headers(100, 101) == [block[:80] for block in BLOCKS[:2]]


@pytest.mark.parametrize(
    ("subversion", "version"),
    [("/Satoshi:29.0.0(really?)/", "Satoshi:29.0.0(really?)"), ("/\x1b[31m/", None)],
)
def test_a_node_is_one_whatever_it_calls_itself(node, open_source, subversion, version):
    node.subversion = subversion
    health = open_source(node).probe()
    assert (health.is_reachable, health.version) == (True, version)


def test_a_probe_tells_version_network_and_height(node, open_source):
    health = open_source(node).probe()
    found = (
        health.is_reachable,
        health.version,
        health.network,
        health.is_synced,
        health.tip_height,
    )
    assert found == (True, "Satoshi:31.0.0", "regtest", True, 129)


# What it has not


def test_a_height_beyond_the_tip_is_not_found(either_node, open_source):
    with pytest.raises(BlockNotFoundError, match="out of range"):
        open_source(either_node).hashes(129, 130)


def test_headers_beyond_the_tip_are_not_found(either_node, open_source):
    with pytest.raises(BlockNotFoundError):
        open_source(either_node).headers(120, 140)


def test_an_unknown_hash_is_not_found(either_node, open_source):
    with pytest.raises(BlockNotFoundError, match="Block not found"):
        open_source(either_node).block("00" * 32)


def test_a_pruned_block_is_not_found_with_advice(either_node, open_source):
    either_node.pruned_below = 110
    with pytest.raises(BlockNotFoundError, match="pruned"):
        open_source(either_node).block(header_hash(BLOCKS[0]))


def test_a_pruned_node_gives_what_it_still_has(either_node, open_source):
    either_node.pruned_below = 110
    assert open_source(either_node).block(header_hash(BLOCKS[10])) == BLOCKS[10]


def test_a_node_with_many_headers_and_no_blocks_for_them_is_not_synced(node, open_source):
    node.is_catching_up = True
    assert open_source(node).probe().is_synced is False


def test_other_bytes_than_the_blocks_are_a_bad_answer(either_node, open_source):
    either_node.wrong_bytes[header_hash(BLOCKS[0])] = BLOCKS[1]
    with pytest.raises(BadAnswerError, match="other bytes"):
        open_source(either_node).block(header_hash(BLOCKS[0]))


# REST is an extra


REFUSALS = [
    Reply(401),
    Reply(403),
    Reply(404),
    Reply(429),
    Reply(502),
    Reply(503),
    Reply(302, headers={"Location": "/elsewhere"}),
    Reply(200, b"<html>log in</html>", "text/html"),
    Reply(200, b""),
    Reply(200, BLOCKS[1]),
    Reply(200, b"x", headers={"Content-Encoding": "gzip"}),
    Reply(200, b"0" * 4_000_001),
]


@pytest.mark.parametrize("reply", REFUSALS, ids=lambda reply: f"{reply.status}-{len(reply.body)}")
def test_where_rest_gives_anything_but_the_block_the_node_is_asked_over_rpc(
    node, open_source, pauses, reply
):
    node.reply_with(reply, only="/rest/")
    assert open_source(node).block(header_hash(BLOCKS[0])) == BLOCKS[0]
    assert pauses == []


def test_rest_that_hangs_is_given_up(node, open_source):
    node.hang(only="/rest/")
    assert open_source(node).block(header_hash(BLOCKS[0])) == BLOCKS[0]


def test_rest_that_failed_once_is_not_asked_again(node, open_source):
    source = open_source(node)
    for block in BLOCKS[:3]:
        source.block(header_hash(block))
    assert sum(path.startswith("/rest/") for path in node.paths) == 1


# What error -1 means is in its text


def failing(node, monkeypatch, code, text):
    def fail(*_):
        raise RpcError(code, text)

    monkeypatch.setattr(node, "_block", fail)


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("Block not available (pruned data)", BlockNotFoundError, "has pruned"),
        ("Block not available (not fully downloaded)", BlockNotFoundError, "has not downloaded"),
        ("Block not found on disk", BlockNotFoundError, "does not have"),
        ("failed to call Bitcoin RPC", SourceUnavailableError, "in trouble"),
    ],
)
def test_error_minus_1_is_what_its_text_says(node, open_source, monkeypatch, text, kind, sentence):
    failing(node, monkeypatch, -1, text)
    with pytest.raises(kind, match=sentence):
        open_source(node).block(header_hash(BLOCKS[0]))


def test_an_error_names_what_the_node_said_in_words(node, open_source):
    with pytest.raises(BlockNotFoundError) as caught:
        open_source(node).hashes(130, 130)
    assert str(caught.value).endswith(
        "does not have that block (it answered getblockhash 130: Block height out of range, "
        "error -8)"
    )


def test_an_error_names_a_block_by_the_end_of_its_hash(node, open_source):
    with pytest.raises(BlockNotFoundError) as caught:
        open_source(node).block("ab" * 32)
    assert "ab" * 32 not in str(caught.value)
    assert "...abababab" in str(caught.value)


# When it is not ready


def test_a_node_in_its_initial_download_is_syncing_and_says_how_far(open_source):
    with FakeCore(FakeChain(BLOCKS, 100, "main")) as node:
        node.is_catching_up = True
        with pytest.raises(SourceSyncingError, match="block 129 of 1129"):
            open_source(node).tip()


def test_a_node_with_an_old_tip_and_all_blocks_is_usable(node, open_source):
    node.says_initial_download = True
    assert open_source(node).tip().height == 129


def test_a_probe_of_a_node_that_downloads_says_how_far(node, open_source):
    node.is_catching_up = True
    health = open_source(node).probe()
    assert (health.is_reachable, "block 129 of 1129" in health.advice[0]) == (True, True)


def test_a_starting_node_is_unavailable_with_its_phase(either_node, open_source):
    either_node.warming_up = "Loading block index…"
    with pytest.raises(SourceUnavailableError, match="Loading block index"):
        open_source(either_node).tip()


def test_a_full_work_queue_is_retried(node, open_source, pauses):
    node.fail(503, b"Work queue depth exceeded", times=2, only="/")
    assert open_source(node).tip().height == 129
    assert pauses == [10.0, 10.0]


def test_a_full_work_queue_for_good_is_unavailable(node, open_source):
    node.fail(503, b"Work queue depth exceeded")
    with pytest.raises(SourceUnavailableError, match="Work queue depth exceeded") as caught:
        open_source(node).tip()
    assert caught.value.attempts == 3


def test_a_time_out_is_retried_twice_ten_seconds_apart(node, open_source, pauses):
    node.hang()
    with pytest.raises(SourceUnavailableError, match="does not answer") as caught:
        open_source(node).tip()
    assert (pauses, caught.value.attempts) == ([10.0, 10.0], 3)


def test_a_compressed_answer_is_refused(node, open_source):
    node.reply_with(Reply(200, b"no gzip", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(BadAnswerError, match="compressed"):
        open_source(node).tip()


@pytest.mark.parametrize("body", [b"[7]", b"{}", b"[]", b'[{"id": 0}]', b"5"])
def test_json_that_is_no_reply_is_a_bad_answer(node, open_source, body):
    node.fail(404, only="/rest/")
    node.fail(200, body)
    with pytest.raises(BadAnswerError, match="is this Bitcoin Core"):
        open_source(node).tip()


@pytest.mark.parametrize("result", ["12", "zz", None, 5, "00" * 32])
def test_a_header_that_is_none_is_a_bad_answer(node, open_source, result, monkeypatch):
    monkeypatch.setattr(node, "_block_header", lambda *_: result)
    with pytest.raises(BadAnswerError):
        open_source(node).headers(100, 100)


def test_an_error_in_an_unknown_form_is_a_bad_answer(node, open_source):
    node.fail(404, only="/rest/")
    node.fail(500, b'{"error": "oops", "id": null}')
    with pytest.raises(BadAnswerError, match="oops"):
        open_source(node).tip()


def test_a_whitelist_without_getnetworkinfo_leaves_the_version_out(node, open_source):
    node.unknown_methods.add("getnetworkinfo")
    assert open_source(node).probe().version is None


def test_a_refused_connection_says_what_localhost_means_in_a_container(node, open_source):
    node.stop()
    with pytest.raises(SourceUnavailableError, match="Inside a container"):
        open_source(node).tip()


def test_a_node_that_comes_back_between_attempts_is_served(node, open_source):
    node.stop()
    source = open_source(node, retry=RetryPolicy((10.0, 10.0), 0.3, lambda _: node.start()))
    assert source.tip().height == 129


def test_a_connection_that_is_closed_in_the_middle_is_replaced(node, open_source, pauses):
    source = open_source(node)
    source.tip()
    node.drop(times=1)
    assert (source.tip().height, pauses) == (129, [10.0])


def test_a_probe_of_a_dead_node_does_not_wait(node, open_source, pauses):
    node.stop()
    health = open_source(node).probe()
    assert (health.is_reachable, pauses) == (False, [])


def test_a_node_that_has_only_the_genesis_block_has_just_begun(open_source):
    with FakeCore(FakeChain(small_blocks(1))) as node:
        node.says_initial_download = True
        with pytest.raises(SourceSyncingError, match="block 0 of 0"):
            open_source(node).tip()


def test_a_node_that_reads_its_files_again_says_reindex(open_source, monkeypatch):
    with FakeCore(FakeChain(small_blocks(1))) as node:
        node.says_initial_download = True
        told = node._chain_info() | {"size_on_disk": 700_000_000_000}
        monkeypatch.setattr(node, "_chain_info", lambda: told)
        with pytest.raises(SourceSyncingError, match="reindex"):
            open_source(node).tip()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
def test_trouble_that_passes_is_waited_for(node, open_source, pauses, status):
    node.fail(status, b"not now", times=1)
    assert (open_source(node).tip().height, pauses) == (129, [10.0])


def test_a_server_that_asks_for_more_time_gets_it(node, open_source, pauses):
    node.reply_with(Reply(429, headers={"Retry-After": "25"}), times=1)
    assert (open_source(node).tip().height, pauses) == (129, [25.0])


def test_a_server_that_asks_for_a_little_time_gets_the_usual_pause(node, open_source, pauses):
    node.reply_with(Reply(503, headers={"Retry-After": "1"}), times=1)
    assert (open_source(node).tip().height, pauses) == (129, [10.0])


def test_a_time_to_come_back_may_be_a_date(node, open_source, pauses):
    dates = {
        "Date": "Thu, 26 Nov 2026 01:00:00 GMT",
        "Retry-After": "Thu, 26 Nov 2026 01:00:30 GMT",
    }
    node.reply_with(Reply(503, headers=dates), times=1)
    assert (open_source(node).tip().height, pauses) == (129, [30.0])


@pytest.mark.parametrize("text", ["61", "999999999", "9" * 400, "soon", "-5", ""])
def test_a_server_that_asks_for_too_much_time_or_nonsense_does_not_hold_a_run(
    node, open_source, pauses, text
):
    node.reply_with(Reply(429, headers={"Retry-After": text}))
    with pytest.raises(SourceUnavailableError):
        open_source(node).tip()
    assert max(pauses, default=0.0) <= 10.0


# When it says no, or nonsense


def test_a_wrong_password_is_refused_without_retries(node, open_source, pauses):
    with pytest.raises(SourceRefusedError, match="BITCOIN_RPC_PASSWORD"):
        open_source(node, password="wrong").tip()
    assert pauses == []


def test_no_password_at_all_is_refused_with_the_settings_names(node, open_source):
    with pytest.raises(SourceRefusedError, match="BITCOIN_RPC_USER"):
        open_source(node, user=None, password=None).tip()


def test_a_forbidden_address_is_told_apart_from_a_wrong_password(either_node, open_source):
    either_node.is_forbidden = True
    with pytest.raises(SourceRefusedError, match="rpcallowip"):
        open_source(either_node).tip()


def test_a_web_server_in_place_of_the_node_is_a_bad_answer(node, open_source):
    node.answer_html()
    with pytest.raises(BadAnswerError, match="web page"):
        open_source(node).tip()


def test_a_redirect_is_a_bad_answer(node, open_source):
    node.fail(301)
    with pytest.raises(BadAnswerError, match="HTTP 301"):
        open_source(node).tip()


@pytest.mark.parametrize(
    "info", [{}, [], {"chain": "main", "blocks": True, "bestblockhash": "00" * 32}]
)
def test_a_chain_info_without_its_parts_is_a_bad_answer(node, open_source, info):
    node.fail(404, only="/rest/")
    node.fail(200, json.dumps([{"id": 0, "result": info}]).encode())
    with pytest.raises(BadAnswerError, match="getblockchaininfo"):
        open_source(node).tip()


def test_an_unknown_method_is_a_bad_answer(node, open_source):
    with pytest.raises(BadAnswerError, match="Method not found"):
        open_source(node)._call("getnothing", (), HASH, 1000)


INFO = {"chain": "main", "blocks": 129, "headers": 129, "bestblockhash": "00" * 32}


@pytest.mark.parametrize(
    "wrong",
    [
        {"blocks": 2**31},
        {"blocks": 10**400},
        {"blocks": -1},
        {"blocks": 1.5},
        {"blocks": "129"},
        {"headers": 2**63},
        {"bestblockhash": "AB" * 32},
        {"bestblockhash": "00" * 32 + "\n"},
        {"bestblockhash": ["00" * 32]},
        {"chain": "../../etc"},
        {"chain": "<script>"},
        {"chain": 7},
        {"initialblockdownload": "no"},
    ],
    ids=str,
)
def test_a_chain_info_beyond_its_bounds_is_a_bad_answer(node, open_source, wrong):
    node.fail(200, json.dumps([{"id": 0, "result": INFO | wrong}]).encode())
    with pytest.raises(BadAnswerError, match="is this Bitcoin Core"):
        open_source(node).tip()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'[{"id": 0, "result": %s}]' % (b"9" * 5000),
        b'[{"id": [0], "result": 5}]',
        b'[{"id": 0, "result": NaN}]',
        b'[{"id": 0, "result": "\\ud800"}]',
        b"\xff\xfe[]",
    ],
    ids=["deep", "long", "list-id", "nan", "surrogate", "utf-16"],
)
def test_json_that_should_not_be_is_a_bad_answer(node, open_source, body):
    node.fail(200, body)
    with pytest.raises(BadAnswerError):
        open_source(node).tip()


def test_a_character_set_that_decompresses_is_not_heeded(node, open_source):
    node.fail(200, b"[]", kind="application/json; charset=zlib")
    with pytest.raises(BadAnswerError):
        open_source(node).tip()


def test_an_answer_longer_than_its_hashes_can_be_is_cut_off(node, open_source):
    node.fail(200, b" " * 30_000)
    with pytest.raises(BadAnswerError, match="more bytes"):
        open_source(node).hashes(100, 110)


def test_a_forbidden_call_is_named(node, open_source):
    node.fail(403)
    with pytest.raises(SourceRefusedError, match=r"call getblockhash.*rpcwhitelist"):
        open_source(node).hashes(100, 110)


# Passwords


def test_credentials_in_the_url_are_used_and_never_shown(node):
    address = node.url.replace("http://", f"http://{node.user}:{node.password}@")
    source = CoreSource(address, retry=PATIENCE)
    shown = source.probe()
    source.close()
    assert shown.is_reachable
    assert "secret-word" not in repr(shown)


def test_an_error_never_holds_the_password_of_the_url():
    with pytest.raises(SourceUnavailableError) as caught:
        CoreSource("http://me:secret-word@127.0.0.1:1", retry=RetryPolicy((), 0.3)).tip()
    assert "secret-word" not in str(caught.value) + str(caught.value.url)


# The data folder


def folder_of(node: FakeCore, datadir: Path, text: str = "") -> Path:
    datadir.mkdir(exist_ok=True)
    (datadir / "bitcoin.conf").write_text(
        f"rpcport=1\nregtest=1\n{text}\n[regtest]\nrpcport={node.url[17:]}\n"
    )
    return datadir


def test_the_data_folder_alone_is_enough(node, open_source, tmp_path):
    node.write_cookie(tmp_path / "regtest" / ".cookie")
    with_folder = CoreSource(datadir=folder_of(node, tmp_path), retry=PATIENCE)
    assert with_folder.tip().height == 129
    with_folder.close()


def test_a_new_cookie_after_a_restart_of_the_node_is_read_once(node, open_source, tmp_path):
    node.write_cookie(tmp_path / ".cookie")
    source = open_source(node, user=None, password=None, datadir=tmp_path)
    source.tip()
    node.write_cookie(tmp_path / ".cookie")
    assert source.tip().height == 129


def test_a_cookie_that_stays_wrong_is_refused(node, open_source, tmp_path):
    (tmp_path / ".cookie").write_text("__cookie__:old")
    with pytest.raises(SourceRefusedError, match="cookie"):
        open_source(node, user=None, password=None, datadir=tmp_path).tip()


def test_without_cookie_and_password_that_is_what_is_said(node, open_source, tmp_path):
    source = open_source(node, user=None, password=None, datadir=tmp_path)
    with pytest.raises(SourceRefusedError, match=r"there is none: .*server=1.*no .*\.cookie"):
        source.tip()


def test_a_data_folder_that_is_not_there_is_named(node, open_source, tmp_path):
    source = open_source(node, user=None, password=None, datadir=tmp_path / "nowhere")
    with pytest.raises(SourceRefusedError, match="nowhere does not exist here"):
        source.tip()


def test_a_wrong_password_of_bitcoin_conf_is_told_apart(node, open_source, tmp_path):
    (tmp_path / "bitcoin.conf").write_text("rpcuser=x\nrpcpassword=y")
    source = open_source(node, user=None, password=None, datadir=tmp_path)
    with pytest.raises(SourceRefusedError, match=r"rpcpassword of its bitcoin\.conf"):
        source.tip()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_configuration_that_may_not_be_read_names_the_user(open_source, tmp_path):
    (tmp_path / "bitcoin.conf").write_text("rpcport=1")
    (tmp_path / "bitcoin.conf").chmod(0)
    source = CoreSource(datadir=tmp_path, retry=PATIENCE)
    with pytest.raises(SourceRefusedError, match=r"bitcoin\.conf cannot be read by user \w+"):
        source.tip()
    source.close()


@pytest.mark.parametrize("word", ["Ab/cd+ef=", "a#b", "a?b", "a@b", "a:b", "a%40b", "pä"])
def test_any_password_may_stand_in_the_url(chain, word):
    with FakeCore(chain, user="me", password=unquote(word)) as node:
        address = node.url.replace("http://", f"http://me:{word}@")
        source = CoreSource(address, retry=PATIENCE)
        assert source.tip().height == 129
        source.close()


def test_the_password_of_bitcoin_conf_is_used(node, tmp_path):
    text = f"rpcuser={node.user}\nrpcpassword={node.password}"
    source = CoreSource(datadir=folder_of(node, tmp_path, text), retry=PATIENCE)
    assert source.tip().height == 129
    source.close()
