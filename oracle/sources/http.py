"""The one seam to the network: httpx behind it, our errors in front of it.

A request is retried only while the other side is unavailable; what it says is for the caller to judge.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import tenacity

from oracle.errors import (
    BadAnswerError,
    BlockNotFoundError,
    SettingsError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from oracle.sources import Health

T = TypeVar("T")

MAX_ANSWER_BYTES = 32_000_000  # a 4 MB block as hex in JSON is 8 MB; anything much bigger is not an answer
UNAVAILABLE_STATUS = {429, 502, 503, 504}
STALE_CONNECTION = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
CONTAINER_HINT = " Inside a container, localhost is the container itself, not its host."
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be: pauses before each further attempt, and the silence allowed within one.

    A whole answer may take ten times `timeout_seconds`: a server that drips cannot hold a run for ever.
    """

    delays_seconds: tuple[float, ...] = (5.0, 15.0, 45.0)
    timeout_seconds: float = 20.0


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

    def describe(self) -> str:
        """Return what came, in words short enough for an error."""
        if not self.body:
            return f"an empty answer (HTTP {self.status})"
        if self.body.lstrip()[:1] == b"<":
            return f"a web page (HTTP {self.status})"
        return f"{self.text[:100]!r} (HTTP {self.status})"


def is_hash(value: object) -> bool:
    """Tell whether a value is a block hash in display order."""
    return isinstance(value, str) and HASH.fullmatch(value) is not None


def header_hash(header: bytes) -> str:
    """Return the display-order hash of the first 80 bytes."""
    return hashlib.sha256(hashlib.sha256(header[:80]).digest()).digest()[::-1].hex()


class HttpSeam:
    """One server: sends requests, retries while it is unavailable, and never shows a password.

    Credentials inside `url` are taken out of it and kept in `credentials`; `url` is safe to print.
    """

    def __init__(
        self,
        source: str,
        url: str,
        *,
        retry: RetryPolicy,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.source = source
        self.url, self.credentials = _split_credentials(source, url)
        self._retry = retry
        self._sleep = sleep
        # No proxies or .netrc of the environment: the settings alone say who is asked, and with what.
        self._client = httpx.Client(transport=transport, trust_env=False, timeout=retry.timeout_seconds)

    def get(self, path: str, params: dict[str, str | int] | None = None) -> Answer:
        """Return what the server answers to GET, with the URL's credentials and the retries."""
        return self.retrying(lambda: self.get_once(path, params))

    def get_once(self, path: str, params: dict[str, str | int] | None = None) -> Answer:
        """Return what the server answers to GET now."""
        answer = self.send("GET", path, params=params, auth=self.credentials)
        if answer.status in {401, 403}:
            raise self.refused(
                f"does not let us in (HTTP {answer.status}): check user and password in its URL"
            )
        return answer

    def retrying(self, action: Callable[[], T]) -> T:
        """Run an action again after each pause for as long as it raises `SourceUnavailableError`."""
        delays = self._retry.delays_seconds
        retries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(SourceUnavailableError),
            stop=tenacity.stop_after_attempt(len(delays) + 1),
            wait=lambda state: (*delays, 0.0)[state.attempt_number - 1],
            sleep=self._sleep,
        )
        try:
            return retries(action)
        except tenacity.RetryError as error:
            attempts, last = error.last_attempt.attempt_number, error.last_attempt.exception()
            tries = f" ({attempts} attempts)" if attempts > 1 else ""
            raise SourceUnavailableError(
                f"{last}{tries}", source=self.source, url=self.url, attempts=attempts
            ) from last

    def send(self, method: str, path: str, **request: Any) -> Answer:
        """Send one request; once more, at once, when the connection kept alive turns out to be closed."""
        try:
            try:
                answer = self._exchange(method, path, request)
            except STALE_CONNECTION:
                answer = self._exchange(method, path, request)
        except httpx.HTTPError as error:
            raise self._translated(error) from error
        if answer.status in UNAVAILABLE_STATUS:
            raise self.unavailable(f"is not ready now: it answered {answer.describe()}")
        return answer

    def _exchange(self, method: str, path: str, request: dict[str, Any]) -> Answer:
        deadline = time.monotonic() + 10 * self._retry.timeout_seconds
        body = bytearray()
        with self._client.stream(method, self.url + path, **request) as response:
            if response.is_redirect:
                raise self.bad_answer(
                    f"redirects to {response.headers.get('location')}: set that address instead"
                )
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise self.bad_answer(f"sent more than {MAX_ANSWER_BYTES:,} bytes for {path}")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer came too slowly")
        return Answer(response.status_code, bytes(body))

    def _translated(self, error: httpx.HTTPError) -> SourceError:
        if isinstance(error, httpx.DecodingError):
            return self.bad_answer(f"sent an answer that cannot be decoded: {error}")
        if isinstance(error, httpx.TimeoutException):
            return self.unavailable(f"did not answer within {self._retry.timeout_seconds:g} s")
        hint = CONTAINER_HINT if httpx.URL(self.url).host in LOOPBACK else ""
        return self.unavailable(f"cannot be reached ({error}): is it running, is the address right?{hint}")

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Do without retries for a while: a probe wants to know how it is now."""
        patient, self._retry = self._retry, RetryPolicy((), self._retry.timeout_seconds)
        try:
            yield
        finally:
            self._retry = patient

    def probe(self, ask: Callable[[], Health]) -> Health:
        """Return what `ask` finds out, or the `Health` of a source that failed with its advice."""
        try:
            with self.impatient():
                return ask()
        except SourceError as error:
            is_reachable = not isinstance(error, SourceUnavailableError)
            return Health(self.source, self.url, is_reachable, advice=(str(error),))

    def unavailable(self, reason: str) -> SourceUnavailableError:
        """Return the error for a server that does not answer or is not ready."""
        return SourceUnavailableError(
            f"{self.source} at {self.url} {reason}", source=self.source, url=self.url
        )

    def refused(self, reason: str) -> SourceRefusedError:
        """Return the error for a server that said no."""
        return SourceRefusedError(f"{self.source} at {self.url} {reason}", source=self.source, url=self.url)

    def bad_answer(self, reason: str) -> BadAnswerError:
        """Return the error for an answer that is not what it should be."""
        return BadAnswerError(f"{self.source} at {self.url} {reason}", source=self.source, url=self.url)

    def not_found(self, reason: str) -> BlockNotFoundError:
        """Return the error for a block that the server does not have."""
        return BlockNotFoundError(f"{self.source} at {self.url} {reason}", source=self.source, url=self.url)

    def close(self) -> None:
        """Close the connections kept alive."""
        self._client.close()


def _split_credentials(source: str, url: str) -> tuple[str, tuple[str, str] | None]:
    try:
        parts = httpx.URL(url.strip())
    except httpx.InvalidURL:
        parts = httpx.URL("")
    if parts.scheme not in {"http", "https"} or not parts.host:  # the text may hold a password: not repeated
        raise SettingsError([f"the URL of {source} is not one: write it like http://127.0.0.1:8332"])
    credentials = (parts.username, parts.password) if parts.userinfo else None
    clean = parts.copy_with(username=None, password=None, query=None, fragment=None)
    return str(clean).rstrip("/"), credentials
