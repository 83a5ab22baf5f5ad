"""What `oracle price` answers, for a program that imports us: the price of a chain, or of files.

Blocks in, an `Answer` out; nothing is recorded. `answer_json` is its form as JSON, which
docs/commands.md describes field by field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from oracle.calculator import PriceCalculator
from oracle.chain import NOT_YET_BLOCKS, OLD_TIP_SECONDS, utc_date, utc_text
from oracle.core.eligible import BlockFacts
from oracle.core.window import form_window
from oracle.errors import BlockNotFoundError, ParseError, RequestError
from oracle.estimate.limits import Limits
from oracle.estimate.window import Estimate, SpotEstimate, estimate_spot, estimate_window
from oracle.fetch import (
    Progress,
    Range,
    find_range,
    no_progress,
    read_files,
    read_range,
    tell_of_headers_below,
)
from oracle.headers import HeaderChain, is_known
from oracle.sources import BlockSource

SIMULATED = "simulated"  # the network of the simulated chain
FILES = "files"  # the source of blocks that were named as files
OF_FILES = Range("blocks", None, None, None)


@dataclass(frozen=True, slots=True)
class NewestBlock:
    """The tip behind a recent window; `age_seconds` is 0 where its stamp is ahead of the clock."""

    height: int
    time_unix: int
    age_seconds: int

    @property
    def is_old(self) -> bool:
        """Whether a price as of this block is none of now."""
        return self.age_seconds > OLD_TIP_SECONDS

    @property
    def warning(self) -> str | None:
        """What to know before taking the price for one of now."""
        if not self.is_old:
            return None
        return (
            f"the newest block, {self.height}, is of {utc_text(self.time_unix)}: "
            "this is the price of then, not of now"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The price of a UTC day, of the recent window or of some files, and what it was made of."""

    asked: Range
    blocks: Sequence[BlockFacts]
    """The window's blocks, in order."""
    estimate: Estimate
    spot: SpotEstimate | None
    """The price at the newest block; None for a day."""
    algorithm_version: str
    network: str | None
    """None for files, which may be of any."""
    source: str
    newest: NewestBlock | None = None
    """The tip of the chain, when the recent window was asked for and the time is known."""

    @property
    def is_simulated(self) -> bool:
        """Whether the blocks were made up."""
        return self.network == SIMULATED

    @property
    def day(self) -> date:
        """The UTC date that the price is of: the one asked for, else that of the last block."""
        return self.asked.day or utc_date(self.blocks[-1].time_unix)

    @property
    def left_out(self) -> dict[str, int]:
        """How many transactions each rule left out, summed over the blocks."""
        total = Counter[str]()
        for facts in self.blocks:
            total.update({rule.value: count for rule, count in facts.left_out.items()})
        return dict(sorted(total.items()))


def price_of_chain(
    source: BlockSource,
    day: date | None,
    calculator: PriceCalculator,
    limits: Limits,
    progress: Progress = no_progress,
    *,
    now_unix: int | None = None,
) -> Answer:
    """Price a UTC day of a chain; with no day the 144 blocks below its tip, and the tip for spot.

    Args:
        source: where the blocks come from; it is left open.
        day: a UTC date that is six blocks deep, or None.
        calculator: prices the window.
        limits: when a price is valid.
        progress: told after each block how many of how many are read.
        now_unix: the time, to tell how old the newest block is; None leaves that out.

    Raises:
        SourceError: the source could not hand over what is needed.
        NoDataError, NotFinalError, RequestError: there is no such day, or not yet.
        ParseError: a block is not what it should be.
    """
    network = source.network()
    found, blocks = _read(source, day, progress, network, now_unix)
    if day is not None:
        estimate = estimate_window(form_window(blocks), calculator, limits)
        return Answer(
            found, blocks, estimate, None, calculator.algorithm_version, network, source.name
        )
    window = blocks[:-1]  # the tip is left out of the recent window, not of the spot price
    estimate = estimate_window(form_window(window), calculator, limits)
    spot = estimate_spot(blocks, estimate, calculator, limits)
    version = calculator.algorithm_version
    tip = blocks[-1]
    newest = None
    if now_unix is not None:
        newest = NewestBlock(tip.height, tip.time_unix, max(0, now_unix - tip.time_unix))
    return Answer(found, window, estimate, spot, version, network, source.name, newest)


def _read(
    source: BlockSource, day: date | None, progress: Progress, network: str, now_unix: int | None
) -> tuple[Range, list[BlockFacts]]:
    """Return a range and its blocks; a newest block that cannot be had yet is no tip yet."""
    below = 0
    while True:
        found = find_range(source, day, below)
        rules = _rules(source, found, network, now_unix) if is_known(network) else None
        try:
            return found, read_range(source, found, progress, rules.follow if rules else None)
        except BlockNotFoundError:
            below += 1
            if found.day is not None or below > NOT_YET_BLOCKS or _has_tip(source, found):
                raise


def _rules(source: BlockSource, found: Range, network: str, now_unix: int | None) -> HeaderChain:
    """Return what judges the headers of a range; on a network that is not known work and times
    prove nothing, and nothing is recorded here."""
    rules = HeaderChain(network, now_unix)
    tell_of_headers_below(rules, source, found.first_height or 0, (found.last_height or 0) + 1)
    return rules


def _has_tip(source: BlockSource, recent: Range) -> bool:
    tip_height = (recent.last_height or 0) + 1
    try:
        source.block(source.hashes(tip_height, tip_height)[0])
    except BlockNotFoundError:
        return False
    return True


def price_of_files(paths: Sequence[Path], calculator: PriceCalculator, limits: Limits) -> Answer:
    """Price the blocks of files, in the order given, as one window.

    Raises:
        RequestError: a file cannot be read, or holds something else than blocks.
        NoDataError: the files hold no block.
    """
    try:
        blocks = read_files(paths)
    except ParseError as error:
        raise RequestError(f"not a file of blocks: {error}") from error
    estimate = estimate_window(form_window(blocks), calculator, limits)
    spot = estimate_spot(blocks, estimate, calculator, limits)
    return Answer(OF_FILES, blocks, estimate, spot, calculator.algorithm_version, None, FILES)


def answer_json(answer: Answer) -> dict[str, object]:
    """Return an answer as one JSON object; None where there is nothing to say."""
    asked = answer.asked
    estimate = answer.estimate
    first = answer.blocks[0]
    last = answer.blocks[-1]
    rough = estimate.price.rough
    return {
        "mode": asked.mode,
        "date": asked.day.isoformat() if asked.day else None,
        "first_height": asked.first_height,
        "last_height": asked.last_height,
        "first_hash": first.hash,
        "first_time_unix": first.time_unix,
        "last_hash": last.hash,
        "last_time_unix": last.time_unix,
        "blocks": len(answer.blocks),
        "rough_price_usd": estimate.rough_usd,
        "price_usd": estimate.price_usd,
        "low_usd": estimate.low_usd,
        "high_usd": estimate.high_usd,
        "confidence": estimate.confidence,
        "is_valid": estimate.is_valid,
        "reason": estimate.reason,
        "outputs": estimate.outputs,
        "points": estimate.points,
        "spread": estimate.price.spread,
        "chart_half_height": estimate.price.chart_half_height,
        "best_slide": rough.best_slide if rough else None,
        "spot": answer.spot._asdict() if answer.spot else None,
        "left_out": answer.left_out,
        "algorithm_version": answer.algorithm_version,
        "is_simulated": answer.is_simulated,
        "network": answer.network,
        "source": answer.source,
        "newest_block": asdict(answer.newest) if answer.newest else None,
        "warning": answer.newest.warning if answer.newest else None,
    }
