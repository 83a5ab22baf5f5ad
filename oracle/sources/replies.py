"""What servers may answer: the shape and the bounds of each reply.

Everything goes through here before anything is done with it. JSON is parsed by pydantic, which
limits its depth and the digits of a number, and takes no lone surrogates.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

T = TypeVar("T")

MAX_HEIGHT = 20_000_000  # some 380 years of blocks; testnet3, the longest chain, has a quarter
MAX_CODE = 1_000_000  # of a JSON-RPC error, either way
MAX_SIZE_BYTES = 1 << 50  # of a node's block files

Height = Annotated[int, Field(strict=True, ge=0, le=MAX_HEIGHT)]
BlockHash = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
HeaderHex = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{160}$")]
BlockHex = Annotated[str, StringConstraints(strict=True, min_length=160, max_length=8_000_000)]
NetworkName = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9_-]{1,20}$")]
VERSION = r"[A-Za-z0-9 .:;,/()_+@?~-]{1,100}"
Version = Annotated[str, StringConstraints(strict=True, pattern=f"^{VERSION}$")]


def _shown(value: object) -> object:
    return value if isinstance(value, str) and re.fullmatch(VERSION, value) else None


# What a server calls itself is only shown: a strange name does not make it another server.
OwnName = Annotated[str | None, BeforeValidator(_shown)]


class _Reply(BaseModel):
    # Built when it is used first: most runs need a few of them, and starting is what most runs do.
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class RpcReply(_Reply):
    """One reply of JSON-RPC 1.0 or 2.0; the caller says what the result must be."""

    id: Annotated[int, Field(strict=True, ge=0, le=MAX_HEIGHT)] | None = None
    result: Any = None
    error: Any = None


class RpcFault(_Reply):
    """What JSON-RPC says when there is no result."""

    code: Annotated[int, Field(strict=True, ge=-MAX_CODE, le=MAX_CODE)]
    message: str = ""


Challenge = Annotated[str, StringConstraints(strict=True, max_length=20_000)]  # a script in hex


class ChainInfo(_Reply):
    """What of getblockchaininfo counts."""

    chain: NetworkName = "unknown"
    blocks: Height
    headers: Height = 0
    bestblockhash: BlockHash
    initialblockdownload: Annotated[bool, Field(strict=True)] = False
    size_on_disk: Annotated[int, Field(strict=True, ge=0, le=MAX_SIZE_BYTES)] = 0
    signet_challenge: Annotated[str, StringConstraints(strict=True, max_length=20_000)] | None = (
        None
    )


class HeaderInfo(_Reply):
    """What of getblockheader counts."""

    height: Height


class NetworkInfo(_Reply):
    """What of getnetworkinfo counts."""

    subversion: OwnName


class BackendInfo(_Reply):
    """What of mempool's backend-info counts."""

    version: OwnName
    backend: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{1,20}$")] = "none"


PublishedUsd = Annotated[float, Field(strict=True, gt=0, lt=1e12)]


class PublishedPrice(_Reply):
    """What of a price in a peer's latest.json counts."""

    price_usd: PublishedUsd | None = None


class PublishedTip(_Reply):
    """What of the newest block in a peer's latest.json counts."""

    height: Height
    hash: BlockHash


class PublishedLatest(_Reply):
    """What of a peer's latest.json counts."""

    network: NetworkName
    is_demo: Annotated[bool, Field(strict=True)]
    algorithm_version: Version
    tip: PublishedTip | None
    spot: PublishedPrice | None
    window: PublishedPrice | None


class Shape(Generic[T]):
    """What a reply must be; what checks it is built when it is needed first."""

    def __init__(self, what: Any) -> None:
        self._what = what

    def of_json(self, body: bytes) -> T:
        """Return a reply in JSON; raise pydantic's ValidationError where it is something else."""
        return self._adapter.validate_json(body)

    def of(self, value: object) -> T:
        """Return a reply, or part of one, that was JSON."""
        return self._adapter.validate_python(value)

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._what)


RPC_REPLIES = Shape[list[RpcReply] | RpcReply](list[RpcReply] | RpcReply)
RPC_FAULT = Shape[RpcFault](RpcFault)
CHAIN_INFO = Shape[ChainInfo](ChainInfo)
HEADER_INFO = Shape[HeaderInfo](HeaderInfo)
NETWORK_INFO = Shape[NetworkInfo](NetworkInfo)
PUBLISHED_LATEST = Shape[PublishedLatest](PublishedLatest)
BACKEND_INFO = Shape[BackendInfo](BackendInfo)
HASH = Shape[str](BlockHash)
HEADER = Shape[str](HeaderHex)
BLOCK = Shape[str](BlockHex)
OBJECT = Shape[dict[str, Any]](dict[str, Any])


def object_of(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or None where it is something else."""
    try:
        return OBJECT.of_json(body)
    except ValidationError:
        return None


def backend_info_of(body: bytes) -> BackendInfo | None:
    """Return what a mempool backend says of itself, or None where it is something else."""
    try:
        return BACKEND_INFO.of_json(body)
    except ValidationError:
        return None


def latest_of(body: bytes) -> PublishedLatest | None:
    """Return a peer's latest.json, or None where it is something else."""
    try:
        return PUBLISHED_LATEST.of_json(body)
    except ValidationError:
        return None


def height_of(text: str) -> int | None:
    """Return a height written in digits, or None where it is none that a chain can have."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return None
    height = int(text)
    return height if height <= MAX_HEIGHT else None


def is_hash(value: object) -> bool:
    """Tell whether a value is a block hash in display order."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None
