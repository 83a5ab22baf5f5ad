"""electrs and the mempool backend: one dialect of HTTP, behind one of three prefixes."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from oracle import errors
from oracle.sources import ChainTip, Health
from oracle.sources.http import MEMPOOL_RETRY, Answer, HttpSource, RetryPolicy, follows, header_hash, is_hash
from oracle.sources.networks import NETWORKS

PREFIXES = ("", "/api", "/api/v1")  # electrs itself; docker's nginx or a public site; the backend itself
BACKENDS = {"none", "electrum", "esplora"}
LAGGING_BLOCKS = 16  # a backend that has just started begins 8 blocks below its node's tip
NO_BLOCKS = "runs with BACKEND=esplora, which serves prices but no blocks: set ELECTRS_URL to its electrs"
NODE_IS_GONE = "gets no answer from its Bitcoin node: check that node"


def root_of(url: str) -> str:
    """Return a server's address without the /api or /api/v1 that people write behind it."""
    return re.sub(r"(/api(/v1)?)?/*$", "", url.strip())


@dataclass(frozen=True, slots=True)
class Flavour:
    """Where the block routes answer, and the backend's version; `is_backend` is False for electrs."""

    prefix: str
    is_backend: bool
    version: str | None


class EsploraSource(HttpSource):
    """electrs, or a mempool backend directly, behind docker's nginx or behind a public site's.

    The URL may end in /api or /api/v1 or in neither: the first request finds out what answers where.
    """

    def __init__(self, url: str, *, retry: RetryPolicy = MEMPOOL_RETRY, name: str = "mempool") -> None:
        super().__init__(name, root_of(url), retry)

    def network(self) -> str:
        """Return the network whose genesis block this is."""
        genesis = self._hash_at(0)
        for network in NETWORKS:
            if genesis.startswith(network.genesis):
                return network.name
        raise self._bad_answer(f"has an unknown block at height 0: {genesis}")

    def tip(self) -> ChainTip:
        """Return the newest block; height and hash are checked against each other."""
        tip_hash = self._hash("/blocks/tip/hash")
        if self._flavour.is_backend:
            return self._backend_tip(tip_hash)
        block = self._get(f"/block/{tip_hash}").json()
        if not isinstance(block, dict) or block.get("id") != tip_hash or type(block.get("height")) is not int:
            raise self._bad_answer(f"does not know the height of its tip {tip_hash}")
        return ChainTip(block["height"], tip_hash)

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, a page of them a request."""
        return [header_hash(header) for header in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, rebuilt from pages and verified."""
        headers: list[bytes] = []  # from the last height downwards, as the pages come
        while (height := last_height - len(headers)) >= first_height:
            headers += self._page(height)[: height - first_height + 1]
        if not all(follows(header, parent) for header, parent in pairwise(headers)):
            raise self._unavailable("changed its chain meanwhile: try again")
        return headers[::-1]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire, in one request."""
        answer = self._get(f"/block/{block_hash}/raw")
        if header_hash(answer.body) != block_hash:
            reason = f"sent other bytes than block {block_hash}: {answer}"
            raise self._bad_answer(reason)
        return answer.body

    def probe(self) -> Health:
        """Ask how it is: version, network, height, latency of one small request."""
        return self._probe(lambda: self._fetch("/blocks/tip/height"), self._facts)

    def _facts(self, _: object) -> dict[str, Any]:
        height = self.tip().height
        return {"version": self._flavour.version, "network": self.network(), "tip_height": height}

    def _backend_tip(self, tip_hash: str) -> ChainTip:
        """Pair the node's tip hash with its height: the backend's own counter may lag behind it."""
        text = self._get("/blocks/tip/height").text
        counted = max(0, int(text)) if re.fullmatch(r"-?\d{1,9}", text) else 0
        try:
            for height in range(counted, counted + LAGGING_BLOCKS):
                if self._hash_at(height) == tip_hash:
                    return ChainTip(height, tip_hash)
        except errors.BlockNotFoundError:
            pass
        reason = f"is not ready: its height {text[:40]!r} and its tip {tip_hash} do not agree"
        raise self._unavailable(reason)

    def _hash_at(self, height: int) -> str:
        return self._hash(f"/block-height/{height}")

    def _hash(self, path: str) -> str:
        answer = self._get(path)
        if not is_hash(answer.text):
            raise self._bad_answer(f"answered {path} with {answer}, not with a hash")
        return answer.text

    def _page(self, height: int) -> list[bytes]:
        """Return headers from a height downwards, as many as the server puts on a page."""
        answer = self._get(f"/blocks/{height}")
        headers: list[bytes] = []
        try:
            for row in answer.json():
                header = _header(row)
                if row["height"] == height - len(headers):  # a page that starts elsewhere or jumps is no use
                    headers.append(header)
        except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
            reason = f"lists blocks in an unknown form ({error!r}): {answer}"
            raise self._bad_answer(reason) from error
        if not headers:
            raise self._not_found(f"has no block at height {height}")
        return headers

    def _get(self, path: str) -> Answer:
        prefix = self._flavour.prefix  # found out outside of the retries, since that has its own
        return self._retrying(lambda: self._ask(prefix, path))

    def _ask(self, prefix: str, path: str) -> Answer:
        """Tell missing from broken: the backend says 500 to both, but is well while its node gives a tip."""
        answer = self._send("GET", prefix + path)
        is_backend = self._flavour.is_backend
        if answer.status == 200:
            return answer
        if answer.status == 500 and is_backend:
            if not is_hash(self._send("GET", prefix + "/blocks/tip/hash").text):
                raise self._unavailable(NODE_IS_GONE)
        elif answer.status in {400, 500}:  # how electrs reports trouble with its index or its node
            raise self._unavailable(f"is in trouble: it answered {answer}")
        elif answer.status != 404 or is_backend:
            raise self._bad_answer(f"answered {path} with {answer}")
        raise self._not_found(f"does not have {path} (unknown, or pruned): {answer}")

    @cached_property
    def _flavour(self) -> Flavour:
        backends: set[object] = set()
        for prefix in PREFIXES:
            info = self._fetch(prefix + "/backend-info").json()
            info = info if isinstance(info, dict) else {}
            answer = self._fetch(prefix + "/blocks/tip/hash")
            if is_hash(answer.text):
                return Flavour(prefix, info.get("backend") in BACKENDS, info.get("version"))
            backends.add(info.get("backend"))
        if "esplora" in backends:
            raise self._unavailable(NO_BLOCKS)
        if backends & BACKENDS:
            raise self._unavailable(NODE_IS_GONE)
        raise self._bad_answer(f"is neither electrs nor mempool: it answered {answer}")


def _header(row: dict[str, Any]) -> bytes:
    previous = bytes.fromhex(row.get("previousblockhash") or "00" * 32)[::-1]
    root = bytes.fromhex(row["merkle_root"])[::-1]
    numbers = row["timestamp"], row["bits"], row["nonce"]
    header = struct.pack("<I32s32s3I", row["version"] & 0xFFFFFFFF, previous, root, *numbers)
    if header_hash(header) != row["id"]:
        raise ValueError(f"the fields of {row['id']} do not give that hash")
    return header
