"""What `/` serves: published JSON objects in, HTML out.

A number on a page is the number in the JSON, written by one of the filters, with the exact value
kept in `<data value="...">`. Views (one a page) work out all that a page says, charts work out
drawings, templates print. Nothing is read here but the package's own templates and hand-written
files; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from builder.pages.badge import badge
from builder.pages.crawlers import crawlers
from builder.pages.environment import render
from builder.pages.feeds import feeds
from builder.pages.metrics import metrics
from builder.pages.site import Site
from builder.pages.views.accuracy import accuracy_view
from builder.pages.views.api import api_view
from builder.pages.views.dashboard import dashboard
from builder.pages.views.day import day_view
from builder.pages.views.frame import View
from builder.pages.views.history import history_view
from builder.pages.views.method import method_view
from builder.pages.views.not_found import not_found_view
from builder.pages.views.status import status_view

DASHBOARD = "index.html"
COMPARISON = "comparison/index.html"
"""An older spelling of the dashboard's address."""

PAGES: Mapping[str, tuple[str, Callable[[Site], View]]] = {
    DASHBOARD: ("dashboard.html", dashboard),
    "404.html": ("404.html", not_found_view),
    "history/index.html": ("history.html", history_view),
    "accuracy/index.html": ("accuracy.html", accuracy_view),
    "method/index.html": ("method.html", method_view),
    "api/index.html": ("api.html", api_view),
    "status/index.html": ("status.html", status_view),
}
"""Template and view by path in the release; the pages of days come besides."""


def render_pages(
    site: Site, *, days_to_render: Collection[str], carried: Collection[str] = ()
) -> dict[str, bytes]:
    """Render every page that is not carried over from an earlier release.

    Args:
        site: what pages are made from.
        days_to_render: dates of the day pages to make.
        carried: paths of pages that the last release has already, made from the same things.

    Returns:
        The content of each page by its path in the release.
    """
    pages = {
        path: _page(template, view(site))
        for path, (template, view) in PAGES.items()
        if path not in carried
    }
    of_days = {
        f"days/{day}/index.html": _page("day.html", day_view(site, site.objects.day(day)))
        for day in sorted(days_to_render)
    }
    return {**pages, COMPARISON: pages[DASHBOARD], **of_days}


def render_others(site: Site) -> dict[str, bytes]:
    """Return the same facts for other readers: feeds, badge, metrics, sitemap, robots.txt."""
    return {
        **feeds(site),
        "badge.svg": badge(site.latest),
        "metrics.txt": metrics(site.latest, site.objects.status),
        **crawlers(site),
    }


def _page(template: str, view: View) -> bytes:
    return render(template, page=view, frame=view.frame)
