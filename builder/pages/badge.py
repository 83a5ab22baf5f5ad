"""A small picture for other pages: the headline in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from builder.pages.environment import render
from builder.pages.filters import utc
from builder.pages.headline import Headline, headline_of
from builder.pages.site import test_network_of

if TYPE_CHECKING:
    from builder.api.types import Latest

LETTER_PIXELS = 7
MARGIN_PIXELS = 12
"""How wide a letter is at most, and the room beside the words."""

COLOURS = {"ok": "#1a7f37", "degraded": "#9a6700"}
OTHER_COLOUR = "#6e7781"


class Badge(NamedTuple):
    """Two fields side by side; widths and middles in pixels."""

    label: str
    text: str
    colour: str
    left: int
    right: int
    width: int
    left_middle: float
    right_middle: float


def badge(latest: Latest) -> bytes:
    """Return `badge.svg`."""
    return render("badge.svg", badge=badge_of(latest)).strip() + b"\n"


def badge_of(latest: Latest) -> Badge:
    """Return what the badge shows of latest.json."""
    label = f"{test_network_of(latest) or 'on-chain'} BTC"
    text = badge_text(headline_of(latest), _age_words(latest))
    left = LETTER_PIXELS * len(label) + MARGIN_PIXELS
    right = LETTER_PIXELS * len(text) + MARGIN_PIXELS
    return Badge(
        label=label,
        text=text,
        colour=COLOURS.get(latest["status"], OTHER_COLOUR),
        left=left,
        right=right,
        width=left + right,
        left_middle=left / 2,
        right_middle=left + right / 2,
    )


def _age_words(latest: Latest) -> str | None:
    """Return of when the price is, where it is none of now."""
    tip = latest["tip"]
    if tip is None or latest["status"] not in {"stale", "failing"}:
        return None
    return f"as of {utc(tip['time_unix'], '%b %d %H:%M')} UTC"


def badge_text(headline: Headline, age: str | None = None) -> str:
    """Return price and difference of the headline in few words."""
    price_usd = headline.price_usd
    words = ["no price" if price_usd is None else f"${price_usd:,.0f}"]
    if headline.percent is not None:
        words.append(f"{round(headline.percent, 1) + 0.0:+.1f}%")
    if headline.is_window:
        words.append("over 144 blocks")
    if headline.is_doubtful:
        words.append("low confidence")
    if age and price_usd is not None:
        words.append(age)
    return " ".join(words)
