"""Exchange prices from mempool: a positive number with its time, or no quote."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import pytest

from oracle.errors import BadAnswerError, NoQuoteError, SourceTimeoutError, SourceUnavailableError
from oracle.sources.http import RetryPolicy
from oracle.sources.quotes import MempoolQuotes
from tests.helpers.fakes import (
    FakeChain,
    FakeMempoolBackend,
    FakeMempoolFrontend,
    Reply,
    small_blocks,
)

NOW = 1_760_500_000
GOOD = {"time": NOW, "USD": 111652, "EUR": 95800, "JPY": -1}

Open = Callable[..., MempoolQuotes]


@pytest.fixture
def backend() -> Iterator[FakeMempoolBackend]:
    with FakeMempoolBackend(FakeChain(small_blocks(1), network="main")) as server:
        server.prices = dict(GOOD)
        yield server


@pytest.fixture
def open_quotes() -> Iterator[Open]:
    opened: list[MempoolQuotes] = []

    def open_it(url: str, **settings: object) -> MempoolQuotes:
        opened.append(
            MempoolQuotes(
                url, clock=lambda: NOW, retry=RetryPolicy((5.0,), 1.0, lambda _: None), **settings
            )
        )
        return opened[-1]

    yield open_it
    for quotes in opened:
        quotes.close()


@pytest.fixture
def quotes(backend: FakeMempoolBackend, open_quotes: Open) -> MempoolQuotes:
    return open_quotes(backend.url)


def test_the_newest_price_comes_with_its_own_time(quotes):
    quote = quotes.latest()
    assert (quote.price_usd, quote.quoted_at_unix, quote.source) == (111652.0, NOW, "mempool")


def test_other_currencies_come_along_without_those_that_are_not_known(quotes):
    assert quotes.latest().currencies == {"USD": 111652.0, "EUR": 95800.0}


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/v1"])
def test_any_address_of_a_frontend_will_do(open_quotes, path):
    with FakeMempoolFrontend(FakeChain(small_blocks(1))) as server:
        server.prices = dict(GOOD)
        assert open_quotes(server.url + path).latest().price_usd == 111652.0


@pytest.mark.parametrize(
    "prices",
    [
        {"time": 0, "USD": -1, "EUR": -1},
        {"time": NOW, "USD": -1},
        {"time": NOW, "USD": 0},
        {"time": 0, "USD": 111652},
        {"time": NOW},
        {"USD": 111652},
        {"time": NOW, "USD": None},
        {"time": NOW, "USD": "111652"},
        {"time": NOW, "USD": True},
        {"time": NOW, "USD": float("nan")},
        {"time": NOW, "USD": float("inf")},
        {},
    ],
)
def test_what_is_not_a_positive_price_with_a_time_is_no_quote(backend, quotes, prices):
    backend.prices = prices
    with pytest.raises(NoQuoteError):
        quotes.latest()


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        ({"time": NOW * 1000, "USD": 111652}, "ahead"),
        ({"time": NOW + 901, "USD": 111652}, "ahead"),
        ({"time": 1e300, "USD": 111652}, "ahead"),
        ({"time": 10**300, "USD": 111652}, "ahead"),
        ({"time": 1_230_767_999, "USD": 111652}, "before 2009"),
        ({"time": NOW, "USD": -1}, "price feed"),
        ({"time": 0, "USD": -1, "EUR": -1}, "For test networks it has none"),
    ],
)
def test_a_quote_that_cannot_be_is_none_and_says_why(backend, quotes, prices, reason):
    backend.prices = prices
    with pytest.raises(NoQuoteError, match=reason):
        quotes.latest()


@pytest.mark.parametrize("ahead_seconds", [1, 900])
def test_clocks_may_differ_by_a_quarter_of_an_hour(backend, quotes, ahead_seconds):
    backend.prices["time"] = NOW + ahead_seconds
    assert quotes.latest().quoted_at_unix == NOW + ahead_seconds


@pytest.mark.parametrize("eur", [10**400, 1e300, -5, "5", None, [], True])
def test_another_currency_that_cannot_be_is_left_out(backend, quotes, eur):
    backend.prices["EUR"] = eur
    assert quotes.latest().currencies == {"USD": 111652.0}


def test_what_is_no_currency_is_left_out(backend, quotes):
    backend.prices |= {"eur": 5, "LONG": 5, "\u00c9UR": 5, "": 5}
    assert quotes.latest().currencies == {"USD": 111652.0, "EUR": 95800.0}


@pytest.mark.parametrize("usd", [1e-300, 99.99, 100_000_001, 10**400, 1e308])
def test_an_odd_price_is_handed_on_as_a_number_for_the_market_to_judge(backend, quotes, usd):
    backend.prices["USD"] = usd
    assert 0 < quotes.latest().price_usd <= 1e18


def test_a_compressed_answer_is_refused(backend, quotes):
    body = gzip.compress(b" " * 10_000_000 + b"{}")
    backend.reply_with(Reply(200, body, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(BadAnswerError, match="compressed"):
        quotes.latest()


def test_an_answer_that_is_too_long_is_cut_off(backend, quotes):
    backend.fail(200, b" " * 1_000_001)
    with pytest.raises(BadAnswerError, match="more bytes"):
        quotes.latest()


def test_an_answer_that_drips_is_given_up_when_its_time_is_over(backend, quotes):
    backend.drip(b" " * 1000, 0.1)
    with pytest.raises(SourceTimeoutError, match="does not answer within 1 s"):
        quotes.latest()


def test_an_old_price_is_given_with_its_old_time(backend, quotes):
    backend.prices["time"] = NOW - 90_000
    assert quotes.latest().quoted_at_unix == NOW - 90_000


def test_a_server_without_prices_is_a_bad_answer(backend, quotes):
    backend.answer_html(status=404)
    with pytest.raises(BadAnswerError, match="no prices"):
        quotes.latest()


def test_an_unreachable_backend_is_unavailable(backend, quotes):
    backend.stop()
    with pytest.raises(SourceUnavailableError):
        quotes.latest()


# History


def test_the_newest_row_at_or_before_the_time_is_taken(backend, quotes):
    backend.history = [{"time": NOW - 3600, "USD": 110000}, {"time": NOW + 60, "USD": 112000}]
    assert quotes.at(NOW).price_usd == 110000.0


def test_a_row_too_far_back_is_no_quote(backend, quotes):
    backend.history = [{"time": NOW - 7201, "USD": 110000}]
    assert quotes.at(NOW) is None


def test_how_far_back_is_too_far_is_a_setting(backend, open_quotes):
    backend.history = [{"time": NOW - 7201, "USD": 110000}]
    assert open_quotes(backend.url, max_distance_seconds=86_400).at(NOW).price_usd == 110000.0


def test_the_fake_row_for_missing_data_is_no_quote(backend, open_quotes):
    assert open_quotes(backend.url, max_distance_seconds=10**9).at(NOW) is None


def test_a_row_after_the_time_is_no_quote(backend, quotes):
    backend.fail(200, b'{"prices": [{"time": %d, "USD": 5}]}' % (NOW + 1), only="historical")
    assert quotes.at(NOW) is None


@pytest.mark.parametrize("usd", [0, -1])
def test_a_stored_minus_one_or_zero_is_no_quote(backend, quotes, usd):
    backend.history = [{"time": NOW, "USD": usd}]
    assert quotes.at(NOW) is None


def test_an_empty_body_is_no_quote(backend, quotes):
    backend.fail(200, b"", only="historical")
    assert quotes.at(NOW) is None


def test_a_backend_without_history_has_no_quote(backend, quotes):
    backend.has_history = False
    assert quotes.at(NOW) is None


def test_a_test_network_has_no_quote(backend, quotes):
    backend.chain.network = "signet"
    assert quotes.at(NOW) is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"prices": null}'])
def test_a_history_in_an_unknown_form_is_no_quote(backend, quotes, body):
    backend.fail(200, body, only="historical")
    assert quotes.at(NOW) is None


@pytest.mark.parametrize("row", [b"7", b"null", b"{}"])
def test_a_row_that_is_none_is_no_quote(backend, quotes, row):
    backend.fail(200, b'{"prices": [%s]}' % row, only="historical")
    assert quotes.at(NOW) is None
