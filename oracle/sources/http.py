"""What sources over HTTP share: bounded requests, patience, and a sentence for each trouble.

A request is retried only while the trouble may pass; what the server says is for the caller to
judge.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import tenacity

from oracle.address import Address
from oracle.errors import (
    BadAnswerError,
    SourceError,
    SourceRefusedError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from oracle.masking import keys_in, secrets_of
from oracle.sources.base import SHOWN_CHARACTERS, Source
from oracle.web import Route, Trouble, WebAnswer, WebClient, WebError, WebRequest

T = TypeVar("T")

MAX_TEXT_BYTES = 1_000_000  # of prices, a page, an error: far more than any is long
MAX_BLOCK_BYTES = 4_000_000  # the protocol's own limit of a serialised block
# A server that wants to be left alone for longer is left alone for this run.
RETRY_AFTER_LIMIT_SECONDS = 60.0

# Trouble that passes by itself: slow down, come back later.
PASSING_STATUSES = {408, 425, 429}
SERVER_ERROR = 500
UNAUTHORISED = 401
FORBIDDEN = 403
TOO_MANY_REQUESTS = 429

SENTENCES: dict[Trouble, str] = {
    Trouble.TIMEOUT: "does not answer within {seconds:g} s: is it busy, or is a firewall between?",
    Trouble.NO_SUCH_HOST: "has a host name that cannot be found: "
    "check the address in {setting}, and this machine's DNS",
    Trouble.REFUSED: "does not answer, the connection is refused: is it running?{hint} "
    "Inside a container, localhost is the container itself",
    Trouble.UNREACHABLE: "does not answer, there is no way to its host: "
    "check the address in {setting}, the network and the firewall",
    Trouble.CERTIFICATE: "shows a certificate that is not trusted here: for an authority of your "
    "own set ORACLE_CA_FILE to its certificate, else check the host name in {setting}",
    Trouble.NO_TLS: "speaks no TLS at that port: should {setting} begin with http and no s?",
    Trouble.PROXY: "cannot be reached through ORACLE_PROXY: does the proxy run, and may it "
    "connect there?",
    Trouble.CUT_SHORT: "closed the connection in the middle: does it run well, see its log",
    Trouble.NO_HTTP: "does not speak HTTP at that port: check the port in {setting}, or should it "
    "begin with https?",
    Trouble.TOO_LARGE: "sent more bytes than such an answer can have",
    Trouble.COMPRESSED: "sent a compressed answer, which was not asked for",
}
BAD_ANSWERS = {Trouble.TOO_LARGE, Trouble.COMPRESSED}
ONION = "is an onion service: set ORACLE_PROXY to the SOCKS port of your Tor"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be: pauses before each further attempt, and the time of one request."""

    delays_seconds: tuple[float, ...] = (5.0, 15.0, 45.0)
    timeout_seconds: float = 20.0
    sleep: Callable[[float], None] = time.sleep


PATIENCE = RetryPolicy()


class HttpSource(Source):
    """One server: sends requests, retries while it is unavailable, and never shows a password.

    `url` is safe to print: login, path and query of the address are used, but not in it.
    """

    setting = "its URL"  # which setting holds its address
    running_hint = ""  # what else could keep it from taking connections

    def __init__(
        self, name: str, address: Address, retry: RetryPolicy, route: Route | None = None
    ) -> None:
        super().__init__(name, address.shown, retry.delays_seconds)
        self._retry = retry
        self._address = address
        self._client = WebClient(address, route)

    def close(self) -> None:
        """Close the connections kept alive."""
        self._client.close()

    def _fetch(self, below: str, parameters: Mapping[str, str | int] | None = None) -> WebAnswer:
        """Return what the server answers to GET, after retries where it takes them."""
        return self._retrying(lambda: self._get(below, MAX_TEXT_BYTES, parameters))

    def _get(
        self, below: str, max_bytes: int, parameters: Mapping[str, str | int] | None = None
    ) -> WebAnswer:
        target = self._address.target(below, dict(parameters or {}))
        return self._send("GET", target, max_bytes)

    def _retrying(self, action: Callable[[], T]) -> T:
        """Run an action again after each pause for as long as it raises
        `SourceUnavailableError`."""
        delays = self._delays_seconds
        retries = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass_soon),
            stop=tenacity.stop_after_attempt(len(delays) + 1),
            wait=lambda state: _pause(state, delays),
            sleep=self._retry.sleep,
            reraise=True,
        )
        try:
            return retries(action)
        except SourceUnavailableError as error:
            error.attempts = retries.statistics.get("attempt_number", 1)
            raise

    def _send(self, method: str, target: str, max_bytes: int, content: bytes = b"") -> WebAnswer:
        """Return the answer to one request, unless its status says that there is none."""
        request = WebRequest(
            method, target, self._retry.timeout_seconds, max_bytes, self._headers(), content
        )
        try:
            answer = self._client.exchange(request)
        except WebError as error:
            raise self._failure(error) from error
        if answer.status == UNAUTHORISED:
            raise self._error(SourceRefusedError, *self._wants_login())
        if answer.status == FORBIDDEN:
            raise self._error(SourceRefusedError, self._forbids(content))
        return answer

    def _headers(self) -> dict[str, str]:
        return {}

    # What it said

    def _secrets(self) -> tuple[str, ...]:
        """Return what the server was told and may echo."""
        address = self._address
        return (*secrets_of(address.login), *keys_in(f"//host{address.path}?{address.query}"))

    def _described(self, answer: WebAnswer) -> str:
        """Say what came, short enough for an error."""
        is_page = b"<" in answer.body[:10]
        what = "a web page" if is_page else repr(self._said(answer.text[: 10 * SHOWN_CHARACTERS]))
        return f"{what} (HTTP {answer.status})"

    # What it means

    def _wants_login(self) -> tuple[str, str]:
        """Return what to say of status 401: what may be published, and more."""
        return (f"wants a user and a password: write them into {self.setting}, before the host", "")

    def _forbids(self, content: bytes) -> str:
        del content
        return f"forbids this: does the server that {self.setting} names allow our address?"

    def _failure(self, error: WebError) -> SourceError:
        reason = SENTENCES[error.trouble].format(
            seconds=self._retry.timeout_seconds, setting=self.setting, hint=self.running_hint
        )
        if self._address.host.endswith(".onion") and self._client.proxy is None:
            reason = ONION
        detail = f" ({self._said(error.detail)})" if error.detail else ""
        if error.trouble in BAD_ANSWERS:
            return self._error(BadAnswerError, reason, detail)
        is_late = error.trouble is Trouble.TIMEOUT
        kind = SourceTimeoutError if is_late else SourceUnavailableError
        return self._error(kind, reason, detail)

    def _not_ready(self, answer: WebAnswer) -> SourceError:
        """Return the error for an answer that says: not now."""
        is_too_often = answer.status == TOO_MANY_REQUESTS
        what = "limits how much it may be asked" if is_too_often else "is not ready now"
        reason = f"{what} (HTTP {answer.status})"
        error = self._error(
            SourceUnavailableError, reason, f": it answered {self._described(answer)}"
        )
        if isinstance(error, SourceUnavailableError):
            error.retry_after_seconds = retry_after_seconds(answer)
        return error


def passes(answer: WebAnswer) -> bool:
    """Tell whether a status says trouble that passes."""
    return answer.status in PASSING_STATUSES or answer.status >= SERVER_ERROR


def retry_after_seconds(answer: WebAnswer, now: datetime | None = None) -> float | None:
    """Return how long a server asks to be left alone: seconds, or a date beside its own date."""
    text = answer.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        sent = now or parsedate_to_datetime(answer.headers.get("date", ""))
        return max(0.0, (until.astimezone(UTC) - sent.astimezone(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _may_pass_soon(error: BaseException) -> bool:
    if not isinstance(error, SourceUnavailableError):
        return False
    return (error.retry_after_seconds or 0.0) <= RETRY_AFTER_LIMIT_SECONDS


def _pause(state: tenacity.RetryCallState, delays_seconds: tuple[float, ...]) -> float:
    """Return the policy's pause, or the longer one that the server asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, SourceUnavailableError) else None
    planned = (*delays_seconds, 0.0)[state.attempt_number - 1]  # no pause behind the last attempt
    return max(planned, asked or 0.0)
