"""Views: what a page says, before it is printed."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from builder.draft import Draft, Objects
from builder.pages.charts.calendar import calendar, shades, silhouette
from builder.pages.charts.gauge import gauge
from builder.pages.feeds import feed_of, feeds
from builder.pages.metrics import metrics
from builder.pages.site import Site
from builder.pages.views.accuracy import accuracy_view
from builder.pages.views.day import day_view
from builder.pages.views.frame import frame_of
from builder.pages.views.history import history_view
from builder.pages.views.method import method_view
from builder.pages.views.parts import sureness
from builder.pages.views.record import record_figure
from builder.pages.views.status import status_view
from builder.pages.views.year import year_view
from builder.site import Output, build_site
from oracle.estimate.limits import Limits
from oracle.record.reader import Reader
from tests.helpers import page_samples
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, make_history
from tests.helpers.page_samples import NOW, empty

ASSETS = {"plotly.min.js": "/assets/plotly.min.js"}
ADDRESS = "https://price.example"


def snapshots(days: int = 9) -> dict[str, Any]:
    return page_samples.snapshots(days=days)


def site_of(made: dict[str, Any] | None = None, public_url: str | None = None) -> Site:
    objects = Objects(Draft())
    objects.update(snapshots() if made is None else made)
    return Site(objects, ASSETS, NOW, Limits(), public_url)


def changed(path: str, **values: Any) -> Site:
    made = copy.deepcopy(snapshots())
    made[path] = {**made[path], **values}
    return site_of(made)


# The version beside a price is that of the object it stands in


def test_the_method_page_names_the_version_of_the_window_it_shows() -> None:
    view = method_view(changed("api/window.json", algorithm_version="other+7"))
    assert view.algorithm_version == "other+7"


def test_without_a_window_the_method_page_names_the_version_of_the_newest_prices() -> None:
    made = {**empty()}
    made["api/latest.json"] = {**made["api/latest.json"], "algorithm_version": "other+7"}
    assert method_view(site_of(made)).algorithm_version == "other+7"


def test_a_day_names_its_own_version() -> None:
    site = changed("api/days/2025-10-08.json", algorithm_version="other+7")
    assert day_view(site, site.objects.day("2025-10-08")).day["algorithm_version"] == "other+7"


# Addresses


def test_without_a_public_address_links_are_relative() -> None:
    frame = frame_of(site_of(), title="t", description="d", section="/history/")
    assert (frame.address, frame.picture) == (None, "/share/now.png")


def test_a_slash_at_the_end_of_the_public_address_does_not_double() -> None:
    frame = frame_of(site_of(None, f"{ADDRESS}/"), title="t", description="d", section="/history/")
    assert frame.address == f"{ADDRESS}/history/"


@pytest.fixture(scope="module")
def nameless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built site of which nobody said where it is."""
    with make_history(days=3, percent_off=3.2, outputs_per_block=20) as connection:
        output = Output(tmp_path_factory.mktemp("nameless"))
        return build_site(Reader(connection), output, context(END_UNIX)).folder


def test_a_site_without_a_public_address_names_no_machine(nameless: Path) -> None:
    texts = {
        str(path.relative_to(nameless)): path.read_text()
        for path in nameless.rglob("*")
        if path.suffix in {".html", ".json", ".xml", ".atom", ".txt", ".svg"}
    }
    named = r"127\.0\.0\.1|localhost|\[::1\]"
    assert [path for path, text in texts.items() if re.search(named, text)] == []


def test_a_sitemap_without_a_public_address_has_relative_places(nameless: Path) -> None:
    tree = ET.fromstring((nameless / "sitemap.xml").read_text())
    places = [place.text for place in tree.iter() if place.tag.endswith("loc")]
    assert places[0] == "/"
    assert "/days/2025-10-08/" in places


def test_robots_txt_names_a_sitemap_only_in_full(nameless: Path) -> None:
    assert (nameless / "robots.txt").read_text() == "User-agent: *\nAllow: /\n"


# Feeds


def test_entries_without_a_public_address_have_uuids_for_names() -> None:
    names = [entry.name for entry in feed_of(site_of()).entries]
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", name) for name in names)
    assert len(set(names)) == len(names)


def test_the_name_of_an_entry_stays_when_others_come() -> None:
    newer, older = feed_of(site_of()), feed_of(site_of(snapshots(days=3)))
    assert {entry.name for entry in older.entries} <= {entry.name for entry in newer.entries}


def test_the_name_of_an_entry_is_another_on_another_network() -> None:
    ours = feed_of(site_of())
    theirs = feed_of(changed("api/latest.json", network="main"))
    assert {e.name for e in ours.entries}.isdisjoint({e.name for e in theirs.entries})


def test_entries_with_a_public_address_are_named_by_it() -> None:
    names = [entry.name for entry in feed_of(site_of(None, ADDRESS)).entries]
    assert f"{ADDRESS}/days/2025-10-08/" in names


def test_links_of_a_feed_without_a_public_address_are_relative() -> None:
    atom = ET.fromstring(feeds(site_of())["feed.atom"])
    links = [link.attrib["href"] for link in atom.iter("{http://www.w3.org/2005/Atom}link")]
    assert links[:2] == ["/feed.atom", "/"]
    assert all(link.startswith("/") for link in links)


def test_hostile_words_in_a_feed_stay_words() -> None:
    site = changed("api/latest.json", network='"><script>')
    ET.fromstring(feeds(site)["feed.atom"])


# Metrics


def test_a_label_of_hostile_words_is_escaped() -> None:
    site = site_of(copy.deepcopy(snapshots()))
    site.objects.status["sources"][0]["source"] = 'a"b\\c\nd'
    text = metrics(site.latest, site.objects.status, site.objects.peers).decode()
    assert r'oracle_source_reachable{source="a\"b\\c\nd"} 1.0' in text


# Days


def test_the_neighbours_of_a_day_are_days_with_a_page() -> None:
    site = site_of()
    view = day_view(site, site.objects.day("2025-10-08"))
    assert (view.before, view.after) == ("2025-10-07", None)


def test_an_hour_has_its_points_its_prices_and_how_far_apart_they_ended() -> None:
    site = site_of()
    day = site.objects.day("2025-10-08")
    hours = day_view(site, day).hours
    assert len(hours) == 24
    assert sum(hour.points for hour in hours) == day["price_points"]["shown"]
    close, exchange = day["hours"]["spot_close_usd"][0], day["hours"]["exchange_usd"][0]
    assert (hours[0].close_usd, hours[0].exchange_usd) == (close, exchange)
    assert hours[0].percent == pytest.approx((close / exchange - 1) * 100)
    assert hours[-1].percent is None  # no quote in it


def test_an_hour_without_a_spot_price_has_its_points_alone() -> None:
    site = site_of()
    day = site.objects.day("2025-10-08")
    day["hours"] = {name: values[:3] for name, values in day["hours"].items()}
    hours = day_view(site, day).hours
    assert len(hours) == 24
    assert (hours[5].open_usd, hours[5].points > 0) == (None, True)


def test_a_day_that_is_not_compared_has_no_difference_in_dollars() -> None:
    site = changed("api/days/2025-10-08.json", divergence_percent=None)
    assert day_view(site, site.objects.day("2025-10-08")).difference_usd is None


# Calendar, gauge, table


def test_a_year_begins_in_its_first_column() -> None:
    year = calendar([{**snapshots()["api/days.json"]["days"][0], "date": "2025-01-01"}], 2.0)
    square = year.squares[0]
    assert (square.x, square.y) == (0, 15 + 2 * 13)  # a Wednesday


def test_a_week_stands_in_one_column() -> None:
    day = snapshots()["api/days.json"]["days"][0]
    dates = [f"2025-10-{number:02}" for number in range(6, 13)]  # Monday to Sunday
    year = calendar([{**day, "date": date} for date in dates], 2.0)
    assert len({square.x for square in year.squares}) == 1
    assert [square.y for square in year.squares] == [15 + 13 * row for row in range(7)]


def test_the_silhouette_of_a_year_has_the_squares_of_its_calendar() -> None:
    days = snapshots(days=40)["api/days.json"]["days"]
    squares = calendar(days, 2.0).squares
    shapes = silhouette(days, 2.0).shapes
    drawn = {(kind, place) for kind, path in shapes for place in path.split("z") if place}
    assert drawn == {(one.kind, f"M{one.x} {one.y}h11v11h-11") for one in squares}


def of_two_years() -> Site:
    made = snapshots(days=4)
    day = made["api/days.json"]["days"][0]
    dates = [f"2023-{month:02}-{number:02}" for month in (11, 12) for number in range(1, 29)]
    dates += [f"2024-01-{number:02}" for number in range(1, 32)]
    made["api/days.json"]["days"] = [{**day, "date": date} for date in dates]
    return site_of(made)


def test_years_stand_newest_first_with_their_months() -> None:
    record = history_view(of_two_years()).record
    assert record is not None
    assert [(year.name, year.is_newest) for year in record.years] == [
        ("2024", True),
        ("2023", False),
    ]
    assert [(month.name, month.href) for month in record.years[1].months] == [
        ("November", "/history/2023/#2023-11"),
        ("December", "/history/2023/#2023-12"),
    ]
    assert record.years[1].words.startswith("56 days, $")


def test_the_page_of_all_days_has_the_newest_sixty_as_a_table() -> None:
    record = history_view(of_two_years()).record
    assert record is not None
    assert [row.day["date"] for row in record.rows][::59] == ["2024-01-31", "2023-11-28"]
    assert not record.are_all


def test_a_year_has_all_its_days_and_an_anchor_a_month() -> None:
    view = year_view(of_two_years(), "2023")
    assert len(view.rows) == len(view.calendar.squares) == 56
    assert [(row.day["date"], row.month) for row in view.rows if row.month] == [
        ("2023-12-28", "2023-12"),
        ("2023-11-28", "2023-11"),
    ]
    assert (view.before, view.after) == (None, "2024")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"divergence_percent": 0.2}, "level-0"),
        ({"divergence_percent": -0.4}, "level-1"),
        ({"divergence_percent": 0.9}, "level-2"),
        ({"divergence_percent": -2.0}, "level-3"),
        ({"divergence_percent": 2.1}, "level-4"),
        ({"divergence_percent": None}, "alone"),
        ({"is_valid": False}, "invalid"),
        ({"price_usd": None}, "invalid"),
    ],
)
def test_a_square_is_shaded_by_its_distance(changes: dict[str, Any], kind: str) -> None:
    day = {**snapshots()["api/days.json"]["days"][0], **changes}
    year = calendar([day], 2.0)
    assert year.squares[0].kind == kind
    assert kind in dict(shades(2.0))


def test_the_gauge_has_the_exchange_price_in_its_middle() -> None:
    made = gauge(100.0, (100.0, 100.0), 100.0, exchange="exchange", limit=2.0)
    assert (made.dot, made.limit_left + made.limit_right) == (50.0, 100.0)


def test_the_gauge_holds_any_interval() -> None:
    made = gauge(110.0, (80.0, 130.0), 100.0, exchange="exchange", limit=2.0)
    assert 0 < made.band_left < made.dot < made.band_left + made.band_width < 100


def test_the_table_has_the_newest_row_of_each_quarter_of_a_day() -> None:
    record = record_figure(site_of())
    assert record is not None
    times = [row.time_unix for row in record.rows]
    assert times == sorted(times, reverse=True)
    assert len({time // 21_600 for time in times}) == len(times)
    assert times[0] == snapshots()["api/history/7d.json"]["time_unix"][-1]


# Words


@pytest.mark.parametrize(
    ("is_valid", "confidence", "word"),
    [(True, 0.8, "High"), (True, 0.5, "Fair"), (True, 0.49, "Low"), (False, 0.99, "Low")],
)
def test_a_confidence_in_one_word(is_valid: bool, confidence: float, word: str) -> None:
    assert sureness(is_valid, confidence) == word


def test_the_machine_is_told_in_words() -> None:
    machine = {
        "disk_free_bytes": 412_300_000_000,
        "database_bytes": 31_000_000,
        "disk_total_bytes": None,
        "versions": {"python": "3.11", "duckdb": "1.4"},
    }
    assert status_view(changed("api/status.json", machine=machine)).machine == [
        ("Disk free", "412.3 GB"),
        ("Database", "31.00 MB"),
        ("Versions", "python 3.11, duckdb 1.4"),
    ]


@pytest.mark.parametrize(
    ("day", "minutes_ago", "words"),
    [
        (None, 0, "0 of 52,560 blocks (0%)"),
        ("2025-03-04", 10, "13,140 of 52,560 blocks (25%), at 2025-03-04"),
        (
            "2025-03-04",
            90,
            "13,140 of 52,560 blocks (25%), at 2025-03-04; "
            "stopped, last moved 2025-10-09 10:30 UTC",
        ),
    ],
)
def test_a_backfill_is_told_with_how_far_it_is(
    day: str | None, minutes_ago: int, words: str
) -> None:
    backfill = {
        "blocks_done": 13_140 if day else 0,
        "blocks_wanted": 52_560,
        "day": day,
        "updated_at_unix": snapshots()["api/status.json"]["generated_at_unix"] - 60 * minutes_ago,
    }
    told = dict(status_view(changed("api/status.json", machine={"backfill": backfill})).machine)
    assert told == {"Backfill": words}


def test_the_newest_copy_is_told_by_its_time() -> None:
    machine = {"copied_at_unix": 1_760_000_000}
    told = status_view(changed("api/status.json", machine=machine)).machine
    assert told == [("Newest copy", "2025-10-09 08:53 UTC")]


@pytest.mark.parametrize(("gaps", "words"), [(0, "no gaps"), (1, "1 gap"), (2, "2 gaps")])
def test_gaps_are_counted_in_words(gaps: int, words: str) -> None:
    found = [{"first_height": 10 * number, "last_height": 10 * number} for number in range(gaps)]
    assert status_view(changed("api/status.json", gaps=found)).gaps_words == words


def test_a_young_record_shows_its_differences_from_the_finer_file() -> None:
    view = accuracy_view(site_of(snapshots(days=20)))
    assert view.comparisons is not None
    assert view.comparisons.over_time.span == "the last 30 days"


def test_the_heading_of_the_days_counts_them() -> None:
    view = history_view(site_of(snapshots(days=2)))
    assert view.record is not None
    assert view.record.heading == "1 day"
