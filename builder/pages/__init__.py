"""Pages from snapshots: the dictionaries that are published as JSON go in, HTML comes out.

Nothing is read here but the package's own templates and hand-written files; the time is an
argument. A number on a page is the number in the JSON, written by one of the filters below, with
the exact value kept in `<data value="...">`. Words live in the templates, which pick what they show
out of the snapshots.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from builder.pages import charts

HERE = Path(__file__).resolve().parent.parent
DEFAULT_ORIGIN = (
    "http://127.0.0.1:8000"  # the address of the shipped nginx site, until a public one is set
)
PAGES = {
    "index.html": "dashboard.html",
    "404.html": "404.html",
    **{
        f"{name}/index.html": f"{name}.html"
        for name in ("history", "accuracy", "method", "api", "status")
    },
}
UNITS = (("d", charts.DAY_SECONDS), ("h", 3600), ("min", 60), ("s", 1))
DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def asset_files() -> dict[str, bytes]:
    """Hand-written files and Plotly by logical name, to be published under fingerprinted names."""
    folder = _folder("assets", "site/assets")
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    # The bundle adds one inline <style> for maps, which a strict content policy refuses with a
    # console error; its own test "is it there already" is made true. The rest is Plotly's.
    plotly = re.sub(r'document\.getElementById\("[0-9a-f]{64}"\)', "true", get_plotlyjs())
    return {**files, "plotly.min.js": plotly.encode()}


def _folder(inside: str, beside: str) -> Path:
    """In a wheel the folder lies inside the package, in a checkout beside it."""
    return HERE / inside if (HERE / inside).is_dir() else HERE.parent / beside


def render_pages(
    snapshots: Mapping[str, Any],
    *,
    assets: Mapping[str, str],
    now_unix: int,
    public_url: str | None,
    days_to_render: Collection[str],
    carried: Collection[str] = (),
) -> dict[str, bytes]:
    """Render every page that is not carried over from an earlier release.

    Args:
        snapshots: The published JSON objects by release path, `api/latest.json` and so on.
        assets: URL path of each file of `asset_files()` by its logical name.
        now_unix: The moment this build stands for.
        public_url: Where readers reach the site, or None when nobody said.
        days_to_render: Dates of the day pages to make.
        carried: Paths of pages that the last release has already, made from the same things.

    Returns:
        The content of each page by its path in the release.
    """
    base = (public_url or "").rstrip("/")
    days = snapshots["api/days.json"]["days"]
    facts = {
        "snapshots": snapshots,
        **{name: snapshots[f"api/{name}.json"] for name in ("latest", "status", "episodes")},
        "days": days,
        "years": [(year, list(its)) for year, its in groupby(days, lambda day: day["date"][:4])][
            ::-1
        ],
        "limit": snapshots["api/latest.json"]["divergence"]["threshold_percent"],
        "assets": assets,
        "now_unix": now_unix,
        "base": base,
        "origin": base or DEFAULT_ORIGIN,
    }

    def page(template: str, **more: Any) -> bytes:
        return environment().get_template(template).render(facts, **more).encode()

    pages = {path: page(template) for path, template in PAGES.items() if path not in carried}
    of_days = {
        f"days/{day}/index.html": page("day.html", day=snapshots[f"api/days/{day}.json"])
        for day in sorted(days_to_render)
    }
    return {**pages, "comparison/index.html": pages["index.html"], **of_days}


# Filters: how a number or a time is written, and what of a snapshot


def usd(value: float | None) -> str:
    """Dollars: whole above a hundred, `$111,652`; cents below where there are any; a dash for
    None."""
    if value is None:
        return DASH
    return f"${value:,.0f}" if abs(value) >= 100 or value == int(value) else f"${value:,.2f}"


def signed_usd(value: float) -> str:
    """A difference in dollars with its sign: `+$130`."""
    return (MINUS if value < 0 else "+") + (
        f"${abs(value):,.0f}" if abs(value) >= 1 else usd(abs(value))
    )


def percent(value: float | None) -> str:
    """Percent with its sign and two decimals: `+3.20%`, `0.00%`; a dash for None."""
    if value is None:
        return DASH
    text = f"{value:+.2f}%".replace("-", MINUS)
    return text[1:] if text[1:] == "0.00%" else text


def btc(value: float) -> str:
    """An amount of bitcoin with the digits that count: `0.00146734`."""
    return f"{value:.8f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """A length of time in at most two units: `40 s`, `12 min`, `2 h 10 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    first = next((place for place, (_, size) in enumerate(UNITS) if whole >= size), len(UNITS) - 1)
    (unit, size), (smaller_unit, smaller) = UNITS[first], UNITS[min(first + 1, 2)]
    rest = whole % size // smaller
    return f"{whole // size} {unit}" + (f" {rest} {smaller_unit}" if rest and first < 2 else "")


def utc(unix: float, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """A moment in UTC."""
    return datetime.fromtimestamp(unix, UTC).strftime(form)


def short(value: Any) -> Any:
    """The same with long lists cut to two entries."""
    if isinstance(value, Mapping):
        return {key: short(inner) for key, inner in value.items()}
    return [short(inner) for inner in value[:2]] if isinstance(value, list) else value


def by_hour(points: Mapping[str, Iterable[Any]]) -> list[tuple[int, list[float]]]:
    """The price points of a day as (hour, sorted prices)."""
    in_time = sorted(zip(points["time_unix"], points["price_usd"], strict=True))
    groups = groupby(in_time, key=lambda point: point[0] // 3600 * 3600)
    return [(hour, sorted(price for _, price in group)) for hour, group in groups]


FILTERS = {
    **{
        made.__name__: made
        for made in (usd, signed_usd, percent, btc, duration, utc, short, by_hour)
    },
    "whole": lambda value: DASH if value is None else f"{value:,}",
    "as_date": date.fromisoformat,
    "weekday": lambda day: date.fromisoformat(day).strftime("%A, %B %-d, %Y"),
    "days_later": lambda day, count: str(date.fromisoformat(day) + timedelta(days=count)),
    "calendar_place": lambda day: divmod(
        int(day.strftime("%j")) - 1 + day.replace(month=1, day=1).weekday(), 7
    ),
    "sentence": lambda text: text[:1].upper() + text[1:].rstrip(".") + ".",
    "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
}


@cache
def environment() -> Environment:
    """The template environment: an undefined name is an error, everything is escaped."""
    loader = FileSystemLoader(_folder("templates", "templates"))
    made = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(charts=charts, zip=zip)
    return made
