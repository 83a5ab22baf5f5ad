"""What the record answers about how far the prices were off: `site_score...` and
`site_reliability` of `queries.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from builder.api.types import Errors


class ScoreRow(TypedDict):
    """One leg over so many days; `bins` counts differences by quarters of a percent from -3."""

    leg: str
    days: int
    errors: Errors
    inside_interval_share: float | None
    baseline: Errors
    baseline_hour: Errors
    bins: dict[int, int] | None


class ScorePartRow(TypedDict):
    """Prices of a year (`spot_year`, `day_year`), or with so many price points (`points`)."""

    kind: str
    part: int
    errors: Errors


class ReliabilityRow(TypedDict):
    """Spot prices whose confidence lies between two edges."""

    bin: int
    n: int
    said_share: float
    right_share: float
