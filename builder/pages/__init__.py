"""What `/` serves: published JSON objects in, HTML out.

A number on a page is the number in the JSON, written by one of the filters, with the exact value
kept in `<data value="...">`. Views (one a page) work out all that a page says, charts work out
drawings, templates print. Nothing is read here but the package's own templates and hand-written
files; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from builder.draft import fingerprint
from builder.pages.badge import badge
from builder.pages.charts.scale import DAY_SECONDS
from builder.pages.crawlers import crawlers
from builder.pages.environment import render
from builder.pages.feeds import feeds
from builder.pages.headline import headline_of, is_old
from builder.pages.metrics import metrics
from builder.pages.site import Site
from builder.pages.views.days import year_of as year_of
from builder.pages.views.frame import View

if TYPE_CHECKING:
    from builder.api.types import Day

DASHBOARD = "index.html"
NOW_PICTURE = "share/now.png"
"""What others show of a link to the dashboard."""

COMPARISON = "comparison/index.html"
"""An older spelling of the dashboard's address."""

VIEWS = "builder.pages.views"
"""Each page's view is a function `<page>_view` of a module of its own here, loaded only when the
page is made."""

PAGES: Mapping[str, str] = {
    DASHBOARD: "dashboard",
    "404.html": "not_found",
    "history/index.html": "history",
    "accuracy/index.html": "accuracy",
    "method/index.html": "method",
    "api/index.html": "api",
    "embed/index.html": "embed",
    "status/index.html": "status",
}
"""Page by path in the release; the pages of days and of years come besides."""

TEMPLATES = {"not_found": "404.html"}
"""Of a page whose template has not its name."""


def render_pages(
    site: Site,
    *,
    days_to_render: Collection[str],
    years_to_render: Collection[str] = (),
    carried: Collection[str] = (),
) -> Iterator[tuple[str, bytes]]:
    """Render every page that is not carried over from an earlier release.

    Args:
        site: what pages are made from.
        days_to_render: dates of the day pages to make.
        years_to_render: years whose pages are to be made.
        carried: paths of pages that the last release has already, made from the same things.

    Yields:
        Path in the release and content of each page.
    """
    for path, page in PAGES.items():
        if path not in carried:
            made = _page(page, view_of(page)(site))
            yield path, made
            if path == DASHBOARD:
                yield COMPARISON, made
    for year in years_to_render:
        yield year_page(year), _year_page(site, year)
    if NOW_PICTURE not in carried:
        from builder.pages.share import now_picture  # loads Pillow

        yield NOW_PICTURE, now_picture(site)
    for date in sorted(days_to_render):
        day = site.objects.day(date)
        yield f"days/{date}/index.html", _day_page(site, day)
        yield share_of(date), _day_picture(site, day)


def render_others(site: Site) -> dict[str, bytes]:
    """Return the same facts for other readers: feeds, badge, metrics, sitemap, robots.txt."""
    return {
        **feeds(site),
        "badge.svg": badge(site.latest),
        "metrics.txt": metrics(site.latest, site.objects.status, site.objects.peers),
        **crawlers(site),
    }


def view_of(page: str) -> Callable[[Site], View]:
    """Return the function that works out a page."""
    made: Callable[[Site], View] = getattr(import_module(f"{VIEWS}.{page}"), f"{page}_view")
    return made


def year_page(year: str) -> str:
    """Return the path in the release of the page of a year."""
    return f"history/{year}/index.html"


def _year_page(site: Site, year: str) -> bytes:
    from builder.pages.views.year import year_view

    return _page("year", year_view(site, year))


def share_of(date: str) -> str:
    """Return the path in the release of the picture that others show of a day."""
    return f"share/{date}.png"


def _day_picture(site: Site, day: Day) -> bytes:
    from builder.pages.share import day_picture

    return day_picture(site, day)


def _day_page(site: Site, day: Day) -> bytes:
    from builder.pages.views.day import day_view  # most builds make no page of a day

    return _page("day", day_view(site, day))


def _page(page: str, view: View) -> bytes:
    return render(TEMPLATES.get(page, f"{page}.html"), page=view, frame=view.frame)


def now_key(site: Site) -> str:
    """Return what the picture of the dashboard is made from: it changes with the newest block, and
    with each day that none comes."""
    latest = site.latest
    tip = latest["tip"]
    days_since = (site.now_unix - tip["time_unix"]) // DAY_SECONDS if tip else 0
    headline = headline_of(latest)
    place = (tip["height"], tip["hash"]) if tip else None
    said = (headline.leg, headline.price, is_old(latest), site.test_network)
    return fingerprint((place, days_since, said))
