"""electrs and the mempool backend: one dialect of HTTP, behind one of three prefixes."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx

from oracle.errors import BlockNotFoundError, SourceError
from oracle.sources import ChainTip, Health
from oracle.sources.http import Answer, HttpSeam, RetryPolicy, header_hash, is_hash

PREFIXES = ("", "/api", "/api/v1")  # electrs itself; docker's nginx or a public site; the backend itself
BACKENDS = {"none", "electrum", "esplora"}
LAGGING_BLOCKS = 16  # a backend that has just started begins 8 blocks below its node's tip
GENESIS = {
    "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f": "main",
    "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943": "test",
    "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043": "testnet4",
    "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6": "signet",
    "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206": "regtest",
}


@dataclass(frozen=True, slots=True)
class Flavour:
    """Where the block routes answer, and the backend's version; `is_backend` is False for electrs."""

    prefix: str
    is_backend: bool
    version: str | None


class EsploraSource:
    """electrs, or a mempool backend directly, behind docker's nginx or behind a public site's.

    The URL may end in /api or /api/v1 or in neither: the first request finds out what answers where.
    """

    def __init__(
        self,
        url: str,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
        name: str = "mempool",
    ) -> None:
        self.name = name
        root = re.sub(r"(/api(/v1)?)?/*$", "", url.strip())
        self._http = HttpSeam(name, root, retry=retry, sleep=sleep, transport=transport)
        self._known: Flavour | None = None

    def network(self) -> str:
        """Return the network whose genesis block this is."""
        genesis = self._hash_at(0)
        if genesis not in GENESIS:
            raise self._http.bad_answer(f"has an unknown block at height 0: {genesis}")
        return GENESIS[genesis]

    def tip(self) -> ChainTip:
        """Return the newest block; height and hash are checked against each other."""
        tip_hash = self._hash("/blocks/tip/hash")
        if self._flavour().is_backend:
            return self._backend_tip(tip_hash)
        block = self._get(f"/block/{tip_hash}").json()
        if not isinstance(block, dict) or block.get("id") != tip_hash or type(block.get("height")) is not int:
            raise self._http.bad_answer(f"does not know the height of its own tip {tip_hash}")
        return ChainTip(block["height"], tip_hash)

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, a page of them a request."""
        return [header_hash(header) for header in self.headers(first_height, last_height)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, rebuilt from pages and verified."""
        headers: list[bytes] = []  # from the last height downwards, as the pages come
        while (height := last_height - len(headers)) >= first_height:
            headers += self._page(height)[: height - first_height + 1]
        for header, parent in pairwise(headers):
            if header[35:3:-1].hex() != header_hash(parent):
                raise self._http.unavailable("changed its chain while it was read: try again")
        return headers[::-1]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire, in one request."""
        answer = self._get(f"/block/{block_hash}/raw")
        if header_hash(answer.body) != block_hash:
            raise self._http.bad_answer(f"sent other bytes than block {block_hash}: {answer.describe()}")
        return answer.body

    def probe(self) -> Health:
        """Ask how it is: flavour, network, height, latency of one small request."""
        return self._http.probe(self._ask_health)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask_health(self) -> Health:
        flavour = self._flavour()
        started = time.monotonic()
        self._hash("/blocks/tip/hash")
        latency_ms = 1000 * (time.monotonic() - started)
        return Health(
            self.name,
            self._http.url + flavour.prefix,
            is_reachable=True,
            latency_ms=latency_ms,
            version=flavour.version,
            network=self.network(),
            tip_height=self.tip().height,
        )

    def _backend_tip(self, tip_hash: str) -> ChainTip:
        """Pair the node's tip hash with its height: the backend's own counter may lag behind it."""
        text = self._get("/blocks/tip/height").text
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise self._http.bad_answer(f"answered its tip height with {text[:40]!r}")
        counted = max(0, int(text))
        try:
            for height in range(counted, counted + LAGGING_BLOCKS):
                if self._hash_at(height) == tip_hash:
                    return ChainTip(height, tip_hash)
        except BlockNotFoundError:
            pass
        raise self._http.unavailable(f"is not ready: its height {text} and its tip {tip_hash} do not agree")

    def _hash_at(self, height: int) -> str:
        return self._hash(f"/block-height/{height}")

    def _hash(self, path: str) -> str:
        answer = self._get(path)
        if not is_hash(answer.text):
            raise self._http.bad_answer(f"answered {path} with {answer.describe()}, not with a hash")
        return answer.text

    def _page(self, height: int) -> list[bytes]:
        """Return headers from a height downwards, as many as the server puts on a page."""
        rows = self._get(f"/blocks/{height}").json()
        if not isinstance(rows, list):
            raise self._http.bad_answer(f"answered /blocks/{height} with something that is not a list")
        headers: list[bytes] = []
        for row in rows:
            try:
                row_height, header = row["height"], _header(row)
            except (KeyError, TypeError, ValueError, struct.error) as error:
                raise self._http.bad_answer(f"lists a block in an unknown form ({error!r})") from error
            if header_hash(header) != row.get("id"):
                raise self._http.bad_answer(
                    f"lists a block {row.get('id')} whose fields do not give that hash"
                )
            if row_height == height - len(
                headers
            ):  # a page that starts above or jumps is no use from there on
                headers.append(header)
        if not headers:
            raise self._http.not_found(f"has no block at height {height}")
        return headers

    def _get(self, path: str) -> Answer:
        prefix = self._flavour().prefix
        return self._http.retrying(lambda: self._ask(prefix, path))

    def _ask(self, prefix: str, path: str) -> Answer:
        answer = self._http.get_once(prefix + path)
        if answer.status != 200:
            raise self._why(answer, prefix, path)
        return answer

    def _why(self, answer: Answer, prefix: str, path: str) -> SourceError:
        """Tell missing from broken: the backend says 500 to both, but well is who knows its node's tip."""
        is_backend = self._flavour().is_backend
        if answer.status == 500 and is_backend:
            if is_hash(self._http.get_once(prefix + "/blocks/tip/hash").text):
                return self._http.not_found(f"does not have {path} (unknown, or pruned by its node)")
            return self._http.unavailable("gets no answer from its Bitcoin node: check that node")
        if answer.status == 404 and not is_backend:
            return self._http.not_found(f"does not have {path}: {answer.describe()}")
        if answer.status in {400, 500}:  # how electrs reports trouble with its index or its node
            return self._http.unavailable(f"is in trouble: it answered {answer.describe()}")
        return self._http.bad_answer(f"answered {path} with {answer.describe()}")

    def _flavour(self) -> Flavour:
        if self._known is None:
            self._known = self._search()
        return self._known

    def _search(self) -> Flavour:
        seen: set[str] = set()
        for prefix in PREFIXES:
            info = self._http.get(prefix + "/backend-info").json()
            backend = info.get("backend") if isinstance(info, dict) else None
            answer = self._http.get(prefix + "/blocks/tip/hash")
            if is_hash(answer.text):
                is_backend = backend in BACKENDS
                return Flavour(
                    prefix, is_backend, str(info["version"]) if is_backend and "version" in info else None
                )
            seen.add(str(backend))
        if "esplora" in seen:
            raise self._http.unavailable(
                "runs with BACKEND=esplora, which serves prices but no blocks: set ELECTRS_URL to its electrs"
            )
        if seen & BACKENDS:
            raise self._http.unavailable("gets no answer from its Bitcoin node: check that node")
        raise self._http.bad_answer(f"is neither electrs nor mempool: it answered {answer.describe()}")


def _header(row: dict[str, Any]) -> bytes:
    previous = bytes.fromhex(row.get("previousblockhash") or "00" * 32)[::-1]
    root = bytes.fromhex(row["merkle_root"])[::-1]
    version = row["version"] & 0xFFFFFFFF
    return struct.pack("<I32s32s3I", version, previous, root, row["timestamp"], row["bits"], row["nonce"])
