"""Every file for programs, with live examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.filters import pretty
from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of

if TYPE_CHECKING:
    from builder.api.types import ErrorAnswer

TITLE = "Data and API · On-chain Bitcoin price"
DESCRIPTION = (
    "Every file of the on-chain Bitcoin price: JSON, Parquet and CSV, with live examples and "
    "schemas."
)
MAX_EXAMPLES = 2
"""Lists in examples are cut to so many entries."""

TABLES = (
    ("/data/prices.parquet", "One row a block: spot, window, exchange, difference, confidence"),
    ("/data/prices.csv", "The same as CSV"),
    ("/api/price-months.json", "The same by calendar month: Parquet files that stay as they are"),
    ("/data/days.parquet", "One row a final UTC day"),
    ("/data/days.csv", "The same as CSV"),
    ("/data/hours.parquet", "The spot price of each hour: open, high, low, close, mean"),
    ("/data/hours.csv", "The same as CSV"),
    ("/data/exchange.parquet", "Every exchange quote that was taken"),
)
NOT_FOUND: ErrorAnswer = {
    "error": {
        "code": "NOT_FOUND",
        "message": "There is no such file.",
        "retry_after": None,
        "details": {},
    }
}
DAY_PATH = "/api/days/{}.json"
NO_DATE = "YYYY-MM-DD"


class Endpoint(NamedTuple):
    """An address, the file that answers, the name of its schema, and what it is."""

    path: str
    file: str
    schema: str
    words: str


ENDPOINTS = (
    Endpoint(
        "/api/latest.json",
        "api/latest.json",
        "latest",
        "The newest prices, the comparison, and what to watch out for.",
    ),
    Endpoint(
        "/api/history/7d.json",
        "api/history/7d.json",
        "history",
        "The record as columns of equal length; also 24h, 30d, 1y and all.",
    ),
    Endpoint("/api/days.json", "api/days.json", "days", "One row a final UTC day, oldest first."),
    Endpoint(DAY_PATH, DAY_PATH[1:], "day", "All one needs to check and redraw one day."),
    Endpoint(
        "/api/window.json", "api/window.json", "window", "The newest window, in the shape of a day."
    ),
    Endpoint(
        "/api/scorecard.json",
        "api/scorecard.json",
        "scorecard",
        "How far the on-chain prices were from the exchange.",
    ),
    Endpoint(
        "/api/episodes.json",
        "api/episodes.json",
        "episodes",
        "Episodes of large divergence, low confidence and publishers who differ, newest first.",
    ),
    Endpoint(
        "/api/peers.json",
        "api/peers.json",
        "peers",
        "What other publishers say of the same blocks, and who agrees.",
    ),
    Endpoint(
        "/api/status.json",
        "api/status.json",
        "status",
        "Health of the oracle and its sources; /health says the same with 200 or 503.",
    ),
    Endpoint(
        "/api/prices/latest",
        "api/compat/prices-latest.json",
        "compat-latest",
        "The newest entry in the shape of an older dashboard.",
    ),
    Endpoint(
        "/api/prices/historical?days=7",
        "api/compat/historical-7.json",
        "compat-historical",
        "The same, oldest first; days is 1, 7, 30, 90 or 365.",
    ),
    Endpoint(
        "/api/prices/comparison?days=7",
        "api/compat/comparison-7.json",
        "compat-comparison",
        "Statistics of the differences over that time.",
    ),
    Endpoint(
        "/api/v1/prices",
        "api/compat/mempool-prices.json",
        "mempool-prices",
        "In mempool\N{RIGHT SINGLE QUOTATION MARK}s shape, so that wallets and home servers can "
        "point here.",
    ),
    Endpoint(
        "/api/v1/historical-price",
        "api/compat/mempool-historical-price.json",
        "mempool-historical-price",
        "Day prices in mempool\N{RIGHT SINGLE QUOTATION MARK}s shape, newest first.",
    ),
)


class EndpointView(NamedTuple):
    """An address as it is shown; `example` is this build's own file, None where there is none."""

    path: str
    is_link: bool
    schema: str
    words: str
    example: str | None


class ApiView(NamedTuple):
    """All that the API page says; tables are (path, words), `prices` is an address."""

    frame: Frame
    tables: Sequence[tuple[str, str]]
    prices: str
    public_key: str | None
    licence: str | None
    endpoints: Sequence[EndpointView]
    error_example: str


def api_view(site: Site) -> ApiView:
    """Return the view of the API page."""
    return ApiView(
        frame=frame_of(site, title=TITLE, description=DESCRIPTION, section="/api/"),
        tables=TABLES,
        prices=f"{site.origin}/data/prices.parquet",
        public_key=site.public_key,
        licence=site.licence,
        endpoints=[_endpoint(site, endpoint) for endpoint in ENDPOINTS],
        error_example=pretty(NOT_FOUND),
    )


def _endpoint(site: Site, endpoint: Endpoint) -> EndpointView:
    date = site.days[-1]["date"] if site.days else NO_DATE
    path = endpoint.path.format(date)
    file = endpoint.file.format(date)
    example = pretty(short(site.objects[file])) if file in site.objects else None
    return EndpointView(path, NO_DATE not in path, endpoint.schema, endpoint.words, example)


def short(value: object) -> object:
    """Return a JSON value with long lists cut to two entries."""
    if isinstance(value, Mapping):
        return {key: short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [short(inner) for inner in value[:MAX_EXAMPLES]]
    return value
