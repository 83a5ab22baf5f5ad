"""What a build starts from: the newest rows of the record, the circumstances, and how every file
starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oracle.calculator import PriceCalculator
from oracle.core.params import ALGORITHM_VERSION
from oracle.estimate.limits import Limits

Row = Mapping[str, Any]
Snapshot = dict[str, Any]

SCHEMA_VERSION = 1
HEAD_FIELDS = (
    "schema_version",
    "generated_at",
    "generated_at_unix",
    "network",
    "is_demo",
    "algorithm_version",
)
DAY_SECONDS = 86_400
TICKS_SECONDS = 7 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Context:
    """What a build knows besides the record: the time, the settings that show, the machine."""

    now_unix: int
    interval_seconds: int
    limits: Limits
    calculator: PriceCalculator  # draws the pictures beside the prices
    machine: Row


@dataclass(frozen=True, slots=True)
class Record:
    """The newest rows of the database, as `oracle.record.reader` gives them."""

    facts: Mapping[str, str]
    tip: Row | None
    spot: Row | None
    window: Row | None
    exchange: Row | None
    divergence: Row | None
    days: Sequence[Row]
    ticks: Sequence[Row]  # a week of them
    episodes: Sequence[Row]
    runs: Sequence[Row]
    last_good_run: Row | None
    last_failed_run: Row | None
    gaps: Sequence[Row]
    counts: Row


def iso(time_unix: int) -> str:
    """Return a time as ISO 8601 UTC, to the second, with Z."""
    return datetime.fromtimestamp(time_unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def midnight_unix(date: str) -> int:
    """Return the first second of a UTC date, YYYY-MM-DD."""
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


def times(name: str, time_unix: int | None) -> Snapshot:
    """Return one moment under two names: `name` in ISO 8601 and `name_unix` in seconds."""
    return {name: None if time_unix is None else iso(time_unix), f"{name}_unix": time_unix}


def stamped(row: Row) -> Snapshot:
    """Return a row with each moment under two names: before `x_unix` comes `x` in ISO 8601."""
    pairs = (
        times(key[:-5], value) if key.endswith("_unix") else {key: value}
        for key, value in row.items()
    )
    return {key: value for pair in pairs for key, value in pair.items()}


def head(facts: Mapping[str, str], generated_at_unix: int) -> Snapshot:
    """Return what every file starts with."""
    return {
        "schema_version": SCHEMA_VERSION,
        **times("generated_at", generated_at_unix),
        "network": facts.get("network", "unknown"),
        "is_demo": facts.get("is_demo", "false").lower() == "true",
        "algorithm_version": ALGORITHM_VERSION,
    }
