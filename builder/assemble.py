"""From JSON objects to a release: pages, feeds, assets, contract, marks, manifest."""

from __future__ import annotations

from functools import cache
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from builder import pages
from builder.api.contract_files import add_contract
from builder.api.notices import STALE_RUNS
from builder.draft import Draft, Objects, fingerprint, with_others
from builder.gather import Context
from builder.pages.assets import Asset, assets, root_files
from builder.pages.environment import sources
from builder.pages.site import Site
from builder.publish import HEALTH, Sign, publish
from builder.releases import PUBLIC_KEY
from oracle import __version__

if TYPE_CHECKING:
    from builder.api.types import Latest, ManifestHead, Status

SUMS = "data/SHA256SUMS"
OWN_ASSET = "its name"  # what a file that pages load is made from: the name has its hash
KEY_COMMENT = "untrusted comment: signs api/manifest.json; compare it with another source"
DAYS = "api/days.json"
HISTORY_FOLDER = "history/"
HISTORY = f"{HISTORY_FOLDER}index.html"
SICK = ("stale", "failing")
SETTLED_PAGES = {
    "accuracy": "api/scorecard.json",
    "method": "api/window.json",
}  # and what they are made from


class Output(NamedTuple):
    """Where and how the site appears."""

    site_dir: Path
    public_url: str | None = None
    keep_releases: int = 5
    with_outputs: bool = False
    sign: Sign | None = None  # signs the manifest
    public_key: str | None = None  # by which readers check that


class BuildReport(NamedTuple):
    """What a build did."""

    folder: Path
    status: str
    files_made: int
    files_carried: int
    days_rendered: int


def render_and_publish(
    draft: Draft, objects: Objects, dates: list[str], output: Output, context: Context
) -> BuildReport:
    """Render everything that follows from the JSON objects, and publish."""
    latest = objects.latest
    loaded = pages_assets()
    site = Site(
        objects=objects,
        assets={name: f"/{asset.path}" for name, asset in loaded.items()},
        now_unix=latest["generated_at_unix"],
        limits=context.limits,
        licence=context.licence,
        public_url=output.public_url,
        public_key=output.public_key,
    )
    _render(draft, site, dates)
    for name, data in root_files().items():
        draft.add(name, data)
    for asset in loaded.values():
        draft.once(asset.path, OWN_ASSET, asset.read)
    add_contract(draft, output.public_url)
    draft.marks = _health_marks(objects.status)
    _keep_earlier_assets(draft)
    draft.add(SUMS, _sums(draft))
    folder = _publish(draft, latest, output)
    return BuildReport(
        folder=folder,
        status=latest["status"],
        files_made=len(draft.files),
        files_carried=len(draft.entries) - len(draft.files),
        days_rendered=len(dates),
    )


def _render(draft: Draft, site: Site, dates: list[str]) -> None:
    """Add all pages and feeds to the draft, one after the other: those of years of days would not
    fit into memory."""
    look = look_fingerprint(site.public_url)
    settled = {
        f"{page}/index.html": f"{look} {draft.entries[path]['made_from']}"
        for page, path in SETTLED_PAGES.items()
        if path in draft.entries
    }
    carried = [page for page, key in settled.items() if draft.carry(page, key)]
    years = _years_to_render(draft, site, f"{look} {draft.entries[DAYS]['made_from']}", look)
    if HISTORY in draft.entries:
        carried.append(HISTORY)
    if draft.carry(pages.NOW_PICTURE, f"{look} {pages.now_key(site)}"):
        carried.append(pages.NOW_PICTURE)
    rendered = pages.render_pages(
        site, days_to_render=dates, years_to_render=years, carried=carried
    )
    for path, data in chain(rendered, pages.render_others(site).items()):
        draft.add(path, data)


def _years_to_render(draft: Draft, site: Site, history_key: str, look: str) -> list[str]:
    """Carry over the page of all days and those of years, and return the years whose pages are to
    be made; a year that is over keeps its page. While no day is new, no day is looked at."""
    if draft.carry_with(HISTORY, history_key, HISTORY_FOLDER):
        return []
    years = {year: list(days) for year, days in groupby(site.days, key=pages.year_of)}
    draft.carry(HISTORY, with_others(history_key, 1 + len(years)))
    to_render = []
    for year, days in years.items():
        neighbours = [str(int(year) + step) in years for step in (-1, 1)]
        key = fingerprint((look, site.latest["network"], site.limit, neighbours, days))
        if not draft.carry(pages.year_page(year), key):
            to_render.append(year)
    return to_render


def _publish(draft: Draft, latest: Latest, output: Output) -> Path:
    if output.public_key:
        draft.add(PUBLIC_KEY, f"{KEY_COMMENT}\n{output.public_key}\n".encode())
    return publish(
        output.site_dir, draft, _manifest(latest), keep=output.keep_releases, sign=output.sign
    )


def _sums(draft: Draft) -> bytes:
    """Return the hashes of the data files, as sha256sum checks them."""
    paths = [path for path in draft.paths("data/") if path != SUMS]
    lines = [f"{draft.entries[path]['sha256']}  {path.removeprefix('data/')}\n" for path in paths]
    return "".join(lines).encode()


def _keep_earlier_assets(draft: Draft) -> None:
    """Carry over what the pages of the release before load: one loaded just before the swap still
    works."""
    for path, entry in draft.known.items():
        if path.startswith("assets/") and entry["made_from"] in (None, OWN_ASSET):
            draft.entries.setdefault(path, {**entry, "made_from": "the release before"})


def _health_marks(status: Status) -> list[str]:
    """Return the empty files by which nginx answers `/health`; see deploy/README.md.

    One for each hundred seconds until the site counts as stale: when builds stop, they run out.
    """
    interval_seconds = status["interval_seconds"]
    now_unix = status["generated_at_unix"]
    due_unix = min(
        status["next_due_at_unix"], now_unix + interval_seconds
    )  # whatever the record says
    until_unix = due_unix + (STALE_RUNS - 1) * interval_seconds
    fresh = range(now_unix // 100, until_unix // 100 + 1)
    marks = [f"{HEALTH}/fresh/{hundreds}" for hundreds in fresh]
    return [*marks, *([f"{HEALTH}/failing"] if status["status"] in SICK else [])]


def _manifest(latest: Latest) -> ManifestHead:
    tip = latest["tip"]
    name = f"{tip['height']}-{tip['hash'][:8]}" if tip else "empty"
    moment = latest["generated_at"].replace("-", "").replace(":", "")
    return {
        "schema_version": latest["schema_version"],
        "generated_at": latest["generated_at"],
        "generated_at_unix": latest["generated_at_unix"],
        "network": latest["network"],
        "is_demo": latest["is_demo"],
        "algorithm_version": latest["algorithm_version"],
        "build_id": f"{moment}-{name}",
        "product_version": __version__,
        "built_at": latest["generated_at"],
        "built_at_unix": latest["generated_at_unix"],
        "next_due_at": latest["next_due_at"],
        "next_due_at_unix": latest["next_due_at_unix"],
        "tip": {"height": tip["height"], "hash": tip["hash"]} if tip else None,
    }


@cache
def pages_assets() -> dict[str, Asset]:
    """Return the files that pages load, read once."""
    return assets()


@cache
def look_fingerprint(public_url: str | None) -> str:
    """Return a text that changes whenever a page would look different with the same numbers in
    it."""
    paths = [asset.path for asset in pages_assets().values()]
    return fingerprint((public_url, sources(), paths))
