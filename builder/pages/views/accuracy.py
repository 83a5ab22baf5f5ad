"""How far off the prices were, from the scorecard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from builder.pages.charts.errors import error_chart, spread_chart
from builder.pages.charts.moments import history_moments
from builder.pages.filters import distance, duration, sentence, whole
from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.parts import Alive, Figure, figure, parquet_downloads
from builder.pages.views.scores import Parts, parts_of

if TYPE_CHECKING:
    from builder.api.types import History, LegName, LegScore, Score, Scorecard

TITLE = "Accuracy · On-chain Bitcoin price"
DESCRIPTION = (
    "How far the on-chain Bitcoin prices were from the exchange, from recorded rows: median, 95th "
    "percentile, bias, interval coverage and a naive baseline."
)

PeriodName = Literal["1d", "7d", "30d", "365d", "all"]
LEGS: tuple[tuple[LegName, str], ...] = (
    ("spot", "Spot, at the tip"),
    ("window", "Window of 144 blocks"),
    ("day", "Whole days"),
    ("close", "Close of the day"),
    ("mean", "Mean of the day"),
)
HEADLINES = 3
"""So many legs are told in large figures."""

COLUMNS: dict[LegName, str] = {
    "spot": "time, spot_percent",
    "window": "time, window_percent",
    "day": "date, divergence_percent",
    "close": "date, spot_close_usd",
    "mean": "date, spot_mean_usd, exchange_mean_usd",
}
PERIODS: tuple[tuple[PeriodName, str], ...] = (
    ("1d", "1 day"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("365d", "1 year"),
    ("all", "all"),
)

YOUNG_DAYS = 30
"""Up to here the difference over time is drawn from the 30 days' file, which is finer."""


class LegFact(NamedTuple):
    """A leg in two numbers; `when` is None when there was nothing to compare."""

    name: str
    median_percent: float | None
    p95_percent: float | None
    when: str | None
    verdict: str | None


class OverTime(NamedTuple):
    """The difference over time."""

    figure: Figure
    span: str
    dots: str | None


class PeriodRow(NamedTuple):
    """A row of a leg's table."""

    name: str
    score: Score


class LegView(NamedTuple):
    """A leg: what is compared, how often which difference occurred, and the table."""

    key: str
    name: str
    compares: str
    figure: Figure | None
    rows: Sequence[PeriodRow]


class Comparisons(NamedTuple):
    """What is shown as soon as there is something to compare."""

    facts: Sequence[LegFact]
    over_time: OverTime
    legs: Sequence[LegView]
    parts: Parts


class AccuracyView(NamedTuple):
    """All that the accuracy page says."""

    frame: Frame
    limit: float
    comparisons: Comparisons | None
    baseline: str


def accuracy_view(site: Site) -> AccuracyView:
    """Return the view of the accuracy page."""
    card = site.objects.scorecard
    made_unix = card["generated_at_unix"]
    return AccuracyView(
        frame=frame_of(
            site, title=TITLE, description=DESCRIPTION, section="/accuracy/", made_unix=made_unix
        ),
        limit=site.limit,
        comparisons=_comparisons(site, card) if _has_any(card) else None,
        baseline=card["baseline"],
    )


def _has_any(card: Scorecard) -> bool:
    return any(card["legs"][key]["periods"]["all"]["n"] for key, _ in LEGS)


def _comparisons(site: Site, card: Scorecard) -> Comparisons:
    return Comparisons(
        facts=[_fact(name, card["legs"][key]) for key, name in LEGS[:HEADLINES]],
        over_time=_over_time(site, card),
        legs=[_leg(site, key, name, card["legs"][key]) for key, name in LEGS],
        parts=parts_of(site, card),
    )


def _fact(name: str, leg: LegScore) -> LegFact:
    is_recent = bool(leg["periods"]["30d"]["n"])
    score = leg["periods"]["30d"] if is_recent else leg["periods"]["all"]
    when = "last 30 days" if is_recent else "whole record"
    return LegFact(
        name,
        score["median_percent"],
        score["p95_percent"],
        when if score["n"] else None,
        _verdict(score),
    )


def _verdict(score: Score) -> str | None:
    """Say whether the price beats the exchange's own of an hour ago, or of a day ago."""
    ours = score["median_percent"]
    for baseline, when in ((score["baseline_hour"], "an hour"), (score["baseline"], "a day")):
        naive = baseline["median_percent"]
        if ours is not None and naive is not None:
            better = "nearer" if ours < naive else "no nearer"
            return f"{better} than the exchange price of {when} before ({distance(naive)})"
    return None


def _over_time(site: Site, card: Scorecard) -> OverTime:
    history: History = site.objects.history("30d" if len(site.days) <= YOUNG_DAYS else "1y")
    downloads = parquet_downloads(
        site,
        "accuracy",
        table="/data/prices",
        json=f"/api/history/{history['range']}.json",
        columns="time, leg, headline_percent",
    )
    words = f"Differences over time. {_summary(card['legs']['spot']['periods']['all'])}"
    step_seconds = history["step_seconds"]
    return OverTime(
        figure=figure(
            error_chart(history_moments(history), site.limit),
            words,
            downloads,
            Alive("errors", f"{site.limit:g}", has_address=True),
        ),
        span="the last year" if history["range"] == "1y" else "the last 30 days",
        dots=duration(step_seconds) if step_seconds else None,
    )


def _leg(site: Site, key: LegName, name: str, leg: LegScore) -> LegView:
    return LegView(
        key=key,
        name=name,
        compares=sentence(leg["compares"]),
        figure=_spread(site, key, leg) if any(leg["distribution"]["counts"]) else None,
        rows=[PeriodRow(words, leg["periods"][period]) for period, words in PERIODS],
    )


def _spread(site: Site, key: LegName, leg: LegScore) -> Figure:
    spread = leg["distribution"]
    chart = spread_chart(spread["edges_percent"], spread["counts"], site.limit)
    words = f"How often which difference occurred. {_summary(leg['periods']['all'])}"
    is_day = key not in ("spot", "window")
    downloads = parquet_downloads(
        site,
        f"differences-{key}",
        table="/data/days" if is_day else "/data/prices",
        json="/api/scorecard.json",
        columns=COLUMNS[key],
    )
    return figure(chart, words, downloads, Alive("spread", f"{key} {site.limit:g}"))


def _summary(score: Score) -> str:
    median = score["median_percent"]
    p95 = score["p95_percent"]
    if not score["n"] or median is None or p95 is None:
        return "Nothing to compare yet."
    return (
        f"{whole(score['n'])} comparisons: half of the differences are below {distance(median)}, "
        f"95 of 100 below {distance(p95)}."
    )
