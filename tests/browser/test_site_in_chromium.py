"""The built site in a real browser: what a person sees, clicks and downloads."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from builder.pages import filters
from builder.pages.site import PLACEHOLDER
from tests.browser.chromium import Open, Opened, Site, serve
from tests.browser.conftest import come_alive
from tests.helpers.made_history import END_UNIX
from tests.helpers.steady import thinned

pytestmark = pytest.mark.browser

DAY = "/days/2025-10-08/"
PATHS = [
    "/",
    "/history/",
    "/history/2025/",
    DAY,
    "/accuracy/",
    "/method/",
    "/api/",
    "/status/",
    "/embed/",
    "/404.html",
]
LIGHT, DARK = "rgb(253, 253, 251)", "rgb(14, 17, 22)"
PAPER = '.live .main-svg[style*="background: {}"]'


def latest(site: Site) -> Any:
    return json.loads((site.folder / "api/latest.json").read_bytes())


def serious(opened: Opened) -> list[str]:
    found = Axe().run(opened.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def download(opened: Opened, selector: str) -> tuple[str, bytes]:
    with opened.page.expect_download() as waiting:
        opened.page.locator(selector).first.click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def plotted(opened: Opened, expression: str) -> Any:
    return opened.page.evaluate(f"document.querySelector('.live').{expression}")


# Every page


@pytest.mark.parametrize("path", PATHS)
def test_a_page_says_nothing_on_the_console(kept: Open, path: str) -> None:
    assert kept(path).complaints == []


@pytest.mark.parametrize("path", thinned(PATHS))
def test_a_page_asks_nobody_else(kept: Open, path: str) -> None:
    assert kept(path).outside() == []


@pytest.mark.slow
def test_a_phone_never_scrolls_sideways_on_the_dashboard(phone: Opened) -> None:
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("path", PATHS[1:])
def test_a_phone_never_scrolls_sideways(kept: Open, path: str) -> None:
    page = kept(path).page
    page.set_viewport_size({"width": 390, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert width == 390


@pytest.mark.parametrize("path", PATHS[1:])
def test_axe_finds_nothing_serious(kept: Open, path: str) -> None:
    assert serious(kept(path)) == []


@pytest.mark.parametrize("path", thinned(["/history/", DAY]))
def test_axe_finds_nothing_serious_in_the_dark(kept: Open, path: str) -> None:
    opened = kept(path)
    opened.page.emulate_media(color_scheme="dark")
    found = serious(opened)
    opened.page.emulate_media(color_scheme="light")
    assert found == []


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_one_main_heading(kept: Open, path: str) -> None:
    assert kept(path).page.locator("h1").count() == 1


@pytest.mark.parametrize("path", thinned(PATHS))
def test_every_link_to_a_file_of_the_site_leads_somewhere(kept: Open, path: str) -> None:
    opened = kept(path)
    links = opened.page.eval_on_selector_all(
        "a[href^='/']", "links => links.map((a) => a.getAttribute('href'))"
    )
    mapped = ("/api/prices/", "/api/v1/")  # by nginx
    lost = [
        link
        for link in set(links)
        if not link.startswith(mapped) and not opened.site.file(link.split("#")[0]).is_file()
    ]
    assert lost == []


# The dashboard


def test_plotly_takes_over_from_the_drawn_chart(dashboard: Opened) -> None:
    assert dashboard.page.locator(".live .main-svg").first.is_visible()
    assert dashboard.page.locator(".drawn").is_hidden()


def test_plotly_works_in_silence_under_the_strict_policy(dashboard: Opened) -> None:
    assert dashboard.complaints == []
    assert dashboard.outside() == []


def test_axe_finds_nothing_serious_once_plotly_is_there(dashboard: Opened) -> None:
    assert serious(dashboard) == []


@pytest.mark.slow
def test_axe_finds_nothing_serious_once_plotly_is_there_in_the_dark(dashboard: Opened) -> None:
    dashboard.page.click(".theme")
    dashboard.page.wait_for_selector(PAPER.format(DARK))
    found = serious(dashboard)
    dashboard.page.click(".theme")
    assert found == []


def test_the_first_view_without_plotly_is_below_80_kilobytes(kept: Open) -> None:
    opened = kept("/")
    plotly = opened.page.get_attribute("body", "data-plotly")
    asked = {url.removeprefix(opened.site.url) for url in opened.asked}
    files = [
        opened.site.file(path) for path in asked if path != plotly and not path.startswith("/api/")
    ]
    twins = [file.with_name(f"{file.name}.gz") for file in files]
    sizes = [
        (twin if twin.is_file() else file).stat().st_size
        for file, twin in zip(files, twins, strict=True)
    ]
    assert 10_000 < sum(sizes) < 80_000


def test_the_dashboard_json_is_below_60_kilobytes_compressed(sites: Callable[[str], Site]) -> None:
    folder = sites("usual").folder / "api"
    names = ["latest.json", "history/7d.json.gz", "episodes.json"]
    assert sum((folder / name).stat().st_size for name in names) < 60_000


def test_the_numbers_on_the_page_are_the_numbers_in_the_file(kept: Open) -> None:
    opened = kept("/")
    shown = [
        opened.page.get_attribute(f"#{name}", "value")
        for name in ("spot-price", "exchange-price", "difference")
    ]
    file = latest(opened.site)
    assert [float(value or "nan") for value in shown] == [
        file["spot"]["price_usd"],
        file["exchange"]["price_usd"],
        file["divergence"]["headline_percent"],
    ]


def test_the_chart_shows_both_prices_the_band_and_the_difference(dashboard: Opened) -> None:
    names = plotted(dashboard, "data.map((trace) => [trace.name, trace.line && trace.line.dash])")
    assert ["On-chain", None] in names
    assert ["Exchange", "3px,5px"] in names
    assert plotted(dashboard, "data[0].fill") == "toself"
    assert ["Difference", None] in names


@pytest.mark.parametrize("name", thinned(["30d", "24h", "1y", "all"]))
def test_a_range_is_shown_and_stands_in_the_address(dashboard: Opened, name: str) -> None:
    dashboard.page.click(f'[data-range="{name}"]')
    dashboard.page.wait_for_selector(f'#history-plot[data-shown="{name}"]')
    assert dashboard.page.url.endswith(f"/?range={name}")
    assert dashboard.page.get_attribute(f'[data-range="{name}"]', "aria-current") == "true"
    files = dashboard.page.locator('.take a[href^="/api/history/"]')
    assert [files.nth(i).get_attribute("href") for i in range(files.count())] == [
        f"/api/history/{name}.csv",
        f"/api/history/{name}.json",
    ]
    answer = dashboard.page.request.get(f"{dashboard.site.url}/api/history/{name}.csv")
    assert answer.ok
    assert answer.text().startswith("time,height,spot_usd")


def test_an_address_with_a_range_opens_it(phone: Opened) -> None:
    assert phone.page.inner_text("#chart-title") == "The last 24 hours"


def test_an_unknown_range_in_the_address_is_the_usual_one(dashboard: Opened) -> None:
    dashboard.page.evaluate(
        "history.pushState(null, '', '?range=5y'); dispatchEvent(new PopStateEvent('popstate'))"
    )
    dashboard.page.wait_for_selector("#history-plot:not([aria-busy])")
    assert dashboard.page.inner_text("#chart-title") == "The last 7 days"


def test_going_back_returns_to_the_range_before(dashboard: Opened) -> None:
    dashboard.page.click('[data-range="24h"]')
    dashboard.page.wait_for_selector('#history-plot[data-shown="24h"]')
    dashboard.page.go_back()
    dashboard.page.wait_for_selector('#history-plot[data-shown="7d"]')
    assert dashboard.page.inner_text("#chart-title") == "The last 7 days"


def test_hovering_shows_prices_height_confidence_and_difference_together(dashboard: Opened) -> None:
    dashboard.page.locator("#history-plot").scroll_into_view_if_needed()
    box = dashboard.page.locator(".live .nsewdrag").first.bounding_box()
    assert box is not None
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.61, box["y"] + box["height"] * 0.5)
    dashboard.page.clock.run_for(500)
    dashboard.page.wait_for_selector(".hoverlayer .legend")
    said = dashboard.page.text_content(".hoverlayer") or ""
    pattern = (
        r"UTC.*On-chain.*\$\d\d,\d{3}.*block \d{3},\d{3}, confidence "
        r"0\.\d\d.*Exchange.*\$\d\d,\d{3}.*Difference.*%"
    )
    assert re.search(pattern, said), said
    widths = dashboard.page.eval_on_selector_all(
        ".hoverlayer .legendtext", "rows => rows.map((row) => row.getBoundingClientRect().width)"
    )
    assert min(widths) > 50
    assert dashboard.complaints == []


def test_dragging_zooms_and_the_price_axis_follows(dashboard: Opened) -> None:
    dashboard.page.locator("#history-plot").scroll_into_view_if_needed()
    box = dashboard.page.locator(".live .nsewdrag").first.bounding_box()
    assert box is not None
    dashboard.page.evaluate(
        "() => { window.fitted = new Promise((done) => "
        "document.querySelector('.live').on('plotly_relayout', "
        "(change) => 'yaxis.range' in change && done(change['yaxis.range']))); }"
    )
    y = box["y"] + box["height"] * 0.5
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.70, y)
    dashboard.page.mouse.down()
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.80, y + 3, steps=4)
    dashboard.page.mouse.up()
    dashboard.page.clock.run_for(1000)
    low, high = dashboard.page.evaluate("window.fitted")
    dashboard.page.clock.run_for(6000)  # until Plotly's hint about zooming has faded away
    dashboard.page.wait_for_selector(".notifier-note", state="detached")
    first, last = plotted(
        dashboard, "layout.xaxis.range.map((t) => new Date(t + 'Z').getTime() / 1000)"
    )
    assert 30_000 < low < high < 100_000
    assert 12 * 3600 < last - first < 24 * 3600


def test_invalid_prices_are_hollow(doubtful: Opened) -> None:
    assert (
        plotted(
            doubtful,
            "data.filter((t) => t.mode === 'markers')[0].y.filter((v) => v !== null).length",
        )
        > 0
    )


def test_episodes_and_both_limits_are_marked(dashboard: Opened) -> None:
    kinds = plotted(dashboard, "layout.shapes.map((shape) => shape.type)")
    assert sorted(kinds) == ["line", "line", "rect"]


# Downloads


@pytest.mark.slow
def test_the_live_chart_is_saved_as_a_png(dashboard: Opened) -> None:
    name, data = download(dashboard, '[data-png="history"]')
    assert name == "history.png"
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20]) == 2400


@pytest.mark.parametrize("path", thinned([DAY, "/history/", "/accuracy/", "/method/"]))
def test_a_drawn_chart_is_saved_as_a_png(kept: Open, path: str) -> None:
    opened = kept(path)
    _, data = download(opened, "[data-png]")
    assert data.startswith(b"\x89PNG")
    assert len(data) > 8_000
    assert opened.complaints == []


def test_lines_to_copy_name_the_address_the_page_came_from(kept: Open) -> None:
    opened = kept("/")
    text = opened.page.locator("[data-copy]").first.text_content()
    assert text == f"SELECT * FROM read_parquet('{opened.site.url}/data/prices.parquet');"


COPIED = [
    "index.html",
    "history/index.html",
    "accuracy/index.html",
    f"{DAY[1:]}index.html",
    "method/index.html",
    "api/index.html",
]


def lines_to_copy(site: Site, page: str, start: str) -> list[str]:
    found = re.findall(r"<code data-copy>(.*?)</code>", (site.folder / page).read_text())
    return [line for line in map(html.unescape, found) if line.startswith(start)]


@pytest.mark.parametrize("page", COPIED)
def test_the_lines_for_pandas_read_the_files_over_http(
    sites: Callable[[str], Site], page: str
) -> None:
    site = sites("usual")
    lines = lines_to_copy(site, page, "import pandas")
    frames: list[dict[str, Any]] = [{} for _ in lines]
    for line, names in zip(lines, frames, strict=True):
        exec(line.replace(PLACEHOLDER, site.url), names)
    assert lines
    assert all(len(names["df"]) > 1 for names in frames)


@pytest.mark.parametrize("page", COPIED)
def test_the_lines_for_duckdb_find_their_columns(sites: Callable[[str], Site], page: str) -> None:
    site = sites(
        "usual"
    )  # DuckDB reads HTTP by an extension that it downloads: here the same lines read the folder
    lines = [
        line.replace(PLACEHOLDER, str(site.folder)) for line in lines_to_copy(site, page, "SELECT")
    ]
    assert lines
    counts = [
        duckdb.execute(f"SELECT count(*) FROM ({line.rstrip(';')})").fetchall() for line in lines
    ]
    assert min(counts) > [(1,)]


@pytest.mark.slow
def test_copying_says_so(kept: Open) -> None:
    page = kept("/api/").page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".copy").first.click()
    page.wait_for_selector("text=Copied")
    assert "curl -s http" in page.evaluate("navigator.clipboard.readText()")


# Without scripts, on a phone, in the dark, on paper


def test_the_first_screen_reads_without_javascript(kept: Open) -> None:
    page = kept("/", phone=True, java_script_enabled=False, timers_run=True).page
    assert page.locator("#spot-price").is_visible()
    assert page.locator(".drawn > svg").is_visible()
    assert page.locator(".ranges").is_hidden()
    assert page.locator("[data-png]").first.is_hidden()


def test_the_first_screen_of_a_phone_holds_all_three_numbers(kept: Open) -> None:
    page = kept("/", phone=True, java_script_enabled=False, timers_run=True).page
    bottoms = [
        page.locator(f"#{name}").bounding_box()
        for name in ("spot-price", "exchange-price", "difference")
    ]
    assert all(box is not None and box["y"] + box["height"] < 844 for box in bottoms)


def background(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.slow
def test_dark_follows_the_system(kept: Open) -> None:
    page = kept("/404.html").page
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    page.emulate_media(color_scheme="light")
    assert dark == DARK
    assert background(page) == LIGHT


def test_the_switch_turns_the_theme_and_is_remembered(open_page: Open) -> None:
    page = open_page("/404.html", color_scheme="light").page
    page.click(".theme")
    assert background(page) == DARK
    page.reload()
    assert background(page) == DARK


@pytest.mark.slow
def test_the_live_chart_changes_its_colours_with_the_theme(dashboard: Opened) -> None:
    dashboard.page.click(".theme")
    dashboard.page.wait_for_selector(PAPER.format(DARK))
    dashboard.page.click(".theme")
    dashboard.page.wait_for_selector(PAPER.format(LIGHT))


def test_paper_gets_the_numbers_and_not_the_controls(kept: Open) -> None:
    page = kept("/").page
    page.emulate_media(media="print")
    seen = [page.locator(name).is_visible() for name in ("#spot-price", ".top nav", ".ranges")]
    page.emulate_media(media="screen")
    assert seen == [True, False, False]


def test_the_keyboard_reaches_the_content_first(kept: Open) -> None:
    page = kept("/404.html").page
    page.keyboard.press("Tab")
    reached = page.evaluate("document.activeElement.className")
    is_seen = page.locator(".skip").is_visible()
    page.evaluate("document.activeElement.blur()")
    assert reached == "skip"
    assert is_seen


def test_a_day_is_found_by_its_date(open_page: Open) -> None:
    page = open_page("/history/").page
    page.fill("#date", "2025-10-06")
    page.keyboard.press("Enter")
    page.wait_for_url("**/days/2025-10-06/")


def test_a_day_that_has_no_page_is_said_to_have_none(open_page: Open) -> None:
    page = open_page("/history/").page
    page.evaluate("document.getElementById('date').min = ''")  # as where a day within is missing
    page.fill("#date", "2011-06-08")
    page.click(".search button")
    page.locator(".search output", has_text="no final day of 2011-06-08").wait_for()


def test_a_month_of_a_year_leads_to_its_newest_day(open_page: Open) -> None:
    page = open_page("/history/").page
    page.locator(".months a", has_text="October").first.click()
    page.wait_for_url("**/history/2025/#2025-10")
    assert page.locator("tr:target th").inner_text().startswith("2025-10-")


def test_the_episodes_of_one_kind_alone_can_be_shown(open_page: Open) -> None:
    opened = open_page("/status/")
    episodes = json.loads((opened.site.folder / "api/episodes.json").read_bytes())["episodes"]
    opened.page.evaluate(  # one more kind than the record has
        """() => { const row = document.querySelector('#episodes-table tbody tr');
            const other = row.cloneNode(true); other.dataset.kinds = 'Low confidence|goes on';
            row.after(other); const choice = document.querySelector('[data-filter] select');
            choice.add(new Option('Low confidence')); }"""
    )
    rows = opened.page.locator("#episodes-table tbody tr:visible")
    choice = "[data-filter] select"
    assert rows.count() == len(episodes) + 1
    kind = opened.page.locator(f"{choice} option").nth(1).inner_text()
    opened.page.select_option(choice, kind)
    assert rows.count() == len(episodes)
    assert (
        opened.page.inner_text("[data-filter] output") == f"{len(episodes)} of {rows.count() + 1}"
    )
    opened.page.select_option(choice, "goes on")
    assert rows.count() == 1 + sum(episode["is_ongoing"] for episode in episodes)
    opened.page.select_option(choice, "")
    assert rows.count() == len(episodes) + 1


def test_a_table_sorts_by_a_column(kept: Open) -> None:
    page = kept("/history/").page
    page.click("th >> text=On-chain")
    prices = page.eval_on_selector_all(
        "tbody tr",
        "rows => rows.map((row) => Number(row.cells[1].textContent.replace(/[^0-9]/g, '')))",
    )
    assert prices == sorted(prices, reverse=True)
    assert page.locator("th >> nth=1").get_attribute("aria-sort") == "descending"


# What a reader must know


def test_a_large_divergence_is_announced(kept: Open) -> None:
    text = kept("/", "far").page.inner_text(".notice.loud")
    assert text.startswith("Large divergence detected: +3.2%")
    assert "for 3 h" in text


def test_where_the_window_leads_all_three_numbers_are_the_windows(kept: Open) -> None:
    opened = kept("/", "windowed")
    file = latest(opened.site)
    shown = [
        opened.page.get_attribute(f"#{name}", "value")
        for name in ("window-price", "exchange-mean", "difference")
    ]
    assert [float(value or "nan") for value in shown] == [
        file["window"]["price_usd"],
        file["divergence"]["exchange_mean_usd"],
        file["divergence"]["window_percent"],
    ]
    assert "Spot price" in opened.page.inner_text(".facts")


def test_the_live_chart_says_which_differences_are_the_windows(kept: Open) -> None:
    alive = come_alive(kept("/", "windowed"))
    said = plotted(alive, "data.find((trace) => trace.name === 'Difference').customdata")
    assert {said[0], said[-1]} == {"", " (of the window)"}


@pytest.mark.slow
def test_axe_finds_nothing_serious_where_the_window_leads(kept: Open) -> None:
    assert serious(kept("/", "windowed")) == []


def test_low_confidence_is_announced(doubtful: Opened) -> None:
    assert "Low confidence in the spot price" in doubtful.page.inner_text(".notices")
    assert doubtful.page.locator(".hero.doubt").is_visible()


@pytest.mark.slow
def test_a_missing_exchange_price_is_announced(doubtful: Opened) -> None:
    assert "No exchange price" in doubtful.page.inner_text(".notices")
    assert doubtful.page.inner_text("#exchange-price") == "Not known"


def test_simulated_data_is_announced(kept: Open) -> None:
    assert "Simulated data" in kept("/").page.inner_text(".notices")


@pytest.mark.parametrize(
    "path", thinned(["/", "/history/", "/accuracy/", "/method/", "/api/", "/status/"])
)
def test_an_empty_database_is_a_calm_page(kept: Open, path: str) -> None:
    opened = kept("/404.html", "empty", phone=True)
    opened.page.goto(opened.site.url + path)
    assert opened.page.locator("h1").is_visible()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.complaints == []


def test_axe_finds_nothing_serious_on_an_empty_dashboard(kept: Open) -> None:
    opened = kept("/404.html", "empty", phone=True)
    opened.page.goto(opened.site.url)
    assert serious(opened) == []


@pytest.mark.slow
def test_axe_finds_nothing_serious_among_the_warnings(kept: Open) -> None:
    assert serious(kept("/", "far")) == []


def test_a_page_in_time_is_not_called_stale(kept: Open) -> None:
    assert kept("/").page.locator("#stale").is_hidden()


def test_a_status_in_time_is_not_called_out_of_date(kept: Open) -> None:
    page = kept("/status/").page
    assert re.sub(r"\s+", " ", page.inner_text("h1")).strip() == "Status ok"
    assert "Builds have stopped" not in page.inner_text("main")


def test_an_open_page_turns_stale_by_its_own_clock(later: Opened) -> None:
    assert later.page.inner_text("#stale").startswith("Overdue by 10 min. The next")


def test_a_page_that_was_old_when_it_came_is_stale_at_once(open_page: Open) -> None:
    assert open_page("/", now_unix=END_UNIX + 86_400).page.locator("#stale").is_visible()


def test_ages_go_on_counting(later: Opened) -> None:
    assert "quoted 22 min ago" in later.page.inner_text(".prices")


# Refreshing


@pytest.fixture
def changing(sites: Callable[[str], Site], tmp_path: Path) -> Iterator[Site]:
    """A copy of the usual site whose files a test may change."""
    folder = tmp_path / "site"
    shutil.copytree(sites("usual").folder, folder)
    site, server = serve(folder)
    yield site
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_an_unchanged_site_costs_a_header(open_page: Open, changing: Site) -> None:
    opened = open_page("/", site=changing)
    with opened.page.expect_response("**/api/latest.json"):
        opened.page.clock.run_for(61_000)
    with opened.page.expect_response("**/api/latest.json"):
        opened.page.clock.run_for(61_000)
    assert [status for path, status in changing.asked if path == "/api/latest.json"] == [200, 304]


def test_new_numbers_appear_without_a_reload(open_page: Open, changing: Site) -> None:
    opened = open_page("/", site=changing)
    opened.page.evaluate("window.same = true")
    old = opened.page.get_attribute("#spot-price", "value") or ""
    page, newest = changing.folder / "index.html", changing.folder / "api/latest.json"
    page.write_text(
        page.read_text().replace(old, "123456.78").replace(str(END_UNIX), str(END_UNIX + 60))
    )
    newest.write_text(newest.read_text().replace(str(END_UNIX), str(END_UNIX + 60)))
    opened.page.clock.run_for(61_000)
    opened.page.wait_for_selector('#spot-price[value="123456.78"]')
    assert opened.page.evaluate("window.same") is True
    assert opened.complaints == []


def test_a_zoom_the_focus_and_the_announcements_outlive_a_release(
    open_page: Open, changing: Site
) -> None:
    opened = come_alive(open_page("/", site=changing))
    page = opened.page
    box = page.locator(".live .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 600, box["y"] + 100, steps=4)
    page.mouse.up()
    page.evaluate("window.told = document.querySelector('#now .notices')")
    page.focus(".intro a")
    before = plotted(opened, "layout.xaxis.range")
    for name in ("api/latest.json", "index.html"):
        path = changing.folder / name
        path.write_text(path.read_text().replace(str(END_UNIX), str(END_UNIX + 60)))
    with page.expect_response("**/api/history/7d.json"):
        page.clock.run_for(61_000)
    page.wait_for_selector(f'#now[data-generated="{END_UNIX + 60}"]')
    page.wait_for_selector("#history-plot:not([aria-busy])")
    assert plotted(opened, "layout.xaxis.range") == before
    assert page.evaluate("document.activeElement.matches('.intro a')")
    assert page.evaluate("document.querySelector('#now .notices') === window.told")


# Amounts that lie exactly between two that are shown, and just beside
AMOUNTS = (56_292.5, 56_293.5, 99.125, 99.375, 64.5, 12.0, 100.5, 56_292.49, 1_000_000.5)
PERCENTS = (0.125, 0.375, -0.625, -0.875, 0.005, -0.004, 1.005, 12.345, 3.0)
CONFIDENCES = (0.125, 0.375, 0.625, 0.875, 0.985, 0.9949, 0.995, 0.5, 0.0)


def test_numbers_are_rounded_alive_as_they_are_drawn(open_page: Open, changing: Site) -> None:
    path = changing.folder / "api/history/7d.json"
    history = json.loads(path.read_text())
    spread = {
        "spot_usd": AMOUNTS,
        "exchange_usd": AMOUNTS[1:],
        "divergence_percent": PERCENTS,
        "confidence": CONFIDENCES,
    }
    for column, values in spread.items():
        history[column] = [values[i % len(values)] for i in range(history["rows"])]
    path.write_text(json.dumps(history))
    page = come_alive(open_page("/", site=changing)).page
    rows = page.locator("#history-plot ~ details:last-of-type tbody tr")
    cells = [
        row.split("\t")
        for row in rows.evaluate_all(
            "rows => rows.map(r => [...r.cells].map(c => c.textContent).join('\\t'))"
        )
    ]
    heights = [int(row[1].replace(",", "")) for row in cells]
    assert len(cells) > 20
    for row, i in zip(cells, map(history["height"].index, heights), strict=True):
        shown = (row[2], row[4], row[5].split(" of")[0], row[6].split(" low")[0])
        assert shown == (
            filters.usd(history["spot_usd"][i]),
            filters.usd(history["exchange_usd"][i]),
            filters.percent(history["divergence_percent"][i]),
            filters.confidence(history["confidence"][i]),
        )


# A site whose builds have stopped


EIGHT_HOURS = END_UNIX + 8 * 3600


@pytest.mark.parametrize(
    "path", thinned(["/", "/history/", DAY, "/accuracy/", "/method/", "/api/", "/status/"])
)
def test_eight_hours_later_every_page_says_so(open_page: Open, path: str) -> None:
    page = open_page(path, now_unix=EIGHT_HOURS).page
    page.wait_for_selector("html.stale")
    assert page.inner_text("#stale").startswith("Overdue by 7 h")
    assert page.title().startswith("(overdue by 7 h")


def test_eight_hours_later_nothing_is_of_now(open_page: Open) -> None:
    page = open_page("/", now_unix=EIGHT_HOURS).page
    text = page.inner_text("#now")
    assert "On-chain price, as of 12:00 UTC" in text
    assert "was high" in text
    assert "any moment" not in text
    assert "overdue by 7 h" in text
    grey = page.evaluate("getComputedStyle(document.querySelector('.figure.hero')).color")
    assert grey == page.evaluate("oracle.colour('soft')")


def test_eight_hours_later_the_status_is_no_longer_ok(open_page: Open) -> None:
    page = open_page("/status/", now_unix=EIGHT_HOURS).page
    assert page.inner_text("h1") == "Status out of date"
    assert "Everything works" not in page.inner_text("main")


def test_without_javascript_times_stand_where_ages_would_freeze(kept: Open) -> None:
    page = kept("/", java_script_enabled=False).page
    assert re.search(r"quoted 2025-10-09 \d\d:\d\d UTC", page.inner_text(".prices"))
    assert " ago" not in page.inner_text("main")


# On a phone, in forced colours, on paper, without a line


def test_a_touch_reads_a_moment_out_below_and_moves_no_axis(open_page: Open) -> None:
    opened = open_page("/", phone=True, timers_run=True, has_touch=True, is_mobile=True)
    page = opened.page
    page.locator("#history-plot").scroll_into_view_if_needed()
    page.wait_for_selector('#history-plot[data-shown="7d"]')
    before = plotted(opened, "layout.xaxis.range")
    box = page.locator(".live .nsewdrag").first.bounding_box()
    assert box is not None
    for _ in range(2):
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#readout", has_text="on-chain").wait_for()
    assert re.search(r"UTC: on-chain \$[\d,]+ \(block", page.inner_text("#readout"))
    assert plotted(opened, "layout.xaxis.range") == before
    assert page.locator(".hoverlayer .hovertext").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("path", thinned(["/", "/history/", DAY, "/status/"], every=3))
def test_what_a_finger_is_to_hit_is_24_pixels_high(open_page: Open, path: str) -> None:
    page = open_page(path, phone=True, has_touch=True, is_mobile=True).page
    small = page.evaluate(
        """() => [...document.querySelectorAll("a, button, summary")]
            .filter((it) => it.checkVisibility() && !it.closest(".live, p, li, dd, .skip"))
            .map((it) => [it.outerHTML.slice(0, 90), it.getBoundingClientRect()])
            .filter(([, box]) => box.height && box.height < 23.5).map(([words]) => words)"""
    )
    assert small == []
    if path == "/history/":
        cell = page.locator(".calendar a").last.bounding_box()
        assert cell is not None
        assert min(cell["width"], cell["height"]) >= 20


def test_a_phone_sees_the_newest_days_of_a_calendar_first(open_page: Open) -> None:
    page = open_page("/history/", phone=True, has_touch=True, is_mobile=True).page
    region = page.locator(".scroll:has(> .calendar)").first
    newest, shown = region.locator("a").last.bounding_box(), region.bounding_box()
    assert newest is not None
    assert shown is not None
    assert shown["x"] <= newest["x"]
    assert newest["x"] + newest["width"] <= shown["x"] + shown["width"]


@pytest.mark.slow
def test_in_forced_colours_the_chart_and_what_is_chosen_can_be_seen(open_page: Open) -> None:
    opened = come_alive(open_page("/", forced_colors="active", color_scheme="light"))
    page = opened.page
    paper, ink = page.evaluate("[oracle.colour('paper'), oracle.colour('ink')]")
    assert paper != ink
    assert plotted(opened, "layout.paper_bgcolor") == paper
    chosen, other = (
        page.evaluate(f"getComputedStyle(document.querySelector('{place}')).backgroundColor")
        for place in (".ranges a[aria-current]", ".ranges a:not([aria-current])")
    )
    assert chosen != other
    assert page.evaluate(
        "getComputedStyle(document.querySelector('.key.area')).backgroundColor"
    ) not in {paper, "rgba(0, 0, 0, 0)"}


@pytest.mark.slow
def test_paper_gets_the_whole_chart_and_the_keys(open_page: Open) -> None:
    page = come_alive(open_page("/")).page
    page.emulate_media(media="print")
    assert page.locator(".live").is_hidden()
    drawn, main = (page.locator(place).bounding_box() for place in (".drawn", "main"))
    assert drawn is not None
    assert main is not None
    assert drawn["width"] <= main["width"]
    exact = page.evaluate("getComputedStyle(document.querySelector('.key')).printColorAdjust")
    assert exact == "exact"
    assert page.pdf().startswith(b"%PDF")


def test_a_range_that_cannot_be_had_leaves_the_heading_of_what_is_drawn(open_page: Open) -> None:
    opened = come_alive(open_page("/"))
    page = opened.page
    page.context.set_offline(True)
    page.click('[data-range="30d"]')
    page.wait_for_selector("#chart-problem:not([hidden])")
    assert "The chart of the last 30 days could not be had." in page.inner_text("#chart-problem")
    assert page.inner_text("#chart-title") == "The last 7 days"
    page.context.set_offline(False)
    page.click("#chart-problem button")
    page.wait_for_selector('#history-plot[data-shown="30d"]')
    assert page.inner_text("#chart-title") == "The last 30 days"
    assert page.locator("#chart-problem").is_hidden()


def test_summary_table_and_spoken_words_follow_the_range(dashboard: Opened) -> None:
    page = dashboard.page
    before = page.get_attribute(".live", "aria-label")
    page.click('[data-range="24h"]')
    page.wait_for_selector('#history-plot[data-shown="24h"]')
    after = page.get_attribute(".live", "aria-label")
    assert after != before
    assert after == page.text_content("#history-plot ~ details:last-of-type p")
    assert page.locator("#history-plot ~ details:last-of-type tbody tr").count() <= 5


def test_the_live_words_and_table_are_those_that_were_drawn(kept: Open) -> None:
    page = kept("/").page
    drawn = page.get_attribute(".drawn", "aria-label")
    rows = page.locator("#history-plot ~ details:last-of-type tbody tr")
    before = [re.sub(r"\s+", " ", text).strip() for text in rows.all_text_contents()]
    come_alive(kept("/"))
    assert page.get_attribute(".live", "aria-label") == drawn
    after = [re.sub(r"\s+", " ", text).strip() for text in rows.all_text_contents()]
    assert [re.sub(r"\s", "", text) for text in after] == [
        re.sub(r"\s", "", text) for text in before
    ]


def test_dragging_up_and_down_zooms_nothing(dashboard: Opened) -> None:
    page = dashboard.page
    box = page.locator(".live .nsewdrag").first.bounding_box()
    assert box is not None
    before = plotted(dashboard, "layout.xaxis.range"), plotted(dashboard, "layout.yaxis.range")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 100, steps=4)
    page.mouse.up()
    assert (
        plotted(dashboard, "layout.xaxis.range"),
        plotted(dashboard, "layout.yaxis.range"),
    ) == before


# --- Keys and clocks of the reader --------------------------


def test_arrow_keys_lead_to_the_day_before_and_the_day_after(open_page: Open) -> None:
    page = open_page(DAY).page
    before = page.get_attribute("a[rel=prev]", "href")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**{before}")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**{DAY}")


def test_arrow_keys_scroll_what_has_the_focus(open_page: Open) -> None:
    page = open_page(DAY).page
    page.locator("details.reads summary").first.click()
    page.locator("pre[tabindex='0']").first.focus()
    page.keyboard.press("ArrowLeft")
    assert page.url.endswith(DAY)


def test_the_next_update_is_told_by_the_readers_clock_too(open_page: Open) -> None:
    page = open_page("/", timezone_id="Asia/Kolkata", locale="en-GB").page
    due = datetime.fromtimestamp(int(page.get_attribute("[data-local]", "data-local")), UTC)
    there = due + timedelta(hours=5, minutes=30)
    assert page.inner_text("[data-local]").strip() == f"({there:%H:%M} where you are)"
    assert "where you are" in page.get_attribute("time[datetime*=T]", "title")


def test_where_the_clock_is_utc_nothing_is_said_twice(open_page: Open) -> None:
    page = open_page("/", timezone_id="UTC").page
    assert page.inner_text("[data-local]") == ""
