"""What people are told of the numbers, as opposed to what fails: one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from oracle.exchange.episodes import Episode
from oracle.record.store import Store
from oracle.told import Told


class News(NamedTuple):
    """Something to tell: its kind, one sentence, and facts with units in their names."""

    kind: str
    message: str
    details: Mapping[str, object]


def news_of_episodes(store: Store, told: Told) -> list[News]:
    """Return what the record has of episodes that people have not heard of, and remember it.

    It goes by the record and not by what a run did: a run may be killed behind the chunk that began
    an episode. One that was over before anybody heard of it is not told.
    """
    going_on = [Episode(**row) for row in store.open_episodes()]
    heard = [store.episode(*key) for key in told.episodes]
    over = [Episode(**row) for row in heard if row is not None and row["ended_at_unix"]]
    begun = [episode for episode in going_on if _key(episode) not in told.episodes]
    told.knows([_key(episode) for episode in going_on])
    return [news_of(episode) for episode in [*over, *begun]]


def _key(episode: Episode) -> tuple[str, int]:
    return episode.kind, episode.started_at_unix


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
