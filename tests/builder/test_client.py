"""A client that others' hands make of openapi.json, used against a served release."""

from __future__ import annotations

import datetime
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.site import Output, build_site
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import make_history

PACKAGE = "generated_oracle_client"
CONFIG = """\
post_hooks: []
content_type_overrides:
  application/vnd.apache.parquet: application/octet-stream
  application/atom+xml: application/octet-stream
  application/feed+json: application/json
  image/png: application/octet-stream
  image/svg+xml: application/octet-stream
"""
SPELLINGS = {
    "/api/prices/latest": "api/compat/prices-latest.json",
    "/api/prices/historical": "api/compat/historical-{days}.json",
    "/api/prices/comparison": "api/compat/comparison-{days}.json",
    "/api/v1/prices": "api/compat/mempool-prices.json",
    "/api/v1/historical-price": "api/compat/mempool-historical-price.json",
    "/health": "api/status.json",
    "/metrics": "metrics.txt",
}


class Files(SimpleHTTPRequestHandler):
    """Serves a release under its addresses, as nginx does; what is missing in the error shape."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        days = parse_qs(asked.query).get("days", ["7"])[0]
        path = SPELLINGS.get(asked.path, asked.path.lstrip("/")).format(days=days)
        file = Path(self.directory) / path
        data = file.read_bytes() if file.is_file() else b""
        error = {"code": "NOT_FOUND", "message": "No such file", "retry_after": None}
        self.send_response(200 if data else 404)
        self.end_headers()
        self.wfile.write(data or json.dumps({"error": {**error, "details": {}}}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of three days that nobody gave an address."""
    with make_history(days=3, outputs_per_block=20, network="main") as connection:
        output = Output(tmp_path_factory.mktemp("site"))
        return build_site(Reader(connection), output, context()).folder


@pytest.fixture(scope="module")
def models(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the package that was generated from the published description."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yml").write_text(CONFIG)
    command = [
        *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
        *("--path", str(release / "api/openapi.json"), "--config", str(folder / "config.yml")),
        *("--meta", "none", "--output-path", str(folder / PACKAGE)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    sys.path.insert(0, str(folder))
    yield PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def client(models: str, release: Path) -> Iterator[Any]:
    """The generated client, at the release."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(release)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with importlib.import_module(models).Client(base_url=url) as made:
        yield made
    server.shutdown()
    thread.join()
    server.server_close()


def call(client: Any, operation: str, *arguments: Any, **parameters: Any) -> Any:
    """Call an operation by its group and name: `json.get_latest`."""
    module = importlib.import_module(f"{PACKAGE}.api.{operation}")
    return module.sync(*arguments, client=client, **parameters)


def read(release: Path, path: str) -> Any:
    return json.loads((release / path).read_bytes())


FILES = {
    "latest": ("json.get_latest", "Latest"),
    "days": ("json.get_days", "Days"),
    "window": ("json.get_window", "Window"),
    "scorecard": ("json.get_scorecard", "Scorecard"),
    "episodes": ("json.get_episodes", "Episodes"),
    "status": ("json.get_status", "Status"),
    "manifest": ("json.get_manifest", "Manifest"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_file_comes_back_whole_as_an_object_of_a_short_class(
    client: Any, release: Path, name: str
) -> None:
    operation, kind = FILES[name]
    found = call(client, operation)
    assert type(found).__name__ == kind
    assert as_published(found.to_dict()) == read(release, f"api/{name}.json")


def as_published(value: Any) -> Any:
    """Undo what isoformat() does to our Z."""
    if isinstance(value, dict):
        return {key: as_published(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_published(part) for part in value]
    return value.replace("+00:00", "Z") if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["24h", "7d", "30d", "1y", "all"])
def test_each_range_of_history_is_a_history(client: Any, release: Path, name: str) -> None:
    ranges = importlib.import_module(f"{PACKAGE}.models").Range
    found = call(client, "json.get_history", ranges(name))
    assert type(found).__name__ == "History"
    assert found.spot_usd == read(release, f"api/history/{name}.json")["spot_usd"]


def test_a_day_is_asked_for_by_its_date_and_has_one(client: Any) -> None:
    date = datetime.date(2025, 10, 8)
    found = call(client, "json.get_day", date)
    assert (type(found).__name__, found.date) == ("Day", date)


def test_times_are_datetimes_in_utc(client: Any, release: Path) -> None:
    found = call(client, "json.get_latest")
    moments = (found.generated_at, found.tip.time, found.exchange.quoted_at, found.next_due_at)
    assert {moment.utcoffset() for moment in moments} == {datetime.timedelta(0)}
    assert found.generated_at.timestamp() == found.generated_at_unix


def test_the_compatible_spellings_are_described_and_usable(client: Any, release: Path) -> None:
    entry = call(client, "compatible.get_prices_latest")
    entries = call(client, "compatible.get_prices_historical")
    comparison = call(client, "compatible.get_prices_comparison")
    assert entry.utxoracle_price == entries[-1].utxoracle_price
    assert comparison.total_entries == len(entries)
    assert call(client, "compatible.get_mempool_price").usd > 0
    assert call(client, "compatible.get_mempool_history").prices[0].time % 86_400 == 0


def test_a_file_that_is_not_there_is_an_error_answer(client: Any) -> None:
    found = call(client, "json.get_day", datetime.date(2009, 1, 3))
    assert type(found).__name__ == "ErrorAnswer"
    assert found.error.code == "NOT_FOUND"


def test_parquet_files_come_as_bytes(client: Any, release: Path) -> None:
    found = call(client, "files.get_days_parquet")
    assert found.payload.read() == (release / "data/days.parquet").read_bytes()


def test_a_site_without_an_address_describes_itself_by_relative_ones(release: Path) -> None:
    assert read(release, "api/openapi.json")["servers"] == [{"url": "/"}]
    assert "127.0.0.1" not in (release / "api/openapi.json").read_text()
