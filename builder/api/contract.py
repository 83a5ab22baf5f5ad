"""The contract as files: a JSON Schema for each published JSON, and openapi.json.

Both are made of the classes of `builder.api.types` and the addresses of `builder.api.endpoints`.
They change only when these do: `builder.api.contract_files` says when they are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from builder.api.endpoints import ENDPOINTS, JSON, REFUSALS, SHAPES, Endpoint, Parameter
from builder.api.types import ErrorObject

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

Schema = dict[str, Any]
"""A JSON Schema, or a part of openapi.json."""

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ABOUT = (
    "Finished files, made anew by each build and served as they are: GET and HEAD only. Prices are "
    "USD per BTC, percent values are in percent, absent is null."
)
LISTS = {"compat-historical": "PricesHistorical"}
"""What is a list has no class of its own, but a title."""

OPEN = (ErrorObject,)
"""What may say more than is described: errors are of many origins. All else has no further keys."""

NOT_MODIFIED = {"description": "Not modified (If-None-Match, If-Modified-Since)"}
ERROR = {JSON: {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
PAGE_ERROR = {"description": "A page that says so", "content": {"text/html": {"schema": {}}}}


@cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    from pydantic import TypeAdapter  # most builds do without it

    return {name: TypeAdapter(shape) for name, shape in SHAPES.items()}


@cache
def _generator() -> type[GenerateJsonSchema]:
    """Return pydantic's generator with our manners: no further keys, no titles of single fields."""
    from pydantic.json_schema import GenerateJsonSchema  # as above

    class Ours(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's
            return False

        def typed_dict_schema(self, schema: Any) -> Schema:
            made = super().typed_dict_schema(schema)
            return {**made, "additionalProperties": schema["cls"] in OPEN}

    return Ours


@cache
def schemas() -> dict[str, Schema]:
    """Return the JSON Schemas by name (`latest`, `history`, ...), each complete in itself."""
    return {name: _complete(name, adapter) for name, adapter in _adapters().items()}


def _complete(name: str, adapter: TypeAdapter[Any]) -> Schema:
    made = adapter.json_schema(schema_generator=_generator())
    listed = {} if "title" in made else {"title": LISTS[name]}
    return {"$schema": DRAFT, "$id": f"{name}.json", **listed, **made}


@cache
def components() -> dict[str, Schema]:
    """Return the schema of each class by its name."""
    from pydantic import TypeAdapter  # as above

    inputs = [(name, "validation", adapter) for name, adapter in _adapters().items()]
    _, made = TypeAdapter.json_schemas(
        inputs,  # type: ignore[arg-type]
        ref_template="#/components/schemas/{model}",
        schema_generator=_generator(),
    )
    return dict(made["$defs"])


def openapi(public_url: str | None) -> Schema:
    """Return the description of the API, schemas included."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "On-chain Bitcoin price",
            "version": "1",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": (public_url or "/").rstrip("/") or "/"}],
        "paths": {it.path: {"get": _operation(it)} for it in ENDPOINTS},
        "components": {"schemas": components(), "responses": dict(_refusals())},
    }


def _refusals() -> Iterator[tuple[str, Schema]]:
    for status, words in REFUSALS.items():
        yield f"Error{status}", {"description": words, "content": ERROR}


def _operation(endpoint: Endpoint) -> Schema:
    operation: Schema = {
        "summary": endpoint.summary,
        "operationId": endpoint.operation,
        "tags": [endpoint.group],
        "responses": _responses(endpoint),
    }
    if endpoint.more:
        operation["description"] = endpoint.more
    if endpoint.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    return operation


def _parameter(parameter: Parameter) -> Schema:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
        "example": parameter.example,
    }


def _responses(endpoint: Endpoint) -> Schema:
    responses: Schema = {
        "200": {"description": endpoint.summary, "content": {endpoint.media: _content(endpoint)}},
        "304": NOT_MODIFIED,
    }
    if endpoint.group == "Feeds":
        return {**responses, "404": PAGE_ERROR}
    if endpoint.group == "Files":
        responses["206"] = {
            "description": "A byte range",
            "content": {endpoint.media: _content(endpoint)},
        }
    for status in REFUSALS:
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    for status, words in endpoint.refusals.items():
        responses[str(status)] = {"description": words, "content": _refused(endpoint, status)}
    return dict(sorted(responses.items()))


def _refused(endpoint: Endpoint, status: int) -> Schema:
    """Return what a refusal of its own holds: the error shape; for bad health status.json, too."""
    if endpoint.path != "/health" or status != 503:
        return ERROR
    either = [_content(endpoint)["schema"], ERROR[JSON]["schema"]]
    return {JSON: {"schema": {"anyOf": either}}}


def _content(endpoint: Endpoint) -> Schema:
    if endpoint.shape:
        return {"schema": _reference(endpoint.shape)}
    if endpoint.media.endswith("json"):
        return {"schema": {"type": "object"}}
    if endpoint.media.startswith("text/"):
        return {"schema": {"type": "string"}}
    return {"schema": {"type": "string", "format": "binary"}}


def _reference(shape: str) -> Schema:
    """Return where the schema of a file stands among the components."""
    entry = SHAPES[shape]
    if isinstance(entry, type):
        return {"$ref": f"#/components/schemas/{entry.__name__}"}
    return {"type": "array", "items": {"$ref": "#/components/schemas/PriceEntry"}}
