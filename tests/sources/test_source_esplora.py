"""electrs and mempool as sources: three prefixes, bodies that lie about their type, 500 for
everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from oracle.simulated.serialise import header_hash
from oracle.sources import ChainTip
from oracle.sources.esplora import EsploraSource
from oracle.sources.http import RetryPolicy
from tests.helpers.fakes import (
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
        opened.append(
            EsploraSource(
                server.url + path, retry=RetryPolicy((5.0, 15.0, 45.0), 1.0, pauses.append)
            )
        )
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


def test_headers_are_the_first_80_bytes_of_the_blocks(server, open_source):
    assert open_source(server).headers(100, 139) == [block[:80] for block in BLOCKS]


def test_one_header_is_one_header(server, open_source):
    assert open_source(server).headers(139, 139) == [BLOCKS[-1][:80]]


def test_an_empty_range_is_an_empty_list(server, open_source):
    assert open_source(server).headers(120, 119) == []


def test_a_block_comes_as_on_the_wire(server, open_source):
    assert open_source(server).block(HASHES[7]) == BLOCKS[7]


def test_the_network_is_known_by_its_genesis(server, open_source):
    assert open_source(server).network() == "regtest"


def test_a_server_without_block_0_is_on_an_unknown_network(server, open_source):
    server.chain.network = "nowhere"
    assert open_source(server).network() == "unknown"


def test_another_genesis_block_is_an_unknown_network(electrs, open_source):
    electrs.fail(200, b"ab" * 32, only="/block-height/0")
    assert open_source(electrs).network() == "unknown"


@pytest.mark.parametrize("body", [b"12", b"zz", b"00" * 80])
def test_a_header_that_is_another_is_a_bad_answer(electrs, open_source, body):
    electrs.fail(200, body, only="/header")
    with pytest.raises(BadAnswerError, match="other bytes"):
        open_source(electrs).headers(100, 100)


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
    source.block(HASHES[0])
    source.block(HASHES[1])
    assert backend.paths.count("/api/v1/blocks/tip/hash") == 1


def test_a_probe_tells_the_backends_version(backend, open_source):
    assert open_source(backend).probe().version == "3.4.0"


def test_the_genesis_header_can_be_read(open_source):
    with FakeElectrs(FakeChain(small_blocks(3))) as server:
        assert header_hash(open_source(server).headers(0, 2)[0]) == header_hash(small_blocks(1)[0])


# BACKEND=esplora behind docker's nginx


@pytest.mark.parametrize("kind", [FakeMempoolBackend, FakeMempoolFrontend])
def test_a_backend_that_leaves_the_block_routes_out_names_the_setting(chain, open_source, kind):
    with (
        kind(chain, backend="esplora") as server,
        pytest.raises(SourceUnavailableError, match="ELECTRS_URL"),
    ):
        open_source(server).tip()


@pytest.mark.parametrize("kind", [FakeMempoolBackend, FakeMempoolFrontend])
def test_a_backend_that_serves_prices_only_is_as_it_should_be(chain, open_source, kind):
    with kind(chain, backend="esplora") as server:
        health = open_source(server).probe()
    assert (health.is_reachable, health.state, health.tip_height) == (True, "prices_only", None)


# Tips that disagree


@pytest.mark.parametrize("counted", [100, 117, 131, 138, 140, 141, 150, 200])
def test_a_backend_whose_counter_is_wrong_gives_the_tip_of_its_node(backend, open_source, counted):
    backend.known_tip = counted
    assert open_source(backend).tip() == ChainTip(139, HASHES[-1])


@pytest.mark.parametrize("counted", [131, 150])
def test_a_backend_that_lags_behind_its_node_is_told_why_that_may_be(backend, open_source, counted):
    backend.known_tip = counted
    health = open_source(backend).probe()
    assert (health.state, health.tip_height) == ("ok", 139)
    assert "lags behind its node" in health.advice[0]
    assert "txindex=1" in health.advice[0]


def test_a_backend_that_counts_too_many_blocks_is_told_that_its_node_went_back(
    backend, open_source
):
    backend.known_tip = 141
    (advice,) = open_source(backend).probe().advice
    assert "counts to 141, the node went back to 139" in advice


@pytest.mark.parametrize("counted", [0, -1])
def test_a_backend_that_has_not_counted_yet_gives_the_tip_of_its_node(open_source, pauses, counted):
    with FakeMempoolBackend(FakeChain(small_blocks(13))) as backend:
        backend.known_tip = counted
        assert open_source(backend).tip().height == 12
    assert pauses == []


@pytest.mark.parametrize(
    "height", ["9" * 5000, "2147483648", "-1", "1e5", "\u00b2", "\u0664", "0x10", "<html>", ""]
)
def test_a_counter_that_is_none_is_not_believed(electrs, open_source, height):
    electrs.fail(200, height.encode(), only="/tip/height")
    with FakeElectrs(FakeChain(small_blocks(3))) as server:
        server.fail(200, height.encode(), only="/tip/height")
        assert open_source(server).tip().height == 2


def test_a_server_that_has_every_height_is_not_followed_for_ever(electrs, open_source):
    electrs.fail(200, b"ab" * 32, only="/block-height/")
    with pytest.raises(SourceUnavailableError, match="changes its newest block"):
        open_source(electrs).tip()
    assert len(electrs.paths) < 200


def test_a_block_that_comes_between_two_questions_is_asked_for_again(electrs, chain, open_source):
    electrs.fail(200, HASHES[-2].encode(), times=2, only="/tip/hash")  # the first finds the prefix
    assert open_source(electrs).tip() == ChainTip(139, HASHES[-1])


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
    with pytest.raises(SourceUnavailableError, match="check its"):
        source.block(HASHES[0])


def test_a_backend_whose_node_is_gone_from_the_start_says_so(backend, open_source):
    backend.is_upstream_down = True
    with pytest.raises(SourceUnavailableError, match="check its"):
        open_source(backend).tip()


# "?" is what a backend says that was built without its resources.
OWN_NAMES = {"?": "?", "3.4.0\n<b>": None, "x" * 200: None}


@pytest.mark.parametrize("own_name", OWN_NAMES)
def test_a_backend_is_one_whatever_it_calls_itself(backend, open_source, own_name):
    backend.version = own_name
    assert open_source(backend).probe().version == OWN_NAMES[own_name]
    backend.is_upstream_down = True
    with pytest.raises(SourceUnavailableError, match="check its Bitcoin node"):
        open_source(backend).tip()


def test_a_backend_whose_node_is_gone_can_be_reached_all_the_same(backend, open_source):
    backend.is_upstream_down = True
    health = open_source(backend).probe()
    assert (health.is_reachable, health.state) == (True, "bad_answer")
    assert "check its Bitcoin node" in health.advice[0]


def test_a_backend_that_is_gone_after_its_node_cannot_be_reached(backend, open_source):
    source = open_source(backend)
    backend.is_upstream_down = True
    source.probe()
    backend.stop()
    health = source.probe()
    assert (health.is_reachable, health.state) == (False, "unreachable")


def test_a_server_that_limits_how_much_it_is_asked_is_told_apart_from_one_in_trouble(
    backend, open_source
):
    source = open_source(backend)
    source.tip()
    backend.fail(429, b"Too Many Requests", only="/raw")
    with pytest.raises(SourceUnavailableError, match=r"limits how much it may be asked.*429"):
        source.block(HASHES[0])


# Answers that are not what they should be


def test_a_web_page_in_place_of_a_block_is_a_bad_answer(server, open_source):
    server.answer_html(only="/raw")
    with pytest.raises(BadAnswerError, match="doctype"):
        open_source(server).block(HASHES[0])


def test_other_bytes_than_the_blocks_are_a_bad_answer(server, open_source):
    server.fail(200, BLOCKS[1], only="/raw")
    with pytest.raises(BadAnswerError, match="other bytes"):
        open_source(server).block(HASHES[0])


def test_a_server_of_something_else_is_a_bad_answer(server, open_source):
    server.answer_html()
    with pytest.raises(BadAnswerError, match="neither electrs nor mempool"):
        open_source(server).tip()


def test_a_web_page_in_place_of_a_hash_is_a_bad_answer(electrs, open_source):
    electrs.answer_html(only="/block-height/")
    with pytest.raises(BadAnswerError, match="gave no hash"):
        open_source(electrs).network()


def test_a_status_of_no_meaning_is_a_bad_answer(electrs, open_source):
    electrs.fail(418, only="/raw")
    with pytest.raises(BadAnswerError, match="418"):
        open_source(electrs).block(HASHES[0])


# When it is not there


def test_an_unreachable_server_is_tried_again_after_5_15_and_45_seconds(
    electrs, open_source, pauses
):
    electrs.stop()
    with pytest.raises(SourceUnavailableError, match="does not answer") as caught:
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
    with pytest.raises(SourceUnavailableError, match="does not answer"):
        open_source(electrs).block(HASHES[0])


def test_a_site_that_wants_a_password_refuses(electrs, open_source):
    electrs.fail(401)
    with pytest.raises(SourceRefusedError):
        open_source(electrs).tip()


def test_a_site_that_wants_a_password_names_the_setting_of_its_own(electrs, open_source):
    electrs.fail(401)
    with pytest.raises(SourceRefusedError, match="MEMPOOL_API_URL") as caught:
        open_source(electrs).tip()
    assert "BITCOIN_RPC" not in str(caught.value)


def test_an_electrum_port_is_recognised(monkeypatch):
    source = EsploraSource("http://127.0.0.1:50001", name="electrs", retry=RetryPolicy((), 0.3))
    with pytest.raises(SourceUnavailableError, match=r"Electrum port.*ELECTRS_URL"):
        source.tip()
    source.close()


def test_a_failure_that_passes_is_not_seen(server, open_source, pauses):
    server.fail(502, times=1)
    assert open_source(server).tip().height == 139
    assert pauses == [5.0]


def test_a_connection_that_is_closed_in_the_middle_is_replaced(electrs, open_source, pauses):
    source = open_source(electrs)
    source.tip()
    electrs.drop(times=1)
    assert source.block(HASHES[0]) == BLOCKS[0]
    assert pauses == [5.0]
