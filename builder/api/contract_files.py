"""openapi.json and the JSON Schemas in a release: most builds carry them over, and load neither the
classes of `builder.api.types` nor pydantic, which takes longer than all else that they do."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from builder.draft import Draft, fingerprint, with_others

if TYPE_CHECKING:
    from builder.api.contract import Schema

HERE = Path(__file__).resolve().parent
OPENAPI = "api/openapi.json"
SCHEMAS = "api/schema/"


def add_contract(draft: Draft, public_url: str | None) -> None:
    """Put openapi.json and the schemas into a draft, made only when the contract has changed.

    Args:
        draft: gets the files.
        public_url: where readers reach the site; None: addresses are relative.
    """
    key = fingerprint((public_url, _source()))
    if draft.carry_with(OPENAPI, key, SCHEMAS):
        return
    from builder.api.contract import openapi, schemas

    whole = with_others(key, len(schemas()))
    draft.once(OPENAPI, whole, lambda: _written(openapi(public_url)))
    for name, schema in schemas().items():
        draft.once(f"{SCHEMAS}{name}.json", key, lambda schema=schema: _written(schema))  # type: ignore[misc]


@cache
def _source() -> tuple[bytes, ...]:
    """Return the text of everything that the contract is made of."""
    paths = sorted([*HERE.glob("types/*.py"), HERE / "endpoints.py", *HERE.glob("contract*.py")])
    return tuple(path.read_bytes() for path in paths)


def _written(value: Schema) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
