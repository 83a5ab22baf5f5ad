"""Bitcoin Core: JSON-RPC, and its REST interface for blocks where that is on."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    SourceError,
    SourceSyncingError,
    SourceUnavailableError,
)
from oracle.sources import ChainTip
from oracle.sources.bitcoin_conf import NodeFolder
from oracle.sources.http import PATIENCE, HttpSource, RetryPolicy, described, is_hash, json_of

DOWNLOADING = "is still downloading the chain (block {blocks} of {headers}): wait until it is done"


RPC_ERRORS: dict[object, tuple[type[SourceError], str]] = {
    -28: (SourceUnavailableError, "it is starting, wait until it is done"),
    -8: (BlockNotFoundError, "it does not have that block"),
    -5: (BlockNotFoundError, "it does not have that block"),
    -1: (BlockNotFoundError, "ask a node that is not pruned"),
}


class CoreSource(HttpSource):
    """A Bitcoin Core node. Give a URL, or a data folder whose bitcoin.conf and cookie say the rest.

    Credentials: `user` and `password`, else the URL's, else rpcpassword of bitcoin.conf, else the
        cookie.
    """

    unavailable_code = "BITCOIN_RPC_UNAVAILABLE"

    def __init__(
        self,
        url: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        datadir: Path | None = None,
        retry: RetryPolicy = PATIENCE,
    ) -> None:
        self._folder = NodeFolder(datadir) if datadir else None
        super().__init__(
            "bitcoin-core", url or (self._folder.rpc_url() if self._folder else ""), retry
        )
        self._login = (user or "", password) if password else self._login

    def network(self) -> str:
        """Return main, test, testnet4, signet or regtest, as the node says."""
        return str(self._chain_info().get("chain", "unknown"))

    def tip(self) -> ChainTip:
        """Return the node's best block; a node that is still catching up has none to give."""
        info = self._chain_info()
        # A node whose newest block is old says initialblockdownload too, but has no headers without
        # blocks.
        if info.get("initialblockdownload") and info.get("headers", 0) > info["blocks"]:
            raise self._error(SourceSyncingError, DOWNLOADING.format(**info))
        return ChainTip(info["blocks"], info["bestblockhash"])

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, in one request."""
        return self._batch(
            "getblockhash", [(height,) for height in range(first_height, last_height + 1)]
        )

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, in two requests."""
        hashes = self.hashes(first_height, last_height)
        headers = self._batch("getblockheader", [(block_hash, False) for block_hash in hashes])
        return [
            self._checked(str(header), name) for header, name in zip(headers, hashes, strict=True)
        ]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire: as bytes over REST, else as hex over RPC, which says
        why not."""
        answer = self._fetch(f"/rest/block/{block_hash}.bin")
        if answer.status_code == 200:
            return self._checked(answer.content, block_hash)
        return self._checked(str(self._call("getblock", block_hash, 0)), block_hash)

    def _version(self) -> str | None:
        with suppress(SourceError, LookupError, TypeError):  # it is not on every whitelist
            return str(self._call("getnetworkinfo")["subversion"]).strip("/")
        return None

    def _chain_info(self) -> dict[str, Any]:
        try:
            info: dict[str, Any] = self._call("getblockchaininfo")
        except BadAnswerError:  # a server that is only like Core
            best_hash = self._call("getbestblockhash")
            header = self._call("getblockheader", best_hash)
            chain = self._network_by_genesis(lambda height: str(self._call("getblockhash", height)))
            info = {"chain": chain, "blocks": header["height"], "bestblockhash": best_hash}
        if (
            isinstance(info, dict)
            and type(info.get("blocks")) is int
            and is_hash(info.get("bestblockhash"))
        ):
            return info
        raise self._error(
            BadAnswerError, f"answered getblockchaininfo without blocks and bestblockhash: {info}"
        )

    # JSON-RPC

    def _call(self, method: str, *params: object) -> Any:
        return self._batch(method, [params])[0]

    def _batch(self, method: str, calls: Sequence[tuple[object, ...]]) -> list[Any]:
        return self._retrying(lambda: self._ask(method, calls)) if calls else []

    def _ask(self, method: str, calls: Sequence[tuple[object, ...]]) -> list[Any]:
        """Ask in one batch; the answer is the body, whatever the status. Old nodes answer in the
        1.0 form."""
        head = {"jsonrpc": "2.0", "method": method}
        answer = self._send(
            "POST", "/", json=[head | {"id": i, "params": call} for i, call in enumerate(calls)]
        )
        replies = json_of(answer)
        replies = replies if isinstance(replies, list) else [replies]
        by_id = {reply.get("id"): reply for reply in replies if isinstance(reply, dict)}
        whole, said = by_id.get(None, {}), described(answer)  # an error may be of the batch itself
        return [
            self._result(by_id.get(i, whole), (method, *call), said) for i, call in enumerate(calls)
        ]

    def _result(self, reply: dict[str, Any], call: tuple[object, ...], said: str) -> Any:
        error = reply.get("error")
        if error is None and "result" in reply:
            return reply["result"]
        code = error.get("code") if isinstance(error, dict) else None
        kind, advice = RPC_ERRORS.get(code, (BadAnswerError, "is this Bitcoin Core?"))
        raise self._error(
            kind, f"answered {' '.join(map(str, call))} with {error or said}: {advice}"
        )

    def _credentials(self) -> tuple[str, str] | None:
        """Return what to log in with now: a node writes a new cookie at each start."""
        return self._login or (self._folder.credentials() if self._folder else None)
