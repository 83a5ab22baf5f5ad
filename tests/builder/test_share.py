"""What others show of a link: a picture of the stated size that says what the page says."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from PIL import Image

from builder import pages
from builder.draft import Draft, Objects
from builder.pages import share
from builder.pages.share import ONCHAIN, SOFT, day_picture, now_picture
from builder.pages.site import Site
from oracle.estimate.limits import Limits
from tests.helpers.page_samples import NOW, empty, snapshots

DATE = "2025-10-08"


def site_of(made: dict[str, Any], now_unix: int = NOW, public_url: str | None = None) -> Site:
    objects = Objects(Draft())
    objects.update(made)
    return Site(objects, {}, now_unix, Limits(), public_url)


def picture_of(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def day_site(**changes: Any) -> Site:
    made = copy.deepcopy(snapshots())
    made[f"api/days/{DATE}.json"].update(changes)
    return site_of(made)


def day_of(**changes: Any) -> bytes:
    site = day_site(**changes)
    return day_picture(site, site.objects.day(DATE))


def latest(**changes: dict[str, Any] | None) -> dict[str, Any]:
    made = copy.deepcopy(snapshots())
    for section, values in changes.items():
        known = made["api/latest.json"][section]
        made["api/latest.json"][section] = values and {**known, **values}
    return made


def figures(picture: Image.Image) -> Image.Image:
    """The part where the price stands in large figures."""
    return picture.crop((50, 100, 700, 225))


def has(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Tell whether a colour is there; a palette of few may be a little off."""
    found = picture.getcolors(1 << 20) or []
    return any(
        count > 50 and max(abs(a - b) for a, b in zip(seen, colour, strict=True)) < 20
        for count, seen in found
    )


def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written from now on, in order."""
    words: list[str] = []
    write = share.Canvas.text

    def listening(self: share.Canvas, at: Any, text: str, *rest: Any) -> None:
        words.append(text)
        write(self, at, text, *rest)

    monkeypatch.setattr(share.Canvas, "text", listening)
    return words


def test_pictures_have_the_size_that_pages_state() -> None:
    assert picture_of(now_picture(site_of(snapshots()))).size == (1200, 630)
    assert picture_of(day_of()).size == (1200, 630)


def test_the_same_facts_give_the_same_bytes() -> None:
    assert now_picture(site_of(snapshots())) == now_picture(site_of(snapshots()))
    assert day_of() == day_of()


def test_the_picture_of_a_day_says_what_its_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(monkeypatch)
    made = snapshots()
    day = made[f"api/days/{DATE}.json"]
    site = site_of(made, public_url="https://price.example/")
    day_picture(site, day)
    assert words[0].endswith(DATE)
    assert words[1] == "simulated"
    assert words[2] == f"${day['price_usd']:,.0f}"
    assert f"${day['low_usd']:,.0f} to ${day['high_usd']:,.0f}" in words[3]
    assert words[4].startswith("price.example · ")


def test_a_price_that_is_not_valid_loses_its_green() -> None:
    assert has(figures(picture_of(day_of())), ONCHAIN)
    doubtful = figures(picture_of(day_of(is_valid=False)))
    assert not has(doubtful, ONCHAIN)
    assert has(doubtful, SOFT)


def test_a_day_without_a_price_has_a_picture_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(monkeypatch)
    nothing = dict.fromkeys(("price_usd", "low_usd", "high_usd", "exchange_mean_usd", "density"))
    day_of(**nothing, is_valid=False, divergence_percent=None)
    assert "No price" in words


def test_an_empty_record_has_a_picture_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(monkeypatch)
    now_picture(site_of(empty()))
    assert "No price" in words
    assert any("no block yet" in text for text in words)


def test_a_newest_price_that_is_old_loses_its_green() -> None:
    made = latest()
    assert has(figures(picture_of(now_picture(site_of(made)))), ONCHAIN)
    made["api/latest.json"]["status"] = "stale"
    assert not has(figures(picture_of(now_picture(site_of(made)))), ONCHAIN)


def test_where_the_window_leads_its_price_is_the_one_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(monkeypatch)
    made = latest(divergence={"leg": "window"}, window={"price_usd": 43_210.0})
    now_picture(site_of(made))
    assert "$43,210" in words
    assert any("last 144 blocks" in text for text in words)


def test_the_longest_words_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(monkeypatch)
    million = {"price_usd": 1_234_567.0, "low_usd": 1_222_222.0, "high_usd": 1_244_444.0}
    day_of(**million, exchange_mean_usd=1_333_333.0, divergence_percent=-12.34)
    assert share._font(28).getlength(words[3]) / share.FINER < 1080


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"exchange": {"price_usd": 99_999.0}}, True),
        ({"tip": {"height": 918_001}}, False),
        ({"spot": {"price_usd": 99_999.0}}, False),
    ],
)
def test_the_picture_of_now_is_made_anew_with_each_block(
    changes: dict[str, dict[str, Any]], is_same: bool
) -> None:
    before, after = pages.now_key(site_of(latest())), pages.now_key(site_of(latest(**changes)))
    assert (before == after) is is_same


def test_between_two_blocks_the_picture_stays_the_same() -> None:
    made = latest()
    soon, later = site_of(made), site_of(made, NOW + 1800)
    assert pages.now_key(soon) == pages.now_key(later)
    assert now_picture(soon) == now_picture(later)
