"""What a verification says: how much was compared, what does not match, what could not be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is not as it must be, and what to do about it."""

    place: str
    """What it is: `window_usd of block 901234`, `api/days.json`."""
    seen: str
    expected: str
    advice: str

    @property
    def sentence(self) -> str:
        """Return it for a person."""
        return f"{self.place} is {self.seen}, and should be {self.expected}: {self.advice}"


@dataclass
class Verification:
    """What was compared so far."""

    matches: Counter[str] = field(default_factory=Counter)
    """How many things of each kind are as they must be."""
    misses: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What could not be told, and why."""

    def note(self, kind: str, compared: int, misses: Iterable[Finding]) -> None:
        """Add what came of comparing so many things of a kind."""
        found = list(misses)
        self.misses += found
        self.matches[kind] += max(0, compared - len({finding.place for finding in found}))

    @property
    def is_match(self) -> bool:
        """Whether nothing is wrong, as far as could be told."""
        return not self.misses
