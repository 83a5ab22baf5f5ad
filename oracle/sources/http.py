"""The one seam to the network: httpx behind it, our errors in front of it.

A request is retried only while the other side is unavailable; what it says is for the caller to judge.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx
import tenacity

from oracle import errors
from oracle.core.wire import sha256d
from oracle.sources import Health
from oracle.sources.base import Source

T = TypeVar("T")

MAX_ANSWER_BYTES = 32_000_000  # a 4 MB block as hex in JSON is 8 MB; anything much bigger is not an answer
UNAVAILABLE = {429, 502, 503, 504}
REFUSALS = {
    401: "does not accept our user and password: check BITCOIN_RPC_USER, BITCOIN_RPC_PASSWORD or the cookie",
    403: "forbids this: allow our address and our calls (in bitcoin.conf: rpcallowip, rpcwhitelist)",
}
STALE_CONNECTION = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
CONTAINER_HINT = " Inside a container, localhost is the container itself, not its host."


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be: pauses before each further attempt, and the silence allowed within one.

    A whole answer may take ten times `timeout_seconds`: a server that drips cannot hold a run for ever.
    """

    delays_seconds: tuple[float, ...] = (5.0, 15.0, 45.0)
    timeout_seconds: float = 20.0
    sleep: Callable[[float], None] = time.sleep


MEMPOOL_RETRY = RetryPolicy()
RPC_RETRY = RetryPolicy((10.0, 10.0), 30.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of one answer; the body counts, the status is a hint."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text without the white space around it."""
        return self.body.decode("utf-8", "replace").strip()

    def json(self) -> Any:
        """Return the body as JSON, or None where it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def __str__(self) -> str:
        """Say what came, short enough for an error."""
        what = repr(self.text[:100]) if self.body else "nothing"
        return f"{'a web page' if self.text[:1] == '<' else what} (HTTP {self.status})"


def is_hash(value: object) -> bool:
    """Tell whether a value is a block hash in display order."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def header_hash(header: bytes) -> str:
    """Return the display-order hash of the first 80 bytes."""
    return sha256d(header[:80])[::-1].hex()


def follows(header: bytes, previous: bytes) -> bool:
    """Tell whether a header names another as the one before it."""
    return header[4:36] == sha256d(previous[:80])


class HttpSource(Source):
    """One server: sends requests, retries while it is unavailable, and never shows a password.

    Credentials inside `url` are taken out of it and used; `url` is safe to print.
    """

    def __init__(self, name: str, url: str, retry: RetryPolicy) -> None:
        clean_url, self._url_credentials = _split_credentials(name, url)
        super().__init__(name, clean_url)
        self._retry = retry
        # No proxies or .netrc of the environment: the settings alone say who is asked, and with what.
        self._client = httpx.Client(
            auth=self._url_credentials,
            timeout=retry.timeout_seconds,
            trust_env=False,
            verify=self.url.startswith("https:"),  # spares plain http the loading of certificates
        )

    def _fetch(self, path: str, params: dict[str, str | int] | None = None) -> Answer:
        """Return what the server answers to GET, after retries where it takes them."""
        return self._retrying(lambda: self._send("GET", path, params=params))

    def _retrying(self, action: Callable[[], T]) -> T:
        """Run an action again after each pause for as long as it raises `SourceUnavailableError`."""
        delays = self._retry.delays_seconds
        retries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.SourceUnavailableError),
            stop=tenacity.stop_after_attempt(len(delays) + 1),
            wait=lambda state: (*delays, 0.0)[state.attempt_number - 1],
            sleep=self._retry.sleep,
            reraise=True,
        )
        try:
            return retries(action)
        except errors.SourceUnavailableError as error:
            error.attempts = len(delays) + 1
            error.args = (f"{error} ({error.attempts} attempts)" if delays else str(error),)
            raise

    def _send(self, method: str, path: str, **request: Any) -> Answer:
        """Send one request; once more, at once, when the connection kept alive turns out to be closed."""
        try:
            try:
                answer = self._exchange(method, path, request)
            except STALE_CONNECTION:
                answer = self._exchange(method, path, request)
        except httpx.DecodingError as error:
            raise self._bad_answer(f"sends what cannot be decoded: {error}") from error
        except httpx.TimeoutException as error:
            raise self._unavailable(f"did not answer within {self._retry.timeout_seconds:g} s") from error
        except httpx.HTTPError as error:
            hint = CONTAINER_HINT if httpx.URL(self.url).host in LOOPBACK else ""
            reason = f"cannot be reached ({error}): is it running, is the address right?{hint}"
            raise self._unavailable(reason) from error
        if answer.status in REFUSALS:
            raise self._refused(REFUSALS[answer.status])
        if answer.status in UNAVAILABLE:
            raise self._unavailable(f"is not ready now: it answered {answer}")
        return answer

    def _exchange(self, method: str, path: str, request: dict[str, Any]) -> Answer:
        deadline = time.monotonic() + 10 * self._retry.timeout_seconds
        body = bytearray()
        with self._client.stream(method, self.url + path, **request) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise self._bad_answer(f"sends more than {MAX_ANSWER_BYTES:,} bytes for {path}")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer came too slowly")
        return Answer(response.status_code, bytes(body))

    def _probe(self, ping: Callable[[], T], facts: Callable[[T], dict[str, Any]]) -> Health:
        patient, self._retry = self._retry, replace(self._retry, delays_seconds=())
        try:
            return super()._probe(ping, facts)
        finally:
            self._retry = patient

    def close(self) -> None:
        """Close the connections kept alive."""
        self._client.close()


def _split_credentials(source: str, url: str) -> tuple[str, tuple[str, str] | None]:
    try:
        parts = httpx.URL(url.strip())
    except httpx.InvalidURL:
        parts = httpx.URL("")
    if parts.scheme not in {"http", "https"} or not parts.host:  # the text may hold a password: not repeated
        raise errors.SettingsError([f"the URL of {source} is not one: write it like http://127.0.0.1:8332"])
    credentials = (parts.username, parts.password) if parts.userinfo else None
    clean = parts.copy_with(username=None, password=None, query=None, fragment=None)
    return str(clean).rstrip("/"), credentials
