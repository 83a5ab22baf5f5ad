"""electrs and mempool as sources: three prefixes, bodies that lie about their type, 500 for everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from oracle.errors import BadAnswerError, BlockNotFoundError, SourceRefusedError, SourceUnavailableError
from oracle.simulate import header_hash
from oracle.sources import ChainTip
from oracle.sources.esplora import EsploraSource
from oracle.sources.http import RetryPolicy
from tests.fakes import (
    FakeChain,
    FakeElectrs,
    FakeMempoolBackend,
    FakeMempoolFrontend,
    FakeMempoolSite,
    FakeServer,
    small_blocks,
)

BLOCKS = small_blocks(40, first_height=100)
HASHES = [header_hash(block) for block in BLOCKS]

Open = Callable[..., EsploraSource]


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(BLOCKS, first_height=100)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def open_source(pauses: list[float]) -> Iterator[Open]:
    opened: list[EsploraSource] = []

    def open_it(server: FakeServer, path: str = "") -> EsploraSource:
        opened.append(EsploraSource(server.url + path, retry=RetryPolicy((5.0, 15.0, 45.0), 0.3, pauses.append)))
        return opened[-1]

    yield open_it
    for source in opened:
        source.close()


KINDS = [FakeElectrs, FakeMempoolBackend, FakeMempoolFrontend, FakeMempoolSite]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def server(chain: FakeChain, request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    with request.param(chain) as server:
        yield server


@pytest.fixture
def electrs(chain: FakeChain) -> Iterator[FakeElectrs]:
    with FakeElectrs(chain) as server:
        yield server


@pytest.fixture
def backend(chain: FakeChain) -> Iterator[FakeMempoolBackend]:
    with FakeMempoolBackend(chain) as server:
        yield server


# What every flavour gives


def test_the_tip_pairs_height_and_hash(server, open_source):
    assert open_source(server).tip() == ChainTip(139, HASHES[-1])


def test_hashes_are_those_of_the_range(server, open_source):
    assert open_source(server).hashes(103, 130) == HASHES[3:31]


def test_headers_rebuilt_from_pages_are_the_real_ones(server, open_source):
    assert open_source(server).headers(100, 139) == [block[:80] for block in BLOCKS]


def test_one_header_is_one_header(server, open_source):
    assert open_source(server).headers(139, 139) == [BLOCKS[-1][:80]]


def test_an_empty_range_is_an_empty_list(server, open_source):
    assert open_source(server).headers(120, 119) == []


def test_a_block_comes_as_on_the_wire(server, open_source):
    assert open_source(server).block(HASHES[7]) == BLOCKS[7]


def test_the_network_is_known_by_its_genesis(server, open_source):
    assert open_source(server).network() == "regtest"


def test_a_probe_tells_network_and_height(server, open_source):
    health = open_source(server).probe()
    assert (health.is_reachable, health.network, health.tip_height) == (True, "regtest", 139)


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/api/v1", "/api/v1/"])
def test_the_frontend_is_found_from_any_address_of_it(chain, open_source, path):
    with FakeMempoolFrontend(chain) as server:
        assert open_source(server, path).tip().height == 139


@pytest.mark.parametrize("backend_name", ["none", "electrum"])
def test_a_backend_without_esplora_serves_raw_blocks(chain, open_source, backend_name):
    with FakeMempoolBackend(chain, backend=backend_name) as server:
        assert open_source(server).block(HASHES[0]) == BLOCKS[0]


def test_which_prefix_answers_is_found_out_once(backend, open_source):
    source = open_source(backend)
    source.tip()
    source.block(HASHES[0])
    assert backend.paths.count("/api/v1/backend-info") == 1


def test_a_probe_tells_the_backends_version(backend, open_source):
    assert open_source(backend).probe().version == "3.4.0"


def test_genesis_with_its_null_parent_is_rebuilt(open_source):
    with FakeElectrs(FakeChain(small_blocks(3))) as server:
        assert header_hash(open_source(server).headers(0, 2)[0]) == header_hash(small_blocks(1)[0])


# BACKEND=esplora behind docker's nginx


@pytest.mark.parametrize("kind", [FakeMempoolBackend, FakeMempoolFrontend])
def test_a_backend_that_leaves_the_block_routes_out_names_the_setting(chain, open_source, kind):
    with kind(chain, backend="esplora") as server, pytest.raises(SourceUnavailableError, match="ELECTRS_URL"):
        open_source(server).tip()


# Tips that disagree


def test_a_backend_whose_counter_lags_gives_its_nodes_tip(backend, open_source):
    backend.known_tip = 131
    assert open_source(backend).tip() == ChainTip(139, HASHES[-1])


def test_a_short_chain_whose_counter_is_below_zero_has_a_tip(open_source):
    with FakeMempoolBackend(FakeChain(small_blocks(5))) as server:
        server.known_tip = -1
        assert open_source(server).tip().height == 4


def test_a_counter_above_the_nodes_tip_is_not_ready(backend, open_source):
    backend.known_tip = 200
    with pytest.raises(SourceUnavailableError, match="do not agree"):
        open_source(backend).tip()


def test_a_backend_that_does_not_know_its_tip_yet_is_retried(backend, open_source, pauses):
    backend.known_tip = 0
    with pytest.raises(SourceUnavailableError, match="not ready") as caught:
        open_source(backend).tip()
    assert (pauses, caught.value.attempts) == ([5.0, 15.0, 45.0], 4)


# What it has not


def test_an_unknown_block_is_not_found(server, open_source):
    with pytest.raises(BlockNotFoundError):
        open_source(server).block("00" * 32)


def test_a_height_beyond_the_tip_is_not_found(server, open_source):
    with pytest.raises(BlockNotFoundError):
        open_source(server).hashes(130, 140)


def test_a_stale_block_is_unknown_to_electrs(electrs, chain, open_source):
    chain.reorganise(139, small_blocks(1, 139, HASHES[38], tag=b"other"))
    with pytest.raises(BlockNotFoundError):
        open_source(electrs).block(HASHES[39])


def test_a_backend_whose_node_is_gone_is_unavailable_not_without_blocks(backend, open_source):
    source = open_source(backend)
    source.tip()
    backend.is_upstream_down = True
    with pytest.raises(SourceUnavailableError, match="check that node"):
        source.block(HASHES[0])


def test_a_backend_whose_node_is_gone_from_the_start_says_so(backend, open_source):
    backend.is_upstream_down = True
    with pytest.raises(SourceUnavailableError, match="check that node"):
        open_source(backend).tip()


# Answers that are not what they should be


def test_a_web_page_in_place_of_a_block_is_a_bad_answer(server, open_source):
    server.answer_html(only="/raw")
    with pytest.raises(BadAnswerError, match="web page"):
        open_source(server).block(HASHES[0])


def test_other_bytes_than_the_blocks_are_a_bad_answer(server, open_source):
    server.fail(200, BLOCKS[1], only="/raw")
    with pytest.raises(BadAnswerError, match="other bytes"):
        open_source(server).block(HASHES[0])


def test_a_server_of_something_else_is_a_bad_answer(server, open_source):
    server.answer_html()
    with pytest.raises(BadAnswerError, match="neither electrs nor mempool"):
        open_source(server).tip()


def test_a_list_entry_that_does_not_give_its_hash_is_a_bad_answer(electrs, chain, open_source, monkeypatch):
    honest = electrs.block_object
    monkeypatch.setattr(electrs, "block_object", lambda height: honest(height) | {"nonce": 1, "bits": 2})
    with pytest.raises(BadAnswerError, match="do not give that hash"):
        open_source(electrs).headers(100, 105)


@pytest.mark.parametrize("rows", [b'{"id": 1}', b'[{"id": 1}]', b"[7]", b"not json"])
def test_a_list_in_an_unknown_form_is_a_bad_answer(electrs, open_source, rows):
    electrs.fail(200, rows, only="/blocks/139")
    with pytest.raises(BadAnswerError):
        open_source(electrs).headers(139, 139)


def test_an_unknown_genesis_block_is_a_bad_answer(electrs, open_source):
    electrs.fail(200, b"ab" * 32, only="/block-height/0")
    with pytest.raises(BadAnswerError, match="unknown block at height 0"):
        open_source(electrs).network()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not json"])
def test_a_tip_without_a_height_is_a_bad_answer(electrs, open_source, body):
    electrs.fail(200, body, only=f"/block/{HASHES[-1]}")
    with pytest.raises(BadAnswerError, match="height of its tip"):
        open_source(electrs).tip()


def test_a_web_page_in_place_of_a_hash_is_a_bad_answer(electrs, open_source):
    electrs.answer_html(only="/block-height/")
    with pytest.raises(BadAnswerError, match="not with a hash"):
        open_source(electrs).network()


def test_a_status_of_no_meaning_is_a_bad_answer(electrs, open_source):
    electrs.fail(418, only="/raw")
    with pytest.raises(BadAnswerError, match="418"):
        open_source(electrs).block(HASHES[0])


def test_a_page_that_starts_elsewhere_is_not_taken_for_the_wanted_one(electrs, open_source):
    electrs.fail(200, b"[]", only="/blocks/120")
    with pytest.raises(BlockNotFoundError, match="120"):
        open_source(electrs).headers(110, 120)


def test_a_chain_that_changes_between_two_pages_is_noticed(electrs, chain, open_source, monkeypatch):
    honest = electrs._page
    other = FakeElectrs(FakeChain(small_blocks(40, first_height=100, tag=b"other"), 100))
    monkeypatch.setattr(electrs, "_page", lambda start: (honest if start > 130 else other._page)(start))
    with pytest.raises(SourceUnavailableError, match="changed its chain"):
        open_source(electrs).headers(110, 139)


# When it is not there


def test_an_unreachable_server_is_tried_again_after_5_15_and_45_seconds(electrs, open_source, pauses):
    electrs.stop()
    with pytest.raises(SourceUnavailableError, match="4 attempts") as caught:
        open_source(electrs).tip()
    assert (pauses, caught.value.attempts) == ([5.0, 15.0, 45.0], 4)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_frontend_without_its_backend_is_unavailable(chain, open_source, status):
    with FakeMempoolFrontend(chain) as server:
        server.answer_html(status=status, only="/api/")
        with pytest.raises(SourceUnavailableError, match=str(status)):
            open_source(server).tip()


def test_electrs_in_trouble_says_400_and_is_unavailable(electrs, open_source):
    electrs.fail(400, b"failed to query daemon", only="/raw")
    with pytest.raises(SourceUnavailableError, match="failed to query daemon"):
        open_source(electrs).block(HASHES[0])


def test_a_hanging_request_is_given_up(electrs, open_source):
    electrs.hang(only="/raw")
    with pytest.raises(SourceUnavailableError, match="did not answer"):
        open_source(electrs).block(HASHES[0])


def test_a_site_that_wants_a_password_refuses(electrs, open_source):
    electrs.fail(401)
    with pytest.raises(SourceRefusedError):
        open_source(electrs).tip()


def test_a_failure_that_passes_is_not_seen(server, open_source, pauses):
    server.fail(502, times=1)
    assert open_source(server).tip().height == 139
    assert pauses == [5.0]


def test_a_closed_connection_costs_no_pause(electrs, open_source, pauses):
    source = open_source(electrs)
    source.tip()
    electrs.drop(times=1)
    assert source.block(HASHES[0]) == BLOCKS[0]
    assert pauses == []
