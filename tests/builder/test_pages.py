"""Pages: what a reader is told, from the published objects alone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest

from builder import pages
from builder.api.contract import schemas
from builder.draft import Draft, Objects
from builder.pages import filters
from builder.pages.assets import assets, root_files
from builder.pages.site import PLACEHOLDER, Site
from builder.pages.views.api import short
from oracle.estimate.limits import Limits
from tests.helpers.page_samples import NOW, diverging, empty, snapshots

ASSETS = {name: f"/assets/{name}" for name in assets()}
NAMES = ["", "comparison/", "history/", "accuracy/", "method/", "api/", "status/"]


def site_of(made: Mapping[str, Any], public_url: str | None = None, now: int = NOW) -> Site:
    objects = Objects(Draft())
    objects.update(made)
    return Site(objects, ASSETS, now, Limits(), public_url)


def rendered(
    made: Mapping[str, Any], *, public_url: str | None = None, now: int = NOW
) -> dict[str, str]:
    days = [path[9:19] for path in made if path.startswith("api/days/")]
    out = dict(pages.render_pages(site_of(made, public_url, now), days_to_render=days))
    return {path: page.decode() for path, page in out.items() if path.endswith(".html")}


@pytest.fixture(scope="module")
def usual() -> dict[str, str]:
    return rendered(snapshots())


def words(html: str) -> str:
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<(head|svg).*?</\1>", " ", html, flags=re.S))
    return re.sub(r"\s+", " ", text)


def changed(section: str, made: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    made = copy.deepcopy(made or snapshots())
    made["api/latest.json"][section] = {**made["api/latest.json"][section], **values}
    return made


def with_notice(made: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    made["api/latest.json"]["notices"].insert(
        0, {"code": code, "severity": "warning", "message": message}
    )
    return made


# What there is


def test_every_page_of_the_contract_is_there(usual: dict[str, str]) -> None:
    assert {f"{name}index.html" for name in NAMES} | {"404.html"} <= set(usual)


def test_a_day_has_its_permanent_page(usual: dict[str, str]) -> None:
    assert "days/2025-10-08/index.html" in usual


def test_only_the_days_asked_for_are_rendered() -> None:
    out = dict(pages.render_pages(site_of(snapshots()), days_to_render=[]))
    assert not [path for path in out if path.startswith("days/")]


def test_carried_pages_are_not_rendered_again() -> None:
    made = site_of(snapshots())
    out = dict(pages.render_pages(made, days_to_render=[], carried=["api/index.html"]))
    assert "api/index.html" not in out


def test_the_same_snapshots_and_time_give_the_same_bytes(usual: dict[str, str]) -> None:
    assert rendered(snapshots()) == usual


@pytest.mark.parametrize(
    "path", ["latest", "days", "episodes", "scorecard", "status", "window", "history/7d"]
)
def test_the_sample_snapshots_have_the_published_shape(path: str) -> None:
    schema = schemas()[path.split("/", maxsplit=1)[0]]
    jsonschema.validate(snapshots()[f"api/{path}.json"], schema)


def test_the_sample_day_has_the_published_shape() -> None:
    jsonschema.validate(snapshots()["api/days/2025-10-08.json"], schemas()["day"])


@pytest.mark.parametrize("path", ["latest", "status", "history/all"])
def test_the_empty_sample_has_the_published_shape(path: str) -> None:
    schema = schemas()[path.split("/", maxsplit=1)[0]]
    jsonschema.validate(empty()[f"api/{path}.json"], schema)


# Rules that hold for all pages


def test_no_page_has_inline_script_or_style(usual: dict[str, str]) -> None:
    assert not [
        path
        for path, html in usual.items()
        if re.search(r"<script(?! src)|<style|\sstyle=|\son\w+=", html)
    ]


def test_no_page_names_another_host_but_its_own_and_its_peers(usual: dict[str, str]) -> None:
    hosts = set(re.findall(r"https?://([\w.:-]+)", " ".join(usual.values())))
    peers = {"agrees.example.org", "differs.example.org"}
    assert hosts <= {"this-site.example", "127.0.0.1:8332", "www.w3.org"} | peers  # the node's too


def test_every_page_that_shows_simulated_numbers_says_so(usual: dict[str, str]) -> None:
    silent = [
        path
        for path, html in usual.items()
        if "simulated data" not in words(html).lower() and path != "404.html"
    ]
    assert silent == []


def test_a_page_of_real_numbers_never_says_simulated() -> None:
    assert "imulated" not in words(rendered(snapshots(is_demo=False))["index.html"])


def test_titles_and_descriptions_are_there_and_differ(usual: dict[str, str]) -> None:
    titles = {
        re.findall(r"<title>([^<]+)", html)[0]
        for path, html in usual.items()
        if path != "comparison/index.html"
    }
    assert len(titles) == len(usual) - 1
    assert all('<meta name="description" content="' in html for html in usual.values())


def test_a_public_address_makes_canonical_links() -> None:
    html = rendered(snapshots(), public_url="https://price.example/")["history/index.html"]
    assert '<link rel="canonical" href="https://price.example/history/">' in html


def test_both_spellings_of_the_dashboard_have_one_canonical_address() -> None:
    html = rendered(snapshots(), public_url="https://price.example")["comparison/index.html"]
    assert '<link rel="canonical" href="https://price.example/">' in html


@pytest.mark.parametrize(
    ("page", "picture"),
    [
        ("index.html", "now.png"),
        ("history/index.html", "now.png"),
        ("days/2025-10-08/index.html", "2025-10-08.png"),
    ],
)
def test_what_others_show_of_a_link_is_named_in_full(page: str, picture: str) -> None:
    html = rendered(snapshots(), public_url="https://price.example")[page]
    assert f'<meta property="og:image" content="https://price.example/share/{picture}">' in html


def test_the_newest_place_in_the_navigation_is_marked(usual: dict[str, str]) -> None:
    assert '<a href="/accuracy/" aria-current="page">' in usual["accuracy/index.html"]


def test_hostile_words_in_the_data_are_escaped() -> None:
    made = changed("exchange", source="<script>alert(1)</script>")
    assert "<script>alert" not in rendered(made)["index.html"]


def test_a_missing_field_is_an_error_not_a_blank() -> None:
    made = snapshots()
    del made["api/latest.json"]["divergence"]["leg"]
    with pytest.raises(KeyError, match="leg"):
        rendered(made)


def test_every_chart_has_words_and_a_table(usual: dict[str, str]) -> None:
    html = usual["days/2025-10-08/index.html"]
    assert (
        html.count('class="drawn" role="img" aria-label="')
        == html.count("The chart as a table")
        == 2
    )


@pytest.mark.parametrize(
    "path",
    ["index.html", "history/index.html", "accuracy/index.html", "days/2025-10-08/index.html"],
)
def test_downloads_stand_under_the_charts(usual: dict[str, str], path: str) -> None:
    assert re.findall(r'data-png="[\w-]+">PNG</button>\s*<a href="/\w+', usual[path])


def test_a_line_for_duckdb_reads_the_file_over_http(usual: dict[str, str]) -> None:
    assert f"read_parquet('{PLACEHOLDER}/data/prices.parquet')" in usual["index.html"]


def test_a_line_for_duckdb_names_the_public_address() -> None:
    html = rendered(snapshots(), public_url="https://price.example/")["index.html"]
    assert "read_parquet('https://price.example/data/prices.parquet')" in html


# The dashboard


def test_the_first_screen_holds_the_exact_spot_price() -> None:
    price = snapshots()["api/latest.json"]["spot"]["price_usd"]
    assert (
        f'id="spot-price" value="{price}">${price:,.0f}</data>'
        in rendered(snapshots())["index.html"]
    )


@pytest.mark.parametrize("name", ["low_usd", "high_usd"])
def test_the_first_screen_holds_the_interval(name: str) -> None:
    value = snapshots()["api/latest.json"]["spot"][name]
    assert f'<data value="{value}">' in rendered(snapshots())["index.html"]


def test_the_first_screen_holds_the_exchange_price_and_its_time(usual: dict[str, str]) -> None:
    assert "mempool, quoted 2025-10-09 11:57 UTC" in words(usual["index.html"])


def test_the_first_screen_holds_tip_window_confidence_and_next_build(usual: dict[str, str]) -> None:
    text = words(usual["index.html"])
    assert re.search(
        r"Window price \$[\d,]+ the last 144 blocks, \+0\.12% from their exchange mean "
        r"Confidence High was high .* "
        r"Chain tip 918,000 2025-10-09 11:55 UTC Next update 12:09",
        text,
    )


def test_the_chart_is_drawn_before_any_script_runs(usual: dict[str, str]) -> None:
    assert 'class="line onchain"' in usual["index.html"]


def test_a_large_divergence_says_how_much_which_leg_and_since_when() -> None:
    text = words(rendered(diverging(3.2))["index.html"])
    assert "Large divergence detected: +3.2%" in text
    assert (
        "The spot price lies above the exchange price by more than 2%, since 2025-10-09 09:50 UTC"
        in text
    )


def test_a_divergence_downwards_is_below() -> None:
    assert "lies below the exchange price" in words(rendered(diverging(-3.2))["index.html"])


def test_a_notice_of_low_confidence_is_shown_and_the_price_dimmed() -> None:
    made = with_notice(
        changed("spot", is_valid=False, confidence=0.1), "low_confidence", "Low confidence: 0.1."
    )
    html = rendered(made)["index.html"]
    assert '<li class="notice warning' in html
    assert 'class="figure hero doubt"' in html


def test_without_a_spot_price_the_reason_stands_in_its_place() -> None:
    made = changed(
        "spot",
        price_usd=None,
        low_usd=None,
        high_usd=None,
        is_valid=False,
        reason="too few outputs",
    )
    text = words(rendered(made)["index.html"])
    assert "No price" in text
    assert "too few outputs" in text


def test_without_an_exchange_there_is_no_comparison() -> None:
    made = changed("divergence", headline_percent=None, headline_usd=None, leg=None)
    made["api/latest.json"]["exchange"] = None
    text = words(rendered(made)["index.html"])
    assert "Not known No source of exchange prices answers, or none is set." in text
    assert "Nothing to compare yet." in text


@pytest.mark.parametrize(
    ("status", "age_seconds", "is_old"),
    [("ok", 60, False), ("stale", 7_300, True), ("failing", 600, False), ("failing", 3_700, True)],
)
def test_numbers_that_were_old_when_the_page_was_made_are_not_called_those_of_now(
    status: str, age_seconds: int, is_old: bool
) -> None:
    made = changed("tip", age_seconds=age_seconds)
    made["api/latest.json"]["status"] = status
    html = rendered(made)["index.html"]
    tip_unix = made["api/latest.json"]["tip"]["time_unix"]
    of_when = filters.utc(
        tip_unix if is_old else made["api/latest.json"]["generated_at_unix"],
        "%b %d, %H:%M" if is_old else "%H:%M",
    )
    assert ('id="now" class="stale"' in html) is is_old
    assert f", as of {of_when} UTC" in words(html)


def test_without_any_price_one_box_says_so() -> None:
    html = rendered(empty())["index.html"]
    assert html.count('class="figure') == 1
    assert "No price" in words(html)


def test_an_empty_database_gives_every_page() -> None:
    out = rendered(empty())
    assert {f"{name}index.html" for name in NAMES} <= set(out)
    assert "No data yet" in words(out["index.html"])


# Other pages


def test_the_history_has_a_row_and_a_square_for_each_day(usual: dict[str, str]) -> None:
    days = snapshots()["api/days.json"]["days"]
    assert usual["history/index.html"].count('<th scope="row"><a href="/days/') == len(days)
    assert usual["history/index.html"].count('tabindex="-1"><rect class="cell ') == len(days)


def test_a_day_links_to_its_neighbours(usual: dict[str, str]) -> None:
    html = usual["days/2025-10-07/index.html"]
    assert 'href="/days/2025-10-06/" rel="prev"' in html
    assert 'href="/days/2025-10-08/" rel="next"' in html


def test_the_newest_day_has_no_next(usual: dict[str, str]) -> None:
    assert 'rel="next"' not in usual["days/2025-10-08/index.html"]


def test_a_day_shows_counts_per_rule_and_block_hashes(usual: dict[str, str]) -> None:
    html = usual["days/2025-10-08/index.html"]
    assert '<data value="90123">90,123</data>' in html
    assert html.count('class="hash soft"') == 2


def test_a_day_without_a_price_still_has_its_page() -> None:
    made = copy.deepcopy(snapshots())
    day = made["api/days/2025-10-08.json"]
    none = dict.fromkeys(("price_usd", "low_usd", "high_usd", "divergence_percent", "stencil"))
    day.update(
        none,
        is_valid=False,
        reason="too few outputs",
        price_points={**day["price_points"], "time_unix": [], "price_usd": []},
    )
    day["histogram"] = {**day["histogram"], "weights": []}
    assert "too few outputs" in words(rendered(made)["days/2025-10-08/index.html"])


def test_the_scorecard_shows_the_numbers_of_the_file(usual: dict[str, str]) -> None:
    row = snapshots()["api/scorecard.json"]["legs"]["spot"]["periods"]["7d"]
    assert f'<data value="{row["p95_percent"]}">0.48%</data>' in usual["accuracy/index.html"]


def said_of(*bins: tuple[float, float, int, float, float]) -> str:
    """What the accuracy page says of bins: from, to, how many, said, right."""
    made = copy.deepcopy(snapshots())
    names = ("confidence_from", "confidence_to", "n", "said_share", "right_share")
    made["api/scorecard.json"]["reliability"] = [dict(zip(names, one, strict=True)) for one in bins]
    return words(rendered(made)["accuracy/index.html"])


def test_the_accuracy_page_says_whether_confidence_can_be_taken_at_its_word() -> None:
    good = (0.95, 1.0, 900, 0.99, 0.998)
    assert "within 0.12 of each other" in said_of((0.2, 0.4, 30, 0.30, 0.41), good)
    shy = said_of((0.2, 0.4, 30, 0.30, 0.62), good)
    assert "From 0.20 to 0.40 it is too shy: it said 30%, and 62% of 30 prices were right." in shy
    assert "too sure of itself" in said_of((0.8, 0.95, 31, 0.9, 0.7))
    assert "There are not yet 30 prices" in said_of((0.2, 0.4, 29, 0.30, 0.95))
    assert "What confidence is worth" not in said_of()


def test_the_accuracy_page_says_whether_a_price_beats_the_naive_ones() -> None:
    made = copy.deepcopy(snapshots())
    legs = made["api/scorecard.json"]["legs"]
    legs["spot"] = copy.deepcopy(legs["spot"])
    legs["spot"]["periods"]["30d"]["baseline_hour"]["median_percent"] = 0.35
    legs["window"] = copy.deepcopy(legs["window"])
    legs["window"]["periods"]["30d"]["baseline_hour"]["median_percent"] = None
    text = words(rendered(made)["accuracy/index.html"])
    assert "nearer than the exchange price of an hour before (0.35%)" in text
    assert "no nearer than the exchange price of a day before (0.11%)" in text


def test_the_api_page_shows_live_examples(usual: dict[str, str]) -> None:
    assert "&#34;height&#34;: 918000" in usual["api/index.html"]


def test_examples_are_cut_to_two_entries() -> None:
    assert short({"a": [1, 2, 3], "b": {"c": [[1, 2, 3], 2, 3]}}) == {
        "a": [1, 2],
        "b": {"c": [[1, 2], 2]},
    }


def test_the_status_page_shows_the_last_error_as_published(usual: dict[str, str]) -> None:
    assert "MEMPOOL_API_UNAVAILABLE" in usual["status/index.html"]


def test_an_unreachable_source_is_named() -> None:
    made = copy.deepcopy(snapshots())
    made["api/status.json"]["sources"][0]["is_reachable"] = False
    assert "unreachable" in words(rendered(made)["status/index.html"])


def test_a_source_that_gives_no_blocks_is_not_called_reachable() -> None:
    made = copy.deepcopy(snapshots())
    made["api/status.json"]["sources"][0]["state"] = "refused"
    assert "gives no blocks" in words(rendered(made)["status/index.html"])


# Numbers and times in words


@pytest.mark.parametrize(
    ("value", "text"),
    [(111_652.4, "$111,652"), (68_150.84, "$68,151"), (5, "$5"), (99.5, "$99.50"), (None, "–")],  # noqa: RUF001
)
def test_dollars(value: float | None, text: str) -> None:
    assert filters.usd(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.2, "+3.20%"),
        (-0.141, "\N{MINUS SIGN}0.14%"),
        (0.001, "0.00%"),
        (-0.001, "0.00%"),
        (None, "\N{EN DASH}"),
    ],
)
def test_percents(value: float | None, text: str) -> None:
    assert filters.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(130.4, "+$130"), (-12, "\N{MINUS SIGN}$12"), (0.5, "+$0.50"), (44.7, "+$45")],
)
def test_differences_in_dollars(value: float, text: str) -> None:
    assert filters.signed_usd(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (754, "12 min"),
        (7800, "2 h 10 min"),
        (7200, "2 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert filters.duration(seconds) == text


def test_bitcoin_amounts_have_the_digits_that_count() -> None:
    assert filters.btc(0.00146734) == "0.00146734"
    assert filters.btc(0.1) == "0.1"


def test_the_page_for_programs_states_the_licence_where_there_is_one() -> None:
    made = snapshots()
    objects = Objects(Draft())
    objects.update(made)
    licensed = Site(objects, ASSETS, NOW, Limits(), None, licence="CC0-1.0")
    pages_of = dict(pages.render_pages(licensed, days_to_render=[]))
    assert "You may use the numbers under CC0-1.0 ." in words(pages_of["api/index.html"].decode())
    assert "You may use the numbers" not in words(rendered(made)["api/index.html"])


# Files beside the pages


def test_the_assets_hold_plotly_and_the_hand_written_files() -> None:
    names = {
        "plotly.min.js",
        "plotly.css",
        "site.css",
        "site.js",
        "theme.js",
        "dashboard.js",
        "charts.js",
        "figures.js",
        "price.js",
        "slide.js",
        "favicon.svg",
    }
    assert names <= set(assets())


def test_each_icon_of_the_web_app_manifest_has_the_size_it_says() -> None:
    files = root_files()
    for icon in json.loads(files["site.webmanifest"])["icons"]:
        data = files[icon["src"].removeprefix("/")]
        if icon["type"] == "image/png":
            size = f"{int.from_bytes(data[16:20])}x{int.from_bytes(data[20:24])}"
            assert size == icon["sizes"]
    assert files["apple-touch-icon.png"][16:24] == (180).to_bytes(4) * 2


def test_the_hand_written_scripts_and_styles_stay_small() -> None:
    lines = {name: asset.read().count(b"\n") for name, asset in assets().items()}
    scripts = [name for name in lines if name.endswith(".js") and name != "plotly.min.js"]
    assert max(lines[name] for name in scripts) < 400
    assert sum(lines[name] for name in scripts) < 1400
    assert lines["site.css"] < 500


def test_an_asset_is_named_by_what_is_in_it_and_plotly_by_its_size_and_version() -> None:
    named = {name: asset.path for name, asset in assets().items()}
    assert all(re.fullmatch(r"assets/.+\.[0-9a-f]{12}\.\w+", path) for path in named.values())
    assert len(set(named.values())) == len(named)
    head = assets()["plotly.min.js"].read()[:200]
    assert re.search(rb"plotly\.js v\d+\.\d+\.\d+", head)  # the version is in what is hashed


@pytest.mark.parametrize("network", ["regtest", "signet", "test", "testnet4", "unknown"])
def test_every_page_of_a_test_network_names_it(network: str) -> None:
    made = snapshots(is_demo=False)
    for value in made.values():
        if isinstance(value, dict) and "network" in value:
            value["network"] = network
    name = "unknown network" if network == "unknown" else network
    pages_of = rendered(made)
    for path, html in pages_of.items():
        assert f'<span class="tag demo">{name}</span>' in html, path
    assert f"({name})</title>" in pages_of["index.html"]
    assert "worth nothing" in words(pages_of["history/index.html"])
