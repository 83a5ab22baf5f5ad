"""The contract as files: a JSON Schema for each published JSON, and openapi.json, which contains
them all."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

OTHERS = ("columns.json", "openapi.json")


@cache
def schemas() -> dict[str, Any]:
    """Return the JSON Schemas by name (`latest`, `history`, ...)."""
    found = {f.name: f for f in files("builder.api.schema").iterdir() if f.name.endswith(".json")}
    return {
        name[:-5]: json.loads(found[name].read_bytes())
        for name in sorted(found)
        if name not in OTHERS
    }


def openapi(public_url: str) -> dict[str, Any]:
    """Return the description of the API, schemas included."""
    spec = json.loads(files("builder.api.schema").joinpath("openapi.json").read_bytes())
    spec["servers"] = [{"url": public_url}]
    parts = {
        name: {k: v for k, v in schema.items() if k[0] != "$"} for name, schema in schemas().items()
    }
    spec["components"]["schemas"] = parts
    return dict(spec)


@cache
def contract(public_url: str) -> dict[str, bytes]:
    """Return openapi.json and the schemas by path."""
    texts = {f"api/schema/{name}.json": schema for name, schema in schemas().items()}
    texts["api/openapi.json"] = openapi(public_url)
    return {path: (json.dumps(value, indent=1) + "\n").encode() for path, value in texts.items()}
