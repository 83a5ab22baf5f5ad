"""Every address that a reader may ask for: what it holds, in which shape, and how it may refuse.

openapi.json and the tables of docs/api.md are made of these rows. What an address holds beyond its
one sentence is said here once, for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from builder.api.types import (
    Day,
    Days,
    Episodes,
    ErrorAnswer,
    History,
    Latest,
    Manifest,
    MempoolHistory,
    MempoolPrice,
    Peers,
    PriceMonths,
    PricesComparison,
    PricesHistorical,
    PricesLatest,
    Scorecard,
    Status,
    Window,
)

Group = Literal["JSON", "Compatible", "Health", "Files", "Feeds", "Contract"]

SHAPES: dict[str, Any] = {
    "latest": Latest,
    "history": History,
    "days": Days,
    "day": Day,
    "window": Window,
    "scorecard": Scorecard,
    "episodes": Episodes,
    "peers": Peers,
    "status": Status,
    "price-months": PriceMonths,
    "manifest": Manifest,
    "error": ErrorAnswer,
    "compat-latest": PricesLatest,
    "compat-historical": PricesHistorical,
    "compat-comparison": PricesComparison,
    "mempool-prices": MempoolPrice,
    "mempool-historical-price": MempoolHistory,
}
"""The class of each file by the name of its schema, `/api/schema/<name>.json`."""

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
BINARY = "application/octet-stream"
PNG = "image/png"
TEXT = "text/plain"


class Parameter(NamedTuple):
    """A part of an address that the reader chooses."""

    name: str
    place: Literal["path", "query"]
    schema: dict[str, object]
    example: str | int
    description: str


class Endpoint(NamedTuple):
    """An address; `shape` names its schema where it is JSON of ours."""

    path: str
    operation: str
    group: Group
    summary: str
    shape: str | None = None
    media: str = JSON
    more: str = ""
    parameters: tuple[Parameter, ...] = ()
    refusals: Mapping[int, str] = MappingProxyType({})

    @property
    def holds(self) -> str:
        """What it holds, in full."""
        return f"{self.summary}. {self.more}" if self.more else self.summary


DATE = Parameter(
    "date", "path", {"type": "string", "format": "date"}, "2025-10-08", "a date of days.json"
)
RANGE = Parameter("range", "path", {"$ref": "#/components/schemas/Range"}, "7d", "how far back")
DAYS = Parameter(
    "days",
    "query",
    {"type": "integer", "enum": [1, 7, 30, 90, 365], "default": 7},
    7,
    "how many days back",
)
MONTH = Parameter(
    "month", "path", {"type": "string", "pattern": r"^\d{4}-\d\d$"}, "2025-10", "a calendar month"
)
NAME = Parameter(
    "name", "path", {"type": "string", "enum": list(SHAPES)}, "latest", "which file it describes"
)

TIMESTAMP = Parameter(
    "timestamp", "query", {"type": "integer", "minimum": 0}, 0, "Unix seconds; 0: all days"
)
CURRENCY = Parameter(
    "currency",
    "query",
    {"type": "string", "enum": ["USD", "EUR", "GBP", "CAD", "CHF", "AUD", "JPY"]},
    "USD",
    "a currency of the row",
)
NO_PRICE = {400: "NO_PRICE_THEN, INVALID_TIMESTAMP, INVALID_CURRENCY; NO_PRICES on test networks"}
"""What `/api/v1/historical-price` answers beside what all addresses may."""

OTHER_DAYS = {400: "INVALID_DAYS: days must be 1, 7, 30, 90 or 365, given once"}
"""What the compatible lists answer beside what all addresses may."""

ENDPOINTS = (
    Endpoint(
        "/api/latest.json",
        "getLatest",
        "JSON",
        "The newest prices, the comparison, and what to watch out for",
        "latest",
        more="Status, notices (most severe first), tip, spot, window, day, exchange, divergence, "
        "next_due_at. A price that is not valid is there with its reason: show it as what it is.",
    ),
    Endpoint(
        "/api/history/{range}.json",
        "getHistory",
        "JSON",
        "The record over a range of time, as columns of equal length, oldest first",
        "history",
        more="24h and 7d: one entry a tick. 30d, 1y and all: the same per block, thinned: "
        "of each hour, six hours or day the last block with a valid price and the last without "
        "one. `thinning` says the rule, `is_valid` marks the points. Prices to the cent.",
        parameters=(RANGE,),
    ),
    Endpoint(
        "/api/history/{range}.csv",
        "getHistoryRows",
        "JSON",
        "The same rows as CSV, with times as spreadsheets read them",
        media=CSV,
        more="`network` and `is_simulated` are in each line.",
        parameters=(RANGE,),
    ),
    Endpoint("/api/days.json", "getDays", "JSON", "One row a final UTC day, oldest first", "days"),
    Endpoint(
        "/api/days/{date}.json",
        "getDay",
        "JSON",
        "All one needs to check and redraw one final UTC day",
        "day",
        more="The row, first and last block with hashes, transactions left out per rule, price "
        "points (at most 2000, every n-th in chain order), histogram and stencil as placed, spot "
        "price at each block.",
        parameters=(DATE,),
    ),
    Endpoint(
        "/api/days/{date}.csv",
        "getDayPoints",
        "JSON",
        "The day's price points as CSV",
        media=CSV,
        parameters=(DATE,),
    ),
    Endpoint(
        "/api/window.json",
        "getWindow",
        "JSON",
        "The newest window in the shape of a day",
        "window",
        more="Absent until its blocks are known.",
    ),
    Endpoint(
        "/api/scorecard.json",
        "getScorecard",
        "JSON",
        "How far the on-chain prices were from the exchange",
        "scorecard",
        more="By leg (spot, window, day; close and mean of a day's spot prices) and period (1d, "
        "7d, 30d, 365d, all): n, median, p95, RMSE, worst, bias, share of exchange prices inside "
        "the interval, and the same for the baselines, which are the exchange prices of 24 hours "
        "and of one hour earlier; by year and by number of price points; and what confidence said "
        "beside what happened. Valid prices only, but for the latter; one comparison a block, the "
        "first at that tip. The files `prices`, `days` and `exchange` in `data/` have all it is "
        "made from.",
    ),
    Endpoint(
        "/api/price-months.json",
        "getPriceMonths",
        "JSON",
        "The Parquet files of prices by calendar month, with sizes and hashes",
        "price-months",
    ),
    Endpoint(
        "/api/episodes.json",
        "getEpisodes",
        "JSON",
        "Episodes of large divergence, low confidence and publishers who differ, newest first",
        "episodes",
        more="Start, end, peak, duration, leg or peer.",
    ),
    Endpoint(
        "/api/peers.json",
        "getPeers",
        "JSON",
        "What other publishers say of the same blocks, and who agrees",
        "peers",
        more="Those of `ORACLE_PEERS`, none by default: since when each agrees or differs, at "
        "which block, by how much, and how far behind it is.",
    ),
    Endpoint(
        "/api/status.json",
        "getStatus",
        "JSON",
        "Health, reasons, sources, last runs, last error, gaps, record, disk and versions",
        "status",
    ),
    Endpoint(
        "/api/manifest.json",
        "getManifest",
        "JSON",
        "Every published file with size and SHA-256, build id, tip",
        "manifest",
        more="`made_from` is a fingerprint of what a file was made from. The manifest itself, "
        "compressed twins and marks for nginx are not listed.",
    ),
    Endpoint("/api/openapi.json", "getDescription", "Contract", "The description of all addresses"),
    Endpoint(
        "/api/schema/{name}.json",
        "getSchema",
        "Contract",
        "The JSON Schema of one of them",
        parameters=(NAME,),
    ),
    Endpoint(
        "/api/prices/latest",
        "getPricesLatest",
        "Compatible",
        "The newest entry, in the shape of an older dashboard",
        "compat-latest",
        more="The price is the spot price, or the window price where there is none; `tx_count` "
        "counts price points.",
    ),
    Endpoint(
        "/api/prices/historical",
        "getPricesHistorical",
        "Compatible",
        "A list of the same, oldest first",
        "compat-historical",
        more="`days` is 1, 7 (default), 30, 90 or 365, else 400 with the error shape. 1 and 7: "
        "each tick; 30: hourly; 90 and 365: six-hourly.",
        parameters=(DAYS,),
        refusals=OTHER_DAYS,
    ),
    Endpoint(
        "/api/prices/comparison",
        "getPricesComparison",
        "Compatible",
        "Differences over the valid ones of the same entries",
        "compat-comparison",
        parameters=(DAYS,),
        refusals=OTHER_DAYS,
    ),
    Endpoint(
        "/api/v1/prices",
        "getMempoolPrice",
        "Compatible",
        "The spot price and the tip's header time in mempool's shape",
        "mempool-prices",
        more="Other currencies are the on-chain price by the rates between the currencies of the "
        "exchange quote, no price of the chain. Without a valid spot price, and on test networks, "
        "`time` is 0 and each price -1, as mempool says it, for its readers expect numbers.",
    ),
    Endpoint(
        "/api/v1/historical-price",
        "getMempoolHistory",
        "Compatible",
        "The price of a time in mempool's shape, or the valid days, newest first",
        "mempool-historical-price",
        more="With `timestamp` one row: the newest valid spot price at or before it, to within "
        "10,000 seconds in the last seven days and 100,000 before, with its own `time`; a time "
        "without one is refused. Without `timestamp`, or with 0, all days: `time` is the day's "
        "midnight. `currency` may be one of the seven; a row has them all. On test networks 400.",
        parameters=(TIMESTAMP, CURRENCY),
        refusals=NO_PRICE,
    ),
    Endpoint(
        "/health",
        "getHealth",
        "Health",
        "status.json when ok or degraded",
        "status",
        more="Else 503: with status.json when stale or failing, with the error shape when builds "
        "have stopped.",
        refusals={503: "Stale or failing: status.json; BUILDS_STOPPED or SITE_NOT_BUILT: an error"},
    ),
    Endpoint("/metrics", "getMetrics", "Health", "Prometheus text", media=TEXT),
    Endpoint(
        "/data/prices.parquet",
        "getPricesParquet",
        "Files",
        "One row a block",
        media=PARQUET,
        more="Spot and window price with interval, confidence, validity and reason, and the first "
        "comparison made at that tip.",
    ),
    Endpoint(
        "/data/prices.csv",
        "getPricesCsv",
        "Files",
        "The same, four decimals, without block hashes and algorithm version",
        media=CSV,
    ),
    Endpoint(
        "/data/hours.parquet",
        "getHoursParquet",
        "Files",
        "What the spot price did in each hour: open, high, low, close, time-weighted mean",
        media=PARQUET,
    ),
    Endpoint("/data/hours.csv", "getHoursCsv", "Files", "The hours, four decimals", media=CSV),
    Endpoint("/data/days.parquet", "getDaysParquet", "Files", "The days", media=PARQUET),
    Endpoint("/data/days.csv", "getDaysCsv", "Files", "The days, four decimals", media=CSV),
    Endpoint(
        "/data/exchange.parquet",
        "getExchangeParquet",
        "Files",
        "Every exchange sample",
        media=PARQUET,
    ),
    Endpoint(
        "/data/prices/{month}.parquet",
        "getPricesOfMonth",
        "Files",
        "The prices of a calendar month",
        media=PARQUET,
        more="Rows like those of `prices.parquet` whose header time is in it, up to the last full "
        "hour where that ends with the last midnight. A month that is over keeps "
        "its file, whatever is added behind it.",
        parameters=(MONTH,),
    ),
    Endpoint(
        "/data/outputs/{month}.parquet",
        "getOutputsParquet",
        "Files",
        "Eligible outputs, when the operator publishes them",
        media=PARQUET,
        parameters=(MONTH,),
    ),
    Endpoint(
        "/data/amounts/{date}.bin",
        "getAmounts",
        "Files",
        "The amounts of all eligible outputs of a day, from which its price follows",
        media=BINARY,
        more="In sats, from the smallest up, each as the difference to the one before it (the "
        "first to 0), in LEB128: seven bits a byte, the lowest first, the eighth set where more "
        "follow.",
        parameters=(DATE,),
    ),
    Endpoint("/data/SHA256SUMS", "getSums", "Files", "For `sha256sum --check`", media=TEXT),
    Endpoint(
        "/feed.atom",
        "getAtomFeed",
        "Feeds",
        "Episodes and final days",
        media="application/atom+xml",
    ),
    Endpoint("/feed.json", "getJsonFeed", "Feeds", "The same", media="application/feed+json"),
    Endpoint("/badge.svg", "getBadge", "Feeds", "Price and difference", media="image/svg+xml"),
    Endpoint(
        "/share/now.png",
        "getPictureOfNow",
        "Feeds",
        "The newest price as a picture of 1200 by 630, as others show it of a link",
        media=PNG,
    ),
    Endpoint(
        "/share/{date}.png",
        "getPictureOfDay",
        "Feeds",
        "The same of a day: its points crowding to a line",
        media=PNG,
        parameters=(DATE,),
    ),
)

REFUSALS = {
    400: "BAD_REQUEST: the request could not be understood",
    404: "NOT_FOUND: no such file; /api/manifest.json lists every file there is",
    405: "METHOD_NOT_ALLOWED: these are files to read; only GET, HEAD and OPTIONS are allowed",
    412: "PRECONDITION_FAILED: the file is not the version the request asked for",
    413: "REQUEST_TOO_LARGE: nothing here takes a body",
    414: "URI_TOO_LONG: the address is too long",
    416: "RANGE_NOT_SATISFIABLE: the range asked for lies outside the file",
    431: "REQUEST_HEADERS_TOO_LARGE: the request's headers are too large",
    500: "INTERNAL_ERROR: the server could not answer",
    503: "SITE_NOT_BUILT: the site has not been built yet; the next build publishes it",
}
"""What nginx answers instead of a file under /api, /data, /health and /metrics, in the error
shape."""
