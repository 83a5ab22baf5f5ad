"""One run up to the record: plan, fetch, verify, price, compare, and write it all in one
transaction.

No clock and no printing: the time is an argument, and what happened is the report. A tick that
fails at any step leaves the record as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from oracle.calculator import PriceCalculator
from oracle.chain import day_range, utc_date, verify_continuity
from oracle.core.eligible import BlockFacts, RecentTxids
from oracle.core.params import PARAMETERS
from oracle.core.window import form_window
from oracle.errors import (
    BlockNotFoundError,
    NoDataError,
    NotFinalError,
    ReorgTooDeepError,
    SourceError,
)
from oracle.estimate.limits import DEFAULT_LIMITS, Limits
from oracle.estimate.window import estimate_spot, estimate_window
from oracle.exchange.compare import Comparison
from oracle.exchange.episodes import Episode
from oracle.exchange.market import DAY_SECONDS, Market
from oracle.fetch import Progress, read_block, read_blocks
from oracle.record.store import Batch, Row, Store
from oracle.rows import block_row, day_row, price_row, run_row
from oracle.sources import BlockSource, ChainTip, Health, QuoteSource

KEPT_BLOCKS = 288  # whose facts and txids a tick holds: two windows, more than any real day has had
# more txids are stored: after so deep a reorg no old block is read again, nodes may have pruned it
SPARE_BLOCKS = 100
WINDOW_AND_TIP = PARAMETERS.window_blocks + 1


@dataclass(frozen=True, slots=True)
class TickRules:
    """The settings a tick needs."""

    limits: Limits = DEFAULT_LIMITS
    first_run_blocks: int = 290
    live_seconds: int = (
        1_200  # an older new block is caught up: compared with the quote of its own time
    )


@dataclass(frozen=True, slots=True)
class TickReport:
    """What a tick found and wrote; `price` is the row of `prices` as of the newest block that has
    one."""

    tip: ChainTip
    source: str
    blocks_added: int
    blocks_replaced: int
    price: Row | None
    comparison: Comparison | None
    quote_is_stale: bool
    quote_problem: SourceError | None  # why there is no quote, when asking for it failed
    episodes: tuple[Episode, ...]  # that started or ended in this tick


def run_tick(
    store: Store,
    source: BlockSource,
    quotes: QuoteSource | None,
    calculator: PriceCalculator,
    rules: TickRules,
    *,
    now_unix: int,
    ended_unix: Callable[[], int] | None = None,
    health: Sequence[Health] = (),
    progress: Progress | None = None,
) -> TickReport:
    """Bring the record up to the source's tip and add the exchange's quote.

    Args:
        store: the record.
        source: where blocks come from.
        quotes: where exchange prices come from, if anywhere.
        calculator: prices a window.
        rules: the settings of a tick.
        now_unix: the moment of this tick.
        ended_unix: tells the time when the tick is done, for the table of runs.
        health: what probes of the sources found, for the table of runs.
        progress: is told blocks done and blocks in all.

    Raises:
        SourceError: the source failed; nothing was written.
        ParseError: it handed over a wrong block; nothing was written.
        ReorgTooDeepError: it shares no block with the record; nothing was written.
        StoreError: the record could not be read or written.
    """
    tip = source.tip()
    fork, replaced = find_fork(store, source, tip)
    first = tip.height + 1 - rules.first_run_blocks if fork is None else fork + 1
    tick = _Tick(store, source, quotes, calculator, rules, now_unix, fork)
    try:
        added = tick.read(max(0, first), tip, progress)
    except BlockNotFoundError:
        first = tip.height + 1 - WINDOW_AND_TIP
        if fork is not None or first <= 0:
            raise
        tick = _Tick(
            store, source, quotes, calculator, rules, now_unix, fork
        )  # a pruned node: one window will do
        added = tick.read(first, tip, progress)
    tick.batch.rewind_to = fork if replaced else None
    market = tick.market
    market.compare(now_unix, tick.price, tick.window_span_unix, is_now=True)
    market.close_books()
    run: Row = {
        "blocks_added": added,
        "blocks_replaced": replaced,
        "tip_height": tip.height,
        "source": source.name,
    }
    outcome = "ok" if added or replaced else "no_new_block"
    ended = ended_unix() if ended_unix else now_unix
    tick.batch.add(
        "runs",
        run_row(now_unix, ended, outcome, sources=[found.published() for found in health], **run),
    )
    store.write(tick.batch)
    return TickReport(
        tip,
        source.name,
        added,
        replaced,
        tick.price,
        market.comparison,
        market.quote_is_stale,
        market.quote_problem,
        tuple(market.changed),
    )


def find_fork(store: Store, source: BlockSource, tip: ChainTip) -> tuple[int | None, int]:
    """Return the newest stored height that the source's chain shares, and how many stored blocks
    it lacks."""
    known = store.chain(KEPT_BLOCKS, or_height=tip.height)
    if not known:
        return None, 0
    newest = max(known)
    if known.get(tip.height) == tip.hash:
        return newest, 0  # a source that lags says nothing about the blocks it has not seen
    for height in (height for height in known if height <= tip.height):
        if source.hashes(height, height)[0] == known[height]:
            return height, newest - height
    raise ReorgTooDeepError(
        f"the source's chain shares none of the newest {KEPT_BLOCKS} blocks of the record; "
        f"nothing was changed: "
        f"check that the source is on the right chain, or start another database with DUCKDB_PATH"
    )


@dataclass
class _Tick:
    """The state of one tick: the newest blocks, the exchange side, and the rows to write."""

    store: Store
    source: BlockSource
    quotes: QuoteSource | None
    calculator: PriceCalculator
    rules: TickRules
    now_unix: int
    fork: int | None
    chain: list[BlockFacts] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batch = Batch(self.now_unix)
        known_up_to = self.fork if self.fork is not None else -1
        self.price, self.window_span_unix = self.store.newest_price(known_up_to)
        left_at_unix = min(self.now_unix, self.price["time_unix"] if self.price else self.now_unix)
        self.market = Market(
            self.store, self.batch, self.quotes, self.rules.limits, left_at_unix - 3 * DAY_SECONDS
        )
        self.pending_day = self.store.day_after(known_up_to)

    def read(self, first: int, tip: ChainTip, progress: Progress | None) -> int:
        """Read, price and compare every block from a height to the tip; return how many."""
        if first > tip.height:
            return 0
        recent = self._load_chain(first - 1)
        hashes = self.source.hashes(first, tip.height)
        for done, (facts, served_by) in enumerate(
            read_blocks(self.source, hashes, first, recent), 1
        ):
            self._add(facts, served_by, recent)
            self._price(facts)
            if (
                facts.height < tip.height
                or self.now_unix - facts.time_unix >= self.rules.live_seconds
            ):
                self.market.compare(
                    facts.time_unix, self.price, self.window_span_unix, is_now=False
                )
            self._finish_days()
            if progress:
                progress(done, len(hashes))
        return len(hashes)

    def _load_chain(self, newest: int) -> RecentTxids:
        oldest = newest - KEPT_BLOCKS + 1
        self.chain = self.store.facts(oldest, newest)
        recent = self.store.recent_txids(oldest, newest)
        for (
            facts
        ) in self.chain:  # a reorg goes back behind what is kept: those blocks are read again
            if facts.height not in recent:
                block, _ = read_block(self.source, facts.height, facts.hash)
                recent.add(facts.height, block.txids)
                self.batch.txids[facts.height] = block.txids
        return recent

    def _add(self, facts: BlockFacts, served_by: str, recent: RecentTxids) -> None:
        verify_continuity([*self.chain[-1:], facts])
        self.chain = [*self.chain[-KEPT_BLOCKS + 1 :], facts]
        oldest = facts.height - KEPT_BLOCKS + 1
        recent.forget_below(oldest)
        self.batch.add_block(facts, recent.at(facts.height), forget_below=oldest - SPARE_BLOCKS)
        self.batch.add("blocks", block_row(self.chain, served_by))

    def _price(self, facts: BlockFacts) -> None:
        blocks = self.chain[-WINDOW_AND_TIP:]
        if len(blocks) < WINDOW_AND_TIP:
            return
        window = estimate_window(form_window(blocks[:-1]), self.calculator, self.rules.limits)
        spot = estimate_spot(blocks, window, self.calculator, self.rules.limits)
        self.price = price_row(facts, window, spot, self.calculator.algorithm_version)
        times_unix = [facts.time_unix for facts in blocks[:-1]]
        self.window_span_unix = min(times_unix), max(times_unix)
        self.batch.add("prices", self.price)

    def _finish_days(self) -> None:
        """Record each UTC day that became final with the newest block."""
        day = self.pending_day or utc_date(self.chain[0].time_unix)
        while day <= utc_date(self.chain[-1].time_unix):
            try:
                self._record_day(day)
            except NotFinalError:
                break
            except (
                NoDataError
            ):  # no block, or a start that is older than what the tick holds: no day price
                pass
            day += timedelta(days=1)
        self.pending_day = day

    def _record_day(self, day: date) -> None:
        first, last = day_range(day, self.chain[-1].height, self._header_times)
        oldest = self.chain[0].height
        blocks = self.chain[first - oldest : last - oldest + 1]
        estimate = estimate_window(form_window(blocks), self.calculator, self.rules.limits)
        exchange = self.market.of_day(day)
        self.batch.add(
            "days", day_row(day, blocks, estimate, self.calculator.algorithm_version, exchange)
        )

    def _header_times(self, first: int, last: int) -> list[int]:
        oldest = self.chain[0].height
        return (
            [f.time_unix for f in self.chain[first - oldest : last - oldest + 1]]
            if first >= oldest
            else []
        )
