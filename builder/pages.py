"""Pages from snapshots: the dictionaries that are published as JSON go in, HTML comes out.

Nothing is read here but the package's own templates and hand-written files; the time is an argument. A number
on a page is the number in the JSON, written by one of the filters below, with the exact value kept in
`<data value="...">`. Words live in the templates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from builder import charts

Snapshot = Mapping[str, Any]
Facts = dict[str, Any]

HERE = Path(__file__).resolve().parent
DEFAULT_ORIGIN = "http://127.0.0.1:8000"  # the address of the shipped nginx site, until a public one is set
DAY_SECONDS = charts.DAY_SECONDS
DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
TABLE_STEP_SECONDS = 6 * 3600  # the table under the chart of seven days has a row each six hours


def asset_files() -> dict[str, bytes]:
    """Hand-written files and Plotly by logical name, to be published under fingerprinted names."""
    folder = _folder("assets", "site/assets")
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    # The bundle adds one inline <style> for maps, which a strict content policy refuses with a console error;
    # its own test "is it there already" is made true. The rest is Plotly's.
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
    latest, base = snapshots["api/latest.json"], (public_url or "").rstrip("/")
    shared = {
        "latest": latest,
        "status": snapshots["api/status.json"],
        "episodes": snapshots["api/episodes.json"],
        "days": snapshots["api/days.json"]["days"],
        "limit": latest["divergence"]["threshold_percent"],
        "assets": assets,
        "now_unix": now_unix,
        "base": base,
        "origin": base or DEFAULT_ORIGIN,
    }
    has_window = "api/window.json" in snapshots
    facts: dict[str, Callable[[], Facts]] = {
        "dashboard": lambda: _dashboard(snapshots, now_unix),
        "history": lambda: {**_made(snapshots["api/days.json"]), "chart": _days_chart(shared["days"])},
        "accuracy": lambda: {**_made(snapshots["api/scorecard.json"]), **_accuracy(snapshots)},
        "method": lambda: _histogram(snapshots["api/window.json"]) if has_window else {"day": None},
        "api": lambda: {"examples": {path: _short(snapshot) for path, snapshot in snapshots.items()}},
        "status": dict,
        "404": dict,
    }
    paths = {name: "index.html" if name == "dashboard" else f"{name}/index.html" for name in facts}
    paths["404"] = "404.html"
    pages = {
        paths[name]: _render(f"{name}.html", {**shared, **make()})
        for name, make in facts.items()
        if paths[name] not in carried
    }
    days = {
        f"days/{day}/index.html": _render("day.html", {**shared, **_day(snapshots, day)})
        for day in sorted(days_to_render)
    }
    return {**pages, "comparison/index.html": pages["index.html"], **days}


def _made(snapshot: Snapshot) -> Facts:
    """A page about settled facts says when they were put together, and so stays the same."""
    return {"now_unix": snapshot["generated_at_unix"]}


def _days_chart(days: Iterable[Snapshot]) -> Markup:
    return charts.days_chart([{**day, "time_unix": noon(day["date"])} for day in days])


def _render(template: str, facts: Facts) -> bytes:
    return environment().get_template(template).render(facts).encode()


def _dashboard(snapshots: Mapping[str, Any], now_unix: int) -> Facts:
    rows = charts.rows_of(snapshots["api/history/7d.json"])
    limit = snapshots["api/latest.json"]["divergence"]["threshold_percent"]
    episodes = [e for e in snapshots["api/episodes.json"]["episodes"] if e["kind"] == "divergence"]
    start = max([now_unix - 7 * DAY_SECONDS, *(row["time_unix"] for row in rows[:1])])
    slots = groupby(rows, key=lambda row: row["time_unix"] // TABLE_STEP_SECONDS)
    return {
        "rows": rows,
        "gauge": _gauge(snapshots["api/latest.json"], limit),
        "chart": charts.history_chart(rows, episodes, start_unix=start, end_unix=now_unix, limit=limit),
        "table": [list(slot)[-1] for _, slot in slots][::-1],
    }


def _gauge(latest: Snapshot, limit: float) -> Facts | None:
    """Places in percent of the gauge's width: the spot price and its interval around the exchange price."""
    spot, exchange = latest["spot"], latest["exchange"]
    if not spot or not exchange or spot["price_usd"] is None:
        return None
    price = spot["price_usd"]
    usd_values = {"low": spot["low_usd"] or price, "price": price, "high": spot["high_usd"] or price}
    apart = {name: (value / exchange["price_usd"] - 1) * 100 for name, value in usd_values.items()}
    reach = max(limit * 1.4, *(abs(value) * 1.1 for value in apart.values()))
    scale = charts.Scale(-reach, reach, 100)
    return {name: scale(value) for name, value in {**apart, "below": -limit, "above": limit}.items()}


def noon(day: str) -> int:
    """The middle of a UTC day."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) + DAY_SECONDS // 2


def _day(snapshots: Mapping[str, Any], name: str) -> Facts:
    day, start = snapshots[f"api/days/{name}.json"], noon(name) - DAY_SECONDS // 2
    spot = _spot_line(day["spot"])
    dates = {row["date"] for row in snapshots["api/days.json"]["days"]}
    beside = [str(date.fromisoformat(name) + timedelta(days=step)) for step in (-1, 1)]
    return {
        **_made(day),
        **_histogram(day),
        "has_spot": bool(spot),
        "points_chart": charts.points_chart(day, spot, start),
        "hours": _hours(zip(day["price_points"]["time_unix"], day["price_points"]["price_usd"], strict=True)),
        "beside": [other if other in dates else None for other in beside],
    }


def _spot_line(columns: Mapping[str, Sequence[Any]]) -> list[tuple[int, float | None]]:
    """Spot prices at each block of a day; a handful is no line."""
    line = list(zip(columns["time_unix"], columns["spot_usd"], strict=True))
    return line if len(line) >= 12 else []


def _hours(points: Iterable[tuple[int, float]]) -> list[Facts]:
    by_hour = groupby(sorted(points), key=lambda point: point[0] // 3600 * 3600)
    prices = {hour: sorted(price for _, price in group) for hour, group in by_hour}
    quarters = {hour: [p[len(p) * k // 4] for k in (1, 2, 3)] for hour, p in prices.items()}
    return [{"time_unix": hour, "points": len(p), "quarters_usd": quarters[hour]} for hour, p in prices.items()]


def _histogram(day: Snapshot) -> Facts:
    """What histogram.html needs of a day or window: the slice under the stencil, or all bins without one."""
    weights, first = day["histogram"]["weights"], day["histogram"]["first_bin"]
    amounts = day["stencil"]["amounts"] if day["stencil"] else []
    left = max(first, day["stencil"]["first_bin"]) if day["stencil"] else first
    shown = weights[left - first :][:830] if amounts else weights
    shares = dict(enumerate(weights, first))
    return {
        "day": day,
        "histogram_chart": charts.histogram_chart(shown, left, amounts),
        "amounts": [{**amount, "share": shares.get(amount["bin"], 0.0)} for amount in amounts],
    }


def _accuracy(snapshots: Mapping[str, Any]) -> Facts:
    card, limit = (snapshots["api/scorecard.json"], snapshots["api/latest.json"]["divergence"]["threshold_percent"])
    is_young = len(snapshots["api/days.json"]["days"]) <= 30
    history = snapshots[f"api/history/{'30d' if is_young else '1y'}.json"]
    spreads = {name: leg["distribution"] for name, leg in card["legs"].items()}
    return {
        "card": card,
        "history": history,
        "error_chart": charts.error_chart(charts.rows_of(history), limit),
        "spread_charts": {
            name: charts.spread_chart(spread["edges_percent"], spread["counts"], limit)
            for name, spread in spreads.items()
            if any(spread["counts"])
        },
    }


def _short(value: Any) -> Any:
    """The same with long lists cut to two entries."""
    if isinstance(value, Mapping):
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value[:2]] if isinstance(value, list) else value


# Filters: how a number or a time is written


def usd(value: float | None) -> str:
    """Dollars: whole above a hundred, `$111,652`; cents below where there are any; a dash for None."""
    if value is None:
        return DASH
    return f"${value:,.0f}" if abs(value) >= 100 or value == int(value) else f"${value:,.2f}"


def signed_usd(value: float) -> str:
    """A difference in dollars with its sign: `+$130`."""
    return (MINUS if value < 0 else "+") + (f"${abs(value):,.0f}" if abs(value) >= 1 else usd(abs(value)))


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
    whole, parts = max(0, int(seconds)), []
    for size, unit in ((DAY_SECONDS, "d"), (3600, "h"), (60, "min"), (1, "s")):
        parts.append((whole // size, unit))
        whole %= size
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    wanted = parts[first : first + 2] if first < 2 else parts[first : first + 1]
    return " ".join(f"{count} {unit}" for count, unit in wanted if count or unit == "s")


def fact(value: Any, name: str) -> str:
    """A fact about the machine: bytes in GB or MB, versions side by side."""
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / 1e9:,.1f} GB" if value >= 1e8 else f"{value / 1e6:,.2f} MB"
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)


def _time(form: str) -> Any:
    return lambda unix: datetime.fromtimestamp(unix, UTC).strftime(form)


FILTERS = {
    "usd": usd,
    "signed_usd": signed_usd,
    "percent": percent,
    "btc": btc,
    "duration": duration,
    "fact": fact,
    "whole": lambda value: DASH if value is None else f"{value:,}",
    "ago": lambda seconds: "just now" if seconds < 60 else f"{duration(seconds)} ago",
    "moment": _time("%Y-%m-%d %H:%M UTC"),
    "clock": _time("%H:%M"),
    "iso": _time("%Y-%m-%dT%H:%M:%SZ"),
    "weekday": _time("%A, %B %-d, %Y"),
    "calendar_place": lambda day: divmod(int(day.strftime("%j")) - 1 + day.replace(month=1, day=1).weekday(), 7),
    "as_date": date.fromisoformat,
    "by_year": lambda days: [(year, list(its)) for year, its in groupby(days, lambda day: day["date"][:4])][::-1],
    "noon": noon,
    "sentence": lambda text: text[:1].upper() + text[1:].rstrip(".") + ".",
    "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
}


@cache
def environment() -> Environment:
    """The template environment: an undefined name is an error, everything is escaped."""
    loader = FileSystemLoader(_folder("templates", "templates"))
    made = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(FILTERS)
    return made
