"""The page of one final UTC day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.charts.points import points_chart
from builder.pages.filters import usd, whole
from builder.pages.site import Site
from builder.pages.views.frame import Frame, SharedPicture, frame_of
from builder.pages.views.histogram import HistogramView, histogram_view
from builder.pages.views.parts import Alive, Figure, Notice, csv_downloads, figure, sureness

if TYPE_CHECKING:
    from builder.api.types import Block, Day

HOUR_SECONDS = 3600
MIN_SPOT_BLOCKS = 12
"""With fewer spot prices the points chart has no line of them: a handful is no line."""

NOT_RELIABLE = "The price of this day is not to be relied on."


class Hour(NamedTuple):
    """An hour: how many price points are in the day's file and their median, what the spot price
    did, the exchange's last quote of it, and how far apart the last two are."""

    unix: int
    points: int
    median_usd: float | None = None
    open_usd: float | None = None
    high_usd: float | None = None
    low_usd: float | None = None
    close_usd: float | None = None
    exchange_usd: float | None = None

    @property
    def percent(self) -> float | None:
        """The last spot price against the last quote."""
        if self.close_usd is None or self.exchange_usd is None:
            return None
        return (self.close_usd / self.exchange_usd - 1) * 100


class DayView(NamedTuple):
    """All that the page of a day says."""

    frame: Frame
    day: Day
    notice: Notice | None
    difference_usd: float | None
    is_large: bool
    sureness: str
    points: Figure
    has_spot: bool
    has_quotes: bool
    hours: Sequence[Hour]
    histogram: HistogramView
    blocks: Sequence[tuple[str, Block]]
    left_out: Sequence[tuple[str, int]]
    before: str | None
    after: str | None


def day_view(site: Site, day: Day) -> DayView:
    """Return the view of a day.json."""
    name = day["date"]
    json = f"/api/days/{name}.json"
    has_spot = len(day["spot"]["time_unix"]) >= MIN_SPOT_BLOCKS
    return DayView(
        frame=_frame(site, day),
        day=day,
        notice=_notice(day),
        difference_usd=_difference_usd(day),
        is_large=abs(day["divergence_percent"] or 0) > site.limit,
        sureness=sureness(day["is_valid"], day["confidence"]),
        points=_points(site, day, has_spot=has_spot, json=json),
        has_spot=has_spot,
        has_quotes=bool(day["quotes"]["time_unix"]),
        hours=_hours(day),
        histogram=histogram_view(site, day, json),
        blocks=[("First", day["first_block"]), ("Last", day["last_block"])],
        left_out=[(_rule_words(rule), count) for rule, count in day["left_out"].items()],
        before=_neighbour(site, name, -1),
        after=_neighbour(site, name, 1),
    )


def _frame(site: Site, day: Day) -> Frame:
    return frame_of(
        site,
        title=f"{day['date']}: {usd(day['price_usd'])} · On-chain Bitcoin price",
        description=(
            f"The on-chain Bitcoin price of {day['date']} (UTC) with its price points, histogram, "
            "interval and blocks."
        ),
        section="/history/",
        path=f"/days/{day['date']}/",
        picture=SharedPicture(
            f"/share/{day['date']}.png", "The price points of the day, where they crowd to a line"
        ),
        made_unix=day["generated_at_unix"],
    )


def _notice(day: Day) -> Notice | None:
    if day["is_valid"]:
        return None
    return Notice("", "warning", "Low confidence.", day["reason"] or NOT_RELIABLE)


def _difference_usd(day: Day) -> float | None:
    """On-chain price minus exchange mean; None when the two are not compared."""
    price_usd = day["price_usd"]
    exchange_usd = day["exchange_mean_usd"]
    if day["divergence_percent"] is None or price_usd is None or exchange_usd is None:
        return None
    return price_usd - exchange_usd


def _points(site: Site, day: Day, *, has_spot: bool, json: str) -> Figure:
    spot = zip(day["spot"]["time_unix"], day["spot"]["spot_usd"], strict=True)
    downloads = csv_downloads(
        site, f"points-{day['date']}", csv=f"/api/days/{day['date']}.csv", json=json
    )
    chart = points_chart(day, list(spot) if has_spot else [])
    return figure(chart, _summary(day), downloads, Alive("day", has_address=True))


def _summary(day: Day) -> str:
    counts = f"{whole(day['points'])} price points in {whole(day['blocks'])} blocks"
    if day["price_usd"] is None:
        return f"{counts}; no price came out of them."
    return f"{counts}; their centre is {usd(day['price_usd'])}."


def _hours(day: Day) -> list[Hour]:
    """Every hour that has a price point or a spot price."""
    points = day["price_points"]
    in_time = sorted(zip(points["time_unix"], points["price_usd"], strict=True))
    by_hour = {
        unix: [price for _, price in group]
        for unix, group in groupby(in_time, key=lambda point: point[0] // HOUR_SECONDS)
    }
    hours = day["hours"]
    spot = {
        unix // HOUR_SECONDS: values
        for unix, *values in zip(
            hours["time_unix"],
            hours["spot_open_usd"],
            hours["spot_high_usd"],
            hours["spot_low_usd"],
            hours["spot_close_usd"],
            hours["exchange_usd"],
            strict=True,
        )
    }
    return [
        Hour(
            number * HOUR_SECONDS,
            len(by_hour.get(number, [])),
            median(by_hour[number]) if number in by_hour else None,
            *spot.get(number, []),
        )
        for number in sorted(by_hour.keys() | spot.keys())
    ]


def _rule_words(rule: str) -> str:
    return rule.replace("_", " ").capitalize()


def _neighbour(site: Site, name: str, days_later: int) -> str | None:
    """The date of a day that has a page."""
    found = str(date.fromisoformat(name) + timedelta(days=days_later))
    return found if found in site.dates else None
