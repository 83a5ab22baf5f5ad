"""What the text of a setting may be: a reader for each kind of value.

A reader takes a text and returns the value, or raises ValueError with what it should be. It is
plain Python on purpose: every command reads the settings first, and a library of models would take
longer to load than most commands take to run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from oracle.address import PROXY_SCHEMES, parse_address
from oracle.masking import MASK

TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})
FALSE_WORDS = frozenset({"0", "false", "f", "no", "n", "off"})
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,60}")
LONGEST_NUMBER = 40  # characters: Python refuses to read thousands of digits, with another error

D = TypeVar("D")
T = TypeVar("T")
Reader = Callable[[str], T]


class Secret:
    """A text that shows as a mask wherever it is printed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__


class Field(Generic[T]):
    """A setting: its default, and who reads its text."""

    def __init__(self, default: Any, reader: Reader[T]) -> None:
        self.default = default
        self.reader = reader


def setting(default: D, reader: Reader[T]) -> D | T:
    """Return a field; typed as the value that an object of the class will have in its place."""
    return cast("D | T", Field(default, reader))


def fields_of(settings: type) -> dict[str, Field[object]]:
    """Return the fields of a class by name, in their order."""
    return {name: one for name, one in vars(settings).items() if isinstance(one, Field)}


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


def licence(value: str) -> str:
    """Read the name of a licence, which is shown and written into files."""
    if not LICENCE.fullmatch(value):
        raise ValueError("should be a name as in https://spdx.org/licenses, such as CC0-1.0")
    return value


def folder(value: str) -> Path:
    """Read a path; ~ is the user's home."""
    return Path(os.path.expanduser(value))  # noqa: PTH111 - Path's own raises without a home


def url(value: str) -> str:
    """Read an http address; a slash at its end is dropped."""
    return _url(value).rstrip("/")


def site_url(value: str) -> str:
    """Read the address of a site of this kind; it is shown, so it holds no login and no query."""
    address = parse_address(value)
    if address.login is not None or address.query:
        raise ValueError("should be addresses without a login and a query: they are published")
    return value.rstrip("/")


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


def at_most(most: int, reader: Reader[tuple[T, ...]]) -> Reader[tuple[T, ...]]:
    """Return a reader of a list of so many different parts at most."""

    def read(value: str) -> tuple[T, ...]:
        parts = tuple(dict.fromkeys(reader(value)))
        if len(parts) > most:
            raise ValueError(f"should be at most {most}")
        return parts

    return read


def many(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """Return a reader of a list with commas between its parts."""

    def read(value: str) -> tuple[T, ...]:
        return tuple(reader(part.strip()) for part in value.split(",") if part.strip())

    return read
