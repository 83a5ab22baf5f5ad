"""What people are told of the numbers, as opposed to what fails: one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from oracle.exchange.episodes import Episode


class News(NamedTuple):
    """Something to tell: its kind, one sentence, and facts with units in their names."""

    kind: str
    message: str
    details: Mapping[str, object]


def news_of(episode: Episode) -> News:
    """Return what is told when an episode begins or ends."""
    is_over = episode.ended_at_unix is not None
    peak = f"{episode.peak_percent or 0:+.1f}%"
    messages = {
        ("divergence", False): f"Large divergence detected: {peak}",
        ("divergence", True): f"The divergence is over; its peak was {peak}",
        ("low_confidence", False): "Confidence has been low for an hour",
        ("low_confidence", True): "Confidence is back",
    }
    kind = f"{episode.kind}_{'ended' if is_over else 'started'}"
    return News(kind, messages[episode.kind, is_over], episode._asdict())
