"""Published prices and days beside what a source's blocks make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from oracle.errors import BlockNotFoundError, NoDataError, ParseError, SourceError
from oracle.fetch import Progress
from oracle.sources import BlockSource
from oracle.verify.finding import Finding, Verification
from oracle.verify.recompute import (
    Again,
    Row,
    Rules,
    again,
    day_again,
    differences,
    shown,
    stretches,
)
from oracle.verify.selection import Chosen

# What a publisher's own settings decide.
VERDICTS = frozenset(
    {"window_is_valid", "window_reason", "spot_is_valid", "spot_reason", "is_valid", "reason"}
)
K = TypeVar("K", int, date)


class Published:
    """What is published of blocks, prices and days; where it comes from says what a miss means."""

    def __init__(
        self,
        prices: Mapping[int, Row],
        days: Mapping[date, Row],
        *,
        blocks: Mapping[int, Row] | None = None,
        outputs: Mapping[int, str] | None = None,
        advice: str,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Take rows by height or by day.

        Args:
            prices: the columns of a price by height.
            days: the columns of a day.
            blocks: the columns of a block, where these are published.
            outputs: a fingerprint of each block's eligible outputs, likewise.
            advice: what to do about a difference.
            without: columns that are not compared.
        """
        self.prices = {height: _without(row, without) for height, row in prices.items()}
        self.days = {day: _without(row, without) for day, row in days.items()}
        self.blocks = blocks or {}
        self.outputs = outputs or {}
        self.advice = advice


def _without(row: Row, names: frozenset[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def fingerprint_of(value_sats: ArrayLike, is_round: ArrayLike) -> str:
    """Return a text that changes with any eligible output of a block, or with their order."""
    data = np.asarray(value_sats, np.int64).tobytes() + np.asarray(is_round, np.bool_).tobytes()
    return hashlib.sha256(data).hexdigest()


def compare_with_blocks(
    published: Published, chosen: Chosen, source: BlockSource, rules: Rules, progress: Progress
) -> Verification:
    """Work out again what was chosen, and compare.

    What the source does not have any more, and what another version made, is told as unchecked.

    Args:
        published: the rows.
        chosen: which of them.
        source: one's own node.
        rules: how prices are made.
        progress: told of blocks read and of all to read.
    """
    found = Verification()
    version = rules.calculator.algorithm_version
    heights = _of_this_version(published.prices, chosen.heights, version, found)
    total = sum(last - first + 1 for first, last in stretches(heights))
    done = 0
    for first, last in stretches(heights):
        wanted = [height for height in heights if first <= height <= last]
        try:
            for one in again(source, wanted, rules):
                done += 1
                progress(done, total)
                _compare_one(published, one, found)
        except (SourceError, ParseError) as error:
            found.unchecked.append(f"prices of {wanted[0]} to {wanted[-1]}: {_reason(error)}")
    for day in _of_this_version(published.days, chosen.days, version, found):
        try:
            made = day_again(source, day, rules)
        except (SourceError, ParseError, NoDataError) as error:
            found.unchecked.append(f"the price of {day}: {_reason(error)}")
            continue
        misses = differences(f"day {day}", published.days[day], made, published.advice)
        found.note("days worked out again", 1, misses)
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, BlockNotFoundError):
        return f"your node does not have its blocks any more ({error})"
    return str(error)


def _compare_one(published: Published, one: Again, found: Verification) -> None:
    height = one.facts.height
    advice = published.advice
    if height in published.blocks:
        place = f"block {height}"
        misses = [*differences(place, published.blocks[height], one.block, advice)]
        if height in published.outputs and published.outputs[height] != fingerprint_of(
            one.facts.value_sats, one.facts.is_round
        ):
            misses.append(
                Finding(f"outputs of {place}", "not those of the block", "its own", advice)
            )
        found.note("blocks beside the node's", 1, misses)
    if one.prices is not None:
        row = published.prices[height]
        wrong = differences(f"block {height}", row, {**one.prices}, advice)
        found.note("prices worked out again", 1, wrong)


def _of_this_version(
    rows: Mapping[K, Row], wanted: Sequence[K], version: str, found: Verification
) -> list[K]:
    """Return what this version can work out again; tell of what another one made."""
    other = {shown(rows[key].get("algorithm_version", version)) for key in wanted} - {version}
    if other:
        found.unchecked.append(
            f"what {', '.join(sorted(other))} made: this program works out {version}; "
            "verify it with the version of then"
        )
    return [key for key in wanted if rows[key].get("algorithm_version", version) == version]
