"""The shipped site file on real nginx, with a release made by hand: headers, errors, what stays
closed."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy.conftest import COMPAT, LATEST, PARQUET, STATUS, hand_made_files
from tests.deploy.running_nginx import (
    SITE_FILE,
    Server,
    command,
    configure,
    free_port,
    point_at,
    running,
    write_tree,
)
from tests.helpers.clock import NOW_UNIX

pytestmark = pytest.mark.nginx

SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; "
    "form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
EVERY_KIND_OF_ANSWER = [
    ("GET", "/", 200),
    ("GET", "/api/latest.json", 200),
    ("HEAD", "/data/prices.parquet", 200),
    ("GET", "/history", 301),
    ("OPTIONS", "/api/latest.json", 204),
    ("GET", "/nowhere", 404),
    ("GET", "/api/nowhere.json", 404),
    ("GET", "/api/nowhere.html", 404),
    ("GET", "/data/", 404),
    ("GET", "/.secret", 404),
    ("POST", "/api/latest.json", 405),
    ("DELETE", "/", 405),
    ("TRACE", "/", 405),
    ("GET", "/api/prices/historical?days=8", 400),
    ("GET", "/%zz", 400),
    ("GET", "/" + "x" * 9000, 414),
]


def is_error(body: bytes, code: str) -> bool:
    error = json.loads(body)["error"]
    return error["code"] == code and set(error) == {"code", "message", "retry_after", "details"}


def test_nginx_accepts_the_site_file(nginx: str, tmp_path: Path, site: Path) -> None:
    configure(tmp_path, site, free_port())
    checked = subprocess.run(command(tmp_path, "-t"), check=False, capture_output=True, text=True)
    assert "syntax is ok" in checked.stderr
    assert "warn" not in checked.stderr


def test_no_location_of_the_site_file_adds_a_header() -> None:
    inside = SITE_FILE.read_text().split("error_page 403 404", 1)[1]
    assert "add_header" not in re.sub(r"#.*", "", inside)


@pytest.mark.parametrize(("method", "target", "status"), EVERY_KIND_OF_ANSWER)
def test_every_kind_of_answer_carries_the_security_headers_once(
    server: Server, method, target, status
) -> None:
    answer = server.ask(target, method)
    assert answer.status == status
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    assert len({name for name, _ in answer.pairs}) == len(answer.pairs)


@pytest.mark.parametrize(("method", "target", "status"), EVERY_KIND_OF_ANSWER)
def test_no_answer_tells_the_version_of_nginx(server: Server, method, target, status) -> None:
    answer = server.ask(target, method)
    assert answer.headers["server"] == "nginx"
    assert b"nginx/" not in answer.body


def test_the_policy_lets_no_inline_script_or_style_run(server: Server) -> None:
    assert "unsafe" not in server.ask("/").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/api/", "text/html; charset=utf-8"),
        ("/api/latest.json", "application/json"),
        ("/api/prices/latest", "application/json"),
        ("/api/v1/prices", "application/json"),
        ("/health", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/data/prices.parquet", "application/vnd.apache.parquet"),
        ("/data/days.csv", "text/csv; charset=utf-8"),
        ("/data/SHA256SUMS", "text/plain; charset=utf-8"),
        ("/feed.atom", "application/atom+xml; charset=utf-8"),
        ("/feed.json", "application/feed+json"),
        ("/badge.svg", "image/svg+xml; charset=utf-8"),
        ("/robots.txt", "text/plain; charset=utf-8"),
        ("/sitemap.xml", "application/xml; charset=utf-8"),
        ("/assets/style.0123abcd.css", "text/css; charset=utf-8"),
        ("/assets/app.0123abcd.js", "text/javascript; charset=utf-8"),
    ],
)
def test_each_kind_of_file_has_its_type(server: Server, target, content_type) -> None:
    assert server.ask(target).headers["content-type"] == content_type


@pytest.mark.parametrize(
    ("target", "cache_control"),
    [
        ("/", "public, max-age=30, must-revalidate"),
        ("/api/latest.json", "public, max-age=30, must-revalidate"),
        ("/api/prices/historical", "public, max-age=30, must-revalidate"),
        ("/data/prices.parquet", "public, max-age=30, must-revalidate"),
        ("/assets/app.0123abcd.js", "public, max-age=31536000, immutable"),
        ("/api/days/2025-10-09.json", "public, max-age=86400"),
        ("/days/2025-10-09/", "public, max-age=3600"),
        ("/api/status.json", "no-cache"),
        ("/health", "no-cache"),
        ("/assets/nowhere.js", "no-store"),
        ("/api/days/2009-01-02.json", "no-store"),
        ("/nowhere", "no-store"),
    ],
)
def test_each_kind_of_file_may_be_kept_for_its_time(server: Server, target, cache_control) -> None:
    assert server.ask(target).headers["cache-control"] == cache_control


@pytest.mark.parametrize(
    "target",
    [
        "/api/latest.json",
        "/api/prices/latest",
        "/api/v1/prices",
        "/data/prices.parquet",
        "/data/days.csv",
        "/feed.atom",
        "/feed.json",
        "/badge.svg",
        "/health",
        "/metrics",
        "/api/nowhere.json",
        "/api/prices/historical?days=x",
    ],
)
def test_what_programs_read_is_open_to_every_origin(server: Server, target) -> None:
    headers = server.ask(target, Origin="https://example.org").headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("target", ["/", "/history/", "/assets/app.0123abcd.js", "/nowhere"])
def test_pages_and_scripts_are_not_open_to_other_origins(server: Server, target) -> None:
    headers = server.ask(target, Origin="https://example.org").headers
    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_browser_may_ask_first_for_a_range_of_the_data(server: Server) -> None:
    answer = server.ask("/data/prices.parquet", "OPTIONS", Origin="https://example.org")
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "Range" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "86400"


def test_a_page_answers_options_without_opening_itself(server: Server) -> None:
    answer = server.ask("/", "OPTIONS", Origin="https://example.org")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "access-control-allow-methods" not in answer.headers


def test_other_origins_may_read_the_headers_that_ranges_and_caching_need(server: Server) -> None:
    exposed = server.ask("/data/prices.parquet").headers["access-control-expose-headers"]
    assert {"ETag", "Content-Range", "Accept-Ranges"} <= set(exposed.split(", "))


def test_the_compressed_twin_goes_to_who_accepts_it(server: Server) -> None:
    answer = server.ask("/api/latest.json", Accept_Encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(answer.body).decode() == LATEST


def test_the_plain_file_goes_to_who_does_not(server: Server) -> None:
    answer = server.ask("/api/latest.json", Accept_Encoding="identity")
    assert "content-encoding" not in answer.headers
    assert answer.body.decode() == LATEST


def test_nothing_is_compressed_at_the_time_of_the_request(server: Server) -> None:
    assert "content-encoding" not in server.ask("/history/", Accept_Encoding="gzip").headers


def test_both_twins_have_strong_etags_of_their_own(server: Server) -> None:
    tags = {
        server.ask("/api/latest.json", Accept_Encoding=how).headers["etag"]
        for how in ("gzip", "identity")
    }
    assert len(tags) == 2
    assert not any(tag.startswith("W/") for tag in tags)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_asking_again_by_etag_gives_304_without_a_body(server: Server, encoding) -> None:
    etag = server.ask("/api/latest.json", Accept_Encoding=encoding).headers["etag"]
    again = server.ask("/api/latest.json", Accept_Encoding=encoding, If_None_Match=etag)
    assert (again.status, again.body) == (304, b"")
    assert again.headers["cache-control"] == "public, max-age=30, must-revalidate"
    assert again.headers["access-control-allow-origin"] == "*"


def test_asking_again_by_date_gives_304_only_for_that_very_date(server: Server) -> None:
    date = server.ask("/api/latest.json").headers["last-modified"]
    assert server.ask("/api/latest.json", If_Modified_Since=date).status == 304
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    assert server.ask("/api/latest.json", If_Modified_Since=later).status == 200


def test_a_range_of_parquet_is_exactly_those_bytes(server: Server) -> None:
    answer = server.ask("/data/prices.parquet", Range="bytes=100-199")
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes 100-199/{len(PARQUET)}"
    assert answer.body == PARQUET[100:200]


def test_the_last_bytes_of_parquet_can_be_asked_for(server: Server) -> None:
    assert server.ask("/data/prices.parquet", Range="bytes=-8").body == PARQUET[-8:]


def test_a_range_of_another_version_gives_the_whole_file(server: Server) -> None:
    answer = server.ask("/data/prices.parquet", Range="bytes=0-9", If_Range='"another"')
    assert (answer.status, answer.body) == (200, PARQUET)


def test_a_range_outside_the_file_says_how_long_it_is_and_each_header_once(server: Server) -> None:
    answer = server.ask("/data/prices.parquet", Range="bytes=999999-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(PARQUET)}"
    assert is_error(answer.body, "RANGE_NOT_SATISFIABLE")
    assert [value for name, value in answer.pairs if name == "access-control-allow-origin"] == ["*"]
    assert len({name for name, _ in answer.pairs}) == len(answer.pairs)
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY


def test_parquet_says_that_it_takes_ranges(server: Server) -> None:
    assert server.ask("/data/prices.parquet", "HEAD").headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("/api/prices/latest", "prices-latest"),
        ("/api/v1/prices", "mempool-prices"),
        ("/api/v1/historical-price", "mempool-historical-price"),
        ("/api/v1/historical-price?currency=USD", "mempool-historical-price"),
        ("/api/prices/historical", "historical-7"),
        ("/api/prices/comparison", "comparison-7"),
        ("/api/prices/historical?limit=5", "historical-7"),
        ("/api/prices/historical?_=1&days=30", "historical-30"),
        *(
            (f"/api/prices/historical?days={days}", f"historical-{days}")
            for days in (1, 7, 30, 90, 365)
        ),
        *(
            (f"/api/prices/comparison?days={days}", f"comparison-{days}")
            for days in (1, 7, 30, 90, 365)
        ),
    ],
)
def test_a_compatible_spelling_gives_its_file(server: Server, target, file) -> None:
    assert server.ask(target).body.decode() == COMPAT[file]


@pytest.mark.parametrize(
    "days", ["", "0", "2", "8", "-7", "07", "7.0", "7 ", "+7", "%37", "abc", "7/../../x", "3650"]
)
@pytest.mark.parametrize("path", ["historical", "comparison"])
def test_other_days_are_refused_in_the_error_shape(server: Server, path, days) -> None:
    answer = server.ask(f"/api/prices/{path}?days={days.replace(' ', '%20')}")
    assert answer.status == 400
    assert is_error(answer.body, "INVALID_DAYS")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "file"),
    [
        ("timestamp=1760040000", "10000/176004"),
        ("timestamp=1760049999&currency=EUR", "10000/176004"),
        ("currency=USD&timestamp=1760050000", "10000/176005"),
        ("timestamp=1760000000", "100000/17600"),
        ("timestamp=1760039999", "100000/17600"),
        ("timestamp=1759999999", "100000/17599"),
    ],
)
def test_the_price_of_a_time_is_the_newest_row_of_the_grid_before_it(
    server: Server, query, file
) -> None:
    answer = server.ask(f"/api/v1/historical-price?{query}")
    assert (answer.status, answer.body.decode()) == (200, file)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", ["", "?timestamp=0", "?timestamp=", "?currency=GBP", "?x=1"])
def test_without_a_time_the_whole_history_is_given(server: Server, query) -> None:
    answer = server.ask(f"/api/v1/historical-price{query}")
    assert answer.body.decode() == COMPAT["mempool-historical-price"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("timestamp=1650000000", "NO_PRICE_THEN"),
        ("timestamp=176004000", "NO_PRICE_THEN"),
        ("timestamp=1760040000000", "NO_PRICE_THEN"),
        ("timestamp=7", "NO_PRICE_THEN"),
        ("timestamp=-1760040000", "INVALID_TIMESTAMP"),
        ("timestamp=1760040000.5", "INVALID_TIMESTAMP"),
        ("timestamp=1760040000/../x", "INVALID_TIMESTAMP"),
        ("timestamp=2025-10-09", "INVALID_TIMESTAMP"),
        ("timestamp=1760040000&timestamp=1", "INVALID_TIMESTAMP"),
        ("timestamp", "INVALID_TIMESTAMP"),
        ("timestamp=1760040000&currency=usd", "INVALID_CURRENCY"),
        ("currency=XAU", "INVALID_CURRENCY"),
        ("currency=USD&currency=EUR", "INVALID_CURRENCY"),
    ],
)
def test_a_time_or_currency_that_there_is_not_is_refused_in_the_error_shape(
    server: Server, query, code
) -> None:
    answer = server.ask(f"/api/v1/historical-price?{query}")
    assert answer.status == 400
    assert is_error(answer.body, code)
    assert answer.headers["content-type"] == "application/json"


def test_on_a_test_network_prices_of_a_time_are_refused_as_mempool_does(
    nginx: str, tmp_path: Path
) -> None:
    files = {
        path: text for path, text in hand_made_files().items() if "historical-price" not in path
    }
    write_tree(tmp_path / "site/releases/one", files)
    point_at(tmp_path / "site", "one")
    with running(tmp_path / "prefix", tmp_path / "site", now_unix=NOW_UNIX) as it:
        answer = it.ask("/api/v1/historical-price?timestamp=1760040000")
    assert answer.status == 400
    assert is_error(answer.body, "NO_PRICES")


@pytest.mark.parametrize("query", ["days=7&days=8", "days=8&days=7", "days", "x=1&days"])
def test_days_given_twice_or_without_a_value_is_refused(server: Server, query) -> None:
    assert server.ask(f"/api/prices/historical?{query}").status == 400


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/api/nowhere", 404, "NOT_FOUND"),
        ("GET", "/api/nowhere.html", 404, "NOT_FOUND"),
        ("GET", "/api/days/2009-01-02.json", 404, "NOT_FOUND"),
        ("GET", "/api/compat/", 404, "NOT_FOUND"),
        ("GET", "/api/bad-request", 404, "NOT_FOUND"),
        ("GET", "/data/nowhere.parquet", 404, "NOT_FOUND"),
        ("PUT", "/api/latest.json", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/prices/latest", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("TRACE", "/api/latest.json", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/%zz", 400, "BAD_REQUEST"),
        ("GET", "/api/" + "x" * 9000, 414, "URI_TOO_LONG"),
    ],
)
def test_errors_for_programs_have_the_documented_shape(
    server: Server, method, target, status, code
) -> None:
    answer = server.ask(target, method)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert is_error(answer.body, code)


def test_a_version_that_is_gone_is_an_error_in_the_shape(server: Server) -> None:
    answer = server.ask("/api/latest.json", If_Match='"gone"')
    assert answer.status == 412
    assert is_error(answer.body, "PRECONDITION_FAILED")


def test_a_large_body_is_refused_in_the_shape(server: Server) -> None:
    answer = server.ask("/api/latest.json", "POST", b"x" * 4096)
    assert answer.status == 413
    assert is_error(answer.body, "REQUEST_TOO_LARGE")


def test_headers_beyond_all_measure_are_refused_in_the_shape(server: Server) -> None:
    answer = server.ask("/api/latest.json", X="x" * 9000)
    assert answer.status == 431
    assert is_error(answer.body, "REQUEST_HEADERS_TOO_LARGE")


def test_a_request_without_a_host_is_refused_in_the_shape(server: Server) -> None:
    head, _, body = server.send(b"GET /api/latest.json HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert is_error(body, "BAD_REQUEST")


def test_405_says_which_methods_are_allowed(server: Server) -> None:
    assert server.ask("/", "POST").headers["allow"] == "GET, HEAD, OPTIONS"


def test_an_unknown_page_shows_the_404_page(server: Server) -> None:
    answer = server.ask("/nowhere/at/all")
    assert answer.status == 404
    assert b"not here" in answer.body


def test_a_page_method_that_is_not_allowed_gets_a_small_page(server: Server) -> None:
    answer = server.ask("/", "POST")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<!doctype html>" in answer.body


def test_a_folder_without_its_slash_redirects_without_naming_a_host(server: Server) -> None:
    answer = server.ask("/history", Host="elsewhere.example")
    assert (answer.status, answer.headers["location"]) == (301, "/history/")


def test_a_doubled_slash_cannot_redirect_to_another_host(server: Server) -> None:
    assert server.ask("//history").headers["location"] == "/history/"


def test_head_has_the_headers_of_get_and_no_body(server: Server) -> None:
    answer = server.ask("/api/latest.json", "HEAD")
    assert answer.body == b""
    assert int(answer.headers["content-length"]) == len(LATEST)


@pytest.mark.parametrize(
    "target",
    [
        "/.secret",
        "/%2esecret",
        "/api/.secret.json",
        "/.well-known/x",
        "/.git/HEAD",
        "/api/leak.json",
        "/up/outside.json",
        "/up/site/state.json",
        "/api/latest.json.gz",
        "/health/",
        "/health/fresh",
        "/health/failing",
        "/api/",
        "/data/",
        "/assets/",
        "/../state.json",
        "/%2e%2e/state.json",
        "/..%2fstate.json",
        "/..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/api/..%2f..%2f..%2fstate.json",
        "/api/%2e%2e/%2e%2e/two/index.html",
        "/api/..%5c..%5cstate.json",
        "/..;/state.json",
        "/%252e%252e/state.json",
        "/index.html%00.json",
        "/api/latest.json/",
        "/index.html~",
        "/releases/two/index.html",
        "/state.json",
    ],
)
def test_nothing_outside_the_release_and_no_listing_is_reachable(server: Server, target) -> None:
    answer = server.ask(target)
    assert b"secret" not in answer.body
    assert b"root:" not in answer.body
    assert b"Index of" not in answer.body
    assert answer.status in (400, 404) or target == "/api/"


def test_a_link_within_the_release_is_followed_by_nobody(serve, site: Path) -> None:
    (site / "releases" / "one" / "again.html").symlink_to("index.html")
    assert serve(site).ask("/again.html").status == 404


def test_a_fresh_release_is_healthy_with_its_status_file(server: Server) -> None:
    answer = server.ask("/health")
    assert (answer.status, answer.body.decode()) == (200, STATUS)


def test_a_failing_build_is_unhealthy_with_its_status_file(serve, site: Path) -> None:
    write_tree(site / "releases" / "one", {"health/failing": ""})
    answer = serve(site).ask("/health")
    assert (answer.status, answer.body.decode()) == (503, STATUS)
    assert answer.headers["retry-after"] == "600"
    assert answer.headers["cache-control"] == "no-store"
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY


def test_asking_a_failing_site_by_etag_still_says_503(serve, site: Path) -> None:
    write_tree(site / "releases" / "one", {"health/failing": ""})
    running_server = serve(site)
    etag = running_server.ask("/api/status.json").headers["etag"]
    assert running_server.ask("/health", If_None_Match=etag).status == 503


def test_a_site_whose_builds_stopped_is_unhealthy_by_the_clock_alone(serve, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    write_tree(stopped / "releases" / "old", hand_made_files(seconds_fresh=-200))
    point_at(stopped, "old")
    answer = serve(stopped).ask("/health")
    assert answer.status == 503
    assert is_error(answer.body, "BUILDS_STOPPED")
    assert answer.headers["retry-after"] == "600"


def test_a_stopped_site_still_shows_its_last_pages(serve, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    write_tree(stopped / "releases" / "old", hand_made_files(seconds_fresh=-200))
    point_at(stopped, "old")
    assert serve(stopped).ask("/").status == 200


@pytest.mark.parametrize(
    "target", ["/api/latest.json", "/health", "/metrics", "/api/prices/latest", "/data/days.csv"]
)
def test_before_the_first_release_programs_are_told_so(serve, tmp_path: Path, target) -> None:
    answer = serve(tmp_path / "empty").ask(target)
    assert answer.status == 503
    assert is_error(answer.body, "SITE_NOT_BUILT")
    assert answer.headers["retry-after"] == "600"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_before_the_first_release_people_are_told_so(serve, tmp_path: Path) -> None:
    answer = serve(tmp_path / "empty").ask("/")
    assert answer.status == 503
    assert b"not been built yet" in answer.body
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY


def test_a_link_to_a_release_that_is_gone_is_told_as_no_release(serve, site: Path) -> None:
    point_at(site, "gone")
    assert is_error(serve(site).ask("/health").body, "SITE_NOT_BUILT")


def test_the_first_release_appears_without_touching_nginx(serve, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    late = serve(folder)
    write_tree(folder / "releases" / "one", hand_made_files())
    point_at(folder, "one")
    assert late.ask("/health").status == 200


def test_a_reader_in_the_middle_of_swaps_gets_whole_files_of_one_release(
    serve, tmp_path: Path
) -> None:
    folder = tmp_path / "swapping"
    letters = {"a": b"a" * 50_000, "b": b"b" * 70_000}
    for name, content in letters.items():
        write_tree(folder / "releases" / name, {"index.html": content, "api/latest.json": content})
    point_at(folder, "a")
    busy = serve(folder)
    with ThreadPoolExecutor(4) as readers:
        answers = [readers.submit(busy.ask, "/api/latest.json") for _ in range(400)]
        for turn in range(400):
            point_at(folder, "ba"[turn % 2])
    seen = {(answer.result().status, answer.result().body) for answer in answers}
    assert seen <= {(200, content) for content in letters.values()}


def test_after_a_swap_every_worker_serves_the_new_release_at_once(serve, site: Path) -> None:
    current = serve(site)
    before = {current.ask("/").body for _ in range(20)}  # each worker had the old file open
    write_tree(site / "releases" / "two", {"index.html": "two"})
    point_at(site, "two")
    assert b"two" not in before
    assert {current.ask("/").body for _ in range(20)} == {b"two"}
