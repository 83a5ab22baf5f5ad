"""When a large divergence or a low confidence becomes an episode, and when the episode is over.
Pure.

One episode has one start and one end, however the numbers flicker around a limit. The state between
runs is in the database: the open episode, and the newest `RECENT_TICKS` rows. Rows that do not know
the number (no quote, a stale quote, no price) count neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# A divergence is over when it stayed below this share of the threshold: from 1.6% with a threshold
# of 2%. One and the same limit for start and end would make an episode of each flicker of a price
# that moves by some tenths of a percent a block; a much lower one would keep an episode open
# through an ordinary day.
CALM_SHARE = 0.8
CALM_TICKS = 3  # and for this many ticks in a row, so that one lucky block does not end it
# Six ticks are an hour at the default interval: a single odd block is not worth a message.
START_TICKS = {"divergence": 1, "low_confidence": 6}
RECENT_TICKS = 50


class Moment(NamedTuple):
    """One tick's number: the headline divergence in percent, or the confidence; None when it is
    not known."""

    time_unix: int
    height: int
    value: float | None
    leg: str | None = None


class Episode(NamedTuple):
    """A row of the table `episodes`; the peak is signed and the farthest from zero, `leg` is the
    peak's."""

    kind: str
    started_at_unix: int
    start_height: int
    leg: str | None = None
    peak_percent: float | None = None
    ended_at_unix: int | None = None
    end_height: int | None = None


def next_episode(
    kind: str, open_episode: Episode | None, recent: Sequence[Moment], limit: float
) -> Episode | None:
    """Return the episode as it is after the newest of `recent` (oldest first), or None when there
    is none.

    `kind` is divergence or low_confidence, `limit` the setting's threshold. None open before and
    an episode
    now: it has just started. An episode with an end: it is just over. Its start is the first bad
        tick of the
    row that made it one, its end the first calm one.
    """
    ticks, since_unix = (
        (CALM_TICKS, open_episode.started_at_unix) if open_episode else (START_TICKS[kind], -1)
    )
    last = [
        moment for moment in recent if moment.value is not None and moment.time_unix > since_unix
    ][-ticks:]
    badness = [_badness(kind, moment, limit) for moment in last]
    if open_episode is None and (len(last) < ticks or min(badness) < 1):
        return None
    episode = _with_peak(open_episode or Episode(kind, last[0].time_unix, last[0].height), last)
    is_over = len(last) == ticks and max(badness) < CALM_SHARE
    return (
        episode._replace(ended_at_unix=last[0].time_unix, end_height=last[0].height)
        if is_over
        else episode
    )


def _badness(kind: str, moment: Moment, limit: float) -> float:
    """Return how bad a number is: bad from 1 on, calm below `CALM_SHARE`."""
    return (
        abs(moment.value or 0.0) / limit
        if kind == "divergence"
        else float((moment.value or 0.0) < limit)
    )


def _with_peak(episode: Episode, last: Sequence[Moment]) -> Episode:
    if episode.kind != "divergence":
        return episode
    before = Moment(
        episode.started_at_unix, episode.start_height, episode.peak_percent, episode.leg
    )
    peak = max([before, *last], key=lambda moment: abs(moment.value or 0.0))
    return episode._replace(peak_percent=peak.value, leg=peak.leg)
