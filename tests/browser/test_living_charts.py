"""Charts in the browser, once Plotly has taken over: keys, legend, zoom, what leads where."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pyarrow.parquet as pq
import pytest

from oracle.core.eligible import is_round_btc
from oracle.core.price import price_window
from oracle.core.window import Window
from tests.browser.chromium import Open, Opened, serve
from tests.browser.conftest import come_alive
from tests.browser.test_site_in_chromium import serious

pytestmark = pytest.mark.browser

DAY = "/days/2025-10-08/"
CHARTS = [
    ("/history/", "days"),
    ("/history/2025/", "days"),
    (DAY, "day"),
    (DAY, "histogram"),
    ("/accuracy/", "errors"),
    ("/accuracy/", "spread"),
    ("/accuracy/", "reliability"),
    ("/method/", "histogram"),
]


def living(opened: Opened, kind: str) -> Any:
    """The first chart of a kind, alive."""
    plot = opened.page.locator(f'.plot[data-chart="{kind}"]').first
    plot.scroll_into_view_if_needed()
    opened.page.clock.run_for(50)  # the idle callback
    opened.page.mouse.move(1, 1)
    opened.page.mouse.move(2, 2)  # somebody is there
    opened.page.wait_for_selector(f'.plot[data-chart="{kind}"][data-shown]')
    return plot


def names(plot: Any) -> list[str]:
    found: list[str] = plot.evaluate(
        "plot => plot.querySelector('.live').data.map((trace) => trace.meta ?? trace.name)"
    )
    return found


def in_view(plot: Any) -> list[float]:
    """The ends of the time axis in milliseconds."""
    found: list[float] = plot.evaluate(
        """plot => plot.querySelector('.live').layout.xaxis.range.map(
            (t) => (typeof t === 'number' ? t : Date.parse(`${t.replace(' ', 'T')}Z`)))"""
    )
    return found


@pytest.fixture
def history(kept: Open) -> tuple[Opened, Any]:
    """The page of all days, anew in a browser that has its scripts already."""
    opened = kept("/404.html", site="usual", living=True)
    opened.page.goto(f"{opened.site.url}/history/")
    return opened, living(opened, "days")


@pytest.fixture
def alive(kept: Open) -> Callable[[str], Opened]:
    """Pages that tests share, with all their charts alive."""

    def opened(path: str) -> Opened:
        page = kept(path, site="usual", living=True)
        for kind in {kind for at, kind in CHARTS if at == path}:
            living(page, kind)
        return page

    return opened


@pytest.mark.parametrize(("path", "kind"), CHARTS)
def test_a_chart_comes_alive_in_silence_and_says_the_same(
    alive: Callable[[str], Opened], path: str, kind: str
) -> None:
    opened = alive(path)
    plot = living(opened, kind)
    assert plot.locator(".live .main-svg").first.is_visible()
    drawn = plot.locator(".drawn")
    assert drawn.is_hidden()
    assert plot.locator(".live").get_attribute("aria-label") == drawn.get_attribute("aria-label")
    assert opened.complaints == []
    assert opened.outside() == []


@pytest.mark.parametrize("path", ["/history/", DAY, "/accuracy/", "/method/"])
def test_axe_finds_nothing_serious_once_the_charts_of_a_page_live(
    alive: Callable[[str], Opened], path: str
) -> None:
    opened = alive(path)
    found = serious(opened)
    opened.page.emulate_media(color_scheme="dark")
    opened.page.clock.run_for(50)
    found += serious(opened)
    opened.page.emulate_media(color_scheme="light")
    assert found == []


def test_a_chart_whose_file_cannot_be_had_stays_as_it_was_drawn(open_page: Open) -> None:
    opened = open_page("/404.html")
    opened.page.route("**/api/days.json", lambda route: route.abort())
    opened.page.goto(f"{opened.site.url}/history/")
    opened.page.locator(".plot").scroll_into_view_if_needed()
    opened.page.clock.run_for(50)
    opened.page.mouse.move(1, 1)
    opened.page.wait_for_selector(".plot[data-problem]")
    assert opened.page.locator(".drawn > svg").is_visible()


def test_a_page_that_is_only_looked_at_does_without_plotly(open_page: Open) -> None:
    opened = open_page("/history/")
    opened.page.clock.run_for(5000)
    assert not [url for url in opened.asked if "plotly.min" in url]
    opened.page.mouse.move(1, 1)
    opened.page.wait_for_selector(".plot[data-shown]")


# The legend and the controls


def test_the_legend_switches_a_line_off_and_on(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    button = opened.page.locator(".legend button", has_text="Exchange mean")
    assert "exchange" in names(plot)
    button.click()
    assert "exchange" not in names(plot)
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert "exchange" in names(plot)


def test_a_logarithmic_axis_and_a_moving_average_can_be_chosen(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    opened.page.check("[name=log]")
    opened.page.select_option("[name=average]", "7")
    opened.page.wait_for_function(
        "document.querySelector('.live').data.some((trace) => trace.meta === 'average')"
    )
    assert plot.evaluate("plot => plot.querySelector('.live').layout.yaxis.type") == "log"
    days = json.loads((opened.site.folder / "api/days.json").read_bytes())["days"]
    last = [day["price_usd"] for day in days[-7:]]
    line = plot.evaluate(
        "plot => plot.querySelector('.live').data.find((one) => one.meta === 'average').y"
    )
    assert line[-1] == pytest.approx(sum(last) / 7)
    assert line[5] is None  # not yet seven


def test_the_newest_price_stands_beside_the_chart(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    days = json.loads((opened.site.folder / "api/days.json").read_bytes())["days"]
    words = plot.evaluate(
        "plot => plot.querySelector('.live').layout.annotations.map((one) => one.text)"
    )
    assert f"${days[-1]['price_usd']:,.0f}" in words


# Keys


def test_keys_read_a_chart_out_zoom_it_and_lead_to_the_day(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    page = opened.page
    whole = in_view(plot)
    plot.locator(".live").focus()
    assert "Left and right" in page.inner_text(".readout")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.locator(".readout", has_text="2025-10-07: on-chain $").wait_for()
    page.keyboard.press("+")
    zoomed = in_view(plot)
    assert zoomed[1] - zoomed[0] == pytest.approx((whole[1] - whole[0]) / 2)
    page.keyboard.press("0")
    assert in_view(plot) == pytest.approx(whole)
    page.keyboard.press("Enter")
    page.wait_for_url("**/days/2025-10-07/")


def test_arrow_keys_in_a_chart_do_not_turn_the_page(open_page: Open) -> None:
    opened = open_page(DAY)
    plot = living(opened, "day")
    plot.locator(".live").focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.locator(".readout").first.filter(has_text="spot first $").wait_for()
    assert opened.page.url.endswith(DAY)


def test_keys_read_the_dashboard_out(open_page: Open) -> None:
    opened = come_alive(open_page("/"))
    opened.page.locator("#history-plot .live").focus()
    opened.page.keyboard.press("End")
    assert re.search(r"UTC: on-chain \$[\d,]+ \(block", opened.page.inner_text("#readout"))
    assert opened.complaints == []


# What leads where


def test_a_point_leads_to_its_day(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    box = plot.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    start, end = in_view(plot)
    noon = datetime(2025, 10, 8, 12, tzinfo=UTC).timestamp() * 1000
    x = box["x"] + box["width"] * (noon - start) / (end - start)
    y = box["y"] + box["height"] / 2
    opened.page.mouse.move(x - 5, y)
    opened.page.mouse.move(x, y)
    opened.page.clock.run_for(500)
    opened.page.mouse.click(x, y)
    opened.page.clock.run_for(1000)
    opened.page.wait_for_url(f"**{DAY}")


def test_the_end_of_a_drag_leads_nowhere(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    box = plot.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 40
    for far in (100, 6):
        opened.page.mouse.move(x, y)
        opened.page.mouse.down()
        opened.page.mouse.move(x, y + far, steps=4)
        opened.page.mouse.up()
        opened.page.clock.run_for(1000)
    assert opened.page.url.endswith("/history/")


def test_the_first_click_of_two_leads_nowhere(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    box = plot.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    opened.page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 60)
    opened.page.clock.run_for(1000)
    assert opened.page.url.endswith("/history/")


def test_a_day_that_is_not_final_is_said_to_have_no_page(open_page: Open) -> None:
    opened = come_alive(open_page("/"))
    page = opened.page
    page.locator("#history-plot .live").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.locator("#readout", has_text="2025-10-09 is not final yet").wait_for()


def test_a_zoom_stands_in_the_address_and_a_link_opens_it(history: tuple[Opened, Any]) -> None:
    opened, plot = history
    page = opened.page
    plot.locator(".live").focus()
    page.keyboard.press("+")
    page.wait_for_function("location.search.includes('from=')")
    asked = parse_qs(urlparse(page.url).query)
    zoomed = in_view(plot)
    page.goto(page.url)
    again = living(opened, "days")
    page.wait_for_function(
        "Math.abs(new Date(document.querySelector('.live').layout.xaxis.range[0] + 'Z')"
        f" - {zoomed[0]}) < 120000 || "
        f"Math.abs(document.querySelector('.live').layout.xaxis.range[0] - {zoomed[0]}) < 120000"
    )
    assert in_view(again) == pytest.approx(zoomed, abs=60_000)
    assert set(asked) == {"from", "to"}
    again.locator(".live").focus()
    page.keyboard.press("0")
    page.wait_for_function("!location.search.includes('from=')")


def test_a_range_and_a_zoom_of_the_dashboard_stand_in_one_address(open_page: Open) -> None:
    opened = come_alive(open_page("/?range=24h"), "24h")
    opened.page.locator("#history-plot .live").focus()
    opened.page.keyboard.press("+")
    opened.page.wait_for_function("location.search.includes('from=')")
    assert set(parse_qs(urlparse(opened.page.url).query)) == {"range", "from", "to"}


@pytest.mark.slow
def test_a_living_chart_is_saved_as_a_png_of_a_known_size(history: tuple[Opened, Any]) -> None:
    opened, _ = history
    with opened.page.expect_download() as waiting:
        opened.page.click("[data-png]")
    data = Path(waiting.value.path()).read_bytes()
    assert data.startswith(b"\x89PNG")
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (2400, 1280)


# A day checks itself


def checked(opened: Opened) -> str:
    opened.page.click(".check button")
    opened.page.locator(".check output", has_text=re.compile("qual|could not")).wait_for()
    assert [said for said in opened.complaints if "404" not in said] == []
    assert opened.page.inner_text(".check button") == "Work it out here"
    return opened.page.inner_text(".check output")


def price_of(value_sats: list[int]) -> float | None:
    values = np.array(value_sats, dtype=np.int64)
    places = np.zeros(len(values), dtype=np.int32)
    one = np.zeros(1, dtype=np.int32)
    window = Window(one, one.astype(np.int64), places, values, is_round_btc(values))
    return price_window(window).price_usd


def payments(seed: int) -> list[int]:
    """Amounts as a day has them: dollars, noise, round bitcoins."""
    rng = np.random.default_rng(seed)
    price = rng.uniform(6_000, 450_000)
    usd = rng.choice([5, 10, 20, 25, 50, 100, 200, 500, 1000], 4000)
    dollars = usd / price * (1 + rng.normal(0, 0.004, 4000))
    noise = 10 ** rng.uniform(-5, 2, 6000)
    coins = rng.choice([0.00005, 0.0002, 0.001, 0.005, 0.01, 0.1, 1.0], 1500)
    sats = (np.concatenate((dollars, noise, coins)) * 1e8).astype(np.int64)
    return sorted(sats[(sats > 1000) & (sats < 10**13)].tolist())


@pytest.mark.parametrize("seed", range(4))
def test_the_browser_finds_the_same_price_as_the_program(kept: Open, seed: int) -> None:
    sats = payments(seed)
    assert kept(DAY).page.evaluate("oracle.method.price", sats) == price_of(sats)


def test_the_browser_finds_no_price_where_there_is_none(kept: Open) -> None:
    assert kept(DAY).page.evaluate("oracle.method.price", []) is None


def test_the_browser_finds_the_price_of_a_real_window(kept: Open, shared: Path) -> None:
    table = pq.read_table(shared / "data/window_937665.parquet")
    sats = sorted(table["value_sats"].to_pylist())
    assert kept(DAY).page.evaluate("oracle.method.price", sats) == price_of(sats)


def amounts_in(path: Path) -> list[int]:
    """The amounts of a file, by the words of its description alone."""
    found, value, shift = [0], 0, 0
    for byte in path.read_bytes():
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(found[-1] + value)
            value, shift = 0, 0
    return found[1:]


@pytest.fixture
def publish_day(open_page: Open, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """A day whose published price is what its amounts say, and something else where asked for."""
    shutil.copytree(open_page("/404.html").site.folder, tmp_path / "site")
    site, server = serve(tmp_path / "site")
    path = site.folder / "api/days/2025-10-08.json"
    amounts = amounts_in(site.folder / "data/amounts/2025-10-08.bin")

    def published(off_usd: float = 0.0, off_outputs: int = 0) -> Opened:
        right = {
            "price_usd": (price_of(amounts) or 0) + off_usd,
            "outputs": len(amounts) + off_outputs,
        }
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **right}))
        return open_page(DAY, site=site)

    yield published
    server.shutdown()
    server.server_close()


def test_a_day_is_found_equal_to_the_last_digit(publish_day: Callable[..., Opened]) -> None:
    opened = publish_day()
    words = checked(opened)
    day = json.loads((opened.site.folder / "api/days/2025-10-08.json").read_bytes())
    assert words.startswith(f"Equal. From {day['outputs']:,} amounts this browser found $")
    assert f"${day['price_usd']}, as published" in words


@pytest.mark.parametrize("off", [{"off_usd": 1e-9}, {"off_outputs": 1}])
def test_the_browser_says_when_a_price_or_a_count_is_another(
    publish_day: Callable[..., Opened], off: dict[str, Any]
) -> None:
    opened = publish_day(**off)
    assert checked(opened).startswith("Not equal.")
    assert opened.page.get_attribute(".check output", "data-equal") == "false"


def test_a_file_of_amounts_that_is_missing_is_told(publish_day: Callable[..., Opened]) -> None:
    opened = publish_day()
    (opened.site.folder / "data/amounts/2025-10-08.bin").unlink()
    assert "could not be had (404)" in checked(opened)


# The stencil under the reader's hand


def test_the_stencil_can_be_slid_and_says_how_well_it_fits(open_page: Open) -> None:
    opened = open_page("/method/")
    page = opened.page
    window = json.loads((opened.site.folder / "api/window.json").read_bytes())
    best = window["stencil"]["slide"]
    page.locator("#slide").scroll_into_view_if_needed()
    assert page.input_value("#slide") == str(best)
    page.locator("#slide").press("ArrowRight")
    page.locator(".slide output", has_text="as well as at its best").wait_for()
    scores = window["stencil"]["scores"]
    first = window["stencil"]["first_slide"]
    share = round(100 * scores[best + 1 - first] / scores[best - first])
    assert f"it fits {share}% as well" in page.inner_text(".slide output")
    assert page.get_attribute(".sliding path.stencil", "transform") not in (None, "translate(0)")
    page.locator("#slide").press("ArrowLeft")
    page.locator(".slide output", has_text="here it fits best").wait_for()
    assert opened.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("path", [DAY, "/accuracy/"])
def test_a_finger_reads_a_chart_out_below_and_scrolls_nothing_sideways(
    open_page: Open, path: str
) -> None:
    opened = open_page(path, phone=True, timers_run=True, has_touch=True, is_mobile=True)
    page = opened.page
    plot = page.locator(".plot[data-chart]").first
    plot.scroll_into_view_if_needed()
    page.touchscreen.tap(195, 5)  # somebody is there
    page.wait_for_selector(".plot[data-shown]")
    assert page.locator(".readout").first.is_visible()
    box = plot.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator(".readout", has_text=re.compile(r"\$|%")).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_picture_says_where_it_comes_from_and_what_its_lines_are(open_page: Open) -> None:
    opened = open_page("/history/")
    line = opened.page.evaluate("oracle.sourceLine()")
    assert line.startswith(f"{opened.site.url}/history/ · made 2025-10-09 00:00 UTC · ")
    keys = opened.page.evaluate("oracle.keysOf(document.querySelector('figure'))")
    assert [key["words"] for key in keys] == [
        "On-chain day price",
        "its 95% interval",
        "Exchange mean of the day",
    ]
    assert len({key["colour"] for key in keys}) == 3
    plot = living(opened, "days")
    opened.page.evaluate(
        """() => { const to = Plotly.toImage; Plotly.toImage = (figure, options) => {
            window.pictured = figure.layout; return to(figure, options); }; }"""
    )
    with opened.page.expect_download():
        opened.page.click("[data-png]")
    layout = opened.page.evaluate("({ ...window.pictured, shapes: null })")
    assert layout["showlegend"] is True
    assert layout["title"]["text"] == "On-chain price of bitcoin · 8 days (simulated)"
    assert line in [note["text"] for note in layout["annotations"]]
    assert plot.locator(".live").is_visible()
