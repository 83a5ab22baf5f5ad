"""`/api/status.json`, `/api/episodes.json` and `/api/manifest.json`: the oracle itself."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypeAliasType, TypedDict

from builder.api.types.base import (
    Count,
    Date,
    ErrorObject,
    Hash,
    Head,
    Height,
    Leg,
    Percent,
    Seconds,
    State,
    Time,
    Tip,
    Unix,
    about,
)
from builder.api.types.latest import Notice

EpisodeKind = TypeAliasType("EpisodeKind", Literal["divergence", "low_confidence", "peer_differs"])


class SourceState(TypedDict):
    """What the last probe of one source said."""

    source: str
    state: NotRequired[
        Annotated[str, about("ok, prices_only, syncing, refused, bad_answer or unreachable")]
    ]
    is_reachable: bool
    latency_ms: float | None
    version: str | None
    network: str | None
    is_synced: bool | None
    tip_height: int | None
    advice: list[str]
    last_success_at: Annotated[
        Time | None, about("end of the last run in which it was reachable (ISO 8601 UTC)")
    ]
    last_success_at_unix: Annotated[
        Unix | None, about("end of the last run in which it was reachable (seconds since 1970 UTC)")
    ]


class Run(TypedDict):
    """One run."""

    started_at: Annotated[Time, about("start (ISO 8601 UTC)")]
    started_at_unix: Annotated[Unix, about("start (seconds since 1970 UTC)")]
    ended_at: Annotated[Time, about("end (ISO 8601 UTC)")]
    ended_at_unix: Annotated[Unix, about("end (seconds since 1970 UTC)")]
    outcome: Annotated[str, about("ok, no_new_block or failed")]
    blocks_added: int
    blocks_replaced: int
    tip_height: int | None
    source: str | None
    error: ErrorObject | None


class Gap(TypedDict):
    """Heights missing in the record."""

    first_height: int
    last_height: int


class Holdings(TypedDict):
    """What the database holds."""

    blocks: int
    first_height: int | None
    last_height: int | None
    prices: int
    days: int
    exchange_samples: int
    episodes: int


class BackfillState(TypedDict):
    """How far a backfill is, or was when it was stopped."""

    blocks_done: Count
    blocks_wanted: Count
    day: Annotated[Date | None, about("the UTC day that it is at; it goes back in time")]
    updated_at: Time
    updated_at_unix: Unix


class Machine(TypedDict):
    """Disk, copies and versions, as far as known."""

    disk_free_bytes: NotRequired[int]
    disk_total_bytes: NotRequired[int]
    database_bytes: NotRequired[int | None]
    copied_at_unix: NotRequired[
        Annotated[Unix | None, about("when the newest copy of the database was made")]
    ]
    backfill: NotRequired[
        Annotated[BackfillState | None, about("null when none goes on or was stopped")]
    ]
    versions: NotRequired[dict[str, str]]


class Status(Head):
    """Health of the oracle."""

    status: Annotated[
        State,
        about(
            "ok; degraded: prices are there, with a warning; stale: builds or blocks stopped; "
            "failing: the last run failed or there is no data"
        ),
    ]
    reasons: Annotated[list[Notice], about("why not ok")]
    error: Annotated[ErrorObject | None, about("set while failing")]
    tip: Tip | None
    sources: list[SourceState]
    runs: Annotated[list[Run], about("newest first")]
    last_success_at: Annotated[Time | None, about("end of the last good run (ISO 8601 UTC)")]
    last_success_at_unix: Annotated[
        Unix | None, about("end of the last good run (seconds since 1970 UTC)")
    ]
    last_error: ErrorObject | None
    last_error_at: Annotated[Time | None, about("when (ISO 8601 UTC)")]
    last_error_at_unix: Annotated[Unix | None, about("when (seconds since 1970 UTC)")]
    failing_since: Annotated[
        Time | None, about("start of the first failed run after the last good one (ISO 8601 UTC)")
    ]
    failing_since_unix: Annotated[
        Unix | None,
        about("start of the first failed run after the last good one (seconds since 1970 UTC)"),
    ]
    gaps: list[Gap]
    record: Holdings
    machine: Machine
    interval_seconds: Annotated[int, about("time between two runs")]
    next_due_at: Annotated[Time, about("when the next build is due (ISO 8601 UTC)")]
    next_due_at_unix: Annotated[Unix, about("when the next build is due (seconds since 1970 UTC)")]


class Episode(TypedDict):
    """One episode."""

    kind: EpisodeKind
    leg: Leg | None
    peer: Annotated[str | None, about("which publisher says another price; null: not about one")]
    started_at: Annotated[Time, about("start (ISO 8601 UTC)")]
    started_at_unix: Annotated[Unix, about("start (seconds since 1970 UTC)")]
    ended_at: Annotated[Time | None, about("end; null while it goes on (ISO 8601 UTC)")]
    ended_at_unix: Annotated[
        Unix | None, about("end; null while it goes on (seconds since 1970 UTC)")
    ]
    duration_seconds: Annotated[Seconds, about("until its end, or until generated_at")]
    is_ongoing: bool
    start_height: Annotated[Height, about("tip at the start")]
    end_height: Annotated[int | None, about("tip at the end")]
    peak_percent: Annotated[
        Percent | None, about("signed, farthest from zero (percent; 3.2 means 3.2 %)")
    ]


class Episodes(Head):
    """Episodes of large divergence, low confidence and publishers who differ, newest first."""

    rule: Annotated[str, about("when an episode starts and ends")]
    episodes: list[Episode]


class TipName(TypedDict):
    """Which block was the newest."""

    height: Annotated[Height, about("height")]
    hash: Annotated[Hash, about("hash, display order")]


class FileEntry(TypedDict):
    """One file."""

    path: Annotated[str, about("relative to the site's root")]
    size_bytes: Count
    sha256: Hash
    gzip_bytes: Annotated[int | None, about("size of the compressed twin <path>.gz; null: none")]
    made_from: Annotated[
        str | None,
        about(
            "fingerprint of what the file was made from; files with the same one are carried over "
            "from build to build"
        ),
    ]


class ManifestHead(Head):
    """A manifest without its list of files: what a build knows before they are written."""

    build_id: str
    product_version: Annotated[str, about("version of the program that made the files")]
    built_at: Annotated[Time, about("same as generated_at (ISO 8601 UTC)")]
    built_at_unix: Annotated[Unix, about("same as generated_at (seconds since 1970 UTC)")]
    next_due_at: Annotated[Time, about("when the next build is due (ISO 8601 UTC)")]
    next_due_at_unix: Annotated[Unix, about("when the next build is due (seconds since 1970 UTC)")]
    tip: TipName | None


class Manifest(ManifestHead):
    """Every published file but this one and its compressed twin."""

    files: list[FileEntry]
