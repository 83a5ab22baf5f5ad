"""The one seam to the network: httpx behind it, our errors in front of it.

A request is retried only while the other side is unavailable; what it says is for the caller to
judge.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import tenacity

from oracle.errors import SourceRefusedError, SourceTimeoutError, SourceUnavailableError
from oracle.sources.base import Source

T = TypeVar("T")

UNAVAILABLE = {429, 502, 503, 504}
REFUSALS = {
    401: "does not accept our user and password: check BITCOIN_RPC_USER, BITCOIN_RPC_PASSWORD "
    "or the cookie",
    403: "forbids this: allow our address and our calls (in bitcoin.conf: rpcallowip, "
    "rpcwhitelist)",
}
UNREACHABLE = (
    "does not answer ({}): is it running? Inside a container, localhost is the container itself"
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be: pauses before each further attempt, and the silence allowed within one."""

    delays_seconds: tuple[float, ...] = (5.0, 15.0, 45.0)
    timeout_seconds: float = 20.0
    sleep: Callable[[float], None] = time.sleep


PATIENCE = RetryPolicy()


class HttpSource(Source):
    """One server: sends requests, retries while it is unavailable, and never shows a password.

    Credentials inside `url` are taken out of it and used; `url` is safe to print.
    """

    def __init__(self, name: str, url: str, retry: RetryPolicy) -> None:
        address = httpx.URL(url.strip())
        super().__init__(
            name,
            str(address.copy_with(username=None, password=None)).rstrip("/"),
            retry.delays_seconds,
        )
        self._retry = retry
        self._login = (address.username, address.password) if address.userinfo else None
        # No proxies or .netrc of the environment: the settings alone say who is asked, and with
        # what. Plain http is spared the loading of certificates.
        self._client = httpx.Client(
            timeout=retry.timeout_seconds, trust_env=False, verify=address.scheme == "https"
        )

    def close(self) -> None:
        """Close the connections kept alive."""
        self._client.close()

    def _fetch(self, path: str, params: dict[str, str | int] | None = None) -> httpx.Response:
        """Return what the server answers to GET, after retries where it takes them."""
        return self._retrying(lambda: self._send("GET", path, params=params))

    def _retrying(self, action: Callable[[], T]) -> T:
        """Run an action again after each pause for as long as it raises
        `SourceUnavailableError`."""
        delays = self._delays_seconds
        retries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(SourceUnavailableError),
            stop=tenacity.stop_after_attempt(len(delays) + 1),
            wait=tenacity.wait_chain(*map(tenacity.wait_fixed, (*delays, 0))),
            sleep=self._retry.sleep,
            reraise=True,
        )
        try:
            return retries(action)
        except SourceUnavailableError as error:
            error.attempts = len(delays) + 1
            raise

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._client.request(
                method, self.url + path, auth=self._credentials(), **request
            )
        except httpx.TimeoutException as error:
            raise self._error(SourceTimeoutError, UNREACHABLE.format(error)) from error
        except httpx.HTTPError as error:
            raise self._error(SourceUnavailableError, UNREACHABLE.format(error)) from error
        if answer.status_code in REFUSALS:
            raise self._error(SourceRefusedError, REFUSALS[answer.status_code])
        if answer.status_code in UNAVAILABLE:
            raise self._error(
                SourceUnavailableError, f"is not ready now: it answered {described(answer)}"
            )
        return answer

    def _credentials(self) -> tuple[str, str] | None:
        return self._login


def described(answer: httpx.Response) -> str:
    """Say what came, short enough for an error."""
    what = "a web page" if b"<" in answer.content[:10] else repr(answer.content[:100])
    return f"{what} (HTTP {answer.status_code})"


def json_of(answer: httpx.Response) -> Any:
    """Return the body as JSON, or None where it is not JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def is_hash(value: object) -> bool:
    """Tell whether a value is a block hash in display order."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
