"""Headers of the source's chain beside those of the record: which of two branches holds more work,
and whether new headers obey the rules of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest

from oracle.core.wire import Header, parse_header, target_of
from oracle.errors import BlockNotFoundError
from oracle.headers import SIMULATED, UNKNOWN, HeaderChain, context_heights
from oracle.record.store import Store, StoredHeader
from oracle.sources import BlockSource

HEADERS_AT_ONCE = 144  # asked for in one question


def header_at(source: BlockSource, height: int) -> Header | None:
    """Return the source's header at a height; None when it has none."""
    with suppress(BlockNotFoundError):
        return next(headers_of(source, height, height), None)
    return None


def headers_of(source: BlockSource, first_height: int, last_height: int) -> Iterator[Header]:
    """Yield the source's headers of an inclusive range of heights, asking for some at a time."""
    for low in range(first_height, last_height + 1, HEADERS_AT_ONCE):
        high = min(low + HEADERS_AT_ONCE - 1, last_height)
        for height, data in enumerate(source.headers(low, high), low):
            yield parse_header(data, block=height)


def rules_from(
    store: Store, source: BlockSource, first_height: int, last_height: int, now_unix: int
) -> HeaderChain:
    """Return what judges the headers of a range, told of those below: from the record as far as it
    has them, else from the source."""
    network = store.network or UNKNOWN
    chain = HeaderChain(network, now_unix)
    if network == SIMULATED:  # it obeys no rule that looks back
        return chain
    below = context_heights(first_height, last_height, network)
    recorded = store.headers(min(below, default=0), first_height - 1)
    known = {header.height: _as_header(header) for header in recorded}
    for height in below:
        header = known.get(height) or header_at(source, height)
        if header is not None:
            chain.know(height, header)
    return chain


def holds_no_less_work(
    ours: list[StoredHeader], theirs: Iterator[Header], rules: HeaderChain
) -> bool:
    """Tell whether a source's branch holds at least as much work as the stored one.

    Args:
        ours: the stored blocks above the fork, from the lowest up.
        theirs: the source's headers from the same height on; read no further than is needed.
        rules: judges theirs.

    Raises:
        VerificationError: a header of theirs breaks a rule.
    """
    lead = bits = 0
    height = ours[0].height
    for stored, header in zip_longest(ours, theirs):
        if header is not None:
            rules.follow(height, header)
            bits = header.bits
            lead += _work(bits)
        if stored is not None:  # blocks recorded before bits were: as hard as theirs
            lead -= _work(stored.bits or bits)
        elif lead >= 0:
            return True
        height += 1
    return lead >= 0


def _as_header(stored: StoredHeader) -> Header | None:
    """Return what is recorded of a header, without what the rules do not look at."""
    if stored.bits is None:
        return None
    return Header(0, "", "", stored.time_unix, stored.bits, 0, stored.hash)


def _work(bits: int) -> int:
    """Return how many hashes a header with these bits stands for on average."""
    target = target_of(bits)
    return (1 << 256) // (target + 1) if target else 0
