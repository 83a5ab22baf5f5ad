"""Whatever a server says, nothing but our own errors comes out, and what comes out is within its
bounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oracle.errors import SourceError
from oracle.sources import ChainTip, Quote
from oracle.sources.core import CoreSource
from oracle.sources.esplora import EsploraSource
from oracle.sources.http import RetryPolicy
from oracle.sources.quotes import MempoolQuotes
from oracle.sources.replies import MAX_HEIGHT
from oracle.web import WebAnswer, WebClient
from tests.helpers.fakes.raw import RawServer

NOW = 1_760_500_000
AT_ONCE = RetryPolicy((), 1.0, lambda _: None)
HASH = "ab" * 32
STATUSES = [100, 200, 204, 206, 301, 304, 400, 401, 403, 404, 408, 425, 429, 500, 502, 503, 599]

LONGER = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"  # than what follows

NUMBERS = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**300), max_value=10**300),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, 1e308, 1e-300, NOW, NOW * 1000]),
)
TEXTS = st.one_of(
    st.text(),
    st.sampled_from([HASH, HASH.upper(), "00" * 80, "", "main", "\ud800", "-1", "9" * 5000]),
)
KEYS = st.sampled_from(
    ["id", "result", "error", "code", "message", "chain", "blocks", "headers", "bestblockhash",
     "height", "time", "USD", "EUR", "prices", "version", "backend", "initialblockdownload"]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(KEYS, st.text(max_size=4)), inner, max_size=6),
    ),
    max_leaves=12,
)
# Replies that come close to what is asked for: of JSON-RPC, and of mempool's prices.
RPC_REPLIES = st.lists(
    st.fixed_dictionaries(
        {"id": st.one_of(st.integers(0, 3), JSON_VALUES)},
        optional={"result": JSON_VALUES, "error": JSON_VALUES},
    ),
    max_size=4,
)
PRICES = st.fixed_dictionaries({"time": NUMBERS, "USD": NUMBERS}, optional={"EUR": JSON_VALUES})
HISTORY = st.fixed_dictionaries({"prices": st.lists(PRICES, max_size=3)})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


BODIES = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    NUMBERS.map(as_json),
    JSON_VALUES.map(as_json),
    RPC_REPLIES.map(as_json),
    PRICES.map(as_json),
    HISTORY.map(as_json),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.one_of(st.text(), st.integers().map(str), st.just("Thu, 99 Nov 9999")),
        "content-type": st.sampled_from(["application/json; charset=zlib", "text/html", ""]),
    },
)
ANSWERS = st.builds(WebAnswer, st.sampled_from(STATUSES), BODIES, HEADERS)


def outcome(ask: Callable[[], object], answers: list[WebAnswer]) -> object:
    """Ask a source whose server gives these answers in turn; an error of ours is None."""
    turn = iter(range(10**9))
    with patch.object(WebClient, "exchange", lambda *_: answers[next(turn) % len(answers)]):
        try:
            return ask()
        except SourceError as error:
            assert "://" not in error.public_message
            assert len(str(error)) < 2_000
            assert str(error).encode()  # no lone surrogate
            return None


@pytest.fixture(scope="module")
def core() -> Iterator[CoreSource]:
    source = CoreSource("http://127.0.0.1:1", user="u", password="p", retry=AT_ONCE)
    yield source
    source.close()


@pytest.fixture(scope="module")
def quotes() -> Iterator[MempoolQuotes]:
    source = MempoolQuotes("http://127.0.0.1:1", clock=lambda: NOW, retry=AT_ONCE)
    yield source
    source.close()


def is_tip(found: object) -> bool:
    return isinstance(found, ChainTip) and 0 <= found.height <= MAX_HEIGHT and len(found.hash) == 64


@settings(deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
@example([WebAnswer(200, b"[" * 100_000)])
@example([WebAnswer(200, b'[{"id": 0, "result": ' + b"9" * 5000 + b"}]")])
def test_a_node_that_says_anything_gives_a_tip_or_an_error_of_ours(core, answers):
    found = outcome(core.tip, answers)
    assert found is None or is_tip(found)


@settings(deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_node_that_says_anything_gives_hashes_or_an_error_of_ours(core, answers):
    found = outcome(lambda: core.hashes(5, 7), answers)
    assert found is None or (len(found) == 3 and {len(one) for one in found} == {64})


@settings(deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_node_that_says_anything_gives_no_block_that_is_another(core, answers):
    assert outcome(lambda: core.block(HASH), answers) is None


@settings(deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_probe_of_anything_is_a_probe(core, answers):
    assert outcome(core.probe, answers).source == "bitcoin-core"


@settings(deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=6))
@example([WebAnswer(200, HASH.encode()), WebAnswer(200, b"9" * 5000)])
def test_a_server_that_says_anything_gives_a_tip_or_an_error_of_ours(answers):
    source = EsploraSource("http://127.0.0.1:1", retry=AT_ONCE)
    found = outcome(source.tip, answers)
    source.close()
    assert found is None or is_tip(found)


@settings(deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=6))
def test_a_server_that_says_anything_gives_no_block_that_is_another(answers):
    source = EsploraSource("http://127.0.0.1:1", retry=AT_ONCE)
    assert outcome(lambda: source.block(HASH), answers) is None
    assert outcome(source.probe, answers).source == "mempool"
    source.close()


def is_quote(found: object) -> bool:
    return (
        isinstance(found, Quote)
        and 0 < found.price_usd <= 1e18
        and 1_230_768_000 <= found.quoted_at_unix <= NOW + 900
        and all(0 < price < 1e15 for price in found.currencies.values())
    )


@settings(deadline=None)
@given(st.lists(st.one_of(ANSWERS, st.builds(WebAnswer, st.just(200), PRICES.map(as_json))),
                min_size=1, max_size=2))  # fmt: skip
@example([WebAnswer(200, b'{"time": 1760500000, "USD": 1%s}' % (b"0" * 400))])
@example([WebAnswer(200, b'{"time": 1e300, "USD": 64000}')])
def test_prices_of_any_kind_are_a_quote_within_bounds_or_an_error_of_ours(quotes, answers):
    found = outcome(quotes.latest, answers)
    assert found is None or is_quote(found)


@settings(deadline=None)
@given(st.builds(WebAnswer, st.sampled_from(STATUSES), st.one_of(BODIES, HISTORY.map(as_json))))
def test_a_history_of_any_kind_is_a_quote_near_its_time_or_none(quotes, answer):
    found = outcome(lambda: quotes.at(NOW), [answer])
    assert found is None or (is_quote(found) and NOW - 7200 <= found.quoted_at_unix <= NOW)


@settings(deadline=None, max_examples=30)
@given(st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda more: b"HTTP/1.1 200 OK\r\n" + more),
    st.binary(max_size=60).map(LONGER.__add__),
    st.sampled_from([
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nabcdefg",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        b"HTTP/1.1 999 ?\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 30_000 + b"\r\n",
        b'{"jsonrpc": "2.0", "error": "an Electrum server"}\n',
    ]),
))  # fmt: skip
def test_bytes_that_are_no_http_are_an_error_of_ours(says):
    with RawServer(says) as server:
        source = EsploraSource(server.url, retry=AT_ONCE)
        with pytest.raises(SourceError):
            source.tip()
        source.close()
