"""Bitcoin Core: JSON-RPC, and its REST interface where that is on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from oracle.errors import SettingsError, SourceError
from oracle.sources import ChainTip, Health
from oracle.sources.bitcoin_conf import NodeFolder, read_node_folder
from oracle.sources.http import Answer, HttpSeam, RetryPolicy, header_hash, is_hash

NETWORKS = {"main", "test", "testnet4", "signet", "regtest"}
BATCH_CALLS = 1000  # one batch holds its whole reply in the node's memory: fine for hashes and headers
REST_HEADERS = 2000
WARMING_UP, OUT_OF_RANGE, NOT_FOUND, MISC = -28, -8, -5, -1
NOT_STORED = ("pruned", "not fully downloaded", "not found on disk")


class CoreSource:
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
        retry: RetryPolicy = RetryPolicy((10.0, 10.0), 30.0),  # noqa: B008 - frozen
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
        name: str = "bitcoin-core",
    ) -> None:
        self.name = name
        self._folder: NodeFolder | None = read_node_folder(datadir) if datadir else None
        address = url or (self._folder.rpc_url if self._folder else None)
        if address is None:
            raise SettingsError(
                ["Bitcoin Core needs BITCOIN_RPC_URL (http://127.0.0.1:8332) or BITCOIN_DATADIR"]
            )
        self._http = HttpSeam(name, address, retry=retry, sleep=sleep, transport=transport)
        self._given = (user or "", password) if password else self._http.credentials
        self._auth = self._credentials()
        self._is_rest_on: bool | None = None

    def network(self) -> str:
        """Return main, test, testnet4, signet or regtest, as the node says."""
        return str(self._chain_info()["chain"])

    def tip(self) -> ChainTip:
        """Return the node's best block; a node that is still catching up has none to give."""
        info = self._chain_info()
        if _is_catching_up(info):
            raise self._http.unavailable(_progress(info))
        return ChainTip(info["blocks"], info["bestblockhash"])

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, in few requests."""
        if self._rest_is_on():
            return [header_hash(header) for header in self.headers(first_height, last_height)]
        return self._rpc_hashes(first_height, last_height)

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, in few requests."""
        if self._rest_is_on():
            headers = self._rest_headers(first_height, last_height)
            if headers is not None:
                return headers
        hashes = self._rpc_hashes(first_height, last_height)
        found = self._batch("getblockheader", [(block_hash, False) for block_hash in hashes])
        headers = [self._bytes(text) for text in found]
        if [header_hash(header) for header in headers] != hashes:
            raise self._http.bad_answer("sent headers that do not belong to their hashes")
        return headers

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire."""
        body = self._rest(f"block/{block_hash}.bin")
        if body is None:
            body = self._bytes(self._call("getblock", block_hash, 0))
        if header_hash(body) != block_hash:
            raise self._http.bad_answer(f"sent other bytes than those of block {block_hash}")
        return body

    def probe(self) -> Health:
        """Ask the node how it is: version, network, sync state, latency."""
        return self._http.probe(self._ask_health)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask_health(self) -> Health:
        started = time.monotonic()
        info = self._chain_info()
        latency_ms = 1000 * (time.monotonic() - started)
        advice = [_progress(info)] if _is_catching_up(info) else []
        if info.get("pruned"):
            oldest = info.get("pruneheight", 0)
            advice.append(f"it is pruned: blocks below height {oldest} need another source")
        return Health(
            self.name,
            self._http.url,
            is_reachable=True,
            latency_ms=latency_ms,
            version=self._version(),
            network=info["chain"],
            is_synced=not _is_catching_up(info),
            tip_height=info["blocks"],
            advice=tuple(advice),
        )

    def _version(self) -> str | None:
        try:
            return str(self._call("getnetworkinfo").get("subversion", "")).strip("/") or None
        except (SourceError, AttributeError):  # a whitelist may leave it out, REST has no such call
            return None

    def _chain_info(self) -> dict[str, Any]:
        body = self._rest("chaininfo.json")
        info = Answer(200, body).json() if body is not None else self._call("getblockchaininfo")
        if (
            not isinstance(info, dict)
            or info.get("chain") not in NETWORKS
            or type(info.get("blocks")) is not int
            or not is_hash(info.get("bestblockhash"))
        ):
            raise self._http.bad_answer("answered getblockchaininfo without chain, blocks and bestblockhash")
        return info

    # REST: a shorter way to the same bytes. Whatever it does not answer with 200, RPC answers with a reason.

    def _rest_is_on(self) -> bool:
        if self._is_rest_on is None:
            answer = self._http.retrying(lambda: self._http.send("GET", "/rest/chaininfo.json"))
            self._is_rest_on = answer.status == 200 and isinstance(answer.json(), dict)
        return self._is_rest_on

    def _rest(self, path: str) -> bytes | None:
        if not self._rest_is_on():
            return None
        answer = self._http.retrying(lambda: self._http.send("GET", f"/rest/{path}"))
        return answer.body if answer.status == 200 else None

    def _rest_headers(self, first_height: int, last_height: int) -> list[bytes] | None:
        headers: list[bytes] = []
        for start in range(first_height, last_height + 1, REST_HEADERS):
            wanted = min(REST_HEADERS, last_height + 1 - start)
            found = self._rest(f"blockhashbyheight/{start}.hex")
            if found is None or not is_hash(start_hash := found.decode("ascii", "replace").strip()):
                return None
            body = self._rest(f"headers/{wanted}/{start_hash}.bin")
            if body is None or len(body) != 80 * wanted:
                return None
            headers += [body[at : at + 80] for at in range(0, len(body), 80)]
        hashes = [header_hash(header) for header in headers]
        if any(header[35:3:-1].hex() != before for before, header in zip(hashes, headers[1:], strict=False)):
            return None  # the chain was reorganised between two requests
        return headers

    # JSON-RPC

    def _rpc_hashes(self, first_height: int, last_height: int) -> list[str]:
        hashes = self._batch("getblockhash", [(height,) for height in range(first_height, last_height + 1)])
        if not all(map(is_hash, hashes)):
            raise self._http.bad_answer("answered getblockhash with something that is not a hash")
        return hashes

    def _call(self, method: str, *params: object) -> Any:
        request = {"jsonrpc": "2.0", "id": 0, "method": method, "params": list(params)}
        return self._http.retrying(lambda: self._result(self._post(request), method, params))

    def _batch(self, method: str, calls: Sequence[tuple[object, ...]]) -> list[Any]:
        results: list[Any] = []
        for start in range(0, len(calls), BATCH_CALLS):
            part = calls[start : start + BATCH_CALLS]
            results += self._http.retrying(lambda part=part: self._batch_part(method, part))  # type: ignore[misc]
        return results

    def _batch_part(self, method: str, calls: Sequence[tuple[object, ...]]) -> list[Any]:
        request = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, params in enumerate(calls)
        ]
        replies = self._post(request)
        if not isinstance(replies, list):
            replies = [replies]
        by_id = {reply.get("id"): reply for reply in replies if isinstance(reply, dict)}
        return [
            self._result(by_id.get(index, by_id.get(None)), method, params)
            for index, params in enumerate(calls)
        ]

    def _post(self, request: object) -> Any:
        """Return the answer's JSON: Core says why in the body, in the status only where there is no body."""
        answer = self._http.send("POST", "/", json=request, auth=self._auth)
        if answer.status == 401 and self._has_new_cookie():
            answer = self._http.send("POST", "/", json=request, auth=self._auth)
        reply = answer.json()
        if isinstance(reply, dict | list):
            return reply
        if answer.status == 401:
            raise self._http.refused(self._why_401())
        if answer.status == 403:
            raise self._http.refused(
                "forbids this: allow our address (rpcallowip) and our calls (rpcwhitelist) in bitcoin.conf"
            )
        raise self._http.bad_answer(f"is not a JSON-RPC server: it answered {answer.describe()}")

    def _result(self, reply: object, method: str, params: tuple[object, ...]) -> Any:
        if not isinstance(reply, dict) or not reply.keys() & {"result", "error"}:
            raise self._http.bad_answer(f"gave no answer to {method}")
        error = reply.get("error")
        if error is None:
            return reply.get("result")
        code, message = (
            (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
        )
        raise self._translated(code, str(message), f"{method} {' '.join(map(str, params))}".strip())

    def _translated(self, code: object, message: str, call: str) -> SourceError:
        if code == WARMING_UP:
            return self._http.unavailable(f"is starting ({message}): wait until it is done")
        is_not_stored = code == MISC and any(words in message.lower() for words in NOT_STORED)
        if is_not_stored or code in {OUT_OF_RANGE, NOT_FOUND}:
            advice = ": ask a node that is not pruned" if "pruned" in message else ""
            return self._http.not_found(f"does not have that block ({call}: {message}){advice}")
        return self._http.bad_answer(f"answered {call} with error {code}: {message}")

    def _bytes(self, text: object) -> bytes:
        try:
            return bytes.fromhex(text)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise self._http.bad_answer("sent something that is not hex") from error

    # Credentials

    def _credentials(self) -> tuple[str, str] | None:
        if self._given or self._folder is None:
            return self._given
        if self._folder.password:
            return self._folder.user or "", self._folder.password
        return self._folder.read_cookie()

    def _has_new_cookie(self) -> bool:
        """Read the cookie again: the node writes a new one at each start."""
        before, self._auth = self._auth, self._credentials()
        return self._auth != before

    def _why_401(self) -> str:
        if self._auth:
            return "does not accept our password: check BITCOIN_RPC_USER, BITCOIN_RPC_PASSWORD or the cookie"
        return (
            "wants a password and we have none: set BITCOIN_RPC_USER and BITCOIN_RPC_PASSWORD, "
            "or let us read the cookie under BITCOIN_DATADIR"
        )


def _is_catching_up(info: dict[str, Any]) -> bool:
    """Tell whether the node is in its initial download; regtest says so for ever and means nothing by it."""
    return bool(info.get("initialblockdownload")) and info["chain"] != "regtest"


def _progress(info: dict[str, Any]) -> str:
    return (
        f"is still downloading the chain (block {info['blocks']} of {info.get('headers', '?')}): "
        "wait until it is done, or set another source"
    )
