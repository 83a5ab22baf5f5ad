"""The words that the public files are written in: kinds of values, and how every file starts.

A name that carries a unit is checked by its unit: prices are above zero, times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from typing_extensions import TypeAliasType, TypedDict


class Says:
    """What a type alone does not say of a value, in the words of JSON Schema.

    pydantic asks for it when it makes a schema; a build does without pydantic, whose import costs
    more than most builds.
    """

    def __init__(self, **keywords: object) -> None:
        self.keywords = keywords

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the schema of the type with the words beside it."""
        return {**handler(core_schema), **self.keywords}


def about(description: str) -> Says:
    """Say what a field means; the words go into the JSON Schema and docs/api.md."""
    return Says(description=description)


Time = Annotated[str, Says(format="date-time", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""A moment in ISO 8601, UTC, to the second."""

Date = Annotated[str, Says(format="date", pattern=r"^\d{4}-\d\d-\d\d$")]
"""A UTC day."""

Unix = Annotated[int, Says(minimum=0)]
"""A moment in seconds since 1970 UTC."""

Seconds = Annotated[int, Says(minimum=0)]
Height = Annotated[int, Says(minimum=0)]
Count = Annotated[int, Says(minimum=0)]
Usd = Annotated[float, Says(exclusiveMinimum=0)]
"""USD per BTC."""

Percent = float
"""3.2 means 3.2 %."""

Share = Annotated[float, Says(minimum=0, maximum=1)]
Hash = Annotated[str, Says(pattern=r"^[0-9a-f]{64}$")]
"""A block's hash in display order, or a SHA-256: 64 hexadecimal digits."""

Leg = TypeAliasType("Leg", Literal["spot", "window"])
State = TypeAliasType("State", Literal["ok", "degraded", "stale", "failing"])


class Head(TypedDict):
    """What every file of ours starts with."""

    schema_version: Literal[1]
    generated_at: Annotated[Time, about("when this file's facts were put together (ISO 8601 UTC)")]
    generated_at_unix: Annotated[
        Unix, about("when this file's facts were put together (seconds since 1970 UTC)")
    ]
    network: Annotated[str, about("main, test, testnet4, signet, regtest or simulated")]
    is_demo: Annotated[bool, about("true when the blocks are simulated: no real prices")]
    algorithm_version: Annotated[
        str,
        about(
            "which calculator made the newest price in this file, earlier ones may be of another; "
            "in a file without prices the one in force; changes whenever a published price would"
        ),
    ]


class Block(TypedDict):
    """A block."""

    height: Annotated[Height, about("height")]
    hash: Annotated[Hash, about("block hash, display order")]
    time: Annotated[Time, about("header time (ISO 8601 UTC)")]
    time_unix: Annotated[Unix, about("header time (seconds since 1970 UTC)")]


class Tip(Block):
    """The newest block of the record."""

    age_seconds: Annotated[Seconds, about("generated_at minus the header time, at least 0")]


class ErrorObject(TypedDict):
    """What went wrong."""

    code: Annotated[str, about("upper-case name, for programs")]
    message: Annotated[str, about("one sentence, for people")]
    retry_after: Annotated[int | None, about("seconds until a retry makes sense")]
    details: Annotated[dict[str, Any], about("facts: source, attempts, ...")]


class ErrorAnswer(TypedDict):
    """The error shape: what is answered instead of a file."""

    error: ErrorObject
