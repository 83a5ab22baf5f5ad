"""How a number or a time is written. Each filter takes one value and gives text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

CENTS_BELOW_USD = 100
"""From here on prices are written in whole dollars."""

SURE = 0.995
"""A confidence that would be written 1.00, which none is, is written >0.99."""

UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
"""Units of a length of time, in seconds."""

LAST_PAIRED = 1
"""Days are written with hours and hours with minutes; minutes and seconds stand alone."""


def usd(value: float | None) -> str:
    """Dollars: whole above a hundred, `$111,652`; cents below where there are any; a dash for
    None."""
    if value is None:
        return DASH
    is_whole = abs(value) >= CENTS_BELOW_USD or value == int(value)
    return f"${value:,.0f}" if is_whole else f"${value:,.2f}"


def signed_usd(value: float) -> str:
    """A difference in dollars with its sign: `+$130`."""
    size = f"${abs(value):,.0f}" if abs(value) >= 1 else usd(abs(value))
    return (MINUS if value < 0 else "+") + size


def percent(value: float | None) -> str:
    """Percent with its sign and two decimals: `+3.20%`, `0.00%`; a dash for None."""
    if value is None:
        return DASH
    text = f"{value:+.2f}%".replace("-", MINUS)
    return text[1:] if text[1:] == "0.00%" else text


def distance(value: float) -> str:
    """Percent without a sign: `0.48%`."""
    return f"{value:.2f}%"


def limit(value: float) -> str:
    """A threshold in percent with the digits that it has: `2%`."""
    return f"{value:g}%"


def share(value: float) -> str:
    """A part of one as percent: `95%`."""
    return f"{value:.0%}"


def fine_share(value: float) -> str:
    """A small part of one as percent: `0.123%`."""
    return f"{value:.3%}"


def weight(value: float) -> str:
    """A weight of the stencil: `0.00211`."""
    return f"{value:.5f}"


def milliseconds(value: float | None) -> str:
    """A latency: `12.3 ms`; a dash for None."""
    return DASH if value is None else f"{value:.1f} ms"


def btc(value: float) -> str:
    """An amount of bitcoin with the digits that count: `0.00146734`."""
    return f"{value:.8f}".rstrip("0").rstrip(".")


def whole(value: int | None) -> str:
    """A count: `61,234`; a dash for None."""
    return DASH if value is None else f"{value:,}"


def confidence(value: float) -> str:
    """A confidence: `0.93`, at most `>0.99`."""
    return ">0.99" if value >= SURE else f"{value:.2f}"


def duration(seconds: float) -> str:
    """A length of time in at most two units: `40 s`, `12 min`, `2 h 10 min`, `3 d 4 h`."""
    length = max(0, int(seconds))
    number = next((n for n, (_, size) in enumerate(UNITS) if length >= size), len(UNITS) - 1)
    unit, size = UNITS[number]
    words = f"{length // size} {unit}"
    if number > LAST_PAIRED:
        return words
    smaller_unit, smaller_size = UNITS[number + 1]
    rest = length % size // smaller_size
    return f"{words} {rest} {smaller_unit}" if rest else words


def utc(unix: float, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """A moment in UTC."""
    return datetime.fromtimestamp(unix, UTC).strftime(form)


def iso(unix: float) -> str:
    """A moment as ISO 8601 UTC, to the second."""
    return utc(unix, "%Y-%m-%dT%H:%M:%SZ")


def weekday(day: str) -> str:
    """A date with its day of the week: `Wednesday, October 8, 2025`."""
    return date.fromisoformat(day).strftime("%A, %B %-d, %Y")


def sentence(text: str) -> str:
    """The text with a capital letter and one full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def pretty(value: object) -> str:
    """A JSON value, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False)


FILTERS: Mapping[str, Callable[..., str]] = {
    made.__name__: made
    for made in (
        usd,
        signed_usd,
        percent,
        distance,
        limit,
        share,
        fine_share,
        weight,
        milliseconds,
        btc,
        whole,
        confidence,
        duration,
        utc,
        iso,
        weekday,
    )
}
