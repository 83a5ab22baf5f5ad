"""A fake Bitcoin Core: JSON-RPC 1.0 and 2.0, and REST, with the states of a real node."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.helpers.fakes.chain import FakeChain
from tests.helpers.fakes.server import FakeServer, Reply, Request


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class FakeCore(FakeServer):
    """A node with every block of a chain. Its states are attributes that a test sets."""

    def __init__(
        self,
        chain: FakeChain,
        *,
        user: str = "someone",
        password: str = "secret-word",
        rest: bool = False,
        is_old: bool = False,
    ) -> None:
        super().__init__()
        self.chain = chain
        self.user, self.password = user, password
        self.rest = rest
        self.is_old = is_old  # before 28: answers "2.0" requests as 1.0
        self.warming_up: str | None = None
        self.subversion = "/Satoshi:31.0.0/"
        self.is_catching_up = False
        self.signet_challenge: str | None = None
        self.says_initial_download = False  # as a node does whose newest block is old
        self.answers_plainly = False  # a batch of one, with an object
        self.pruned_below = 0
        self.is_forbidden = False
        self.wrong_bytes: dict[str, bytes] = {}  # block hash -> what is sent instead
        self.unknown_methods: set[str] = set()
        self.batch_sizes: list[int] = []

    def write_cookie(self, path: Path) -> None:
        """Start as a node without rpcpassword does: a new random password in the cookie file."""
        self.user, self.password = "__cookie__", secrets.token_hex(32)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{self.user}:{self.password}")

    def handle(self, request: Request) -> Reply:
        if self.is_forbidden:
            return Reply(403, content_type=None)
        if request.path.startswith("/rest/"):
            return self._rest(request) if self.rest else Reply(404, content_type=None)
        if request.path != "/":
            return Reply(404, content_type=None)
        if request.method != "POST":
            return Reply(405, b"JSONRPC server handles only POST requests")
        if request.headers.get("authorization") != self._expected_authorization():
            return Reply(
                401, content_type=None, headers={"WWW-Authenticate": 'Basic realm="jsonrpc"'}
            )
        return self._json_rpc(json.loads(request.body))

    def _expected_authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    # JSON-RPC

    def _json_rpc(self, request: Any) -> Reply:
        if isinstance(request, list):
            self.batch_sizes.append(len(request))
            replies = [self._one(item)[0] for item in request]
            return Reply.json(replies[0] if self.answers_plainly and len(replies) == 1 else replies)
        reply, status = self._one(request)
        return Reply.json(reply, status)

    def _one(self, request: dict[str, Any]) -> tuple[dict[str, Any], int]:
        is_2 = request.get("jsonrpc") == "2.0" and not self.is_old
        head = {"jsonrpc": "2.0", "id": request["id"]} if is_2 else {"id": request["id"]}
        try:
            result = self._call(request["method"], request.get("params", []))
        except RpcError as error:
            said = {"code": error.code, "message": error.message}
            status = 200 if is_2 else 404 if error.code == -32601 else 500
            return (
                {**head, "error": said} if is_2 else {"result": None, "error": said, **head}
            ), status
        return (
            {**head, "result": result} if is_2 else {"result": result, "error": None, **head}
        ), 200

    def _call(self, method: str, params: list[Any]) -> Any:
        if self.warming_up is not None:
            raise RpcError(-28, self.warming_up)
        calls: dict[str, Callable[..., Any]] = {
            "getblockchaininfo": self._chain_info,
            "getblockcount": lambda: self.chain.tip_height,
            "getbestblockhash": lambda: self.chain.tip_hash,
            "getnetworkinfo": lambda: {"version": 310000, "subversion": self.subversion},
            "getblockhash": self._block_hash,
            "getblockheader": self._block_header,
            "getblock": self._block,
        }
        if method not in calls.keys() - self.unknown_methods:
            raise RpcError(-32601, "Method not found")
        return calls[method](*params)

    def _chain_info(self) -> dict[str, Any]:
        missing = 1000 if self.is_catching_up else 0
        info = {
            "chain": self.chain.network,
            "blocks": self.chain.tip_height,
            "headers": self.chain.tip_height + missing,
            "bestblockhash": self.chain.tip_hash,
            "time": int.from_bytes(self.chain.blocks[-1][68:72], "little"),
            "mediantime": self.chain.mediantime(self.chain.tip_height),
            "verificationprogress": 0.5 if self.is_catching_up else 0.9999,
            "initialblockdownload": self.is_catching_up or self.says_initial_download,
            "pruned": self.pruned_below > 0,
            "warnings": [],
        }
        if self.signet_challenge is not None:
            info["signet_challenge"] = self.signet_challenge
        return info | ({"pruneheight": self.pruned_below} if self.pruned_below else {})

    def _block_hash(self, height: int) -> str:
        found = self.chain.hash_at(height)
        if found is None:
            raise RpcError(-8, "Block height out of range")
        return found

    def _block_header(self, block_hash: str, verbose: bool = True) -> Any:
        header = self._find(block_hash)[:80]
        return (
            {"hash": block_hash, "height": self.chain.height_of(block_hash)}
            if verbose
            else header.hex()
        )

    def _block(self, block_hash: str, verbosity: int = 1) -> str:
        return self._stored(block_hash).hex()

    def _find(self, block_hash: str) -> bytes:
        if len(block_hash) != 64:
            raise RpcError(
                -8, f"blockhash must be of length 64 (not {len(block_hash)}, for '{block_hash}')"
            )
        block = self.chain.find(block_hash)
        if block is None:
            raise RpcError(-5, "Block not found")
        return block

    def _stored(self, block_hash: str) -> bytes:
        block = self._find(block_hash)
        height = self.chain.height_of(block_hash)
        if height is not None and height < self.pruned_below:
            raise RpcError(-1, "Block not available (pruned data)")
        return self.wrong_bytes.get(block_hash, block)

    # REST

    def _rest(self, request: Request) -> Reply:
        if self.warming_up is not None:
            return Reply(503, f"Service temporarily unavailable: {self.warming_up}\r\n".encode())
        try:
            return self._rest_route(request.path.removeprefix("/rest/").split("/"), request.query)
        except RpcError as error:
            return Reply(404, f"{error.message}\r\n".encode())

    def _rest_route(self, parts: list[str], query: dict[str, str]) -> Reply:
        match parts:
            case ["chaininfo.json"]:
                return Reply.json(self._chain_info())
            case ["blockhashbyheight", name]:
                return self._rest_hash(*name.split("."))
            case ["headers", name]:
                block_hash, extension = name.split(".")
                return self._rest_headers(block_hash, extension, int(query.get("count", 5)))
            case ["headers", count, name]:
                block_hash, extension = name.split(".")
                return self._rest_headers(block_hash, extension, int(count))
            case ["block", name]:
                block_hash, extension = name.split(".")
                block = self._stored(block_hash)
                return _in_format(extension, block)
        return Reply(404, content_type=None)

    def _rest_hash(self, height: str, extension: str) -> Reply:
        found = self._block_hash(int(height))
        if extension == "json":
            return Reply.json({"blockhash": found})
        if extension == "hex":
            return Reply(200, found.encode() + b"\n")
        return Reply(200, bytes.fromhex(found)[::-1], "application/octet-stream")

    def _rest_headers(self, block_hash: str, extension: str, count: int) -> Reply:
        if not 1 <= count <= 2000:
            return Reply(
                400,
                b"Header count is invalid or out of acceptable range (1-2000): "
                + f"{count}\r\n".encode(),
            )
        start = self.chain.height_of(block_hash)
        last = -1 if start is None else min(self.chain.tip_height, start + count - 1)
        headers = b"".join(self.chain.at(h)[:80] for h in range(start or 0, last + 1))
        return _in_format(extension, headers)


def _in_format(extension: str, data: bytes) -> Reply:
    if extension == "bin":
        return Reply(200, data, "application/octet-stream")
    return Reply(200, data.hex().encode() + b"\n")
