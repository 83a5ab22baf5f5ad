"""One run up to the record: plan, fetch, verify, price, compare, and write it a chunk at a time.

No clock and no printing: the time is an argument, and what happened is the report. Each chunk is
one transaction, and the next one starts from what is recorded: a run that is killed keeps the
chunks it wrote, one whose source fails all blocks that it read, and the next run goes on as if
nothing had been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from oracle.calculator import PriceCalculator
from oracle.chain import day_range, utc_date
from oracle.core.eligible import BlockFacts
from oracle.core.window import form_window
from oracle.errors import (
    BlockNotFoundError,
    ChainMovedError,
    NoDataError,
    NotFinalError,
    SourceError,
)
from oracle.estimate.limits import DEFAULT_LIMITS, Limits
from oracle.estimate.window import estimate_spot, estimate_window
from oracle.exchange.compare import Comparison
from oracle.exchange.market import DAY_SECONDS, Market
from oracle.fetch import Progress, no_progress
from oracle.incoming import Incoming, NewBlock
from oracle.plan import KEPT_BLOCKS, WINDOW_AND_TIP, Plan, Planner, Plans
from oracle.record.batch import Batch
from oracle.record.store import Store
from oracle.remarks import Remark
from oracle.rows import StoredPrices, block_row, day_row, price_row, run_row
from oracle.sources import BlockSource, ChainTip, Health, QuoteSource

# more txids are stored: after so deep a reorg no old block is read again, nodes may have pruned it
SPARE_BLOCKS = 100
# One transaction's blocks: a day of them, which is what a killed run loses at most, and enough to
# make the cost of starting a chunk small. The first chunk of a new record has its first price.
CHUNK_BLOCKS = WINDOW_AND_TIP
CHAIN_TRIES = 3  # how often a chain that changes while it is read is asked for again
START_TRIES = 8  # how often a start is put off for a missing block: pruned files end raggedly


class TickRules(NamedTuple):
    """The settings a tick needs."""

    limits: Limits = DEFAULT_LIMITS
    first_run_blocks: int = 1300
    # a record that is further behind starts anew behind a gap
    max_catch_up_seconds: int = 7 * DAY_SECONDS
    # an older new block is caught up: compared with the quote of its own time
    live_seconds: int = 1_200


class TickReport(NamedTuple):
    """What a tick found and wrote; `price` is the row of `prices` as of the newest block that has
    one."""

    tip: ChainTip
    source: str
    blocks_added: int
    blocks_replaced: int
    price: StoredPrices | None
    comparison: Comparison | None
    quote_is_stale: bool
    quote_suspicion: str | None  # why the quote is not believed
    quote_problem: SourceError | None  # why there is no quote, when asking for it failed
    remarks: tuple[Remark, ...] = ()  # what a person should know
    is_idle: bool = False  # nothing may be recorded now; a remark says why


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
    progress: Progress = no_progress,
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
        SourceError: the source failed; what was read until then is written.
        SyncingError: there is no record yet, and the source is not done with the chain.
        ParseError: it handed over a wrong block; likewise.
        ReorgTooDeepError: it shares no block with the record; nothing was written.
        StoreError: the record could not be read or written.
    """
    planner = Planner(store, source, now_unix, rules.first_run_blocks, rules.max_catch_up_seconds)
    tick = Tick(store, source, quotes, calculator, rules, now_unix, progress)
    for tries_left in reversed(range(CHAIN_TRIES)):
        try:
            tick.catch_up(planner)
            break
        except ChainMovedError:
            if not tries_left:
                raise
    return tick.finish(ended_unix or (lambda: now_unix), health)


@dataclass
class Tick:
    """One run's way through the chunks; the last one is written with the row of the run.

    The backfill takes the same way, without a run: plan, catch up, write.
    """

    store: Store
    source: BlockSource
    quotes: QuoteSource | None
    calculator: PriceCalculator
    rules: TickRules
    now_unix: int
    progress: Progress = no_progress
    quote_problem: SourceError | None = None

    def __post_init__(self) -> None:
        self._added = 0
        self._replaced = 0
        self._remarks: dict[Remark, None] = {}

    def catch_up(self, planner: Plans) -> None:
        """Read, price and compare all that the record lacks, and write all of it but the last
        chunk.

        Raises:
            ChainMovedError: the chain changed meanwhile; what is written is right, ask again.
        """
        self._plan = planner.plan()
        for tries_left in reversed(range(START_TRIES)):
            self._chunk = _Chunk(self, self._plan)
            try:
                self._read()
            except BlockNotFoundError as error:
                missing = self._chunk.incoming.next_height
                self._plan = planner.without(self._plan, missing, error)
                if self._plan.tip.height < missing:
                    return  # all blocks below it are read
                if not tries_left:
                    raise
            except SourceError:
                self._keep_what_was_read()
                raise
            else:
                return

    def _keep_what_was_read(self) -> None:
        """Write the blocks of a chunk that a failure cut short, so that a server which gives only
        so many at a time is asked for the others next time. Where they replace recorded blocks,
        these stay: the record would end lower than it did."""
        if self._chunk.added and not self._plan.replaced:
            self.write()

    def _read(self) -> None:
        tip = self._plan.tip
        total = self._added + tip.height + 1 - self._plan.first
        for first in range(self._plan.first, tip.height + 1, CHUNK_BLOCKS):
            if first > self._plan.first:
                self.write()
                self._plan = self._plan.after(first - 1)
                self._chunk = _Chunk(self, self._plan)
            self.progress(total - (tip.height + 1 - first), total)
            for height in self._chunk.read(min(first + CHUNK_BLOCKS - 1, tip.height)):
                self.progress(total - (tip.height - height), total)

    def write(self) -> None:
        """Write the chunk that is read."""
        chunk = self._chunk
        chunk.market.close_books()
        self.store.write(chunk.batch)
        self._added += chunk.added
        self._replaced += self._plan.replaced
        self._note_remarks()
        self.quote_problem = chunk.market.quote_problem

    def finish(self, ended_unix: Callable[[], int], health: Sequence[Health]) -> TickReport:
        """Compare the newest price with the quote of now, write, and report."""
        plan = self._plan
        chunk = self._chunk
        market = self._chunk.market
        self._note_remarks()
        if not plan.is_idle:
            market.compare(self.now_unix, chunk.price, chunk.window_span_unix, is_now=True)
            added = self._added + chunk.added
            replaced = self._replaced + plan.replaced
            run = run_row(
                self.now_unix,
                ended_unix(),
                "ok" if added or replaced else "no_new_block",
                blocks_added=added,
                blocks_replaced=replaced,
                tip_height=plan.tip.height,
                source=self.source.name,
                sources=[found.published() for found in health],
                remarks=[remark._asdict() for remark in self._remarks],
            )
            chunk.batch.add("runs", run)
            self.write()
        return TickReport(
            plan.tip,
            self.source.name,
            self._added,
            self._replaced,
            chunk.price,
            market.comparison,
            market.quote_is_stale,
            market.quote_suspicion,
            market.quote_problem,
            tuple(self._remarks),
            plan.is_idle,
        )

    def _note_remarks(self) -> None:
        self._remarks |= dict.fromkeys(self._plan.remarks)


class _Chunk:
    """Consecutive new blocks on their way into the record: what they stand on, and the rows to
    write."""

    def __init__(self, tick: Tick, plan: Plan) -> None:
        self._tick = tick
        self._tip = plan.tip
        self.added = 0
        self.batch = Batch(tick.now_unix)
        self.batch.rewind_to = plan.fork if plan.replaced else None
        self.incoming = Incoming(tick.store, tick.source, plan, tick.now_unix)
        known_up_to = plan.fork if plan.fork is not None else -1
        self.price, self.window_span_unix = tick.store.newest_price(known_up_to)
        if self.price and (plan.starts_anew or self.price["height"] != known_up_to):
            self.price = None  # it is from before a gap
        self.market = Market(
            tick.store,
            self.batch,
            tick.quotes,
            tick.rules.limits,
            self._samples_since_unix(),
            up_to_height=known_up_to,
        )
        self.market.quote_problem = tick.quote_problem
        self._pending_day = tick.store.day_after(known_up_to)

    @property
    def _chain(self) -> list[BlockFacts]:
        return self.incoming.chain

    def _samples_since_unix(self) -> int:
        """Return from when on quotes count: those of the newest window, and of a day to finish."""
        left_at_unix = self.price["time_unix"] if self.price else self._tick.now_unix
        since_unix = min(self._tick.now_unix, left_at_unix) - 3 * DAY_SECONDS
        if self._chain:
            return min(since_unix, self._chain[0].time_unix - DAY_SECONDS)
        return since_unix

    def read(self, last: int) -> Iterator[int]:
        """Read, price and compare the blocks up to a height; yield each height when done.

        Raises as `Incoming.read` does.
        """
        for block in self.incoming.read(last):
            self._add(block)
            self._price()
            self._compare()
            self._finish_days()
            yield block.facts.height

    def _add(self, block: NewBlock) -> None:
        self.batch.txids |= self.incoming.read_again
        forgotten = block.facts.height - KEPT_BLOCKS + 1 - SPARE_BLOCKS
        self.batch.add_block(block.facts, block.txids, forget_below=forgotten)
        self.batch.add("blocks", block_row(self._chain, block.served_by, block.bits))
        self.added += 1

    def _compare(self) -> None:
        facts = self._chain[-1]
        age_seconds = self._tick.now_unix - facts.time_unix
        if facts.height < self._tip.height or age_seconds >= self._tick.rules.live_seconds:
            self.market.compare(facts.time_unix, self.price, self.window_span_unix, is_now=False)

    def _price(self) -> None:
        blocks = self._chain[-WINDOW_AND_TIP:]
        if len(blocks) < WINDOW_AND_TIP:
            return
        calculator = self._tick.calculator
        limits = self._tick.rules.limits
        window = estimate_window(form_window(blocks[:-1]), calculator, limits)
        spot = estimate_spot(blocks, window, calculator, limits)
        self.price = price_row(blocks[-1], window, spot, calculator.algorithm_version)
        times_unix = [facts.time_unix for facts in blocks[:-1]]
        self.window_span_unix = min(times_unix), max(times_unix)
        self.batch.add("prices", self.price)

    def _finish_days(self) -> None:
        """Record each UTC day that became final with the newest block."""
        oldest_day = utc_date(self._chain[0].time_unix)  # of earlier ones the start is not known
        day = max(self._pending_day or oldest_day, oldest_day)
        while day <= utc_date(self._chain[-1].time_unix):
            try:
                self._record_day(day)
            except NotFinalError:
                break
            except NoDataError:  # no block, or a start that is older than what is held: no price
                pass
            day += timedelta(days=1)
        self._pending_day = day

    def _record_day(self, day: date) -> None:
        first, last = day_range(day, self._chain[-1].height, self._header_times)
        oldest = self._chain[0].height
        blocks = self._chain[first - oldest : last - oldest + 1]
        calculator = self._tick.calculator
        limits = self._tick.rules.limits
        estimate = estimate_window(form_window(blocks), calculator, limits)
        exchange = self.market.of_day(day)
        row = day_row(day, blocks, estimate, calculator.algorithm_version, exchange)
        self.batch.add("days", row)

    def _header_times(self, first: int, last: int) -> list[int]:
        oldest = self._chain[0].height
        if first < oldest:
            return []
        return [facts.time_unix for facts in self._chain[first - oldest : last - oldest + 1]]
