"""A small release made by hand, and real nginx that serves it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.running_nginx import NGINX, Server, fresh_slots, point_at, running, write_tree
from tests.helpers.clock import NOW_UNIX

STATUS = '{"status": "ok"}\n'
LATEST = '{"spot": {"price_usd": 68150.84}}\n' * 40
PARQUET = bytes(range(256)) * 20
COMPAT = {
    "prices-latest": '{"utxoracle_price": 1}',
    "mempool-prices": '{"time": 1, "USD": 1}',
    "mempool-historical-price": '{"prices": []}',
    **{f"historical-{days}": f"[{days}]" for days in (1, 7, 30, 90, 365)},
    **{f"comparison-{days}": f'{{"timeframe_days": {days}}}' for days in (1, 7, 30, 90, 365)},
}
PRICES_AT = ("100000/17600", "100000/17599", "10000/176004", "10000/176005")


def hand_made_files(*, seconds_fresh: int = 1800) -> dict[str, bytes | str]:
    """Return a small release by path: one file of each kind."""
    return {
        "index.html": "<!doctype html><title>home</title>",
        "404.html": "<!doctype html><title>not here</title>",
        "history/index.html": "<!doctype html><title>history</title>",
        "days/2025-10-09/index.html": "<!doctype html><title>day</title>",
        "api/index.html": "<!doctype html><title>api</title>",
        "api/status.json": STATUS,
        "api/latest.json": LATEST,
        "api/latest.json.gz": gzip.compress(LATEST.encode()),
        "api/days/2025-10-09.json": "{}",
        **{f"api/compat/{name}.json": text for name, text in COMPAT.items()},
        **{f"api/compat/price-at/{name}.json": name for name in PRICES_AT},
        "assets/style.0123abcd.css": "body {}",
        "assets/app.0123abcd.js": "'use strict';",
        "data/prices.parquet": PARQUET,
        "data/days.csv": "date,price_usd\n",
        "data/SHA256SUMS": "",
        "feed.atom": "<feed/>",
        "feed.json": "{}",
        "badge.svg": "<svg/>",
        "favicon.svg": "<svg/>",
        "robots.txt": "User-agent: *\n",
        "sitemap.xml": "<urlset/>",
        "metrics.txt": "up 1\n",
        ".secret": "secret",
        "api/.secret.json": "secret",
        **dict.fromkeys(fresh_slots(NOW_UNIX, seconds_fresh), ""),
    }


@pytest.fixture(scope="session")
def nginx() -> str:
    """The path of nginx; without it these tests are skipped."""
    if NGINX is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    return NGINX


@pytest.fixture(scope="session")
def server(nginx: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Nginx with the hand-made release; nobody changes it. Links in it lead outside."""
    folder = tmp_path_factory.mktemp("nginx")
    site = folder / "site"
    release = site / "releases" / "one"
    write_tree(release, hand_made_files())
    write_tree(folder, {"outside.json": "secret"})
    write_tree(site, {"releases/two/index.html": "secret", "state.json": "secret"})
    (release / "api" / "leak.json").symlink_to(folder / "outside.json")
    (release / "up").symlink_to(folder)
    point_at(site, "one")
    with running(folder / "prefix", site, now_unix=NOW_UNIX) as it:
        yield it


@pytest.fixture
def serve(nginx: str, tmp_path: Path) -> Iterator[Callable[[Path], Server]]:
    """Start nginx for a site folder of the test's own."""

    def start(site: Path) -> Server:
        return stack.enter_context(running(tmp_path / "prefix", site, now_unix=NOW_UNIX))

    with ExitStack() as stack:
        yield start


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site folder with one good hand-made release, current."""
    folder = tmp_path / "site"
    write_tree(folder / "releases" / "one", hand_made_files())
    point_at(folder, "one")
    return folder
