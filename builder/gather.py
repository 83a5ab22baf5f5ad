"""What a build starts from: the circumstances, and the newest rows of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.draft import fingerprint
from builder.rows import (
    ChangeRow,
    CountsRow,
    DayRow,
    DivergenceRow,
    EpisodeRow,
    ExchangeRow,
    FactRow,
    FailingRow,
    GapRow,
    MomentRow,
    PeerRow,
    RunRow,
    SpotRow,
    TipRow,
    WindowRow,
    row,
    rows,
)
from oracle.calculator import PriceCalculator
from oracle.estimate.limits import Limits
from oracle.record.reader import Reader

if TYPE_CHECKING:
    from builder.api.types import Machine

FORMAT = "9"
"""Of all files that are carried over from build to build: raise it when a key or column changes."""

DAY_SECONDS = 86_400
TICKS_SECONDS = 7 * DAY_SECONDS
"""As far back as the longest history that has every tick."""


class Context(NamedTuple):
    """What a build knows besides the record: the time, the settings that show, the machine."""

    now_unix: int
    interval_seconds: int
    limits: Limits
    calculator: PriceCalculator  # draws the pictures beside the prices
    machine: Machine
    licence: str | None = None  # of the published numbers

    def key(self, *facts: object) -> str:
        """Return a text that changes with facts, with the calculator and with the form of files."""
        made_by = (FORMAT, self.calculator.algorithm_version, self.licence)
        return fingerprint((*made_by, *facts))


class Gathered(NamedTuple):
    """The newest rows of the record."""

    facts: Mapping[str, str]
    tip: TipRow | None
    spot: SpotRow | None
    changes: Sequence[ChangeRow]
    window: WindowRow | None
    exchange: ExchangeRow | None
    divergence: DivergenceRow | None
    days: Sequence[DayRow]
    ticks: Sequence[MomentRow]  # a week of them
    episodes: Sequence[EpisodeRow]
    runs: Sequence[RunRow]
    last_good_run: RunRow | None
    last_failed_run: RunRow | None
    failing_since_unix: int | None  # the first failed run after the last good one
    gaps: Sequence[GapRow]
    peers: Sequence[PeerRow]
    counts: CountsRow

    @property
    def unpriced_from(self) -> Sequence[int]:
        """The heights from which on a window's blocks have no price yet: where the record begins,
        and behind each gap."""
        first = self.counts["first_height"]
        behind = [gap["last_height"] + 1 for gap in self.gaps]
        return behind if first is None else [first, *behind]

    @property
    def network(self) -> str:
        """The network whose blocks these are."""
        return self.facts.get("network", "unknown")

    @property
    def has_market(self) -> bool:
        """Whether these bitcoins have a price: those of a test network have none."""
        return self.network == "main" and not self.is_demo

    @property
    def is_demo(self) -> bool:
        """Whether the blocks are simulated."""
        return self.facts.get("is_demo", "false").lower() == "true"


def gather(reader: Reader, now_unix: int) -> Gathered:
    """Read what every build reads, whatever has changed."""
    return Gathered(
        facts={fact["name"]: fact["value"] for fact in rows(reader, FactRow, "facts")},
        tip=row(reader, TipRow, "tip", now=now_unix),
        spot=row(reader, SpotRow, "spot"),
        changes=rows(reader, ChangeRow, "changes"),
        window=row(reader, WindowRow, "window"),
        exchange=row(reader, ExchangeRow, "exchange", now=now_unix),
        divergence=row(reader, DivergenceRow, "divergence", now=now_unix),
        days=rows(reader, DayRow, "days"),
        ticks=rows(reader, MomentRow, "ticks", first=now_unix - TICKS_SECONDS, now=now_unix),
        episodes=rows(reader, EpisodeRow, "episodes", now=now_unix),
        runs=rows(reader, RunRow, "runs", now=now_unix),
        last_good_run=row(reader, RunRow, "last_good_run", now=now_unix),
        last_failed_run=row(reader, RunRow, "last_failed_run", now=now_unix),
        failing_since_unix=rows(reader, FailingRow, "failing")[0]["since_unix"],
        gaps=rows(reader, GapRow, "gaps"),
        peers=rows(reader, PeerRow, "peers"),
        counts=rows(reader, CountsRow, "counts")[0],
    )
