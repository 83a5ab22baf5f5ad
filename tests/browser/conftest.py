"""A real Chromium on the built files, served on loopback under the strict content policy."""

from __future__ import annotations

import http.server
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import HISTORIES, Open, Opened, Site, build, serve
from tests.helpers.made_history import END_UNIX

GRACE_SECONDS = 600


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """Sites by name, each built and served once."""
    running: dict[str, tuple[Site, http.server.ThreadingHTTPServer]] = {}

    def site(name: str) -> Site:
        if name not in running:
            running[name] = serve(build(tmp_path_factory.mktemp(name), **HISTORIES.get(name, {})))
        return running[name][0]

    yield site
    for _, server in running.values():
        server.shutdown()
        server.server_close()


def open_in(
    browser: Browser,
    site: Site,
    path: str,
    *,
    phone: bool = False,
    now_unix: int = END_UNIX + 5,
    timers_run: bool = False,
    **options: Any,
) -> Opened:
    """Open a path of a site in a fresh context; the clock stands at `now_unix`, and timers wait for
    `clock.run_for` unless they run by themselves."""
    size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
    page = browser.new_context(viewport=size, **options).new_page()  # type: ignore[arg-type]
    made = Opened(page, site)
    page.on("console", lambda said: made.complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: made.complaints.append(f"error: {error}"))
    page.on("request", lambda request: made.asked.append(request.url))
    if timers_run:
        page.clock.set_fixed_time(now_unix)
    else:
        page.clock.install(time=now_unix)
    page.goto(site.url + path, wait_until="load")
    return made


@pytest.fixture
def open_page(browser: Browser, sites: Callable[[str], Site]) -> Iterator[Open]:
    """Open a page of one's own: `open_page("/", site="far", phone=True)`."""
    made: list[Opened] = []

    def opened(path: str, site: str | Site = "usual", **options: Any) -> Opened:
        made.append(
            open_in(browser, sites(site) if isinstance(site, str) else site, path, **options)
        )
        return made[-1]

    yield opened
    for one in made:
        one.page.context.close()


@pytest.fixture(scope="session")
def kept(browser: Browser, sites: Callable[[str], Site]) -> Iterator[Open]:
    """Pages that stay open: the same arguments give the same page, and every test leaves it as it
    was."""
    made: dict[str, Opened] = {}

    def opened(path: str, site: str = "usual", *, living: bool = False, **options: Any) -> Opened:
        key = repr((path, site, living, options))  # living ones are others
        if key not in made:
            made[key] = open_in(browser, sites(site), path, **options)
        return made[key]

    yield opened
    for one in made.values():
        one.page.context.close()


def come_alive(opened: Opened, shown: str = "7d") -> Opened:
    """Wait until Plotly has taken over from the drawn chart."""
    opened.page.clock.run_for(50)  # the idle callback
    opened.page.wait_for_selector(f'#history-plot[data-shown="{shown}"]')
    return opened


@pytest.fixture
def doubtful(kept: Open) -> Opened:
    """The living dashboard of a record whose last price is not valid and which has no exchange
    prices."""
    return come_alive(kept("/", "doubtful"))


@pytest.fixture
def phone(kept: Open) -> Opened:
    """The living dashboard on a phone, at an address that names a range."""
    opened = kept("/?range=24h", phone=True, timers_run=True)
    opened.page.locator("#history-plot").scroll_into_view_if_needed()
    opened.page.wait_for_selector('#history-plot[data-shown="24h"]')
    return opened


@pytest.fixture(scope="session")
def later(browser: Browser, sites: Callable[[str], Site]) -> Iterator[Opened]:
    """A dashboard that has stood open until ten minutes after the next update was due."""
    opened = open_in(browser, sites("usual"), "/")
    due = json.loads((opened.site.folder / "api/latest.json").read_bytes())["next_due_at_unix"]
    opened.page.clock.run_for((due + GRACE_SECONDS + 20 - END_UNIX) * 1000)
    opened.page.clock.set_fixed_time(due + GRACE_SECONDS + 20)
    yield opened
    opened.page.context.close()


@pytest.fixture(scope="session")
def _alive(browser: Browser, sites: Callable[[str], Site]) -> Iterator[Opened]:
    opened = come_alive(open_in(browser, sites("usual"), "/", color_scheme="light"))
    yield opened
    opened.page.context.close()


@pytest.fixture
def dashboard(_alive: Opened) -> Opened:
    """The living dashboard that tests share, put back to the last seven days."""
    _alive.page.evaluate("delete document.getElementById('history-plot').dataset.shown")
    _alive.page.click('[data-range="7d"]')
    return come_alive(_alive)
