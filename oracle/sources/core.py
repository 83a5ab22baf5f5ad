"""Bitcoin Core: JSON-RPC, and its REST interface where that is on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from oracle import errors
from oracle.sources import ChainTip, Health
from oracle.sources.bitcoin_conf import read_node_folder
from oracle.sources.http import RPC_RETRY, Answer, HttpSource, RetryPolicy, follows, header_hash, is_hash
from oracle.sources.networks import BY_NAME

BATCH_CALLS = 1000  # one batch holds its whole reply in the node's memory
REST_HEADERS = 2000
LAGGING_BLOCKS = 2  # known by their headers alone, for a moment
WARMING_UP, OUT_OF_RANGE, NOT_FOUND, MISCELLANEOUS = -28, -8, -5, -1
NOT_STORED = ("pruned", "not fully downloaded", "not found on disk")


class CoreSource(HttpSource):
    """A Bitcoin Core node. Give a URL, or a data folder whose bitcoin.conf and cookie say the rest.

    Credentials: `user` and `password`, else the URL's, else rpcpassword of bitcoin.conf, else the cookie.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        datadir: Path | None = None,
        retry: RetryPolicy = RPC_RETRY,
        name: str = "bitcoin-core",
    ) -> None:
        self._folder = read_node_folder(datadir) if datadir else None
        address = url or (self._folder.rpc_url if self._folder else "")
        super().__init__(name, address, retry)
        self._given = (user or "", password) if password else self._url_credentials
        self._auth = self._credentials()
        self._is_rest_on: bool | None = None

    def network(self) -> str:
        """Return main, test, testnet4, signet or regtest, as the node says."""
        return str(self._chain_info()["chain"])

    def tip(self) -> ChainTip:
        """Return the node's best block; a node that is still catching up has none to give."""
        info = self._chain_info()
        if _is_catching_up(info):
            raise self._unavailable(_progress(info))
        return ChainTip(info["blocks"], info["bestblockhash"])

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, in few requests."""
        headers = self._rest_headers(first_height, last_height)
        if headers is not None:
            return [header_hash(header) for header in headers]
        hashes = self._batch("getblockhash", [(height,) for height in range(first_height, last_height + 1)])
        if not all(map(is_hash, hashes)):
            raise self._bad_answer("answered getblockhash with what is not a hash")
        return hashes

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, in few requests."""
        headers = self._rest_headers(first_height, last_height)
        if headers is None:
            hashes = self.hashes(first_height, last_height)
            found = self._batch("getblockheader", [(block_hash, False) for block_hash in hashes])
            headers = [self._bytes(text) for text in found]
            if [header_hash(header) for header in headers] != hashes:
                raise self._bad_answer("sent headers that do not give their hashes")
        return headers

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire."""
        body = self._rest(f"block/{block_hash}.bin")
        if body is None:
            body = self._bytes(self._call("getblock", block_hash, 0))
        if header_hash(body) != block_hash:
            raise self._bad_answer(f"sent other bytes than those of block {block_hash}")
        return body

    def probe(self) -> Health:
        """Ask the node how it is: version, network, sync state, latency."""
        return self._probe(self._chain_info, self._facts)

    def _facts(self, info: dict[str, Any]) -> dict[str, Any]:
        is_catching_up = _is_catching_up(info)
        pruned = f"it is pruned: blocks below height {info.get('pruneheight')} need another source"
        advice = [_progress(info)] * is_catching_up + [pruned] * bool(info.get("pruned"))
        try:
            version = str(self._call("getnetworkinfo")["subversion"]).strip("/")
        except (errors.SourceError, KeyError, TypeError):  # not on its whitelist, or we have REST alone
            version = None
        is_synced = not is_catching_up and info["blocks"] >= info.get("headers", 0) - LAGGING_BLOCKS
        facts = {"version": version, "network": info["chain"], "tip_height": info["blocks"]}
        return facts | {"is_synced": is_synced, "advice": tuple(advice)}

    def _chain_info(self) -> dict[str, Any]:
        body = self._rest("chaininfo.json")
        info = Answer(200, body).json() if body is not None else self._call("getblockchaininfo")
        known = info if isinstance(info, dict) else {}
        is_whole = type(known.get("blocks")) is int and is_hash(known.get("bestblockhash"))
        if known.get("chain") not in BY_NAME or not is_whole:
            raise self._bad_answer("answered getblockchaininfo without chain, blocks and bestblockhash")
        return known

    # REST: a shorter way to the same bytes. Whatever it does not answer with 200, RPC answers with a reason.

    def _rest(self, path: str) -> bytes | None:
        if self._is_rest_on is None:
            probe = self._fetch("/rest/chaininfo.json")
            self._is_rest_on = probe.status == 200 and isinstance(probe.json(), dict)
        answer = self._fetch(f"/rest/{path}") if self._is_rest_on else None
        return answer.body if answer and answer.status == 200 else None

    def _rest_headers(self, first_height: int, last_height: int) -> list[bytes] | None:
        headers: list[bytes] = []
        for start in range(first_height, last_height + 1, REST_HEADERS):
            count = min(REST_HEADERS, last_height + 1 - start)
            start_hash = (self._rest(f"blockhashbyheight/{start}.hex") or b"").strip().decode("latin-1")
            body = self._rest(f"headers/{count}/{start_hash}.bin") if is_hash(start_hash) else None
            if body is None or len(body) != 80 * count:
                return None
            headers += [body[at : at + 80] for at in range(0, len(body), 80)]
        is_one_chain = all(follows(header, before) for before, header in pairwise(headers))
        return headers if is_one_chain and headers else None

    # JSON-RPC

    def _call(self, method: str, *params: object) -> Any:
        return self._batch(method, [params])[0]

    def _batch(self, method: str, calls: Sequence[tuple[object, ...]]) -> list[Any]:
        parts = [calls[start : start + BATCH_CALLS] for start in range(0, len(calls), BATCH_CALLS)]
        results = [self._retrying(partial(self._ask, method, part)) for part in parts]
        return [result for part in results for result in part]

    def _ask(self, method: str, calls: Sequence[tuple[object, ...]]) -> list[Any]:
        """Ask in one batch; the answer is the body, whatever the status. Old nodes answer in the 1.0 form."""
        head = {"jsonrpc": "2.0", "method": method}
        answer = self._post([head | {"id": i, "params": params} for i, params in enumerate(calls)])
        replies = answer.json()
        replies = replies if isinstance(replies, list) else [replies]
        by_id = {reply.get("id"): reply for reply in replies if isinstance(reply, dict)}
        results = []
        for i, params in enumerate(calls):
            reply = by_id.get(i, by_id.get(None, {}))
            if reply.get("error") is not None:
                raise self._rpc_error(reply["error"], " ".join(map(str, (method, *params))))
            if "result" not in reply:
                raise self._bad_answer(f"is not a JSON-RPC server: it answered {answer}")
            results.append(reply["result"])
        return results

    def _post(self, request: object) -> Answer:
        try:
            return self._send("POST", "/", json=request, auth=self._auth)
        except errors.SourceRefusedError:
            before, self._auth = self._auth, self._credentials()  # a node writes a new cookie at each start
            if self._auth == before:
                raise
        return self._send("POST", "/", json=request, auth=self._auth)

    def _rpc_error(self, error: object, call: str) -> errors.SourceError:
        said = error if isinstance(error, dict) else {}
        code, message = said.get("code"), str(said.get("message", error))
        if code == WARMING_UP:
            return self._unavailable(f"is starting ({message}): wait until it is done")
        is_not_stored = code == MISCELLANEOUS and any(words in message for words in NOT_STORED)
        if is_not_stored or code in {OUT_OF_RANGE, NOT_FOUND}:
            advice = ": ask a node that is not pruned" if "pruned" in message else ""
            return self._not_found(f"does not have that block ({call}: {message}){advice}")
        return self._bad_answer(f"answered {call} with error {code}: {message}")

    def _bytes(self, text: object) -> bytes:
        try:
            return bytes.fromhex(str(text))
        except ValueError as error:
            raise self._bad_answer("sent something that is not hex") from error

    def _credentials(self) -> tuple[str, str] | None:
        return self._given or (self._folder.credentials() if self._folder else None)


def _is_catching_up(info: dict[str, Any]) -> bool:
    """Tell whether the node is in its initial download; regtest says so for ever and means nothing by it."""
    return bool(info.get("initialblockdownload")) and info["chain"] != "regtest"


def _progress(info: dict[str, Any]) -> str:
    progress = f"block {info['blocks']} of {info.get('headers', '?')}"
    return f"is still downloading the chain ({progress}): wait until it is done, or set another source"
