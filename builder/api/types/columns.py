"""The columns of the Parquet and CSV files: name, type, unit and meaning."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["int32", "int64", "float64", "bool", "string", "timestamp", "date32"]
Table = Literal["prices", "days", "hours", "exchange", "outputs"]


class Column(NamedTuple):
    """A column; `timestamp` is in milliseconds, UTC."""

    name: str
    kind: Kind
    comment: str
    unit: str = ""


USD = "USD per BTC"
SHARE = "0 to 1"
PERCENT = "percent"
SATS = "sats"

PRICES = (
    Column("height", "int32", "the tip these prices are as of"),
    Column("hash", "string", "block hash, display order"),
    Column("time", "timestamp", "header time of that block"),
    Column("algorithm_version", "string", "changes whenever a published price would"),
    Column("spot_usd", "float64", "price from the last few blocks", USD),
    Column("spot_low_usd", "float64", "low end of the 95% interval of the spot price", USD),
    Column("spot_high_usd", "float64", "high end of the 95% interval of the spot price", USD),
    Column("spot_confidence", "float64", "how likely the price is within 5% of the market", SHARE),
    Column("spot_is_valid", "bool", "false: do not rely on the price"),
    Column("spot_reason", "string", "why not valid"),
    Column("spot_points", "int32", "price points used"),
    Column("spot_first_height", "int32", "first block of the spot price"),
    Column("spot_last_height", "int32", "last block of the spot price"),
    Column("window_usd", "float64", "price of the 144 blocks below the tip", USD),
    Column("window_low_usd", "float64", "low end of the 95% interval of the window price", USD),
    Column("window_high_usd", "float64", "high end of the 95% interval of the window price", USD),
    Column(
        "window_confidence", "float64", "how likely the price is within 5% of the market", SHARE
    ),
    Column("window_is_valid", "bool", "false: do not rely on the price"),
    Column("window_reason", "string", "why not valid"),
    Column("window_outputs", "int32", "eligible outputs"),
    Column("window_points", "int32", "price points"),
    Column("window_first_height", "int32", "first block of the window"),
    Column("window_last_height", "int32", "last block of the window"),
    Column("compared_at", "timestamp", "the tick at which they were set beside the exchange"),
    Column("exchange_usd", "float64", "exchange price at the first tick with this tip", USD),
    Column(
        "exchange_mean_usd",
        "float64",
        "mean of the exchange samples during the window's blocks",
        USD,
    ),
    Column("spot_percent", "float64", "(spot_usd - exchange_usd) / exchange_usd", PERCENT),
    Column(
        "window_percent", "float64", "(window_usd - exchange_mean_usd) / exchange_mean_usd", PERCENT
    ),
    Column("headline_percent", "float64", "the one that was shown", PERCENT),
    Column("leg", "string", "which one that was: spot or window"),
)
CANDLE = (
    Column("spot_open_usd", "float64", "first valid spot price", USD),
    Column("spot_high_usd", "float64", "highest valid spot price", USD),
    Column("spot_low_usd", "float64", "lowest valid spot price", USD),
    Column("spot_close_usd", "float64", "last valid spot price", USD),
    Column("spot_mean_usd", "float64", "their mean, each standing until the next one", USD),
    Column("spot_blocks", "int32", "blocks with a valid spot price"),
)
HOURS = (Column("time", "timestamp", "start of the hour"), *CANDLE)
DAYS = (
    Column("date", "date32", "UTC day"),
    Column("price_usd", "float64", "price of the day", USD),
    Column("low_usd", "float64", "low end of the 95% interval of the day's price", USD),
    Column("high_usd", "float64", "high end of the 95% interval of the day's price", USD),
    Column("confidence", "float64", "how likely the price is within 5% of the market", SHARE),
    Column("is_valid", "bool", "false: do not rely on the price"),
    Column("reason", "string", "why not valid"),
    Column("first_height", "int32", "first block"),
    Column("last_height", "int32", "last block"),
    Column("first_hash", "string", "hash of the first block, display order"),
    Column("last_hash", "string", "hash of the last block, display order"),
    Column("algorithm_version", "string", "changes whenever a published price would"),
    Column("blocks", "int32", "number of blocks"),
    Column("outputs", "int32", "eligible outputs"),
    Column("points", "int32", "price points"),
    Column("exchange_mean_usd", "float64", "mean of the exchange samples of the day", USD),
    Column("exchange_close_usd", "float64", "last exchange sample of the day", USD),
    Column(
        "divergence_percent",
        "float64",
        "(price_usd - exchange_mean_usd) / exchange_mean_usd",
        PERCENT,
    ),
    *CANDLE,
)
EXCHANGE = (
    Column("sampled_at", "timestamp", "the moment this quote stands for"),
    Column("quoted_at", "timestamp", "the time the exchange side gave"),
    Column("price_usd", "float64", "exchange price", USD),
    Column("is_stale", "bool", "older than the setting allowed"),
    Column("is_suspect", "bool", "not believed, so in no mean and no difference"),
    Column("source", "string", "who said so"),
    Column("currencies", "string", "the same price in other currencies, as JSON"),
)
OUTPUTS = (
    Column("height", "int32", "block"),
    Column("time", "timestamp", "header time of that block"),
    Column("value_sats", "int64", "value of one eligible output", SATS),
    Column("is_round", "bool", "a round BTC amount"),
    Column(
        "parent_height", "int32", "newest block that made an input of the transaction; -1 unknown"
    ),
)
CHAIN = (
    Column("network", "string", "whose blocks: main, a test network, or simulated"),
    Column("is_simulated", "bool", "true: a made-up chain and a made-up market"),
)
"""The last columns of each table: a file that went from hand to hand still says what it is."""

COLUMNS: dict[Table, tuple[Column, ...]] = {
    "prices": (*PRICES, *CHAIN),
    "days": (*DAYS, *CHAIN),
    "hours": (*HOURS, *CHAIN),
    "exchange": (*EXCHANGE, *CHAIN),
    "outputs": (*OUTPUTS, *CHAIN),
}
