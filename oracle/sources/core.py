"""Bitcoin Core: JSON-RPC, and its REST interface for blocks where that is on."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from oracle.address import Address, parse_address
from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    SettingsError,
    SourceError,
    SourceRefusedError,
    SourceSyncingError,
    SourceUnavailableError,
)
from oracle.masking import learn, secrets_of
from oracle.sources import ChainTip
from oracle.sources.base import short
from oracle.sources.bitcoin_conf import NodeFolder
from oracle.sources.http import (
    MAX_BLOCK_BYTES,
    MAX_TEXT_BYTES,
    PATIENCE,
    HttpSource,
    RetryPolicy,
    passes,
)
from oracle.sources.networks import NETWORKS, SIGNET_CHALLENGE, UNKNOWN
from oracle.sources.replies import (
    BLOCK,
    CHAIN_INFO,
    HASH,
    HEADER,
    HEADER_INFO,
    NETWORK_INFO,
    RPC_FAULT,
    RPC_REPLIES,
    ChainInfo,
    RpcReply,
    Shape,
    is_hash,
)
from oracle.web import Route, WebAnswer

T = TypeVar("T")

BATCH_CALLS = 500  # in one request: an answer in memory, and a request in the socket's buffer
# Around a result: {"jsonrpc":"2.0","result":"...","error":null,"id":123456}, with some air.
ENVELOPE_BYTES = 100
HASH_REPLY_BYTES = 64 + ENVELOPE_BYTES
HEADER_REPLY_BYTES = 160 + ENVELOPE_BYTES
BLOCK_REPLY_BYTES = 2 * MAX_BLOCK_BYTES + ENVELOPE_BYTES
ERROR_BYTES = 10_000  # room for the text of an error in place of a result
# A node that reads its own files again has them, but no block of the chain yet.
REINDEX_BYTES = 100_000_000

SYNCING = (
    "has not caught up (block {blocks} of {headers}): it downloads the chain, or reads its files "
    "again (reindex). Wait until it is done"
)
REINDEXING = "reads its block files again (reindex): wait until it is done"
WARMING_UP = "is starting: wait until it is done"
PRUNED = "has pruned that block: ask a node that is not pruned, too"
NOT_DOWNLOADED = "has not downloaded that block yet: wait, or ask another source, too"
UNKNOWN_BLOCK = "does not have that block"
IN_TROUBLE = "is in trouble, or a proxy before it is: see its log"
NO_CORE = "does not answer like Bitcoin Core: is this Bitcoin Core?"
RPC_ERRORS: dict[int, tuple[type[SourceError], str]] = {
    -28: (SourceUnavailableError, WARMING_UP),
    -8: (BlockNotFoundError, UNKNOWN_BLOCK),
    -5: (BlockNotFoundError, UNKNOWN_BLOCK),
    -1: (SourceUnavailableError, IN_TROUBLE),
    -32603: (SourceUnavailableError, IN_TROUBLE),
}
# Error -1 says everything: what it means is in its text.
MISC_ERROR = -1
MISC_TEXTS = {
    "pruned": (BlockNotFoundError, PRUNED),
    "not fully downloaded": (BlockNotFoundError, NOT_DOWNLOADED),
    "not available": (BlockNotFoundError, UNKNOWN_BLOCK),
    "not found on disk": (BlockNotFoundError, UNKNOWN_BLOCK),
}


class CoreSource(HttpSource):
    """A Bitcoin Core node. Give a URL, or a data folder whose bitcoin.conf and cookie say the rest.

    Credentials: `user` and `password`, else the URL's, else rpcpassword of bitcoin.conf, else the
        cookie.

    Raises:
        SettingsError: the URL, or what bitcoin.conf says in its place, is no address.
    """

    unavailable_code = "BITCOIN_RPC_UNAVAILABLE"
    setting = "BITCOIN_RPC_URL"
    running_hint = " In its bitcoin.conf server=1, rpcport and rpcbind say if and where it listens."

    def __init__(
        self,
        url: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        datadir: Path | None = None,
        retry: RetryPolicy = PATIENCE,
        route: Route | None = None,
    ) -> None:
        self._folder = NodeFolder(datadir) if datadir else None
        address = self._address_of(url)
        super().__init__("bitcoin-core", address, retry, route)
        self._login = (user or "", password) if password else address.login
        self._has_url = url is not None
        self._genesis: str | None = None  # the hash of the node's first block
        self._asks_rest = True  # until it answers anything but a block

    def _address_of(self, url: str | None) -> Address:
        if url is None and self._folder is not None:
            return self._folder.rpc_address()
        try:
            return parse_address(url or "")
        except ValueError as error:
            raise SettingsError([f"BITCOIN_RPC_URL: {error}"]) from None

    def network(self) -> str:
        """Return main, test, testnet4, signet or regtest, as the node says.

        A chain with another first block than that network's is unknown, and so is a signet of one's
        own, which has the public one's first block and another challenge.
        """
        info = self._chain_info()
        if self._genesis is None:
            self._genesis = self._first_hash()
        named = next((known for known in NETWORKS if known.name == info.chain), None)
        is_it = named is not None and self._genesis == named.genesis
        is_public = info.signet_challenge in {None, SIGNET_CHALLENGE}
        return info.chain if is_it and is_public else UNKNOWN

    def _first_hash(self) -> str:
        """Return the hash of the node's first block, or nothing where it has none."""
        with suppress(BlockNotFoundError):
            return self.hashes(0, 0)[0]
        return ""

    def tip(self) -> ChainTip:
        """Return the node's best block; a node that is still catching up has none to give."""
        info = self._chain_info()
        if info.initialblockdownload and info.blocks == 0 and info.size_on_disk > REINDEX_BYTES:
            raise self._error(SourceSyncingError, REINDEXING)
        # A node whose newest block is old says initialblockdownload too, but has no headers without
        # blocks. One that has the genesis block alone has just begun.
        if info.initialblockdownload and (info.headers > info.blocks or info.blocks == 0):
            progress = SYNCING.format(blocks=info.blocks, headers=info.headers)
            raise self._error(SourceSyncingError, progress)
        return ChainTip(info.blocks, info.bestblockhash)

    def hashes(self, first_height: int, last_height: int) -> list[str]:
        """Return block hashes of an inclusive range of heights, many a request."""
        heights = [(height,) for height in range(first_height, last_height + 1)]
        return self._batch("getblockhash", heights, HASH, HASH_REPLY_BYTES)

    def headers(self, first_height: int, last_height: int) -> list[bytes]:
        """Return 80-byte headers of an inclusive range of heights, many in two requests."""
        hashes = self.hashes(first_height, last_height)
        calls = [(block_hash, False) for block_hash in hashes]
        headers = self._batch("getblockheader", calls, HEADER, HEADER_REPLY_BYTES)
        return [self._checked(header, name) for header, name in zip(headers, hashes, strict=True)]

    def block(self, block_hash: str) -> bytes:
        """Return one block as on the wire: as bytes over REST, else as hex over RPC, which says
        why not."""
        if self._asks_rest:
            found = self._rest_block(block_hash)
            if found is not None:
                return found
            self._asks_rest = False  # an extra: where it does not work at once, it is left alone
        data = self._call("getblock", (block_hash, 0), BLOCK, BLOCK_REPLY_BYTES)
        return self._checked(data, block_hash)

    def _rest_block(self, block_hash: str) -> bytes | None:
        with suppress(SourceError):
            answer = self._get(f"/rest/block/{block_hash}.bin", MAX_BLOCK_BYTES)
            if answer.status == 200:
                return self._checked(answer.body, block_hash)
        return None

    def _version(self) -> str | None:
        with suppress(SourceError):  # it is not on every whitelist
            info = self._call("getnetworkinfo", (), NETWORK_INFO, MAX_TEXT_BYTES)
            return info.subversion.strip("/") if info.subversion else None
        return None

    def _chain_info(self) -> ChainInfo:
        try:
            return self._call("getblockchaininfo", (), CHAIN_INFO, MAX_TEXT_BYTES)
        except BadAnswerError as error:
            if not isinstance(error.__cause__, MethodNotFound):
                raise
        # A server that is only like Core.
        best_hash = self._call("getbestblockhash", (), HASH, MAX_TEXT_BYTES)
        header = self._call("getblockheader", (best_hash,), HEADER_INFO, MAX_TEXT_BYTES)
        chain = self._network_by_genesis(
            lambda height: self._call("getblockhash", (height,), HASH, MAX_TEXT_BYTES)
        )
        return ChainInfo(chain=chain, blocks=header.height, bestblockhash=best_hash)

    # JSON-RPC

    def _call(self, method: str, about: tuple[object, ...], shape: Shape[T], reply_bytes: int) -> T:
        return self._batch(method, [about], shape, reply_bytes)[0]

    def _batch(
        self, method: str, calls: Sequence[tuple[object, ...]], shape: Shape[T], reply_bytes: int
    ) -> list[T]:
        """Make calls of one method, many a request; each result has the shape or it is an error."""
        results: list[T] = []
        for start in range(0, len(calls), BATCH_CALLS):
            part = calls[start : start + BATCH_CALLS]
            max_bytes = len(part) * reply_bytes + ERROR_BYTES
            replies = self._retrying(partial(self._ask, method, part, max_bytes))
            results += [
                self._shaped(reply, shape, (method, *call))
                for reply, call in zip(replies, part, strict=True)
            ]
        return results

    def _ask(
        self, method: str, calls: Sequence[tuple[object, ...]], max_bytes: int
    ) -> list[object]:
        """Ask in one batch; the answer is the body, whatever the status. Old nodes answer in the
        1.0 form."""
        head = {"jsonrpc": "2.0", "method": method}
        asked = [head | {"id": number, "params": call} for number, call in enumerate(calls)]
        content = json.dumps(asked).encode()
        answer = self._send("POST", self._address.target(), max_bytes, content)
        replies = self._replies(answer, method)
        by_id = {reply.id: reply for reply in replies}
        whole = by_id.get(None)  # an error may be of the batch itself
        return [
            self._result(by_id.get(number, whole), (method, *call), answer)
            for number, call in enumerate(calls)
        ]

    def _replies(self, answer: WebAnswer, method: str) -> list[RpcReply]:
        try:
            replies = RPC_REPLIES.of_json(answer.body)
        except ValidationError:
            if passes(answer):
                raise self._not_ready(answer) from None
            what = f" (it answered {method} with {self._described(answer)})"
            raise self._error(BadAnswerError, NO_CORE, what) from None
        return replies if isinstance(replies, list) else [replies]

    def _result(
        self, reply: RpcReply | None, call: tuple[object, ...], answer: WebAnswer
    ) -> object:
        if reply is not None and reply.error is None and "result" in reply.model_fields_set:
            return reply.result
        try:
            fault = RPC_FAULT.of(reply.error if reply else None)
        except ValidationError:
            what = f" (it answered {_spoken(call)} with {self._described(answer)})"
            raise self._error(BadAnswerError, NO_CORE, what) from None
        kind, reason = _meaning(fault.code, fault.message)
        detail = f" (it answered {_spoken(call)}: {self._said(fault.message)}, error {fault.code})"
        is_method_unknown = fault.code == METHOD_NOT_FOUND
        cause = MethodNotFound() if is_method_unknown else None
        raise self._error(kind, reason, detail) from cause

    def _shaped(self, result: object, shape: Shape[T], call: tuple[object, ...]) -> T:
        try:
            return shape.of(result)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "what comes"
            what = f" (it answered {_spoken(call)}, where {self._said(where)} cannot be)"
            raise self._error(BadAnswerError, NO_CORE, what) from None

    # Who we are

    def _headers(self) -> dict[str, str]:
        """Return what to log in with now: a node writes a new cookie at each start."""
        if self._folder is not None and self._folder.problem and not self._has_url:
            raise self._error(SourceRefusedError, CONF_UNREADABLE, f": {self._folder.problem}")
        login = self._login or (self._folder.credentials() if self._folder else None)
        sent = {"Content-Type": "application/json"}
        if login is not None:
            learn(*secrets_of(login))
            token = base64.b64encode(":".join(login).encode()).decode()
            sent["Authorization"] = f"Basic {token}"
        return sent

    def _secrets(self) -> tuple[str, ...]:
        login = self._login or (self._folder.credentials() if self._folder else None)
        return (*super()._secrets(), *secrets_of(login))

    def _wants_login(self) -> tuple[str, str]:
        if self._login is not None:
            return (
                "does not accept our user and password: check BITCOIN_RPC_USER and "
                "BITCOIN_RPC_PASSWORD, or what stands in BITCOIN_RPC_URL",
                "",
            )
        if self._folder is None:
            return (
                "wants a password, and none is set: set BITCOIN_RPC_USER and "
                "BITCOIN_RPC_PASSWORD, or BITCOIN_DATADIR for its cookie",
                "",
            )
        return self._folder.refusal()

    def _forbids(self, content: bytes) -> str:
        named = re.search(rb'"method": "(\w+)"', content)
        call = f"the call {named[1].decode()}" if named else "this"
        return (
            f"forbids {call}: in bitcoin.conf let rpcallowip have our address, and rpcwhitelist, "
            "where there is one, the calls named in docs/operations.md"
        )


CONF_UNREADABLE = (
    "cannot be found, since its bitcoin.conf may not be read: let this user into the node's group, "
    "or set BITCOIN_RPC_URL"
)
METHOD_NOT_FOUND = -32601


class MethodNotFound(Exception):  # noqa: N818 - a mark, never shown
    """Why an answer is bad: the server does not know the call."""


def _meaning(code: int, text: str) -> tuple[type[SourceError], str]:
    """Return what a JSON-RPC error is to us."""
    if code == MISC_ERROR:
        for words, meaning in MISC_TEXTS.items():
            if words in text:
                return meaning
    return RPC_ERRORS.get(code, (BadAnswerError, NO_CORE))


def _spoken(call: tuple[object, ...]) -> str:
    """Return a call for a sentence: hashes by their end."""
    return " ".join(short(part) if is_hash(part) else str(part) for part in map(str, call))
