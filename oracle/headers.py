"""The rules for headers, from headers alone: how much work they hold, and which no node would
accept. Pure.

There are no checkpoints and no list of known blocks: a network is known by the hash of its first
block, and its rules say what target a header may have and when. Source: Bitcoin Core's consensus
rules (pow.cpp, validation.cpp), BIP94 for testnet4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from oracle.chain import MEDIAN_BLOCKS, mediantime
from oracle.core.wire import Header, target_of
from oracle.errors import VerificationError

MAX_AHEAD_SECONDS = 2 * 3600  # nodes refuse a header further ahead of their clock
PERIOD_BLOCKS = 2016  # how many blocks share a target
BLOCK_SECONDS = 600
PERIOD_SECONDS = PERIOD_BLOCKS * BLOCK_SECONDS
MAX_FACTOR = 4  # by how much a target may change at once, either way
LATE_SECONDS = 2 * BLOCK_SECONDS  # behind such a pause a testnet lets a block be easy
TIMEWARP_SECONDS = 600  # BIP94: how far a period's first block may be stamped before the last one
_NEGATIVE = 0x0080_0000  # the sign bit of a compact number's mantissa


class WorkRules(NamedTuple):
    """Which targets a network allows; `limit_bits` is the easiest."""

    limit_bits: int
    has_periods: bool = True  # a target holds for a period and then follows the blocks' pace
    allows_late_blocks: bool = False  # after twenty minutes without a block: one at the limit
    is_bip94: bool = False  # a period's first block sets its target, and times hold together

    @property
    def limit(self) -> int:
        """The largest target."""
        return target_of(self.limit_bits)


UNKNOWN = "unknown"
SIMULATED = "simulated"
# Regtest keeps its first bits for ever, and chains made for tests set them as they like. A network
# that we do not know is treated like it.
FREE = WorkRules(0x207F_FFFF, has_periods=False)
WORK_RULES = {
    "main": WorkRules(0x1D00_FFFF),
    "test": WorkRules(0x1D00_FFFF, allows_late_blocks=True),
    "testnet4": WorkRules(0x1D00_FFFF, allows_late_blocks=True, is_bip94=True),
    "signet": WorkRules(0x1E03_77AE),
    "regtest": FREE,
    UNKNOWN: FREE,
    SIMULATED: FREE,
}


def rules_of(network: str) -> WorkRules:
    """Return the rules of a network by its name."""
    return WORK_RULES.get(network, FREE)


def is_known(network: str) -> bool:
    """Tell whether a network's work means something: main, the testnets and signet."""
    return rules_of(network).has_periods


def work_of(header: Header) -> int:
    """Return how many hashes a header stands for on average; 0 when its bits encode no target."""
    target = header.target
    return (1 << 256) // (target + 1) if target else 0


def work_of_all(headers: Iterable[Header]) -> int:
    """Return the summed work of headers."""
    return sum(map(work_of, headers))


def compact(target: int) -> int:
    """Return the bits that encode a target, rounded down as nodes do."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & _NEGATIVE:
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def retarget(bits: int, period_seconds: int, limit: int) -> int:
    """Return the bits behind a period that had `bits` and took so long, first block to last."""
    seconds = max(PERIOD_SECONDS // MAX_FACTOR, min(PERIOD_SECONDS * MAX_FACTOR, period_seconds))
    return compact(min(limit, target_of(bits) * seconds // PERIOD_SECONDS))


def context_heights(first_height: int, last_height: int, network: str) -> list[int]:
    """Return the heights below `first_height` whose headers make the check of a range exact.

    The eleven before it for the median, and the first block of a period where the target changes in
    the range. A check works with what there is of them.
    """
    heights = list(range(max(0, first_height - MEDIAN_BLOCKS), first_height))
    change = -(-first_height // PERIOD_BLOCKS) * PERIOD_BLOCKS
    if is_known(network) and 0 < change <= last_height:
        heights.insert(0, change - PERIOD_BLOCKS)
    return sorted(set(heights))


class HeaderChain:
    """Follows the headers of one chain upwards and refuses the first that breaks a rule.

    Tell it first what is known below with `know`, the more the stricter it is: without the header
    before, a header's bits are only compared with the limit. Without a time no header is too far
    ahead.
    """

    def __init__(self, network: str, now_unix: int | None) -> None:
        self.network = network
        self._rules = rules_of(network)
        self._now_unix = now_unix
        self._known: dict[int, Header] = {}

    def know(self, height: int, header: Header) -> None:
        """Remember a header below those to be followed, unchecked."""
        self._known[height] = header

    def follow(self, height: int, header: Header) -> None:
        """Check one header, and remember it.

        Raises:
            VerificationError: no node of this network would accept it.
        """
        previous = self._known.get(height - 1)
        if problem := self._work_problem(height, header, previous):
            raise VerificationError(problem, block=height, offset=72)
        if previous is not None and header.prev_hash != previous.hash:
            raise VerificationError(f"it does not follow {previous.hash}", block=height, offset=4)
        if problem := self._time_problem(height, header, previous):
            raise VerificationError(problem, block=height, offset=68)
        self._known[height] = header
        self._known.pop(height - PERIOD_BLOCKS - 1, None)

    # Work

    def _work_problem(self, height: int, header: Header, previous: Header | None) -> str | None:
        if not header.target or int(header.hash, 16) > header.target:
            return "its hash does not meet the target in its bits"
        if header.target > self._rules.limit:
            return (
                f"its bits {header.bits:08x} are easier than anything on network {self.network} "
                f"({self._rules.limit_bits:08x} at most)"
            )
        if previous is None or not self._rules.has_periods:
            return None
        allowed = self._allowed_bits(height, header, previous)
        if allowed is None or header.bits in allowed:
            return None
        return (
            f"its bits {header.bits:08x} are not what network {self.network} asks for "
            f"behind {previous.bits:08x}"
        )

    def _allowed_bits(
        self, height: int, header: Header, previous: Header
    ) -> range | tuple[int, ...] | None:
        """Return the bits that a header may have; None where what is known does not tell."""
        if height % PERIOD_BLOCKS == 0:
            return self._bits_of_new_period(height, previous)
        if not self._rules.allows_late_blocks:
            return (previous.bits,)
        if header.time_unix > previous.time_unix + LATE_SECONDS:
            return (self._rules.limit_bits,)
        return self._bits_before_late_blocks(height - 1)

    def _bits_of_new_period(self, height: int, previous: Header) -> range | tuple[int, ...] | None:
        first = self._known.get(height - PERIOD_BLOCKS)
        if first is not None:
            base = first.bits if self._rules.is_bip94 else previous.bits
            return (retarget(base, previous.time_unix - first.time_unix, self._rules.limit),)
        if self._rules.is_bip94 and previous.bits == self._rules.limit_bits:
            return None  # an easy block says nothing about its period's target
        hardest = retarget(previous.bits, 0, self._rules.limit)
        easiest = retarget(previous.bits, PERIOD_SECONDS * MAX_FACTOR, self._rules.limit)
        return range(hardest, easiest + 1)  # compact numbers are in the order of their targets

    def _bits_before_late_blocks(self, height: int) -> tuple[int, ...] | None:
        """Return the bits of the newest block up to a height that was not let off easily."""
        while (known := self._known.get(height)) is not None:
            if height % PERIOD_BLOCKS == 0 or known.bits != self._rules.limit_bits:
                return (known.bits,)
            height -= 1
        return None

    # Time

    def _time_problem(self, height: int, header: Header, previous: Header | None) -> str | None:
        now_unix = header.time_unix if self._now_unix is None else self._now_unix
        ahead_seconds = header.time_unix - now_unix
        if ahead_seconds > MAX_AHEAD_SECONDS:
            return (
                f"its time is {ahead_seconds / 3600:.1f} hours ahead of this machine's clock, and "
                "nodes allow two: check the clock (timedatectl)"
            )
        median_unix = self._median_unix(height)
        if median_unix is not None and header.time_unix <= median_unix:
            return f"its time is not above {median_unix}, the median of the blocks before it"
        if previous is not None and self._is_warped(height, header, previous):
            return "its time is more than ten minutes before that of the block before it"
        return None

    def _is_warped(self, height: int, header: Header, previous: Header) -> bool:
        is_bound = self._rules.is_bip94 and height % PERIOD_BLOCKS == 0
        return is_bound and header.time_unix < previous.time_unix - TIMEWARP_SECONDS

    def _median_unix(self, height: int) -> int | None:
        """Return the median time of the eleven blocks below a height, or of all where there are
        fewer; None where not all of them are known."""
        if self.network == SIMULATED:
            return None  # its clocks are further out of order than nodes allow
        before = range(max(0, height - MEDIAN_BLOCKS), height)
        times_unix = [self._known[below].time_unix for below in before if below in self._known]
        return mediantime(times_unix) if times_unix and len(times_unix) == len(before) else None
