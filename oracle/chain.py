"""Which blocks belong together: the recent window, a UTC day, and whether one block follows the
other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise, takewhile

from oracle.core.eligible import BlockFacts
from oracle.core.params import PARAMETERS
from oracle.errors import NoDataError, NotFinalError, RequestError, VerificationError

MEDIAN_BLOCKS = 11
GENESIS_DATE = date(2009, 1, 3)
# A gap between blocks that long comes once in centuries: behind it, "recent" is not now.
OLD_TIP_SECONDS = 3 * 3600
NOT_YET_BLOCKS = 3  # of the newest, a server may announce before it can hand them over
HeaderTimes = Callable[[int, int], Sequence[int]]


def verify_continuity(blocks: Sequence[BlockFacts]) -> None:
    """Check that each block names the one before it.

    Raises:
        VerificationError: the first block that does not.
    """
    for previous, facts in pairwise(blocks):
        if facts.prev_hash != previous.hash:
            raise VerificationError(
                f"it does not follow {previous.hash}", block=facts.height, offset=4
            )


def recent_range(tip_height: int) -> tuple[int, int]:
    """Return first and last height of the recent window: the 144 blocks below the tip."""
    return tip_height - PARAMETERS.window_blocks, tip_height - 1


def utc_date(time_unix: int) -> date:
    """Return the UTC date of a header time."""
    return datetime.fromtimestamp(time_unix, UTC).date()


def utc_text(time_unix: int) -> str:
    """Return a time for a person, to the minute."""
    return f"{datetime.fromtimestamp(time_unix, UTC):%Y-%m-%d %H:%M} UTC"


def span_text(seconds: float) -> str:
    """Return a length of time for a sentence, in the unit in which it is felt."""
    minutes = round(seconds / 60)
    if minutes < 3 * 60:
        return f"{minutes} minutes"
    if minutes < 3 * 24 * 60:
        return f"{minutes / 60:.0f} hours"
    return f"{minutes / (24 * 60):,.0f} days"


def midnight_unix(day: date) -> int:
    """Return the first second of a UTC date."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def mediantime(times_unix: Sequence[int]) -> int:
    """Return the median of up to eleven header times, the newest block's included, as nodes
    compute it."""
    return sorted(times_unix)[len(times_unix) // 2]


def day_range(day: date, tip_height: int, header_times: HeaderTimes) -> tuple[int, int]:
    """Find first and last height of a UTC day.

    Args:
        day: the UTC date.
        tip_height: height of the newest block.
        header_times: gives the header times of an inclusive range of heights, nothing when the
            data does
            not go back that far.

    Raises:
        RequestError: the day is before the first block ever.
        NotFinalError: the day is not yet six blocks deep.
        NoDataError: the day has no block, or the data does not go back to its start.
    """
    past = _first_past_midnight(day, tip_height, header_times)
    first = _first_of_day(past, day, header_times)
    last = _last_of_day(first, tip_height, day, header_times)
    if tip_height - last < PARAMETERS.final_depth_blocks:
        raise NotFinalError(
            f"{day} is not final yet: it needs {PARAMETERS.final_depth_blocks} blocks on top, "
            f"and the newest block is {tip_height}"
        )
    return first, last


def first_height(day: date, tip_height: int, header_times: HeaderTimes) -> int:
    """Find the first height of a UTC day, or of the data where it does not go back so far.

    Args and errors as those of `day_range`; the day need not be final.
    """
    past = _first_past_midnight(day, tip_height, header_times)
    try:
        return _first_of_day(past, day, header_times)
    except NoDataError:  # the data begins with the blocks whose median that is
        below = range(past - 1, max(-1, past - MEDIAN_BLOCKS), -1)
        return min(takewhile(lambda low: header_times(low, low), below), default=past)


def _first_past_midnight(day: date, tip_height: int, header_times: HeaderTimes) -> int:
    """Return the lowest height whose median time is not before a UTC day."""
    if day < GENESIS_DATE:
        raise RequestError(
            f"{day} is before the first bitcoin block (2009-01-03); ask for a later day"
        )
    midnight = midnight_unix(day)

    def is_past_midnight(height: int) -> bool:
        times = header_times(max(0, height - MEDIAN_BLOCKS + 1), height)
        return bool(times) and mediantime(times) >= midnight  # it never goes back, header times do

    if not is_past_midnight(tip_height):
        raise NotFinalError(f"{day} is not in the data yet: the newest block is {tip_height}")
    return _bisect(is_past_midnight, tip_height)


def _bisect(is_past: Callable[[int], bool], tip_height: int) -> int:
    """Return the lowest height that is past, galloping back from the tip, which is."""
    step = PARAMETERS.window_blocks
    high = tip_height
    low = max(-1, high - step)
    while low >= 0 and is_past(low):
        step *= 2
        high = low
        low = max(-1, low - step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_past(middle) else (middle, high)
    return high


def _first_of_day(median_past: int, day: date, header_times: HeaderTimes) -> int:
    # every block behind `median_past` is stamped past midnight, for it must exceed that median
    low = max(0, median_past - MEDIAN_BLOCKS)
    times = header_times(low, median_past)
    early = [low + i for i, time_unix in enumerate(times) if time_unix < midnight_unix(day)]
    if not early and (low > 0 or not times):
        raise NoDataError(f"the data does not go back to the start of {day}")
    return early[-1] + 1 if early else low


def _last_of_day(first: int, tip_height: int, day: date, header_times: HeaderTimes) -> int:
    for height, time_unix in _times_from(first, tip_height, header_times):
        if height == first and utc_date(time_unix) != day:
            raise NoDataError(f"{day} has no block")
        if utc_date(time_unix).day != day.day:
            return height - 1
    return tip_height


def _times_from(
    first: int, tip_height: int, header_times: HeaderTimes
) -> Iterator[tuple[int, int]]:
    for low in range(first, tip_height + 1, PARAMETERS.window_blocks):
        high = min(low + PARAMETERS.window_blocks - 1, tip_height)
        yield from zip(range(low, high + 1), header_times(low, high), strict=True)
