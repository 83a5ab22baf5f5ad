"""What the record answers about one day: columns of more statements `site_...` of `queries.sql`."""

from __future__ import annotations

from typing_extensions import TypedDict

from builder.rows import SpotCandleRow


class HourRow(SpotCandleRow):
    """The same of an hour of a day."""

    time_unix: int


class QuoteRow(TypedDict):
    """A quote of a day."""

    time_unix: int
    price_usd: float


class LeftOutRow(TypedDict):
    """How many transactions a rule left out."""

    rule: str
    transactions: int


class SpotLineRow(TypedDict):
    """The spot price at a block."""

    time_unix: int
    height: int
    spot_usd: float | None
    is_valid: bool
