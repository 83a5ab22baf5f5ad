"""UTC days as one writes them on a command line."""

from __future__ import annotations

from datetime import date, datetime

import click

from oracle.errors import RequestError

DAY_SHAPES = ("%Y/%m/%d", "%Y-%m-%d")


def parse_day(_context: click.Context, _option: click.Parameter, text: str | None) -> date | None:
    """Return the day that an option names; None where it is not given."""
    if text is None:
        return None
    for shape in DAY_SHAPES:
        try:
            return datetime.strptime(text, shape).date()  # noqa: DTZ007 - a UTC date has no time
        except ValueError:
            continue
    raise RequestError(f"{text!r} is not a date; write it as 2025/10/15 or 2025-10-15")
