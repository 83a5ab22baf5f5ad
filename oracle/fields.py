"""What the text of a setting may be: a reader for each kind of value.

A reader takes a text and returns the value, or raises ValueError with what it should be. It is
plain Python on purpose: every command reads the settings first, and a library of models would take
longer to load than most commands take to run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from oracle.address import PROXY_SCHEMES, parse_address
from oracle.masking import MASK

TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})
FALSE_WORDS = frozenset({"0", "false", "f", "no", "n", "off"})
LONGEST_NUMBER = 40  # characters: Python refuses to read thousands of digits, with another error
READER = "reader"

D = TypeVar("D")
T = TypeVar("T")
Reader = Callable[[str], T]


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows as a mask wherever it is printed."""

    _text: str

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._text

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__


def setting(default: D, reader: Reader[T]) -> D | T:
    """Return the field of a dataclass that is a setting: its default, and who reads its text."""
    metadata: Mapping[str, object] = MappingProxyType({READER: reader})
    return cast("D | T", field(default=default, metadata=metadata))


def readers_of(settings: type[Any]) -> dict[str, Reader[object]]:
    """Return the reader of each setting of a dataclass, by field; other fields are left out."""
    declared: tuple[Field[Any], ...] = fields(settings)
    return {one.name: one.metadata[READER] for one in declared if READER in one.metadata}


def text(value: str) -> str:
    """Read any text."""
    return value


def secret(value: str) -> Secret:
    """Read a text that is not to be shown."""
    return Secret(value)


def matching(pattern: str, should: str) -> Reader[str]:
    """Return a reader of texts of a shape, told as "should be ..."."""

    def read(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(should)
        return value

    return read


def one_of(*words: str) -> Reader[str]:
    """Return a reader of one of some words, written as they are."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"should be one of {', '.join(words)}")
        return value

    return read


def integer(least: int, most: int | None = None) -> Reader[int]:
    """Return a reader of whole numbers within bounds."""
    should = f"should be a whole number of at least {least}"
    if most is not None:
        should = f"should be a whole number from {least} to {most}"

    def read(value: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]+", value) or len(value) > LONGEST_NUMBER:
            raise ValueError(should)
        number = int(value)
        if number < least or (most is not None and number > most):
            raise ValueError(should)
        return number

    return read


def number(
    *, above: float | None = None, least: float | None = None, most: float | None = None
) -> Reader[float]:
    """Return a reader of numbers within bounds; infinity and NaN are none."""
    told = [
        (above, f"above {above}"),
        (least, f"of at least {least}"),
        (most, f"of at most {most}"),
    ]
    should = "should be a number " + " and ".join(
        words for bound, words in told if bound is not None
    )

    def read(value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            raise ValueError(should) from None
        is_within = (
            abs(found) < float("inf")
            and (above is None or found > above)
            and (least is None or found >= least)
            and (most is None or found <= most)
        )
        if not is_within:
            raise ValueError(should)
        return found

    return read


def boolean(value: str) -> bool:
    """Read true or false, in the spellings that people use."""
    word = value.lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError("should be true or false")
    return word in TRUE_WORDS


def folder(value: str) -> Path:
    """Read a path; ~ is the user's home."""
    return Path(os.path.expanduser(value))  # noqa: PTH111 - Path's own raises without a home


def url(value: str) -> str:
    """Read an http address; a slash at its end is dropped."""
    return _url(value).rstrip("/")


def secret_url(value: str) -> Secret:
    """Read an http address that is not to be shown, as it is."""
    return Secret(_url(value))


def proxy_url(value: str) -> Secret:
    """Read the address of a proxy, which may hold a password."""
    parse_address(value, PROXY_SCHEMES)
    return Secret(value)


def _url(value: str) -> str:
    parse_address(value)
    return value


def many(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """Return a reader of a list with commas between its parts."""

    def read(value: str) -> tuple[T, ...]:
        return tuple(reader(part.strip()) for part in value.split(",") if part.strip())

    return read
