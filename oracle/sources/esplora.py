"""electrs and the mempool backend: blocks in one dialect of HTTP."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, partial

from oracle.address import Address, parse_address
from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    NoBlocksServedError,
    SettingsError,
    SourceError,
    SourceUnavailableError,
)
from oracle.sources import ChainTip, Health
from oracle.sources.base import short
from oracle.sources.http import (
    MAX_BLOCK_BYTES,
    MAX_TEXT_BYTES,
    PATIENCE,
    SERVER_ERROR,
    HttpSource,
    RetryPolicy,
    passes,
)
from oracle.sources.replies import MAX_HEIGHT, backend_info_of, height_of, is_hash
from oracle.web import Route, WebAnswer, WebError

# electrs itself; docker's nginx or a public site; the backend itself
PREFIXES = ("", "/api", "/api/v1")
API_SUFFIX = r"(/api(/v1)?)?/*"  # what people write behind the address, or not
SETTINGS = {"electrs": "ELECTRS_URL", "mempool": "MEMPOOL_API_URL"}
UNAVAILABLE_CODES = {"electrs": "ELECTRS_UNAVAILABLE", "mempool": "MEMPOOL_API_UNAVAILABLE"}
RUNNING_HINTS = {
    "electrs": " It opens its port only when its first indexing is done.",
    "mempool": " Is it the port of mempool's web server or backend? "
    "A backend does not start while its database is down.",
}
TIP_HASH = "/blocks/tip/hash"
TIP_HEIGHT = "/blocks/tip/height"
TIP_TRIES = 3  # a block that comes between two questions is asked for again
ELECTRUM_PORTS = {50001, 50002, 60001, 60002}  # of electrs, Fulcrum, ElectrumX; 6 for testnet
BAD_REQUEST = 400
NOT_FOUND = 404

PRICES_ONLY = "serves prices only (BACKEND=esplora): for blocks set ELECTRS_URL to its electrs"
NO_TIP = "gives no hash of its newest block: check its Bitcoin node"
ELECTRUM = (
    "cannot be used: that is an Electrum port, where no blocks are served; {setting} wants the "
    "HTTP port of mempool's or Blockstream's electrs (3000)"
)
LAGS = (
    "its backend lags behind its node (it counts to {counted}, the node {is_at} {height}): is its "
    "database up, and does the node have txindex=1?"
)
UNCOUNTED = (
    "its backend does not count blocks while its node has them: is its database up, and does the "
    "node have txindex=1?"
)


def address_of(url: str, setting: str) -> Address:
    """Return a server's address without the /api or /api/v1 that people write behind it.

    Raises:
        SettingsError: it is none.
    """
    try:
        return parse_address(url).without_suffix(API_SUFFIX)
    except ValueError as error:
        raise SettingsError([f"{setting}: {error}"]) from None


class EsploraSource(HttpSource):
    """electrs, or a mempool backend directly, behind docker's nginx or behind a public site's.

    The URL may end in /api or /api/v1 or in neither: the first request finds out what answers
    where.

    Raises:
        SettingsError: the URL is no address.
    """

    def __init__(
        self,
        url: str,
        *,
        retry: RetryPolicy = PATIENCE,
        name: str = "mempool",
        route: Route | None = None,
    ) -> None:
        self.setting = SETTINGS.get(name, "its URL")
        self.unavailable_code = UNAVAILABLE_CODES.get(name, self.unavailable_code)
        self.running_hint = RUNNING_HINTS.get(name, self.running_hint)
        self._counted: int | None = None
        super().__init__(name, address_of(url, self.setting), retry, route)

    def probe(self) -> Health:
        """Ask the server how it is; one that serves prices only is as it should be."""
        health = super().probe()
        if self._is_without_node:
            return health._replace(is_reachable=True, state="bad_answer")
        if not self._serves_prices_only:
            return health
        told = (PRICES_ONLY,)
        return health._replace(
            is_reachable=True, state="prices_only", advice=told, public_advice=told
        )

    def network(self) -> str:
        """Return the network whose genesis block this is; unknown when there is none, or
        another."""
        return self._network_by_genesis(self._hash_at)

    def tip(self) -> ChainTip:
        """Return the newest block, as the server's node sees it.

        A backend's own count of blocks stands still while its database is down, and stays too high
        when its node's chain gets shorter: it is only where the search for the height begins.
        """
        for _ in range(TIP_TRIES):
            best = self._tip_hash()
            height = self._height_of(best)
            if height is not None:
                return ChainTip(height, best)
        raise self._error(
            SourceUnavailableError, "changes its newest block while it is asked for its height"
        )

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, one a request."""
        return [self._hash_at(height) for height in range(first_height, last_height + 1)]

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, one in two requests."""
        hashes = self.hashes(first_height, last_height)
        return [self._checked(self._read(f"/block/{name}/header").text, name) for name in hashes]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire, in one request."""
        answer = self._read(f"/block/{block_hash}/raw", MAX_BLOCK_BYTES)
        return self._checked(answer.body, block_hash)

    def _version(self) -> str | None:
        with suppress(SourceError):  # electrs tells none
            info = backend_info_of(self._fetch(self._prefix + "/backend-info").body)
            return info.version if info else None
        return None

    def _advice(self, tip: ChainTip) -> tuple[str, ...]:
        if self._counted is None:
            return (UNCOUNTED,)
        if self._counted != tip.height:
            is_at = "is at" if self._counted < tip.height else "went back to"
            return (LAGS.format(counted=self._counted, is_at=is_at, height=tip.height),)
        return ()

    # The tip

    def _tip_hash(self) -> str:
        answer = self._read(TIP_HASH)
        if not is_hash(answer.text):
            raise self._error(BadAnswerError, NO_TIP, f": it answered {self._described(answer)}")
        return answer.text

    def _height_of(self, best: str) -> int | None:
        """Return the height of the newest block, None when it is the newest no more."""
        self._counted = self._count()
        if self._counted is not None and self._known_hash(self._counted) == best:
            return self._counted
        top = self._top_height(self._counted or 0)
        return top if self._known_hash(top) == best else None

    def _count(self) -> int | None:
        """Return how many blocks the server has counted; None where it does not say."""
        with suppress(SourceError):
            answer = self._get(self._prefix + TIP_HEIGHT, MAX_TEXT_BYTES)
            return height_of(answer.text) if answer.status == 200 else None
        return None

    def _known_hash(self, height: int) -> str | None:
        with suppress(BlockNotFoundError):
            return self._hash_at(height)
        return None

    def _top_height(self, start: int) -> int:
        """Return the highest height that has a block: in longer and longer steps, then between."""
        is_known = self._known_hash(start) is not None
        step = 1
        low = high = start
        while low > 0 and not is_known:
            high = low
            low = max(0, low - step)
            step *= 2
            is_known = self._known_hash(low) is not None
        if high == low:
            high = min(low + step, MAX_HEIGHT)
            while high < MAX_HEIGHT and self._known_hash(high) is not None:
                step *= 2
                low = high
                high = min(low + step, MAX_HEIGHT)
        while high - low > 1:
            middle = (low + high) // 2
            is_known = self._known_hash(middle) is not None
            low, high = (middle, high) if is_known else (low, middle)
        return low

    # Requests

    def _hash_at(self, height: int) -> str:
        answer = self._read(f"/block-height/{height}")
        if not is_hash(answer.text):
            raise self._error(
                BadAnswerError,
                f"gave no hash of block {height}",
                f": it said {self._described(answer)}",
            )
        return answer.text

    def _read(self, path: str, max_bytes: int = MAX_TEXT_BYTES) -> WebAnswer:
        prefix = self._prefix  # found out outside of the retries, since that has its own
        return self._retrying(lambda: self._ask(prefix, path, max_bytes))

    def _ask(self, prefix: str, path: str, max_bytes: int) -> WebAnswer:
        """Tell missing from broken: a backend says 500 to both, but is well while its node gives a
        tip."""
        answer = self._get(prefix + path, max_bytes)
        if answer.status == 200:
            return answer
        is_missing = answer.status == NOT_FOUND or (
            answer.status == SERVER_ERROR
            and is_hash(self._get(prefix + TIP_HASH, MAX_TEXT_BYTES).text)
        )
        if is_missing:
            raise self._error(
                BlockNotFoundError,
                f"does not have {_spoken(path)} (unknown, or pruned)",
                f": it answered {self._described(answer)}",
            )
        # 400 is how electrs reports trouble with its index or its node.
        if answer.status in {BAD_REQUEST, SERVER_ERROR}:
            raise self._error(
                SourceUnavailableError,
                f"cannot give {_spoken(path)}: check its Bitcoin node",
                f" (it answered {self._described(answer)})",
            )
        if passes(answer):
            raise self._not_ready(answer)
        raise self._error(
            BadAnswerError,
            f"answered {_spoken(path)} with HTTP {answer.status}: check its Bitcoin node",
            f" (it answered {self._described(answer)})",
        )

    def _failure(self, error: WebError) -> SourceError:
        if self._address.port in ELECTRUM_PORTS:
            return self._error(SourceUnavailableError, ELECTRUM.format(setting=self.setting))
        return super()._failure(error)

    def _tried(self, prefix: str) -> WebAnswer:
        answer = self._get(prefix + TIP_HASH, MAX_TEXT_BYTES)
        if passes(answer) and answer.status != SERVER_ERROR:
            raise self._not_ready(answer)
        return answer

    @cached_property
    def _prefix(self) -> str:
        """Find out behind which prefix there are blocks: servers answer others with a web page, or
        with prices only."""
        self._is_without_node = False
        for prefix in PREFIXES:
            answer = self._retrying(partial(self._tried, prefix))
            if is_hash(answer.text):
                return prefix
        info = backend_info_of(self._fetch("/api/v1/backend-info").body)
        if info is None:
            raise self._error(
                BadAnswerError,
                "is neither electrs nor mempool: what does its address lead to?",
                f" It answered {self._described(answer)}",
            )
        self._serves_prices_only = info.backend == "esplora"
        self._is_without_node = not self._serves_prices_only
        reason = PRICES_ONLY if self._serves_prices_only else NO_TIP
        kind = NoBlocksServedError if self._serves_prices_only else SourceUnavailableError
        raise self._error(kind, reason)

    _serves_prices_only = False
    _is_without_node = False  # a backend that is there itself, and has no tip


def _spoken(path: str) -> str:
    """Return what a path asks for, for a sentence: hashes by their end."""
    parts = path.strip("/").split("/")
    return " ".join(short(part) if is_hash(part) else part for part in parts)
