"""Files of exchange prices as exchanges and archives offer them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.errors import RequestError
from oracle.exchange.quote_file import FileQuotes, read_quotes
from tests.helpers.steady import steady

NOW = 1_770_000_000
HOUR = 3_600
Read = Callable[[str], FileQuotes]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reading(text: str) -> FileQuotes:
        path = tmp_path / "prices.csv"
        path.write_text(text)
        return read_quotes(path, "test", 2 * HOUR, NOW)

    return reading


def pairs(quotes: FileQuotes) -> list[tuple[int, float]]:
    return list(zip(map(int, quotes.times_unix), map(float, quotes.prices_usd), strict=True))


# What files look like, each by its own header.
BITSTAMP_MINUTES = """Timestamp,Open,High,Low,Close,Volume
1325412060.0,4.58,4.59,4.57,4.59,0.0
1325412120.0,4.61,4.62,4.60,4.62,0.0
"""
CRYPTO_DATA_DOWNLOAD = """https://www.CryptoDataDownload.com
unix,date,symbol,open,high,low,close,Volume BTC,Volume USD
1706745600,2024-02-01 00:00:00,BTC/USD,42580.0,42700.0,42500.0,42666.0,1,2
1706742000,2024-01-31 23:00:00,BTC/USD,42500.5,42600.0,42400.0,42580.0,1,2
"""
BINANCE_KLINES = """open_time,open,high,low,close,volume,close_time,quote_volume
1704067200000,42283.58,42554.57,42261.02,42475.23,1271.6,1704070799999,1
1704070800000,42475.23,42775.00,42431.65,42613.56,1196.3,1704074399999,1
"""
COINGECKO = """snapped_at,price,market_cap
"""
BLOCKCHAIN_INFO = """"Timestamp","market-price"
"""
COINBASE_TRADES = """time,price
2024-01-01T00:00:00Z,42280.5
2024-01-01T02:00:00+02:00,42281
2024-01-01 00:10:00 UTC,42282
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BITSTAMP_MINUTES, [(1325412060, 4.58), (1325412120, 4.61)]),
        (CRYPTO_DATA_DOWNLOAD, [(1706742000, 42500.5), (1706745600, 42580.0)]),
        (BINANCE_KLINES, [(1704070799, 42475.23), (1704074399, 42613.56)]),
        (COINBASE_TRADES, [(1704067200, 42280.5), (1704067200, 42281.0), (1704067800, 42282.0)]),
    ],
    ids=["minutes", "a title line and newest first", "candles that say their close", "trades"],
)
def test_the_columns_are_found_by_name(read: Read, text: str, expected: list) -> None:
    assert pairs(read(text)) == expected


def test_a_closing_price_of_a_day_stands_for_the_end_of_the_day(read: Read) -> None:
    assert pairs(read("Date,Close\n2024-01-01,42280\n")) == [(1704067200 + 86_399, 42280.0)]


def test_an_opening_price_of_a_day_stands_for_its_beginning(read: Read) -> None:
    assert pairs(read("Date,Open,Close\n2024-01-01,42000,42280\n")) == [(1704067200, 42000.0)]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6])
@steady(60)
@given(moment=st.integers(1_230_768_000, NOW), usd=st.floats(0.01, 1e7))
def test_seconds_thousandths_and_millionths_are_told_by_their_size(
    tmp_path_factory: pytest.TempPathFactory, unit: int, moment: int, usd: float
) -> None:
    path = tmp_path_factory.mktemp("quotes") / "prices.csv"
    path.write_text(f"time,price\n{moment * unit},{usd!r}\n")
    assert pairs(read_quotes(path, "test", HOUR, NOW)) == [(moment, usd)]


@steady(60)
@given(moment=st.integers(1_230_768_000, NOW))
def test_an_iso_time_is_the_same_moment(
    tmp_path_factory: pytest.TempPathFactory, moment: int
) -> None:
    path = tmp_path_factory.mktemp("quotes") / "prices.csv"
    text = datetime.fromtimestamp(moment, UTC).isoformat()
    path.write_text(f"time,price\n{text},1\n{text.removesuffix('+00:00')},2\n")
    assert pairs(read_quotes(path, "test", HOUR, NOW)) == [(moment, 1.0), (moment, 2.0)]


def test_rows_without_a_price_are_counted_and_left_out(read: Read) -> None:
    found = read("time,price\n1700000000,\n1700000060,NaN\n1700000120,37000\n\n")
    assert (pairs(found), found.empty_rows) == ([(1700000120, 37000.0)], 2)


def test_asked_for_a_moment_it_gives_the_newest_before_unless_that_is_old(read: Read) -> None:
    found = read("time,price\n1700000000,1\n1700003600,2\n")
    assert found.at(1_699_999_999) is None
    assert found.at(1_700_000_000).price_usd == 1.0
    assert found.at(1_700_003_599).price_usd == 1.0
    assert found.at(1_700_003_600 + 2 * HOUR).price_usd == 2.0
    assert found.at(1_700_003_600 + 2 * HOUR + 1) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no columns that are known"),
        ("a,b\n1,2\n", "names no columns that are known"),
        ("time,volume\n1700000000,2\n", "names no columns that are known"),
        (f"{COINGECKO}2024-01-01 00:00:00 UTC,42000,1\n", "names no columns that are known"),
        (f"{BLOCKCHAIN_INFO}1700000000,42000\n", "names no columns that are known"),
        ("time,price\n", "holds no price"),
        ("time,price\n1700000000,37000\nyesterday,37000\n", "line 3: 'yesterday' is no time"),
        ("time,price\n1700000000,dear\n", "line 2: 'dear' is no price"),
        ("time,price\n1700000000,-5\n", "line 2: '-5' is no price"),
        ("time,price\n1700000000,0\n", "line 2: '0' is no price"),
        ("time,price\n1700000000,1e99\n1700000000,inf\n", "line 3: 'inf' is no price"),
        ("time,price\n1000000000,37000\n", "before 2009 or ahead of now"),
        ("time,price\n1800000000,37000\n", "before 2009 or ahead of now"),
        ("time,price\n99999999999999999999,37000\n", "before 2009 or ahead of now"),
        ("time,price\n1700000000\n", "line 2: it has 1 columns, too few"),
        ("time,symbol,price\n1700000000,ETH/USD,2000\n", "'ETH/USD', not of bitcoin in dollars"),
        ("time,symbol,price\n1700000000,BTC/EUR,37000\n", "'BTC/EUR', not of bitcoin in dollars"),
        ('time,price\n1700000000,"37000\n', "line 2: unexpected end of data"),
        (f"time,price\n1700000000,{'9' * 200_000}\n", "line 2: it has 200,012 characters"),
    ],
)
def test_what_is_no_such_file_is_one_sentence_with_the_line(
    read: Read, text: str, sentence: str
) -> None:
    with pytest.raises(RequestError) as refused:
        read(text)
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 300


@steady(200)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_quotes_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("quotes") / "prices.csv"
    path.write_bytes(b"time,price\n1700000000,37000\n" + data)
    try:
        found = read_quotes(path, "test", HOUR, NOW)
    except RequestError:
        return
    assert all(1_230_768_000 <= moment <= NOW + 900 and usd > 0 for moment, usd in pairs(found))


def test_a_file_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        read_quotes(tmp_path / "nowhere.csv", "test", HOUR, NOW)
