"""electrs and the mempool backend: blocks in one dialect of HTTP, and the backend's exchange
prices."""

import math
import re
from functools import cached_property
from typing import Any

import httpx

from oracle.errors import BadAnswerError, BlockNotFoundError, SourceUnavailableError
from oracle.sources import ChainTip, Quote
from oracle.sources.http import PATIENCE, HttpSource, RetryPolicy, described, is_hash, json_of

PREFIXES = (
    "",
    "/api",
    "/api/v1",
)  # electrs itself; docker's nginx or a public site; the backend itself
UNAVAILABLE_CODES = {"electrs": "ELECTRS_UNAVAILABLE", "mempool": "MEMPOOL_API_UNAVAILABLE"}
TIP_HASH = "/blocks/tip/hash"
NO_BLOCKS = (
    "serves no blocks: if it runs with BACKEND=esplora, set ELECTRS_URL to its "
    "electrs, else check its node"
)


def root_of(url: str) -> str:
    """Return a server's address without the /api or /api/v1 that people write behind it."""
    return re.sub(r"(/api(/v1)?)?/*$", "", url.strip())


class EsploraSource(HttpSource):
    """electrs, or a mempool backend directly, behind docker's nginx or behind a public site's.

    The URL may end in /api or /api/v1 or in neither: the first request finds out what answers
    where.
    """

    def __init__(self, url: str, *, retry: RetryPolicy = PATIENCE, name: str = "mempool") -> None:
        super().__init__(name, root_of(url), retry)
        self.unavailable_code = UNAVAILABLE_CODES.get(name, self.unavailable_code)

    def network(self) -> str:
        """Return the network whose genesis block this is; unknown when there is none, or
        another."""
        return self._network_by_genesis(self._hash_at)

    def tip(self) -> ChainTip:
        """Return the newest block that the server has counted; it may lag behind its node for a
        while."""
        height = self._get("/blocks/tip/height").text.strip()
        if not height.isdecimal():
            raise self._error(
                SourceUnavailableError,
                f"does not know its height yet: it answered {height[:100]!r}",
            )
        return ChainTip(int(height), self._hash_at(int(height)))

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, one a request."""
        return [self._hash_at(height) for height in range(first_height, last_height + 1)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, one in two requests."""
        hashes = self.hashes(first_height, last_height)
        return [self._checked(self._get(f"/block/{name}/header").text, name) for name in hashes]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire, in one request."""
        return self._checked(self._get(f"/block/{block_hash}/raw").content, block_hash)

    def _version(self) -> str | None:
        info = json_of(self._fetch(self._prefix + "/backend-info"))
        return info.get("version") if isinstance(info, dict) else None  # electrs tells none

    def _hash_at(self, height: int) -> str:
        answer = self._get(f"/block-height/{height}")
        if not is_hash(answer.text.strip()):
            raise self._error(
                BadAnswerError, f"gave no hash of block {height}: it answered {described(answer)}"
            )
        return answer.text.strip()

    def _get(self, path: str) -> httpx.Response:
        prefix = self._prefix  # found out outside of the retries, since that has its own
        return self._retrying(lambda: self._ask(prefix, path))

    def _ask(self, prefix: str, path: str) -> httpx.Response:
        """Tell missing from broken: a backend says 500 to both, but is well while its node gives a
        tip."""
        answer = self._send("GET", prefix + path)
        status = answer.status_code
        if status == 200:
            return answer
        if status == 404 or (
            status == 500 and is_hash(self._send("GET", prefix + TIP_HASH).text.strip())
        ):
            raise self._error(
                BlockNotFoundError,
                f"does not have {path} (unknown, or pruned): {described(answer)}",
            )
        # 400 is how electrs reports trouble with its index or its node.
        kind = SourceUnavailableError if status in {400, 500} else BadAnswerError
        raise self._error(kind, f"answered {path} with {described(answer)}: check its Bitcoin node")

    @cached_property
    def _prefix(self) -> str:
        """Find out behind which prefix there are blocks: servers answer others with a web page, or
        with prices only."""
        for prefix in PREFIXES:
            answer = self._fetch(prefix + TIP_HASH)
            if is_hash(answer.text.strip()):
                return prefix
        if json_of(self._fetch("/api/v1/backend-info")):
            raise self._error(SourceUnavailableError, NO_BLOCKS)
        raise self._error(
            BadAnswerError, f"is neither electrs nor mempool: it answered {described(answer)}"
        )


class MempoolQuotes(HttpSource):
    """The prices of a mempool backend; the URL may end in /api or /api/v1 or in neither.

    `max_distance_seconds` is how much older than the time asked for a historical row may be. Rows
    come by the hour while a backend runs, but by the day or week for times before its first start:
    those are no quote.
    """

    def __init__(
        self, url: str, *, max_distance_seconds: int = 7200, retry: RetryPolicy = PATIENCE
    ) -> None:
        super().__init__("mempool", root_of(url) + "/api/v1", retry)
        self._max_distance_seconds = max_distance_seconds

    def latest(self) -> Quote | None:
        """Return the newest price with its own time; None while the backend has none (-1, time
        0)."""
        answer = self._fetch("/prices")
        row = json_of(answer)
        if not isinstance(row, dict):
            raise self._error(BadAnswerError, f"has no prices: it answered {described(answer)}")
        return self._quote(row)

    def at(self, time_unix: int) -> Quote | None:
        """Return the newest price at or before a time, within the maximum distance.

        None also where the backend keeps no history (404), or has none for its network (400) or
        time (empty).
        """
        found = json_of(
            self._fetch("/historical-price", {"currency": "USD", "timestamp": time_unix})
        )
        rows = found.get("prices") if isinstance(found, dict) else None
        times = range(time_unix - self._max_distance_seconds, time_unix + 1)
        near = [
            quote
            for row in rows or ()
            if (quote := self._quote(row)) and quote.quoted_at_unix in times
        ]
        return max(near, key=lambda quote: quote.quoted_at_unix, default=None)

    def _quote(self, row: Any) -> Quote | None:
        """Leave out -1, 0, null, text and what JSON should not hold."""
        fields = row.items() if isinstance(row, dict) else ()
        numbers = {
            key: float(value)
            for key, value in fields
            if type(value) in {int, float} and 0 < value < math.inf
        }
        if not numbers.keys() >= {"time", "USD"}:
            return None
        return Quote(numbers["USD"], int(numbers.pop("time")), self.name, numbers)
