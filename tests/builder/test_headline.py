"""One leg at a time: price, exchange price and difference that stand together belong together."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder import pages
from builder.draft import Draft, Objects
from builder.pages import filters
from builder.pages.badge import badge_of
from builder.pages.headline import headline_of
from builder.pages.site import Site
from oracle.estimate.limits import Limits
from oracle.exchange.compare import compare
from tests.helpers.page_samples import NOW, snapshots

BASE = snapshots(days=2, is_demo=False)
ASSETS = dict.fromkeys(
    (
        "favicon.svg",
        "theme.js",
        "site.css",
        "site.js",
        "plotly.css",
        "charts.js",
        "figures.js",
        "price.js",
        "slide.js",
        "dashboard.js",
        "plotly.min.js",
    ),
    "/assets/x",
)
USD = st.floats(min_value=10_000, max_value=500_000)


@dataclass(frozen=True)
class Moment:
    """An on-chain price: none, doubtful or valid. An exchange price: none, stale or fresh."""

    spot_usd: float | None
    spot_is_valid: bool
    window_usd: float | None
    window_is_valid: bool
    exchange_usd: float | None
    exchange_is_stale: bool
    exchange_is_suspect: bool
    mean_usd: float | None


MOMENTS = st.builds(
    Moment,
    spot_usd=st.none() | USD,
    spot_is_valid=st.booleans(),
    window_usd=st.none() | USD,
    window_is_valid=st.booleans(),
    exchange_usd=st.none() | USD,
    exchange_is_stale=st.booleans(),
    exchange_is_suspect=st.booleans(),
    mean_usd=st.none() | USD,
)


def price(sample: dict[str, Any], usd: float | None, is_valid: bool) -> dict[str, Any]:
    around = {
        "price_usd": usd,
        "low_usd": None if usd is None else usd * 0.99,
        "high_usd": None if usd is None else usd * 1.01,
    }
    is_sure = is_valid and usd is not None
    doubt = {"confidence": 0.9 if is_sure else 0.1, "reason": None if is_sure else "doubtful"}
    return {**sample, **around, **doubt, "is_valid": is_sure}


def latest_of(moment: Moment) -> Any:
    """latest.json of a moment, compared by the function that a tick compares with."""
    latest = copy.deepcopy(BASE["api/latest.json"])
    latest["spot"] = price(latest["spot"], moment.spot_usd, moment.spot_is_valid)
    latest["window"] = price(latest["window"], moment.window_usd, moment.window_is_valid)
    exchange = {
        "price_usd": moment.exchange_usd,
        "is_stale": moment.exchange_is_stale,
        "is_suspect": moment.exchange_is_suspect,
        "reason": "it is far from all else" if moment.exchange_is_suspect else None,
    }
    counts = not moment.exchange_is_stale and not moment.exchange_is_suspect
    is_known = moment.exchange_usd is not None
    latest["exchange"] = {**latest["exchange"], **exchange} if is_known else None
    found = compare(
        spot_usd=moment.spot_usd if moment.spot_is_valid else None,
        window_usd=moment.window_usd if moment.window_is_valid else None,
        exchange_usd=moment.exchange_usd if counts else None,
        exchange_mean_usd=moment.mean_usd,
        threshold_percent=2.0,
    )
    exchange_usd = found.exchange_usd if found.leg == "spot" else found.exchange_mean_usd
    percent = found.headline_percent
    latest["divergence"] |= {
        "spot_percent": found.spot_percent,
        "window_percent": found.window_percent,
        "headline_percent": percent,
        "headline_usd": None if percent is None else percent / 100 * (exchange_usd or 0),
        "leg": found.leg,
        "is_large": found.is_large,
        "exchange_mean_usd": found.exchange_mean_usd,
    }
    return latest


def page_of(latest: Any) -> str:
    objects = Objects(Draft())
    objects.update({**BASE, "api/latest.json": latest})
    site = Site(objects, ASSETS, NOW, Limits())
    others = [path for path in pages.PAGES if path != pages.DASHBOARD]
    made = dict(pages.render_pages(site, days_to_render=[], carried=others))
    return made[pages.DASHBOARD].decode()


def figure(html: str, *anchors: str) -> float | None:
    """The exact value of the figure with one of these names."""
    for anchor in anchors:
        if found := re.search(rf'id="{anchor}"\s+value="([^"]+)"', html):
            return float(found[1])
    return None


def figures(html: str) -> tuple[float | None, float | None, float | None]:
    return (
        figure(html, "spot-price", "window-price"),
        figure(html, "exchange-price", "exchange-mean"),
        figure(html, "difference"),
    )


def apart(price_usd: float | None, exchange_usd: float | None) -> float:
    assert price_usd is not None
    assert exchange_usd is not None
    return 100 * (price_usd - exchange_usd) / exchange_usd


@settings(deadline=None, max_examples=60)
@given(MOMENTS)
def test_the_difference_shown_is_that_of_the_two_prices_shown(moment: Moment) -> None:
    price_usd, exchange_usd, percent = figures(page_of(latest_of(moment)))
    assert percent is None or percent == pytest.approx(apart(price_usd, exchange_usd), abs=0.005)


@settings(deadline=None, max_examples=60)
@given(MOMENTS)
def test_title_and_gauge_say_what_the_figures_say(moment: Moment) -> None:
    html = page_of(latest_of(moment))
    price_usd, exchange_usd, percent = figures(html)
    titles = re.findall(r'<title>(.+?)</title>|og:title" content="(.+?)"', html)
    said = {first or second for first, second in titles}
    assert len(said) == 1
    prices = re.findall(r"\$[\d,.]+\d", said.pop())
    assert prices == ([] if price_usd is None else [filters.usd(price_usd)])
    percents = re.findall(r"<title>[^<]*?, ([+\N{MINUS SIGN}]?[\d.]+%) from", html)
    assert percents == ([] if percent is None else [filters.percent(percent)])
    gauges = re.findall(r'aria-label="The on-chain price is (\S+)\s', html)
    assert all(text == filters.percent(apart(price_usd, exchange_usd)) for text in gauges)


@settings(deadline=None)
@given(MOMENTS)
def test_the_badge_says_what_the_headline_says(moment: Moment) -> None:
    latest = latest_of(moment)
    headline, words = headline_of(latest), badge_of(latest).text
    price_usd = headline.price_usd
    assert words.startswith("no price" if price_usd is None else f"${price_usd:,.0f}")
    percents = re.findall(r"[+-][\d.]+%", words)
    assert len(percents) == (headline.percent is not None)
    assert all(
        float(text[:-1]) == pytest.approx(apart(price_usd, headline.exchange_usd), abs=0.051)
        for text in percents
    )


@settings(deadline=None)
@given(MOMENTS)
def test_whatever_is_compared_is_shown(moment: Moment) -> None:
    latest = latest_of(moment)
    assert headline_of(latest).percent == latest["divergence"]["headline_percent"]


DOUBTFUL_SPOT = Moment(
    spot_usd=58_463,
    spot_is_valid=False,
    window_usd=58_494.55,
    window_is_valid=True,
    exchange_usd=58_434,
    exchange_is_stale=False,
    exchange_is_suspect=False,
    mean_usd=58_436,
)


def words(html: str) -> str:
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<(head|svg).*?</\1>", " ", html, flags=re.S))
    return re.sub(r"\s+", " ", text)


SUSPECT = replace(
    DOUBTFUL_SPOT, spot_is_valid=True, mean_usd=None, exchange_usd=1, exchange_is_suspect=True
)


def test_a_quote_that_is_not_believed_is_no_figure_and_says_why() -> None:
    html = page_of(latest_of(SUSPECT))
    assert figures(html) == (58_463, None, None)
    assert "Exchange price Not believed mempool says $1" in words(html)
    assert "it is far from all else" in words(html)


def test_beside_a_mean_the_quote_of_now_is_said_not_to_be_believed() -> None:
    text = words(page_of(latest_of(replace(DOUBTFUL_SPOT, exchange_is_suspect=True))))
    assert "now $58,434 (not believed)" in text


def test_beside_the_difference_of_the_window_stands_the_window_price() -> None:
    html = page_of(latest_of(DOUBTFUL_SPOT))
    assert figures(html) == (58_494.55, 58_436, pytest.approx(0.1002, abs=0.0001))
    assert "<title>$58,495 on-chain over 144 blocks, +0.10% from exchange mean</title>" in html


def test_where_the_window_leads_the_spot_price_is_shown_as_what_it_is() -> None:
    text = words(page_of(latest_of(DOUBTFUL_SPOT)))
    assert "On-chain price, last 144 blocks $58,495" in text
    assert "Exchange mean $58,436 of the quotes during these blocks now $58,434" in text
    assert "Spot price $58,463 not relied on: doubtful" in text
    assert "The on-chain price above is the window price" in text


def test_where_the_window_leads_the_confidence_is_the_windows() -> None:
    assert "Confidence High was high 0.90 of 1" in words(page_of(latest_of(DOUBTFUL_SPOT)))


@pytest.mark.parametrize("status", ["stale", "failing"])
def test_the_badge_says_of_when_its_price_is_where_builds_or_blocks_stopped(status: str) -> None:
    latest = latest_of(DOUBTFUL_SPOT) | {"status": status}
    of_when = filters.utc(latest["tip"]["time_unix"], "%b %d %H:%M")
    assert badge_of(latest).text.endswith(f" as of {of_when} UTC")
    assert " as of " not in badge_of(latest | {"status": "ok"}).text


def test_the_badge_says_that_its_price_is_the_windows() -> None:
    assert badge_of(latest_of(DOUBTFUL_SPOT)).text == "$58,495 +0.1% over 144 blocks"


def test_a_recorded_difference_of_other_prices_is_not_shown_beside_these() -> None:
    latest = latest_of(DOUBTFUL_SPOT)
    latest["window"]["price_usd"] = 59_000.0
    headline = headline_of(latest)
    assert (headline.percent, headline.difference_usd) == (None, None)


def test_a_difference_of_the_window_in_the_table_is_said_to_be_one() -> None:
    history = copy.deepcopy(BASE["api/history/7d.json"])
    history["leg"][-1] = "window"
    objects = Objects(Draft())
    objects.update({**BASE, "api/history/7d.json": history})
    site = Site(objects, ASSETS, NOW, Limits())
    made = dict(pages.render_pages(site, days_to_render=[]))
    assert words(made[pages.DASHBOARD].decode()).count("of the window") == 1
