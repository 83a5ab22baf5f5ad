"""Headers of the source's chain beside those of the record: which of two branches holds more work,
and whether new headers obey the rules of nodes."""

from __future__ import annotations

from collections.abc import Iterator

from oracle.core.wire import Header, target_of
from oracle.fetch import tell_of_headers_below
from oracle.headers import SIMULATED, UNKNOWN, HeaderChain, context_heights
from oracle.record.store import Store, StoredHeader
from oracle.sources import BlockSource


def rules_from(
    store: Store, source: BlockSource, first_height: int, last_height: int, now_unix: int
) -> HeaderChain:
    """Return what judges the headers of a range, told of those below: from the record as far as it
    has them, else from the source."""
    rules = HeaderChain(store.network or UNKNOWN, now_unix)
    if rules.network == SIMULATED:  # it obeys no rule that looks back
        return rules
    lowest = min(context_heights(first_height, last_height, rules.network), default=0)
    recorded = (
        (stored.height, _as_header(stored)) for stored in store.headers(lowest, first_height - 1)
    )
    known = {height: header for height, header in recorded if header is not None}
    tell_of_headers_below(rules, source, first_height, last_height, known)
    return rules


def holds_no_less_work(
    ours: list[StoredHeader], theirs: Iterator[Header], first_height: int, rules: HeaderChain
) -> bool:
    """Tell whether a source's branch holds at least as much work as the stored one.

    Args:
        ours: the stored blocks above the fork, from the lowest up; there may be a gap below them.
        theirs: the source's headers above the fork; read no further than is needed.
        first_height: the height of the first of theirs.
        rules: judges theirs.

    Raises:
        VerificationError: a header of theirs breaks a rule.
    """
    waiting = {stored.height: stored for stored in ours}
    lead = bits = 0
    for height, header in enumerate(theirs, first_height):
        rules.follow(height, header)
        bits = header.bits
        lead += _work(bits)
        if stored := waiting.pop(height, None):  # recorded before bits were: as hard as theirs
            lead -= _work(stored.bits or bits)
        if not waiting and lead >= 0:
            return True
    return lead >= sum(_work(stored.bits or bits) for stored in waiting.values())


def _as_header(stored: StoredHeader) -> Header | None:
    """Return what is recorded of a header, without what the rules do not look at."""
    if stored.bits is None:
        return None
    return Header(0, "", "", stored.time_unix, stored.bits, 0, stored.hash)


def _work(bits: int) -> int:
    """Return how many hashes a header with these bits stands for on average."""
    target = target_of(bits)
    return (1 << 256) // (target + 1) if target else 0
