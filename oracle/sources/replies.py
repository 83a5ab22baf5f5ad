"""What servers may answer: the shape and the bounds of each reply.

Everything goes through here before anything is done with it. JSON is parsed by pydantic, which
limits its depth and the digits of a number, and takes no lone surrogates.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

MAX_HEIGHT = 20_000_000  # some 380 years of blocks; testnet3, the longest chain, has a quarter
MAX_CODE = 1_000_000  # of a JSON-RPC error, either way
MAX_SIZE_BYTES = 1 << 50  # of a node's block files

Height = Annotated[int, Field(strict=True, ge=0, le=MAX_HEIGHT)]
BlockHash = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
HeaderHex = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{160}$")]
BlockHex = Annotated[str, StringConstraints(strict=True, min_length=160, max_length=8_000_000)]
NetworkName = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9_-]{1,20}$")]
Version = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9 .:;,/()_+@-]{1,100}$")
]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RpcReply(_Reply):
    """One reply of JSON-RPC 1.0 or 2.0; the caller says what the result must be."""

    id: Annotated[int, Field(strict=True, ge=0, le=MAX_HEIGHT)] | None = None
    result: Any = None
    error: Any = None


class RpcFault(_Reply):
    """What JSON-RPC says when there is no result."""

    code: Annotated[int, Field(strict=True, ge=-MAX_CODE, le=MAX_CODE)]
    message: str = ""


class ChainInfo(_Reply):
    """What of getblockchaininfo counts."""

    chain: NetworkName = "unknown"
    blocks: Height
    headers: Height = 0
    bestblockhash: BlockHash
    initialblockdownload: Annotated[bool, Field(strict=True)] = False
    size_on_disk: Annotated[int, Field(strict=True, ge=0, le=MAX_SIZE_BYTES)] = 0


class HeaderInfo(_Reply):
    """What of getblockheader counts."""

    height: Height


class NetworkInfo(_Reply):
    """What of getnetworkinfo counts."""

    subversion: Version


class BackendInfo(_Reply):
    """What of mempool's backend-info counts."""

    version: Version
    backend: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{1,20}$")] = "none"


RPC_REPLIES: TypeAdapter[list[RpcReply] | RpcReply] = TypeAdapter(list[RpcReply] | RpcReply)
RPC_FAULT: TypeAdapter[RpcFault] = TypeAdapter(RpcFault)
CHAIN_INFO: TypeAdapter[ChainInfo] = TypeAdapter(ChainInfo)
HEADER_INFO: TypeAdapter[HeaderInfo] = TypeAdapter(HeaderInfo)
NETWORK_INFO: TypeAdapter[NetworkInfo] = TypeAdapter(NetworkInfo)
BACKEND_INFO: TypeAdapter[BackendInfo] = TypeAdapter(BackendInfo)
HASH: TypeAdapter[str] = TypeAdapter(BlockHash)
HEADER: TypeAdapter[str] = TypeAdapter(HeaderHex)
BLOCK: TypeAdapter[str] = TypeAdapter(BlockHex)
OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def object_of(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or None where it is something else."""
    try:
        return OBJECT.validate_json(body)
    except ValidationError:
        return None


def backend_info_of(body: bytes) -> BackendInfo | None:
    """Return what a mempool backend says of itself, or None where it is something else."""
    try:
        return BACKEND_INFO.validate_json(body)
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
