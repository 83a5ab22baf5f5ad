"""What search engines ask for: robots.txt and sitemap.xml."""

from __future__ import annotations

from builder.pages.environment import render
from builder.pages.site import Site
from builder.pages.views.days import year_of, year_path
from builder.pages.views.frame import SECTIONS


def crawlers(site: Site) -> dict[str, bytes]:
    """Return the files by path.

    Without a public address the places in the sitemap are relative, and robots.txt names no
    sitemap: both need full addresses to count.
    """
    years = dict.fromkeys(year_of(day) for day in site.days)
    paths = [
        *(path for path, _ in SECTIONS),
        *map(year_path, years),
        *(f"/days/{day['date']}/" for day in site.days),
    ]
    places = [f"{site.base}{path}" for path in paths]
    sitemap = f"{site.base}/sitemap.xml" if site.base else None
    return {
        "sitemap.xml": render("sitemap.xml", places=places).strip() + b"\n",
        "robots.txt": render("robots.txt", sitemap=sitemap).strip() + b"\n",
    }
