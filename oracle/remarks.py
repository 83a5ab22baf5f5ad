"""What a person should know about a run that did not fail: a line of the log each, kept with the
row of the run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from oracle.logs import get_logger

# The log's message for each kind; the remark's own sentence is the reason. docs/operations.md says
# what to do.
MESSAGES = {
    "clock": "this machine's clock cannot be right; nothing is recorded",
    "gap": "blocks are left out; the record goes on behind the gap",
    "less_work": "the record follows a branch that holds less work",
    "short_start": "the record starts with fewer blocks than wanted",
    "source_behind": "the source is behind the record",
    "source_differs": "the source differs from the record, which stays as it is",
    "tip_not_yet": "the newest block cannot be had yet",
}
# Nothing is wrong: one happens within seconds of a new block, the other on every pruned node.
ORDINARY = {"tip_not_yet", "short_start"}
log = get_logger(__name__)


class Remark(NamedTuple):
    """One such thing; `code` is a key of `MESSAGES`."""

    code: str
    message: str


def log_remarks(remarks: Iterable[Remark]) -> None:
    """Log each remark as a warning, or as information where nothing is wrong."""
    for remark in remarks:
        tell = log.info if remark.code in ORDINARY else log.warning
        tell(MESSAGES[remark.code], reason=remark.message)
