"""Fakes of electrs, of the mempool backend, and of the two kinds of nginx in front of it."""

from __future__ import annotations

import struct
from typing import Any

from oracle.simulated.serialise import header_hash
from tests.helpers.fakes.chain import FakeChain
from tests.helpers.fakes.server import INDEX_HTML, FakeServer, Reply, Request

NOT_FOUND = Reply(404, b"Block not found")
NOTHING = Reply(200, b"", None)


class _Missing(Exception):
    """The chain does not have it."""


class _EsploraRoutes(FakeServer):
    """What electrs and the backend share: the routes under a prefix, and the block object."""

    page_size = 10

    def __init__(self, chain: FakeChain) -> None:
        super().__init__()
        self.chain = chain
        self.wrong_bytes: dict[str, bytes] = {}  # block hash -> what is sent instead

    def block_object(self, height: int) -> dict[str, Any]:
        block = self.chain.at(height)
        timestamp, bits, nonce = struct.unpack_from("<III", block, 68)
        previous = block[4:36][::-1].hex()
        return {
            "id": header_hash(block),
            "height": height,
            "version": int.from_bytes(block[:4], "little", signed=True),
            "timestamp": timestamp,
            "tx_count": block[80] if block[80] < 0xFD else int.from_bytes(block[81:83], "little"),
            "size": len(block),
            "merkle_root": block[36:68][::-1].hex(),
            "previousblockhash": previous if int(previous, 16) else None,
            "mediantime": self.chain.mediantime(height),
            "nonce": nonce,
            "bits": bits,
            "difficulty": 1,
        }

    def route(self, parts: list[str]) -> Reply | None:
        """Return the answer of a route that both have, or None for an unknown path."""
        match parts:
            case ["blocks", "tip", "hash"]:
                return Reply(200, self.chain.tip_hash.encode())
            case ["block-height", height]:
                return Reply(200, self._hash_at(int(height)).encode())
            case ["block", block_hash]:
                return Reply.json(self.block_object(self._height_of(block_hash)))
            case ["block", block_hash, "header"]:
                return Reply(200, self._block(block_hash)[:80].hex().encode())
            case ["block", block_hash, "raw"]:
                raw = self.wrong_bytes.get(block_hash, self._block(block_hash))
                return Reply(200, raw, "application/octet-stream")
            case ["blocks"]:
                return self._page(self.chain.tip_height)
            case ["blocks", height] if height.isdigit():
                return self._page(int(height))
        return None

    def _page(self, start: int) -> Reply:
        heights = range(start, max(start - self.page_size, self.chain.first_height - 1), -1)
        return Reply.json([self.block_object(h) for h in heights if self.chain.has_height(h)])

    def _hash_at(self, height: int) -> str:
        found = self.chain.hash_at(height)
        if found is None:
            raise _Missing
        return found

    def _height_of(self, block_hash: str) -> int:
        height = self.chain.height_of(block_hash)
        if height is None:
            raise _Missing
        return height

    def _block(self, block_hash: str) -> bytes:
        block = self.chain.find(block_hash)
        if block is None:
            raise _Missing
        return block


class FakeElectrs(_EsploraRoutes):
    """electrs' own HTTP server: no prefix; knows the best chain only."""

    def handle(self, request: Request) -> Reply:
        return self.answer(request.path)

    def answer(self, path: str) -> Reply:
        parts = path.strip("/").split("/")
        if parts == ["blocks", "tip", "height"]:
            return Reply(200, str(self.chain.tip_height).encode())
        try:
            if parts[0] == "block" and len(parts) > 2:
                self._height_of(parts[1])  # a stale block is unknown here
            if parts[0] == "block-height" and not parts[1].isdigit():
                return Reply(400, b"Invalid number")
            found = self.route(parts)
        except _Missing:
            return NOT_FOUND
        return found or Reply(404, f'endpoint does not exist "{path}"'.encode())


class FakeMempoolBackend(_EsploraRoutes):
    """The mempool backend: everything under /api/v1; prices; errors as 500."""

    page_size = 15

    def __init__(self, chain: FakeChain, *, backend: str = "none") -> None:
        super().__init__(chain)
        self.backend = backend
        self.version = "3.4.0"
        self.known_tip: int | None = None  # its own counter where that differs; 0: not yet known
        self.prices: dict[str, float] = {"time": 0, "USD": -1, "EUR": -1}
        self.history: list[dict[str, float]] = []  # {"time":, "USD":} rows in any order
        self.has_history = True
        self.is_upstream_down = False

    def handle(self, request: Request) -> Reply:
        return self.answer(request.path, request.query)

    def answer(self, path: str, query: dict[str, str]) -> Reply:
        if not path.startswith("/api/v1/"):
            return self._cannot_get(path)
        try:
            return self._v1(path.removeprefix("/api/v1/").split("/"), query) or self._cannot_get(
                path
            )
        except _Missing:
            return Reply.json({"error": _failed_to_get(path)}, 500)

    def _v1(self, parts: list[str], query: dict[str, str]) -> Reply | None:
        match parts:
            case ["prices"]:
                return Reply.json(self.prices)
            case ["historical-price"]:
                return self._historical(query) if self.has_history else None
            case ["backend-info"]:
                return Reply.json(
                    {
                        "hostname": "fake",
                        "version": self.version,
                        "gitCommit": "0",
                        "backend": self.backend,
                    }
                )
            case ["blocks", "tip", "height"]:
                known = self.chain.tip_height if self.known_tip is None else self.known_tip
                return (
                    Reply(200, str(known).encode())
                    if known
                    else Reply.json({"error": "Service Temporarily Unavailable"}, 503)
                )
            case ["block", _] | ["blocks", *_] if parts[1:] != ["tip", "hash"]:
                return self._node(parts)
            case _ if self.backend == "esplora":
                return None
        return self._node(parts)

    def _node(self, parts: list[str]) -> Reply | None:
        if self.is_upstream_down:
            raise _Missing
        found = self.route(parts)
        if found is not None and parts[0] == "block-height":
            return Reply(200, found.body, "text/html; charset=utf-8")
        return found

    def _historical(self, query: dict[str, str]) -> Reply:
        if self.chain.network != "main":
            return Reply.json({"error": "Prices are not available on testnets."}, 400)
        currency, wanted = query.get("currency"), int(query.get("timestamp") or 0)
        if currency != "USD":
            return NOTHING
        rows = sorted(self.history, key=lambda row: -row["time"])
        if wanted:
            rows = [row for row in rows if row["time"] <= wanted][:1]
            rows = rows or [{"time": 1279497600, "USD": 0}]
        return Reply.json({"prices": rows, "exchangeRates": {"USDEUR": 0.9}}) if rows else NOTHING

    @staticmethod
    def _cannot_get(path: str) -> Reply:
        return Reply(
            404, f"<!DOCTYPE html><pre>Cannot GET {path}</pre>".encode(), "text/html; charset=utf-8"
        )


def _failed_to_get(path: str) -> str:
    """Return what the backend says of all that its node does not give (version 3.4)."""
    if "/block-height/" in path:
        return "Failed to get block at height"
    whats = {"hash": "hash at tip", "header": "block header", "raw": "raw block"}
    what = whats.get(path.rpartition("/")[2], "block")
    return f"Failed to get {what}"


class FakeMempoolFrontend(FakeMempoolBackend):
    """The docker nginx: /api/ is rewritten to the backend's /api/v1/, any other path is the app's
    page."""

    def handle(self, request: Request) -> Reply:
        if request.path.startswith("/api/v1/"):
            return self.answer(request.path, request.query)
        if request.path.startswith("/api/"):
            return self.answer("/api/v1/" + request.path.removeprefix("/api/"), request.query)
        return Reply(200, INDEX_HTML, "text/html")


class FakeMempoolSite(FakeMempoolBackend):
    """A public site: /api/v1/ is a backend with BACKEND=esplora, /api/ is electrs with the prefix
    cut."""

    def __init__(self, chain: FakeChain) -> None:
        super().__init__(chain, backend="esplora")
        self._electrs = FakeElectrs(chain)

    def handle(self, request: Request) -> Reply:
        if request.path.startswith("/api/v1/"):
            return self.answer(request.path, request.query)
        if request.path.startswith("/api/"):
            return self._electrs.answer(request.path.removeprefix("/api"))
        return Reply(200, INDEX_HTML, "text/html")
