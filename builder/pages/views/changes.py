"""What the on-chain price did over the last days, and between which prices the days lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.site import Site

if TYPE_CHECKING:
    from builder.api.types import Change, DayPrice, Latest

WORDS = {1: "24 hours", 7: "7 days", 30: "30 days"}
FEWEST_DAYS = 2  # with one day the highest is the lowest


class ChangeLine(NamedTuple):
    """One span in words, and what the price did over it."""

    words: str
    change: Change


class ExtremeDay(NamedTuple):
    """A final day with the highest or lowest price of all."""

    usd: float
    date: str


class Extremes(NamedTuple):
    """Since when there are final days, and the two that stand out."""

    since: str
    highest: ExtremeDay
    lowest: ExtremeDay


def change_lines(latest: Latest) -> Sequence[ChangeLine]:
    """Return a line a span that the record reaches."""
    return [
        ChangeLine(WORDS[change["days"]], change)
        for change in latest["changes"]
        if change["from_usd"] is not None
    ]


def extremes_of(site: Site) -> Extremes | None:
    """Return the highest and the lowest of the day prices that are valid; None for too few."""
    found = [extreme for day in site.days if (extreme := _extreme(day)) is not None]
    if len(found) < FEWEST_DAYS:
        return None
    return Extremes(found[0].date, max(found), min(found))


def _extreme(day: DayPrice) -> ExtremeDay | None:
    usd = day["price_usd"]
    return ExtremeDay(usd, day["date"]) if day["is_valid"] and usd is not None else None
