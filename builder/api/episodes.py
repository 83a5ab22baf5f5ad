"""`/api/episodes.json`: when the prices were far apart, or unsure. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.api.head import head, iso, iso_or_none
from builder.gather import Context, Gathered
from builder.rows import EpisodeRow

if TYPE_CHECKING:
    from builder.api.types import Episode, Episodes

EPISODE_RULE = (
    "A divergence starts with the first tick over the threshold and ends when it stays below "
    "four fifths "
    "of it for three ticks; a low confidence starts with six ticks in a row below its threshold; "
    "a publisher differs from the first answer with other prices of the same block to the next "
    "comparison without."
)


def make_episodes(gathered: Gathered, context: Context) -> Episodes:
    """Return `/api/episodes.json`: newest first."""
    return {
        **head(gathered, context.now_unix, context.calculator.algorithm_version),
        "rule": EPISODE_RULE,
        "episodes": [_episode(row) for row in gathered.episodes],
    }


def _episode(row: EpisodeRow) -> Episode:
    return {
        "kind": row["kind"],
        "leg": row["leg"],
        "peer": row["peer"],
        "start_height": row["start_height"],
        "end_height": row["end_height"],
        "peak_percent": row["peak_percent"],
        "started_at": iso(row["started_at_unix"]),
        "started_at_unix": row["started_at_unix"],
        "ended_at": iso_or_none(row["ended_at_unix"]),
        "ended_at_unix": row["ended_at_unix"],
        "duration_seconds": row["duration_seconds"],
        "is_ongoing": row["is_ongoing"],
    }
