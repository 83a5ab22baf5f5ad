"""When a large divergence or a low confidence becomes an episode, and when the episode is over. Pure.

One episode has one start and one end, however the numbers flicker around a limit. The state between runs is
in the database: the open episode, and the newest `RECENT_TICKS` rows. Rows that do not know the number (no
quote, a stale quote, no price) count neither way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

# A divergence is over when it stayed below this share of the threshold: from 1.6% with a threshold of 2%. One
# and the same limit for start and end would make an episode of each flicker of a price that moves by some
# tenths of a percent a block; a much lower one would keep an episode open through an ordinary day.
CALM_SHARE = 0.8
CALM_TICKS = 3  # and for this many ticks in a row, so that one lucky block does not end it
RECENT_TICKS = 50


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick's number: the headline divergence in percent, or the confidence; None when it is not known."""

    time_unix: int
    height: int
    value: float | None
    leg: str | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A row of the table `episodes`; the peak is signed and the farthest from zero, `leg` is the peak's."""

    kind: str
    started_at_unix: int
    start_height: int
    leg: str | None = None
    peak_percent: float | None = None
    ended_at_unix: int | None = None
    end_height: int | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    start_ticks: int
    is_bad: Callable[[float, float], bool]
    is_calm: Callable[[float, float], bool]


_RULES = {
    "divergence": _Rule(1, lambda x, limit: abs(x) >= limit, lambda x, limit: abs(x) < CALM_SHARE * limit),
    # Six ticks are an hour at the default interval: a single odd block is not worth a message.
    "low_confidence": _Rule(6, lambda x, limit: x < limit, lambda x, limit: x >= limit),
}


def next_episode(
    kind: str, open_episode: Episode | None, recent: Sequence[Moment], limit: float
) -> Episode | None:
    """Return the episode as it is after the newest of `recent` (oldest first), or None when there is none.

    `kind` is divergence or low_confidence, `limit` the setting's threshold. None open before and an episode
    now: it has just started. An episode with an end: it is just over. Its start is the first bad tick of the
    row that made it one, its end the first calm one.
    """
    rule = _RULES[kind]
    known = [(moment.value, moment) for moment in recent if moment.value is not None]
    if open_episode is None:
        last = known[-rule.start_ticks :]
        is_start = len(last) == rule.start_ticks and all(rule.is_bad(value, limit) for value, _ in last)
        return _started(kind, last[0][1]) if is_start else None
    since = [(value, moment) for value, moment in known if moment.time_unix > open_episode.started_at_unix]
    episode = _with_peak(open_episode, since[-1][1]) if since else open_episode
    last = since[-CALM_TICKS:]
    if len(last) < CALM_TICKS or not all(rule.is_calm(value, limit) for value, _ in last):
        return episode
    return replace(episode, ended_at_unix=last[0][1].time_unix, end_height=last[0][1].height)


def _started(kind: str, first: Moment) -> Episode:
    peak = first.value if kind == "divergence" else None
    return Episode(kind, first.time_unix, first.height, first.leg, peak)


def _with_peak(episode: Episode, newest: Moment) -> Episode:
    if episode.peak_percent is None or abs(newest.value or 0) <= abs(episode.peak_percent):
        return episode
    return replace(episode, peak_percent=newest.value, leg=newest.leg)
