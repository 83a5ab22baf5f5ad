"""Several sources as one: the next is asked only when one is unavailable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    SourceSyncingError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from oracle.simulated.serialise import header_hash
from oracle.sources.core import CoreSource
from oracle.sources.esplora import EsploraSource
from oracle.sources.failover import FailoverSource
from oracle.sources.http import RetryPolicy
from tests.helpers.fakes import FakeChain, FakeCore, FakeElectrs, FakeMempoolBackend, small_blocks

BLOCKS = small_blocks(12, first_height=50)
AT_ONCE = RetryPolicy((), 0.3)


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(BLOCKS, first_height=50)


@pytest.fixture
def node(chain: FakeChain) -> Iterator[FakeCore]:
    with FakeCore(chain) as server:
        yield server


@pytest.fixture
def electrs(chain: FakeChain) -> Iterator[FakeElectrs]:
    with FakeElectrs(chain) as server:
        yield server


@pytest.fixture
def source(node: FakeCore, electrs: FakeElectrs) -> Iterator[FailoverSource]:
    core = CoreSource(node.url, user=node.user, password=node.password, retry=AT_ONCE)
    both = FailoverSource([core, EsploraSource(electrs.url, retry=AT_ONCE, name="electrs")])
    yield both
    both.close()


def test_the_first_source_serves_while_it_is_there(source, electrs):
    source.block(header_hash(BLOCKS[0]))
    assert (source.served_by, electrs.paths) == ("bitcoin-core", [])


def test_the_next_source_serves_when_the_first_is_gone(source, node):
    node.stop()
    assert source.tip().height == 61
    assert source.served_by == "electrs"


def test_it_stays_with_the_source_that_works(source, node):
    node.stop()
    source.tip()
    node.start()
    source.tip()
    assert source.served_by == "electrs"


def test_it_comes_back_when_the_second_goes_too(source, node, electrs):
    node.stop()
    source.tip()
    node.start()
    electrs.stop()
    assert source.tip().height == 61
    assert source.served_by == "bitcoin-core"


def test_a_node_that_is_starting_is_left(source, node):
    node.warming_up = "Verifying blocks…"
    assert source.headers(50, 61) == [block[:80] for block in BLOCKS]


def test_every_source_is_named_when_none_is_there(source, node, electrs):
    node.stop()
    electrs.stop()
    with pytest.raises(SourceUnavailableError, match=r"(?s)bitcoin-core.*electrs") as caught:
        source.tip()
    assert caught.value.attempts == 2


def test_a_block_that_nobody_has_is_missing_in_the_words_of_the_first(source, electrs):
    with pytest.raises(BlockNotFoundError) as caught:
        source.block("00" * 32)
    assert caught.value.source == "bitcoin-core"


def test_a_missing_block_is_asked_of_the_next_source_which_is_named(source, node):
    node.pruned_below = 55
    assert source.block(header_hash(BLOCKS[0])) == BLOCKS[0]
    assert source.served_by == "electrs"


def test_a_missing_block_is_no_reason_to_leave_with_other_questions(source, node):
    node.pruned_below = 55
    source.block(header_hash(BLOCKS[0]))
    source.tip()
    assert source.served_by == "bitcoin-core"


def test_a_missing_block_stays_missing_when_the_others_are_gone(source, node, electrs):
    node.pruned_below = 55
    electrs.stop()
    with pytest.raises(BlockNotFoundError, match="pruned"):
        source.block(header_hash(BLOCKS[0]))


def test_a_node_that_is_still_syncing_is_an_answer_and_no_other_source_is_asked(
    source, node, electrs
):
    node.is_catching_up = True
    with pytest.raises(SourceSyncingError):
        source.tip()
    assert electrs.paths == []


def test_each_source_has_its_own_code_in_the_api(source, node, electrs):
    node.stop()
    with pytest.raises(SourceUnavailableError) as core:
        source.sources[0].tip()
    electrs.stop()
    with pytest.raises(SourceUnavailableError) as other:
        source.sources[1].tip()
    assert (core.value.code, other.value.code) == ("BITCOIN_RPC_UNAVAILABLE", "ELECTRS_UNAVAILABLE")


def test_a_node_that_only_hangs_is_a_time_out(node):
    node.hang()
    only = FailoverSource([CoreSource(node.url, retry=AT_ONCE)])
    with pytest.raises(SourceTimeoutError):
        only.tip()
    only.close()


def test_what_is_published_of_a_failure_names_no_address(source, node, electrs):
    node.stop()
    electrs.stop()
    with pytest.raises(SourceUnavailableError) as caught:
        source.tip()
    assert "bitcoin-core" in caught.value.public_message
    assert "127.0.0.1" not in caught.value.public_message


def test_wrong_bytes_are_no_reason_to_leave(source, node, electrs):
    node.wrong_bytes[header_hash(BLOCKS[0])] = BLOCKS[1]
    with pytest.raises(BadAnswerError) as caught:
        source.block(header_hash(BLOCKS[0]))
    assert (caught.value.source, electrs.paths) == ("bitcoin-core", [])


def test_the_network_and_hashes_come_through(source):
    assert (source.network(), len(source.hashes(50, 61))) == ("regtest", 12)


def test_every_source_is_probed(source, electrs):
    electrs.stop()
    assert [health.is_reachable for health in source.probes()] == [True, False]


def test_a_source_that_nobody_asked_for_is_not_reported_when_it_is_not_well(node, electrs):
    core = CoreSource(node.url, user=node.user, password=node.password, retry=AT_ONCE)
    extra = EsploraSource(electrs.url, retry=AT_ONCE, name="electrs")
    both = FailoverSource([core, extra], unasked=frozenset({"electrs"}))
    assert [health.source for health in both.probes()] == ["bitcoin-core", "electrs"]
    electrs.stop()
    assert [health.source for health in both.probes()] == ["bitcoin-core"]
    node.stop()
    assert [health.source for health in both.probes()] == ["bitcoin-core", "electrs"]
    both.close()


def test_the_probe_is_that_of_the_source_in_use(source):
    assert source.probe().source == "bitcoin-core"


def test_a_single_source_keeps_its_own_words(node):
    node.stop()
    only = FailoverSource([CoreSource(node.url, retry=AT_ONCE)])
    with pytest.raises(SourceUnavailableError, match=r"^bitcoin-core at"):
        only.tip()
    only.close()


def test_a_source_of_prices_adds_nothing_to_why_there_are_no_blocks(chain, electrs):
    with FakeMempoolBackend(chain, backend="esplora") as backend:
        index = EsploraSource(electrs.url, retry=AT_ONCE, name="electrs")
        both = FailoverSource([index, EsploraSource(backend.url, retry=AT_ONCE)])
        electrs.stop()
        with pytest.raises(SourceUnavailableError) as caught:
            both.tip()
        both.close()
    assert (caught.value.source, caught.value.code) == ("electrs", "ELECTRS_UNAVAILABLE")
    assert "ELECTRS_URL" not in caught.value.public_message
