"""Published rows beside the same rows made again from the blocks of a source. Pure but for the
source.

A price as of a block needs the 144 blocks below it and nothing else, so any height can be tried
alone. Numbers are compared as doubles: equal to the last bit, or not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from oracle.calculator import PriceCalculator
from oracle.chain import verify_continuity
from oracle.core.eligible import BlockFacts, RecentTxids
from oracle.core.window import form_window
from oracle.core.wire import Header
from oracle.estimate.limits import Limits
from oracle.estimate.window import estimate_spot, estimate_window
from oracle.fetch import FollowHeader, find_range, read_blocks, read_range
from oracle.plan import WINDOW_AND_TIP
from oracle.rows import StoredPrices, block_row, day_row, price_row
from oracle.sources import BlockSource
from oracle.verify.finding import Finding

Row = Mapping[str, object]
READ_AT_ONCE = 2000  # blocks of one question for hashes
NOT_OF_THE_CHAIN = frozenset({"source", "mediantime_unix"})  # who served it; what was known then
FOR_THE_RECORD = (
    "either the record or the blocks of your node were changed: restore a backup from before, "
    "or backfill these blocks anew"
)
FOR_A_PUBLISHER = (
    "the publisher's blocks, or its calculation, are not yours: compare block hashes, then versions"
)


class Rules(NamedTuple):
    """How prices are worked out again."""

    calculator: PriceCalculator
    limits: Limits


class Again(NamedTuple):
    """What the blocks say of one height; `prices` is None where it was not asked for."""

    block: Row
    prices: StoredPrices | None
    facts: BlockFacts


def stretches(heights: Iterable[int]) -> list[tuple[int, int]]:
    """Return the ranges of heights to read so that each of these can be priced, merged."""
    found: list[tuple[int, int]] = []
    for height in sorted(heights):
        first = height - WINDOW_AND_TIP + 1
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], height)
        else:
            found.append((first, height))
    return found


def again(source: BlockSource, heights: Iterable[int], rules: Rules) -> Iterator[Again]:
    """Yield what a source's blocks say of heights, and of the blocks below that it takes.

    Args:
        source: hands over the blocks.
        heights: those whose prices are wanted.
        rules: the calculator and what counts as valid.

    Raises:
        SourceError: a block cannot be had.
        ParseError: it is not what it should be.
    """
    wanted = set(heights)
    for first, last in stretches(wanted):
        chain: list[BlockFacts] = []
        bits: dict[int, int] = {}

        def note_bits(height: int, header: Header, noted: dict[int, int] = bits) -> None:
            noted[height] = header.bits

        for facts in _facts(source, first, last, note_bits):
            verify_continuity([*chain[-1:], facts])
            chain = [*chain[1 - WINDOW_AND_TIP :], facts]
            is_wanted = facts.height in wanted
            yield Again(
                {**block_row(chain, source.name, bits[facts.height])},
                prices_of(chain, rules) if is_wanted else None,
                facts,
            )


def _facts(
    source: BlockSource, first: int, last: int, follow: FollowHeader
) -> Iterator[BlockFacts]:
    recent = RecentTxids()
    for low in range(first, last + 1, READ_AT_ONCE):
        hashes = source.hashes(low, min(low + READ_AT_ONCE - 1, last))
        for facts, _ in read_blocks(source, hashes, low, recent, follow):
            recent.forget_below(facts.height - WINDOW_AND_TIP)
            yield facts


def prices_of(chain: Sequence[BlockFacts], rules: Rules) -> StoredPrices:
    """Return the prices as of the newest of 145 blocks in a row."""
    calculator, limits = rules
    window = estimate_window(form_window(chain[:-1]), calculator, limits)
    spot = estimate_spot(chain, window, calculator, limits)
    return price_row(chain[-1], window, spot, calculator.algorithm_version)


def day_again(source: BlockSource, day: date, rules: Rules) -> Row:
    """Return the row of a UTC day as the source's blocks make it, without what an exchange said.

    Raises:
        NoDataError, NotFinalError: the source has no such day, or not yet.
        SourceError, ParseError: as above.
    """
    blocks = read_range(source, find_range(source, day))
    estimate = estimate_window(form_window(blocks), rules.calculator, rules.limits)
    unknown = {"exchange_mean_usd": None, "exchange_close_usd": None}
    made = day_row(day, blocks, estimate, rules.calculator.algorithm_version, unknown)  # type: ignore[arg-type]
    return {name: value for name, value in made.items() if name not in unknown}


def differences(place: str, published: Row, made: Row, advice: str) -> Iterator[Finding]:
    """Yield each column that both rows have and that is not the same in both."""
    for name, value in made.items():
        if name in published and name not in NOT_OF_THE_CHAIN:
            seen = published[name]
            if not is_same(seen, value):
                yield Finding(f"{name} of {place}", shown(seen), shown(value), advice)


def is_same(one: object, other: object) -> bool:
    """Tell whether two values are equal; JSON in a text is compared as what it says."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, str) and isinstance(other, str) and one != other:
        return one[:1] == other[:1] == "{" and json.loads(one) == json.loads(other)
    return one == other


def shown(value: object) -> str:
    """Return a value for a person, numbers to the last digit."""
    if value is None:
        return "absent"
    return repr(value) if isinstance(value, float) else str(value)[:100]
