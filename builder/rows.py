"""What the record answers: the columns of each statement `site_...` of `queries.sql`.

The statements decide; a test asks each of them and compares. `rows` and `row` are the one place
where answers without types become typed ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypeVar, cast

from typing_extensions import TypedDict

from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import EpisodeKind, ErrorObject, Leg, PeerState


class FactRow(TypedDict):
    """One fact of the database."""

    name: str
    value: str


class BlockRow(TypedDict):
    """A block."""

    height: int
    hash: str
    time_unix: int


class TipRow(BlockRow):
    """The newest block."""

    age_seconds: int


class PriceRow(TypedDict):
    """A price and how sure it is; `algorithm_version` is that of the calculator that made it."""

    price_usd: float | None
    low_usd: float | None
    high_usd: float | None
    confidence: float
    is_valid: bool
    reason: str | None
    points: int
    algorithm_version: str


class SpotRow(PriceRow):
    """The newest spot price."""

    first_height: int | None
    last_height: int | None


class ChangeRow(TypedDict):
    """What the valid spot prices did over so many days."""

    days: int
    from_usd: float | None
    from_height: int | None
    percent: float | None
    low_usd: float | None
    high_usd: float | None


class SpanRow(PriceRow):
    """A price of a span of blocks."""

    first_height: int
    last_height: int
    blocks: int
    outputs: int


class WindowRow(SpanRow):
    """The newest window price."""


class DayRow(SpanRow):
    """A final UTC day."""

    date: str
    rough_usd: int | None
    first_hash: str
    last_hash: str
    exchange_mean_usd: float | None
    exchange_close_usd: float | None
    divergence_percent: float | None


class SpotCandleRow(TypedDict):
    """What the valid spot prices did within some time."""

    spot_open_usd: float
    spot_high_usd: float
    spot_low_usd: float
    spot_close_usd: float
    spot_mean_usd: float
    spot_blocks: int


class CandleRow(SpotCandleRow):
    """The same of a final day."""

    date: str


class ExchangeRow(TypedDict):
    """The newest exchange sample."""

    price_usd: float
    quoted_at_unix: int
    sampled_at_unix: int
    age_seconds: int
    is_stale: bool
    suspicion: str | None
    source: str
    currencies: dict[str, float]


class DivergenceRow(TypedDict):
    """The newest comparison, and since when an episode goes on; all null before the first."""

    spot_percent: float | None
    window_percent: float | None
    headline_percent: float | None
    headline_usd: float | None
    leg: Leg | None
    is_large: bool | None
    exchange_mean_usd: float | None
    since_unix: int | None


class MomentRow(TypedDict):
    """One moment of a history: a tick, or the last block of a step."""

    time_unix: int
    height: int
    spot_usd: float | None
    spot_low_usd: float | None
    spot_high_usd: float | None
    window_usd: float | None
    exchange_usd: float | None
    divergence_percent: float | None
    leg: Leg | None
    confidence: float
    is_valid: bool
    points: int
    algorithm_version: str


class PriceAtRow(TypedDict):
    """The newest valid spot price at or before a time, and the quote of about then."""

    at_unix: int
    time_unix: int
    spot_usd: float
    quote_usd: float | None
    currencies: dict[str, float] | None


class EpisodeRow(TypedDict):
    """An episode."""

    kind: EpisodeKind
    leg: Leg | None
    peer: str | None
    started_at_unix: int
    ended_at_unix: int | None
    duration_seconds: int
    is_ongoing: bool
    start_height: int
    end_height: int | None
    peak_percent: float | None


class PeerRow(TypedDict):
    """What another publisher says, and how it stands to the record."""

    peer: str
    state: PeerState | None
    since_unix: int
    asked_at_unix: int
    problem: str | None
    problem_since_unix: int | None
    height: int | None
    hash: str | None
    spot_usd: float | None
    window_usd: float | None
    algorithm_version: str | None
    compared_height: int | None
    our_usd: float | None
    peer_usd: float | None
    difference_percent: float | None


class ProbeRow(TypedDict):
    """What a probe said of a source; older records lack the state."""

    source: str
    is_reachable: bool
    latency_ms: float | None
    version: str | None
    network: str | None
    is_synced: bool | None
    tip_height: int | None
    advice: list[str]
    state: NotRequired[str]


class RemarkRow(TypedDict):
    """What a person should know about a run that did not fail."""

    code: str
    message: str


class RunRow(TypedDict):
    """A run."""

    started_at_unix: int
    ended_at_unix: int
    outcome: str
    blocks_added: int
    blocks_replaced: int
    tip_height: int | None
    source: str | None
    error: ErrorObject | None
    sources: list[ProbeRow]
    remarks: list[RemarkRow] | None


class FailingRow(TypedDict):
    """When the first failed run after the last good one began; null while runs are good."""

    since_unix: int | None


class CountsRow(TypedDict):
    """How much there is."""

    blocks: int
    first_height: int | None
    last_height: int | None
    prices: int
    days: int
    exchange_samples: int
    episodes: int


class FirstComparisonsRow(TypedDict):
    """How many blocks were compared, and the sum of the times at which each first was; how many
    quotes there are up to the first comparison of the newest block, and where these end."""

    blocks: int
    times_unix: int
    quotes: int
    quotes_end_unix: int | None


class GapRow(TypedDict):
    """Heights that are missing."""

    first_height: int
    last_height: int


class PriceMonthRow(TypedDict):
    """The prices of a calendar month; `fingerprint` changes with any of them."""

    month: str
    rows: int
    first_height: int
    last_height: int
    last_unix: int
    algorithm_version: str
    fingerprint: str


class MonthRow(TypedDict):
    """A calendar month of blocks; `first` and `end` are its bounds in Unix seconds."""

    month: str
    first: int
    end: int
    blocks: int
    last_hash: str


T = TypeVar("T")
Parameter = int | str | list[float] | None
"""What a statement may be asked with."""


def rows(reader: Reader, _kind: type[T], name: str, **parameters: Parameter) -> list[T]:
    """Return all rows of an answer; `_kind` is the class of what the statement gives."""
    return cast("list[T]", reader.rows(name, **parameters))


def row(reader: Reader, _kind: type[T], name: str, **parameters: Parameter) -> T | None:
    """Return the first row of an answer, if any."""
    return cast("T | None", reader.row(name, **parameters))
