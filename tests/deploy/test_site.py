"""A really built release on real nginx: every path of the contract, by the description published
with it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import jinja2
import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from openapi_spec_validator import validate

from builder import assemble as render
from builder.api.contract import openapi
from builder.api.endpoints import SHAPES
from builder.pages.site import PLACEHOLDER
from builder.push.headers import headers_of
from builder.push.order import SPELLINGS
from builder.site import Output, build_site
from oracle.record.reader import Reader
from tests.deploy.running_nginx import Answer, Server, running
from tests.helpers.circumstances import context
from tests.helpers.clock import NOW_UNIX
from tests.helpers.made_history import add_block, add_failed_run, make_history

pytestmark = pytest.mark.nginx

SPEC = openapi(None)
DAYS = (1, 7, 30, 90, 365)
JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
HTML = "text/html; charset=utf-8"
SHORT = "public, max-age=30, must-revalidate"
ERROR = {
    "code": "MEMPOOL_API_UNAVAILABLE",
    "message": "gone",
    "retry_after": 300,
    "details": {"attempts": 3},
}

# Every path of the design: what it is, how long it may be kept, and whether other origins may read
# it.
PATHS = [
    *(
        (f"/api/{name}.json", JSON, SHORT, "*")
        for name in ("latest", "days", "scorecard", "episodes")
    ),
    *(
        (f"/api/history/{span}.json", JSON, SHORT, "*")
        for span in ("24h", "7d", "30d", "1y", "all")
    ),
    ("/api/status.json", JSON, "no-cache", "*"),
    ("/api/manifest.json", JSON, SHORT, "*"),
    ("/api/openapi.json", JSON, SHORT, "*"),
    ("/api/schema/latest.json", JSON, SHORT, "*"),
    ("/api/days/{date}.json", JSON, "public, max-age=86400", "*"),
    ("/api/prices/latest", JSON, SHORT, "*"),
    ("/api/prices/historical", JSON, SHORT, "*"),
    *((f"/api/prices/historical?days={days}", JSON, SHORT, "*") for days in DAYS),
    ("/api/prices/comparison", JSON, SHORT, "*"),
    *((f"/api/prices/comparison?days={days}", JSON, SHORT, "*") for days in DAYS),
    ("/api/v1/prices", JSON, SHORT, "*"),
    ("/api/v1/historical-price", JSON, SHORT, "*"),
    ("/health", JSON, "no-cache", "*"),
    ("/metrics", "text/plain; version=0.0.4; charset=utf-8", SHORT, "*"),
    *((f"/data/{name}.parquet", PARQUET, SHORT, "*") for name in ("prices", "days", "exchange")),
    *((f"/data/{name}.csv", "text/csv; charset=utf-8", SHORT, "*") for name in ("prices", "days")),
    ("/data/SHA256SUMS", "text/plain; charset=utf-8", SHORT, "*"),
    ("/feed.atom", "application/atom+xml; charset=utf-8", SHORT, "*"),
    ("/feed.json", "application/feed+json", SHORT, "*"),
    ("/badge.svg", "image/svg+xml; charset=utf-8", SHORT, "*"),
    ("/", HTML, SHORT, None),
    *(
        (f"/{page}/", HTML, SHORT, None)
        for page in ("comparison", "history", "accuracy", "method", "status", "embed")
    ),
    ("/api/", HTML, SHORT, "*"),
    ("/days/{date}/", HTML, "public, max-age=3600", None),
    ("/robots.txt", "text/plain; charset=utf-8", SHORT, None),
    ("/sitemap.xml", "application/xml; charset=utf-8", SHORT, None),
    ("/favicon.svg", "image/svg+xml; charset=utf-8", SHORT, None),
    ("/apple-touch-icon.png", "image/png", SHORT, None),
    ("/site.webmanifest", "application/manifest+json", SHORT, None),
    ("/share/now.png", "image/png", SHORT, None),
    ("/share/{date}.png", "image/png", SHORT, None),
    ("/data/amounts/{date}.bin", "application/octet-stream", "public, max-age=86400", "*"),
]


@pytest.fixture(scope="module")
def built(nginx: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three days of made-up record, built now and served; nobody changes it."""
    folder = tmp_path_factory.mktemp("built")
    with make_history(days=3, end_unix=NOW_UNIX, network="main") as connection:
        output = Output(folder / "site", with_outputs=True)
        build_site(Reader(connection), output, context(NOW_UNIX))
    with running(folder / "prefix", folder / "site", now_unix=NOW_UNIX) as server:
        yield server


@pytest.fixture(scope="module")
def date(built: Server) -> str:
    """The newest final day of the site."""
    return str(json_of(built, "/api/days.json")["days"][-1]["date"])


def json_of(server: Server, target: str) -> Any:
    answer = server.ask(target)
    assert answer.status == 200, target
    return json.loads(answer.body)


def check(value: object, schema: dict[str, Any]) -> None:
    """Validate against a schema of the published description, whose parts refer to each other."""
    whole = {**schema, "components": SPEC["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def response_schema(path: str, status: str) -> dict[str, Any]:
    schema: dict[str, Any] = SPEC["paths"][path]["get"]["responses"][status]["content"][JSON][
        "schema"
    ]
    return schema


def examples_of(path: str, date: str) -> list[str]:
    """Return the targets a reader of the description would try: each allowed value of its one
    parameter."""
    parameters = SPEC["paths"][path]["get"].get("parameters", [])
    if not parameters:
        return [path]
    name, schema = parameters[0]["name"], parameters[0]["schema"]
    if "$ref" in schema:
        schema = SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    known = {"date": date, "month": date[:7]}
    values = schema.get("enum", [known.get(name, parameters[0]["example"])])
    if parameters[0]["in"] == "path":
        return [path.replace(f"{{{name}}}", str(value)) for value in values]
    return [path, *(f"{path}?{name}={value}" for value in values)]


def is_error(answer: Answer, code: str) -> bool:
    value = json.loads(answer.body)
    check(value, {"$ref": "#/components/schemas/ErrorAnswer"})
    return bool(value["error"]["code"] == code)


@pytest.mark.parametrize(("path", "content_type", "cache_control", "origin"), PATHS)
def test_every_path_of_the_design_has_its_headers(
    built: Server, date: str, path, content_type, cache_control, origin
) -> None:
    answer = built.ask(path.format(date=date), Accept_Encoding="gzip")
    assert answer.status == 200
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == cache_control
    assert answer.headers.get("access-control-allow-origin") == origin
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self';"
    )
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', answer.headers["etag"])
    assert len({name for name, _ in answer.pairs}) == len(answer.pairs)


@pytest.mark.parametrize("path", [path for path, *_ in PATHS])
def test_every_path_of_the_design_can_be_asked_again_for_nothing(
    built: Server, date: str, path
) -> None:
    target = path.format(date=date)
    etag = built.ask(target, Accept_Encoding="gzip").headers["etag"]
    again = built.ask(target, Accept_Encoding="gzip", If_None_Match=etag)
    assert (again.status, again.body) == (304, b"")


def test_a_wallet_that_asks_for_a_time_gets_the_newest_row_before_it(built: Server) -> None:
    for hours_ago in range(1, 60):
        at_unix = NOW_UNIX - hours_ago * 3600 - 17
        history = json_of(built, f"/api/v1/historical-price?timestamp={at_unix}&currency=EUR")
        [row] = history["prices"]
        assert 0 <= at_unix - row["time"] <= 10_000 + 7_200
        assert row["EUR"] == pytest.approx(row["USD"] * 0.92, rel=0.001)
    assert json_of(built, f"/api/v1/historical-price?timestamp={NOW_UNIX + 300}")["prices"]
    assert is_error(built.ask("/api/v1/historical-price?timestamp=1500000000"), "NO_PRICE_THEN")


@pytest.mark.parametrize("path", ["/", "/embed", "/embed/other", "/api/", "/days/", "/embed.html"])
def test_no_other_answer_may_stand_in_a_frame(built: Server, path: str) -> None:
    assert "frame-ancestors 'none'" in built.ask(path).headers["content-security-policy"]


@pytest.mark.browser
@pytest.mark.slow
def test_another_site_can_show_the_page_for_frames_and_no_other(
    built: Server, recipes: dict[str, str], browser: Any
) -> None:
    page = browser.new_page()
    try:
        frames = recipes["frame"] + recipes["frame"].replace("/embed/", "/")
        page.route(
            "http://other.example/", lambda route: route.fulfill(body=frames, content_type=HTML)
        )
        page.goto("http://other.example/")
        page.wait_for_load_state("networkidle")
        shown, refused = page.frames[1:]
        usd = json_of(built, "/api/latest.json")["spot"]["price_usd"]
        shown.locator("data.hero").wait_for(timeout=5000)
        assert float(shown.locator("data.hero").get_attribute("value")) == usd
        assert refused.locator("data.hero").count() == 0
    finally:
        page.close()


class Recipes(HTMLParser):
    """The lines to copy of a page, by their names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._name: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._name = dict(attrs).get("aria-label")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._name = None

    def handle_data(self, data: str) -> None:
        if self._name:
            self.found[self._name] = self.found.get(self._name, "") + data


@pytest.fixture(scope="module")
def recipes(built: Server) -> dict[str, str]:
    """What the page for programs tells to copy, as its script makes it in the reader's browser."""
    page = built.ask("/api/").body.decode()
    found = Recipes(page).found
    return {name: text.replace(PLACEHOLDER, built.url) for name, text in found.items()}


@pytest.mark.parametrize("name", ["curl", "jq"])
def test_the_lines_for_a_shell_print_the_newest_price(built: Server, recipes, name) -> None:
    missing = [tool for tool in ("curl", "jq") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")
    done = subprocess.run(
        ["/bin/sh", "-c", recipes[name]], capture_output=True, text=True, timeout=30, check=True
    )
    told = json.loads(done.stdout)
    latest = json_of(built, "/api/latest.json")
    assert told == (latest if name == "curl" else latest["spot"]["price_usd"])


def test_the_lines_for_pandas_read_the_table(built: Server, recipes) -> None:
    names: dict[str, Any] = {}
    exec(recipes["pandas"], names)
    assert names["df"]["height"].max() == json_of(built, "/api/latest.json")["tip"]["height"]


def test_the_line_for_a_spreadsheet_names_a_table_that_a_spreadsheet_reads(built, recipes) -> None:
    [address] = re.findall(r'^=IMPORTDATA\("(.+)"\)$', recipes["Sheets"])
    assert recipes["R"] == f'days <- read.csv("{address}")'
    rows = list(
        csv.DictReader(io.StringIO(built.ask(address.removeprefix(built.url)).body.decode()))
    )
    assert [row["date"] for row in rows] == [
        day["date"] for day in json_of(built, "/api/days.json")["days"]
    ]


def test_the_sensor_for_home_assistant_has_the_newest_price(built: Server, recipes) -> None:
    """Home Assistant's templates are Jinja, `value_json` is the answer of the address."""
    [sensor] = yaml.safe_load(recipes["yaml"])["sensor"]
    latest = json_of(built, sensor["resource"].removeprefix(built.url))
    environment = jinja2.Environment()

    def said(name: str, answer: dict[str, Any]) -> str:
        return environment.from_string(sensor[name]).render(value_json=answer)

    assert said("availability", latest) == "True"
    assert said("value_template", latest) == str(round(latest["spot"]["price_usd"], 2))
    assert said("availability", {**latest, "spot": None}) == "False"


def test_the_published_description_is_a_valid_one(built: Server) -> None:
    validate(json_of(built, "/api/openapi.json"))


def test_the_published_description_is_the_one_these_tests_read(built: Server) -> None:
    assert json_of(built, "/api/openapi.json")["paths"] == SPEC["paths"]


@pytest.mark.parametrize("path", SPEC["paths"])
def test_every_example_of_the_description_is_true(built: Server, date: str, path) -> None:
    answers = [built.ask(target) for target in examples_of(path, date)]
    [expected] = SPEC["paths"][path]["get"]["responses"]["200"]["content"]
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert {answer.headers["content-type"].split(";")[0] for answer in answers} == {expected}


JSON_PATHS = [
    path for path, it in SPEC["paths"].items() if JSON in it["get"]["responses"]["200"]["content"]
]


@pytest.mark.parametrize("path", JSON_PATHS)
def test_every_json_answer_fits_its_schema(built: Server, date: str, path) -> None:
    values = [json_of(built, target) for target in examples_of(path, date)]
    check(values, {"type": "array", "minItems": 1, "items": response_schema(path, "200")})


def test_each_schema_is_published_by_itself_and_a_schema(built: Server) -> None:
    for name in SHAPES:  # a fact about all of them
        jsonschema.Draft202012Validator.check_schema(json_of(built, f"/api/schema/{name}.json"))


@pytest.mark.parametrize("path", ["/api/prices/historical", "/api/prices/comparison"])
def test_bad_days_are_answered_as_described(built: Server, path) -> None:
    answer = built.ask(f"{path}?days=8")
    assert answer.status == 400
    check(json.loads(answer.body), response_schema(path, "400"))


def test_an_unknown_day_is_answered_in_the_error_shape(built: Server) -> None:
    answer = built.ask("/api/days/2009-01-02.json")
    assert answer.status == 404
    assert is_error(answer, "NOT_FOUND")


def test_every_file_of_the_manifest_is_served_with_its_size_and_digest(built: Server) -> None:
    files = json_of(built, "/api/manifest.json")["files"]
    answers = {
        entry["path"]: built.ask(f"/{entry['path']}", Accept_Encoding="identity") for entry in files
    }
    said = {entry["path"]: (200, entry["size_bytes"], entry["sha256"]) for entry in files}
    assert said == {
        path: (answer.status, len(answer.body), hashlib.sha256(answer.body).hexdigest())
        for path, answer in answers.items()
    }


def test_every_compressed_twin_holds_the_same_as_its_file(built: Server) -> None:
    files = [
        entry for entry in json_of(built, "/api/manifest.json")["files"] if entry["gzip_bytes"]
    ]
    packed = {
        entry["path"]: built.ask(f"/{entry['path']}", Accept_Encoding="gzip") for entry in files
    }
    assert {
        path: hashlib.sha256(gzip.decompress(it.body)).hexdigest() for path, it in packed.items()
    } == {entry["path"]: entry["sha256"] for entry in files}


def test_a_store_is_told_of_each_file_what_nginx_says_of_it(built: Server) -> None:
    paths = [entry["path"] for entry in json_of(built, "/api/manifest.json")["files"]]
    told = {path: headers_of(path) for path in paths}
    said = {path: built.ask(f"/{path}").headers for path in paths}
    other = {
        path: (told[path].content_type, told[path].cache_control, said[path])
        for path in paths
        if (told[path].content_type, told[path].cache_control)
        != (said[path]["content-type"], said[path]["cache-control"])
    }
    assert other == {}


@pytest.mark.parametrize("key", SPELLINGS)
def test_a_store_is_told_of_each_other_spelling_what_nginx_says_of_it(built, key) -> None:
    headers = built.ask(f"/{key}").headers
    told = headers_of(key)
    assert (told.content_type, told.cache_control) == (
        headers["content-type"],
        headers["cache-control"],
    )


def test_the_manifest_names_nothing_that_is_not_published(built: Server) -> None:
    paths = [entry["path"] for entry in json_of(built, "/api/manifest.json")["files"]]
    assert not [path for path in paths if path.startswith((".", "health/")) or path.endswith(".gz")]


def test_the_sums_of_the_data_are_right(built: Server) -> None:
    lines = built.ask("/data/SHA256SUMS").body.decode().splitlines()
    said = dict(reversed(line.split("  ")) for line in lines)
    assert said == {
        name: hashlib.sha256(built.ask(f"/data/{name}").body).hexdigest() for name in said
    }
    assert {"prices.parquet", "days.parquet", "exchange.parquet", "prices.csv", "days.csv"} <= set(
        said
    )


class RemoteFile(io.RawIOBase):
    """A file read over HTTP by byte ranges, as DuckDB and pyarrow read remote Parquet."""

    def __init__(self, server: Server, target: str) -> None:
        self.server, self.target, self.at, self.fetched = server, target, 0, 0
        self.size = int(server.ask(target, "HEAD").headers["content-length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def read(self, size: int = -1) -> bytes:
        stop = self.size if size < 0 else min(self.size, self.at + size)
        answer = self.server.ask(self.target, Range=f"bytes={self.at}-{stop - 1}")
        assert answer.status == 206
        self.at, self.fetched = stop, self.fetched + len(answer.body)
        return answer.body


def test_one_column_of_parquet_is_read_over_http_without_the_rest(built: Server) -> None:
    whole = pq.read_table(io.BytesIO(built.ask("/data/prices.parquet").body))
    remote = RemoteFile(built, "/data/prices.parquet")
    column = pq.ParquetFile(remote).read(columns=["height"])
    assert column.equals(whole.select(["height"]))
    assert remote.fetched < remote.size


def test_pandas_reads_parquet_and_csv_by_their_addresses(built: Server) -> None:
    parquet, text = (f"{built.url}/data/days.{kind}" for kind in ("parquet", "csv"))
    assert len(pd.read_parquet(parquet)) == len(pd.read_csv(text)) == 2


def test_metrics_are_prometheus_text(built: Server) -> None:
    lines = built.ask("/metrics").body.decode().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert 'oracle_status{status="ok"} 1.0' in samples
    assert not [
        line for line in samples if not re.fullmatch(r"[a-z_]+(\{.*\})? -?[0-9.eE+-]+", line)
    ]


def test_the_feeds_are_what_their_types_say(built: Server) -> None:
    atom = ElementTree.fromstring(built.ask("/feed.atom").body)
    items = json_of(built, "/feed.json")["items"]
    assert atom.tag == "{http://www.w3.org/2005/Atom}feed"
    assert len(atom.findall("{http://www.w3.org/2005/Atom}entry")) == len(items) >= 2


def test_a_csv_of_a_day_has_as_many_points_as_its_json(built: Server, date: str) -> None:
    rows = list(csv.reader(built.ask(f"/api/days/{date}.csv").body.decode().splitlines()))
    points = json_of(built, f"/api/days/{date}.json")["price_points"]
    assert len(rows) - 1 == len(points["price_usd"])


class Links(HTMLParser):
    """Collects where a page leads, what it loads, and what its own policy would forbid."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.leads: set[str] = set()
        self.loads: set[str] = set()
        self.forbidden: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        kept = {"canonical", "alternate"} & set((given.get("rel") or "").split())
        address = given.get("src") or given.get("href")
        if address and not kept:
            (self.leads if tag == "a" else self.loads).add(address)
        is_data = (given.get("type") or "").endswith("json")
        inline = tag == "style" or (tag == "script" and "src" not in given and not is_data)
        if inline or "style" in given or any(name.startswith("on") for name in given):
            self.forbidden.append(self.get_starttag_text() or tag)


PAGES = [
    "/",
    "/comparison/",
    "/history/",
    "/history/2025/",
    "/accuracy/",
    "/method/",
    "/api/",
    "/status/",
    "/days/{date}/",
    "/nowhere",
]


@pytest.mark.parametrize("page", PAGES)
def test_no_link_of_a_page_is_broken_and_it_loads_only_our_files(
    built: Server, date: str, page
) -> None:
    target = page.format(date=date)
    links = Links(built.ask(target).body.decode())
    local = [
        link
        for link in links.leads | links.loads
        if not link.startswith("#") and not urlsplit(link).scheme
    ]
    broken = [
        link for link in local if built.ask(urljoin(target, link).split("#")[0]).status != 200
    ]
    assert broken == []
    assert not [link for link in links.loads if urlsplit(link).netloc]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_holds_what_its_policy_forbids(built: Server, date: str, page) -> None:
    assert Links(built.ask(page.format(date=date)).body.decode()).forbidden == []


def test_assets_are_named_by_their_content_and_kept_for_ever(built: Server) -> None:
    files = json_of(built, "/api/manifest.json")["files"]
    assets = [entry for entry in files if entry["path"].startswith("assets/")]
    others = [
        entry["path"] for entry in assets if entry["path"].split(".")[-2] not in entry["sha256"]
    ]
    # Plotly's name has a hash of its size and version: to go through it takes long.
    assert [path.split(".")[0] for path in others] == ["assets/plotly"]
    answers = [built.ask(f"/{entry['path']}") for entry in assets]
    assert {answer.headers["cache-control"] for answer in answers} == {
        "public, max-age=31536000, immutable"
    }


def test_the_status_file_is_what_health_answers(built: Server) -> None:
    answer = built.ask("/health")
    assert (answer.status, answer.body) == (200, built.ask("/api/status.json").body)


@pytest.fixture
def rebuilt(serve, tmp_path: Path) -> Iterator[tuple[Server, Any]]:
    """A site of the test's own that is served, and the record it was built from, twenty minutes
    ago."""
    now_unix = NOW_UNIX - 1200
    output = Output(tmp_path / "site")
    with make_history(days=2, end_unix=now_unix) as connection:
        build_site(Reader(connection), output, context(now_unix))
        yield serve(output.site_dir), (connection, output, now_unix)


def test_a_new_block_shows_with_the_next_request_and_a_new_etag(rebuilt) -> None:
    server, (connection, output, _) = rebuilt
    before = server.ask("/api/latest.json")
    time_unix = add_block(connection)
    build_site(Reader(connection), output, context(time_unix))
    after = server.ask("/api/latest.json", If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert json.loads(after.body)["tip"]["height"] == json.loads(before.body)["tip"]["height"] + 1


def test_past_days_keep_their_etags_over_builds(rebuilt) -> None:
    server, (connection, output, _) = rebuilt
    target = f"/api/days/{json_of(server, '/api/days.json')['days'][0]['date']}.json"
    etag = server.ask(target).headers["etag"]
    build_site(Reader(connection), output, context(add_block(connection)))
    assert server.ask(target, If_None_Match=etag).status == 304


def test_readers_during_builds_get_whole_answers_and_never_an_error(rebuilt) -> None:
    server, (connection, output, _) = rebuilt
    targets = ["/api/latest.json", "/api/days.json", "/", "/data/prices.parquet", "/health"]
    is_over = threading.Event()

    def read_on() -> set[tuple[int, bool]]:
        seen: set[tuple[int, bool]] = set()
        while not is_over.is_set():
            answers = [server.ask(target) for target in targets]
            seen |= {
                (it.status, it.body.endswith((b"}\n", b"</html>", b"</html>\n", b"PAR1")))
                for it in answers
            }
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        try:
            for _ in range(4):  # more than are kept, so that old releases are made over, too
                build_site(
                    Reader(connection),
                    output._replace(keep_releases=2),
                    context(add_block(connection, 60)),
                )
        finally:
            is_over.set()
    assert set().union(*(reader.result() for reader in readers)) == {(200, True)}


def stylesheets(server: Server) -> set[str]:
    return {link for link in Links(server.ask("/").body.decode()).loads if link.endswith(".css")}


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Change every stylesheet, as a new version of the program might."""

    def change() -> None:
        changed = {
            name: asset._replace(path=asset.path.replace(".css", "-newer.css"))
            for name, asset in render.pages_assets().items()
        }
        monkeypatch.setattr(render, "pages_assets", lambda: changed)

    return change


def test_a_page_loaded_just_before_an_upgrade_still_finds_its_styles(rebuilt, upgrade) -> None:
    server, (connection, output, _) = rebuilt
    before = stylesheets(server)
    upgrade()
    build_site(Reader(connection), output, context(add_block(connection)))
    assert before and not before & stylesheets(server)
    assert {server.ask(link).status for link in before} == {200}


def test_styles_that_no_page_of_the_last_two_releases_loads_are_gone(rebuilt, upgrade) -> None:
    server, (connection, output, _) = rebuilt
    before = stylesheets(server)
    upgrade()
    build_site(Reader(connection), output, context(add_block(connection)))
    build_site(Reader(connection), output, context(add_block(connection)))
    assert {server.ask(link).status for link in before} == {404}


def test_a_failed_run_turns_health_to_503_with_the_error_in_the_status(rebuilt) -> None:
    server, (connection, output, now_unix) = rebuilt
    add_failed_run(connection, ERROR, now_unix + 60)
    build_site(Reader(connection), output, context(now_unix + 60))
    answer = server.ask("/health")
    status = json.loads(answer.body)
    assert answer.status == 503
    assert (status["status"], status["error"]["code"]) == ("failing", ERROR["code"])
    check(status, response_schema("/health", "503"))


@pytest.fixture(scope="module")
def failed_at_once(nginx: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The site of a first run that failed: there is no data yet."""
    folder = tmp_path_factory.mktemp("failed")
    with make_history(days=0) as connection:
        add_failed_run(connection, ERROR, NOW_UNIX)
        build_site(Reader(connection), Output(folder / "site"), context(NOW_UNIX))
    with running(folder / "prefix", folder / "site", now_unix=NOW_UNIX) as server:
        yield server


@pytest.mark.parametrize("page", ["/", "/status/", "/history/", "/accuracy/", "/method/", "/api/"])
def test_after_a_first_run_that_failed_every_page_is_there(failed_at_once: Server, page) -> None:
    assert failed_at_once.ask(page).status == 200


@pytest.mark.parametrize("name", ["latest", "status", "days", "episodes", "scorecard", "manifest"])
def test_after_a_first_run_that_failed_the_json_fits_its_schema(
    failed_at_once: Server, name
) -> None:
    value = json_of(failed_at_once, f"/api/{name}.json")
    check(value, response_schema(f"/api/{name}.json", "200"))


def test_after_a_first_run_that_failed_health_says_why(failed_at_once: Server) -> None:
    answer = failed_at_once.ask("/health")
    assert answer.status == 503
    assert json.loads(answer.body)["error"] == ERROR


def test_the_next_good_run_turns_health_to_200_again(rebuilt) -> None:
    server, (connection, output, now_unix) = rebuilt
    add_failed_run(connection, ERROR, now_unix + 60)
    build_site(Reader(connection), output, context(now_unix + 60))
    build_site(Reader(connection), output, context(add_block(connection)))
    assert server.ask("/health").status == 200


def test_a_site_built_long_ago_is_unhealthy_by_the_clock_alone(serve, tmp_path: Path) -> None:
    long_ago = NOW_UNIX - 2000  # the last of three intervals of 600 s ended 200 s ago
    output = Output(tmp_path / "site")
    with make_history(days=2, end_unix=long_ago) as connection:
        build_site(Reader(connection), output, context(long_ago))
    answer = serve(output.site_dir).ask("/health")
    assert answer.status == 503
    assert is_error(answer, "BUILDS_STOPPED")
    check(json.loads(answer.body), response_schema("/health", "503"))


def test_builds_that_stopped_count_as_healthy_for_three_intervals(serve, tmp_path: Path) -> None:
    a_while_ago = NOW_UNIX - 1500
    output = Output(tmp_path / "site")
    with make_history(days=2, end_unix=a_while_ago) as connection:
        build_site(Reader(connection), output, context(a_while_ago))
    assert serve(output.site_dir).ask("/health").status == 200
