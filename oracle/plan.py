"""What a run is to read: the tip, where the source's chain leaves the record, and whether to go on
from there or to start anew behind a gap.

Nothing here writes. What a person should know about a plan is a remark: it goes to the log and to
the row of the run.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from oracle.branches import holds_no_less_work, rules_from
from oracle.chain import NOT_YET_BLOCKS, utc_text
from oracle.core.params import PARAMETERS
from oracle.errors import BlockNotFoundError, ChainMovedError, ReorgTooDeepError, SyncingError
from oracle.fetch import header_at, headers_of
from oracle.headers import MAX_AHEAD_SECONDS, SIMULATED, UNKNOWN, is_known
from oracle.record.store import Store, StoredHeader
from oracle.remarks import Remark
from oracle.sources import BlockSource, ChainTip

KEPT_BLOCKS = 288  # whose facts and txids a tick holds: two windows, more than any real day has had
WINDOW_AND_TIP = PARAMETERS.window_blocks + 1
DAY_SECONDS = 86_400
# Of a node that has everything, the newest block is older than this a few times in a century.
YOUNG_TIP_SECONDS = DAY_SECONDS
VALIDATING_SOURCES = {"bitcoin-core"}  # what they follow obeys all rules; others know headers only


class Plan(NamedTuple):
    """What to read. `is_idle`: nothing may be recorded now, a remark says why."""

    tip: ChainTip
    fork: int | None  # the newest stored height that stays; None: the record is empty
    first: int  # the lowest height to read; above the tip's: nothing
    replaced: int = 0  # how many stored blocks above the fork leave the chain
    remarks: tuple[Remark, ...] = ()
    is_idle: bool = False

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to read."""
        return self.first > self.tip.height

    @property
    def starts_anew(self) -> bool:
        """Whether the first block to read does not follow a stored one."""
        return not self.is_done and (self.fork is None or self.first > self.fork + 1)

    def after(self, height: int) -> Plan:
        """Return what is left of the plan once everything up to a height is recorded."""
        return self._replace(fork=height, first=height + 1, replaced=0)

    def noting(self, code: str, message: str) -> Plan:
        """Return the plan with another remark."""
        return self._replace(remarks=(*self.remarks, Remark(code, message)))


class Plans(Protocol):
    """Who says what to read."""

    def plan(self) -> Plan:
        """Return what to read now."""

    def without(self, plan: Plan, height: int, error: BlockNotFoundError) -> Plan:
        """Return what to read when a block cannot be had, or raise the error."""


class Planner(NamedTuple):
    """Makes the plans of one run."""

    store: Store
    source: BlockSource
    now_unix: int
    first_run_blocks: int
    max_catch_up_seconds: int

    # Where to start

    def plan(self) -> Plan:
        """Return what the source has that the record lacks.

        Raises:
            SourceError: the source failed.
            SyncingError: a record may not start on so old a tip.
            ReorgTooDeepError: the source shares no block with the record.
            ChainMovedError: the source's chain changed between two questions.
        """
        tip = self.source.tip()
        known = self.store.chain(KEPT_BLOCKS, or_height=tip.height)
        newest = self.store.header(max(known)) if known else None
        tip, tip_time_unix = self._checked_tip(tip, known)
        if newest is None:
            plan = Plan(tip, None, max(0, tip.height + 1 - self.first_run_blocks))
        else:
            plan = self._plan_from_fork(tip, known)
        newest_time_unix = max(tip_time_unix, newest.time_unix if newest else 0)
        if problem := self._clock_problem(tip_time_unix, newest_time_unix):
            idle = Plan(tip, plan.fork, tip.height + 1, is_idle=True)
            return idle.noting("clock", problem)
        return self._limited(plan, tip_time_unix)

    def _checked_tip(self, tip: ChainTip, known: dict[int, str]) -> tuple[ChainTip, int]:
        """Return the newest block whose header can be had, and its time."""
        if known.get(tip.height) == tip.hash and (stored := self.store.header(tip.height)):
            return tip, stored.time_unix
        for height in range(tip.height, max(-1, tip.height - NOT_YET_BLOCKS), -1):
            header = header_at(self.source, height)
            if header is None:
                continue
            if height == tip.height and header.hash != tip.hash:
                raise ChainMovedError.between_questions(height)
            return ChainTip(height, header.hash), header.time_unix
        raise ChainMovedError.between_questions(tip.height)

    def _plan_from_fork(self, tip: ChainTip, known: dict[int, str]) -> Plan:
        newest = max(known)
        if known.get(tip.height) == tip.hash:  # a source that lags says nothing about the blocks
            return Plan(tip, newest, newest + 1)  # it has not seen
        shared = [height for height in known if height <= tip.height]
        if not shared:
            lag = f"{self.source.name} has blocks up to {tip.height}, all below the record's newest"
            return Plan(tip, newest, newest + 1).noting("source_behind", lag)
        fork = self._find_fork(shared, known)
        ours = self.store.headers(fork + 1, newest) if fork < newest else []
        plan = Plan(tip, fork, fork + 1, len(ours))
        return self._weighed(plan, ours) if ours else plan

    def _find_fork(self, heights: list[int], known: dict[int, str]) -> int:
        """Return the newest of these stored heights (from the top down) that the source shares."""
        for height in heights:
            try:
                (found,) = self.source.hashes(height, height)
            except BlockNotFoundError:  # pruned, and so are all below
                if height == heights[0]:
                    return max(known)
                break
            if found == known[height]:
                return height
        raise ReorgTooDeepError(
            f"the source's chain shares none of the newest {KEPT_BLOCKS} blocks of the record; "
            "nothing was changed: check that the source is on the right chain, "
            "or start another database with DUCKDB_PATH"
        )

    def _limited(self, plan: Plan, tip_time_unix: int) -> Plan:
        """Return the plan, starting anew behind a gap where catching up would take too long."""
        if plan.is_done:
            return plan
        if plan.fork is None:
            self._check_tip_is_young(plan.tip, tip_time_unix)
            return plan
        first = max(plan.first, plan.tip.height + 1 - self.first_run_blocks)
        fork = self.store.header(plan.fork)
        missed_seconds = tip_time_unix - fork.time_unix if fork else 0
        if first == plan.first or missed_seconds <= self.max_catch_up_seconds:
            return plan
        self._check_tip_is_young(plan.tip, tip_time_unix)
        return plan._replace(first=first).noting(
            "gap",
            f"blocks {plan.first} to {first - 1} are left out: the record is "
            f"{missed_seconds / DAY_SECONDS:.1f} days behind, more than ORACLE_MAX_CATCH_UP_DAYS; "
            "it starts anew behind that gap",
        )

    def _check_tip_is_young(self, tip: ChainTip, tip_time_unix: int) -> None:
        network = self.store.network
        if network == SIMULATED:
            return
        age_seconds = self.now_unix - tip_time_unix
        if tip.height == 0:
            seen = "only the first block of the chain"
        elif is_known(network or UNKNOWN) and age_seconds > YOUNG_TIP_SECONDS:
            seen = (
                f"{tip.height} as its newest block, from {utc_text(tip_time_unix)}, "
                f"{age_seconds / DAY_SECONDS:.1f} days ago"
            )
        else:
            return
        raise SyncingError(
            f"{self.source.name} has {seen}: it is still catching up, "
            "and a record starts once it is done; wait (or, if it is done, check this clock)"
        )

    # Which chain, which clock

    def _weighed(self, plan: Plan, ours: list[StoredHeader]) -> Plan:
        """Return the plan, or one that leaves the record as it is when the source's branch holds
        less work and the source does not validate."""
        if self.store.network == SIMULATED or self._holds_no_less_work(plan, ours):
            return plan
        told = (
            f"{self.source.name} is on another branch from block {plan.first} on, "
            "which holds less work than the record's"
        )
        if self.source.name in VALIDATING_SOURCES:
            return plan.noting("less_work", f"{told}; it validates, so the record follows it")
        newest = ours[-1].height
        stays = Plan(plan.tip, newest, max(newest, plan.tip.height) + 1)
        return stays.noting("source_differs", f"{told}; the record stays as it is")

    def _holds_no_less_work(self, plan: Plan, ours: list[StoredHeader]) -> bool:
        """Tell whether the source's branch above the fork holds as much work as the stored one."""
        first = plan.first
        last = plan.tip.height
        rules = rules_from(self.store, self.source, first, last, self.now_unix)
        return holds_no_less_work(ours, headers_of(self.source, first, last), first, rules)

    def _clock_problem(self, tip_time_unix: int, newest_time_unix: int) -> str | None:
        """Say what speaks against this machine's clock, if anything does."""
        says = f"this machine's clock says {utc_text(self.now_unix)}"
        asks = "set the clock (timedatectl); nothing is recorded until then"
        if newest_time_unix - self.now_unix > MAX_AHEAD_SECONDS:
            return f"{says}, but the newest block is of {utc_text(newest_time_unix)}: {asks}"
        last = self.store.last_run()
        before_last_run = last is not None and self.now_unix < last["started_at_unix"]
        # A fresh tip vouches for this clock: then it was the last run's that was ahead.
        age_seconds = self.now_unix - tip_time_unix
        if last is None or not before_last_run or 0 <= age_seconds <= MAX_AHEAD_SECONDS:
            return None
        return f"{says}, but the last run was at {utc_text(last['started_at_unix'])}: {asks}"

    # What cannot be had

    def without(self, plan: Plan, height: int, error: BlockNotFoundError) -> Plan:
        """Return the plan when the block at a height, wanted next, cannot be had.

        With the newest blocks missing, too, it is not there yet, and the plan ends below it. Else
        it is there no more (a pruned node), and the plan starts at the lowest block there is.

        Raises:
            BlockNotFoundError: it is a hole, or too little is there to start with.
        """
        highest = self._highest(height + 1, plan.tip.height)
        if highest is None:
            if plan.fork is None and height == plan.first:
                raise error
            return self._ending_at(plan, height - 1)
        if not plan.starts_anew and has_block(self.source, height - 1):
            raise error
        first = lowest_block(self.source, height, highest)
        if plan.fork is None and highest - first < PARAMETERS.window_blocks:
            raise error
        anew = self._ending_at(plan, highest)
        if plan.fork is None:
            return anew._replace(first=first).noting(
                "short_start",
                f"{self.source.name} has no blocks below {first}: the record starts with "
                f"{highest + 1 - first} of them, not {self.first_run_blocks}",
            )
        return anew._replace(first=first).noting(
            "gap",
            f"blocks {plan.fork + 1} to {first - 1} can no longer be had from {self.source.name}: "
            "the record goes on behind that gap",
        )

    def _ending_at(self, plan: Plan, height: int) -> Plan:
        if height == plan.tip.height:
            return plan
        (block_hash,) = self.source.hashes(height, height)
        lowered = plan._replace(tip=ChainTip(height, block_hash))
        return lowered.noting(
            "tip_not_yet",
            f"{self.source.name} cannot hand over block {height + 1} yet: "
            "this run ends with those below it",
        )

    def _highest(self, low: int, high: int) -> int | None:
        """Return the highest block that can be had, looking at the newest few."""
        newest = range(high, max(low - 1, high - NOT_YET_BLOCKS), -1)
        return next((height for height in newest if has_block(self.source, height)), None)


def lowest_block(source: BlockSource, missing: int, there: int) -> int:
    """Return the lowest block that a source can hand over, between one that it cannot and one that
    it can."""
    while there - missing > 1:
        middle = (missing + there) // 2
        if has_block(source, middle):
            there = middle
        else:
            missing = middle
    return there


def has_block(source: BlockSource, height: int) -> bool:
    """Tell whether a source can hand over the block at a height."""
    try:
        (block_hash,) = source.hashes(height, height)
        source.block(block_hash)
    except BlockNotFoundError:
        return False
    return True
