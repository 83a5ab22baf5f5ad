"""One bounded exchange with an HTTP server: so much time, so many bytes, and nothing compressed.

httpcore speaks HTTP. What is added here is that a request's time is that of the whole request, not
of the silence between two bytes; that a body is cut off where its kind of answer cannot be longer;
that redirects are not followed, and that nothing of the environment (proxies, .netrc) is used.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import certifi
import httpcore

from oracle.address import Address
from oracle.errors import SettingsError
from oracle.lookup import addresses_of

HTTP = b"HTTP/"  # how an answer begins
LOCAL_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa")


class Trouble(Enum):
    """Why there is no answer that could be judged."""

    TIMEOUT = "timeout"
    NO_SUCH_HOST = "no such host"
    REFUSED = "connection refused"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    NO_TLS = "no TLS"
    PROXY = "proxy"
    CUT_SHORT = "cut short"
    NO_HTTP = "no HTTP"
    TOO_LARGE = "too large"
    COMPRESSED = "compressed"


class WebError(Exception):
    """There is no answer; `trouble` says of which kind the reason is."""

    def __init__(self, trouble: Trouble, detail: str = "") -> None:
        super().__init__(f"{trouble.value}: {detail}" if detail else trouble.value)
        self.trouble = trouble
        self.detail = detail


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What is asked, and what it may cost."""

    method: str
    target: str  # path and query, already quoted
    seconds: float  # for all of it, from the connection to the last byte
    max_bytes: int  # of the body of the answer
    headers: Mapping[str, str] = field(default_factory=dict)  # beside those that HTTP needs
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a server answered; header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the body as text, whatever character set it claims: ours are all ASCII."""
        return self.body.decode("utf-8", errors="replace").strip()


@dataclass(frozen=True, slots=True)
class Route:
    """How servers are reached: through which proxy, and whose certificates are trusted, too.

    A proxy (http, socks5 or socks5h; names are looked up by it) is for hosts outside: this machine
    and the private network are reached directly.
    """

    proxy: Address | None = None
    ca_file: Path | None = None

    def proxy_for(self, address: Address) -> Address | None:
        """Return the proxy for an address, if any."""
        return None if is_local(address.host) else self.proxy


def is_local(host: str) -> bool:
    """Tell whether a host is this machine or one of the private network, by its name alone."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(LOCAL_SUFFIXES)
    return ip.is_private or ip.is_loopback or ip.is_link_local


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return whom to trust: the system's authorities, those of certifi, and one's own.

    Raises:
        SettingsError: the file of one's own authorities cannot be used.
    """
    context = ssl.create_default_context()  # SSL_CERT_FILE counts, as for other programs
    context.load_verify_locations(certifi.where())  # for machines without any of their own
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            reason = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise SettingsError([f"ORACLE_CA_FILE: {ca_file} cannot be used: {reason}"]) from error
    return context


def proxy_problem(proxy: Address, seconds: float = 5.0) -> str | None:
    """Return why a proxy takes no connection, or None where it does."""
    try:
        socket.create_connection((proxy.host, proxy.port), seconds).close()
    except OSError as error:
        return f"takes no connection ({error.strerror or error})"
    return None


class WebClient:
    """The connections to one server."""

    def __init__(self, address: Address, route: Route | None = None) -> None:
        route = route or Route()
        self.address = address
        self.proxy = route.proxy_for(address)
        self._deadline = _Deadline()
        context = trusted(route.ca_file) if address.scheme == "https" else None
        self._pool = _pool(self.proxy, context, _Backend(self._deadline))

    def close(self) -> None:
        """Close the connections kept alive."""
        self._pool.close()

    def exchange(self, request: WebRequest) -> WebAnswer:
        """Send one request and return the whole answer.

        Raises:
            WebError: there is no such answer.
        """
        self._deadline.start(request.seconds)
        try:
            return self._exchange(request)
        except FOREIGN_ERRORS as error:
            is_proxied = self.proxy is not None
            trouble = _trouble_of(error, is_proxied=is_proxied)
            if trouble is Trouble.CUT_SHORT and not is_proxied and self._heard_no_http():
                trouble = Trouble.NO_HTTP
            raise WebError(trouble, str(error)) from error

    def _heard_no_http(self) -> bool:
        heard = self._deadline.heard
        return heard != b"" and not heard.startswith(HTTP)

    def _exchange(self, request: WebRequest) -> WebAnswer:
        sent = {"Accept": "*/*", "Accept-Encoding": "identity", **request.headers}
        host = self.address.host
        url = httpcore.URL(
            scheme=self.address.scheme.encode(),
            host=f"[{host}]".encode() if ":" in host else host.encode(),
            port=self.address.port,
            target=request.target.encode(),
        )
        limits = {"timeout": {"pool": request.seconds}}
        with self._pool.stream(
            request.method,
            url,
            headers=list(sent.items()),
            content=request.content,
            extensions=limits,
        ) as answer:
            received = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in answer.headers
            }
            coding = received.get("content-encoding", "").strip().lower()
            if coding not in {"", "identity"}:
                raise WebError(Trouble.COMPRESSED, coding[:20])
            body = _bounded(answer.iter_stream(), request.max_bytes)
            return WebAnswer(answer.status, body, received)


def _bounded(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise WebError(Trouble.TOO_LARGE, f"more than {max_bytes} bytes")
    return bytes(body)


def _pool(
    proxy: Address | None, context: ssl.SSLContext | None, backend: httpcore.NetworkBackend
) -> httpcore.ConnectionPool:
    if proxy is None:
        return httpcore.ConnectionPool(ssl_context=context, network_backend=backend)
    kind = httpcore.HTTPProxy if proxy.scheme == "http" else httpcore.SOCKSProxy
    return kind(
        proxy_url=httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target="/"),
        proxy_auth=proxy.login,
        ssl_context=context,
        network_backend=backend,
    )


# --- The time of a request --------------------------------------------------


class _Deadline(threading.local):
    """When the request of this thread must be over, by the clock that only goes forward."""

    end = float("inf")
    heard = b""  # the first bytes that came

    def start(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.heard = b""

    def left(self) -> float:
        """Return the seconds that are left, which are more than none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time of the request is over")
        return left


class _Backend(httpcore.NetworkBackend):
    """Connections each of whose steps may take what is left of the request's time."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of a host's addresses that takes it."""
        del timeout
        problem: httpcore.ConnectError | None = None
        for ip in addresses_of(host.strip("[]"), port, self._deadline.left()):
            try:
                stream = self._plain.connect_tcp(
                    ip, port, self._deadline.left(), local_address, socket_options
                )
            except httpcore.ConnectError as error:
                problem = error
            else:
                return _Stream(stream, self._deadline)
        raise problem or httpcore.ConnectError("it has no address")


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        data = self._stream.read(max_bytes, self._deadline.left())
        if len(self._deadline.heard) < len(HTTP):
            self._deadline.heard += data[: len(HTTP)]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        inner = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


# --- What went wrong --------------------------------------------------------

FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
    OSError,
    UnicodeError,
)
CAUSES: tuple[tuple[type[BaseException], Trouble], ...] = (
    (socket.gaierror, Trouble.NO_SUCH_HOST),
    (UnicodeError, Trouble.NO_SUCH_HOST),
    (ssl.SSLCertVerificationError, Trouble.CERTIFICATE),
    (ssl.SSLError, Trouble.NO_TLS),
    (ConnectionRefusedError, Trouble.REFUSED),
    (ConnectionError, Trouble.CUT_SHORT),
)


def _trouble_of(error: BaseException, *, is_proxied: bool) -> Trouble:
    if isinstance(error, httpcore.TimeoutException):
        return Trouble.TIMEOUT
    if isinstance(error, httpcore.ProxyError):
        return Trouble.PROXY
    if isinstance(error, httpcore.ProtocolError):
        return Trouble.CUT_SHORT if "disconnected" in str(error) else _protocol_trouble(error)
    cause = _cause_of(error)
    found = next((trouble for kind, trouble in CAUSES if isinstance(cause, kind)), None)
    is_of_the_proxy = found in {Trouble.NO_SUCH_HOST, Trouble.REFUSED, None}
    if is_proxied and is_of_the_proxy:
        return Trouble.PROXY
    if found is None:
        return Trouble.CUT_SHORT if _had_begun(error) else Trouble.UNREACHABLE
    return found


def _protocol_trouble(error: BaseException) -> Trouble:
    return Trouble.CUT_SHORT if "peer closed" in str(error) else Trouble.NO_HTTP


def _had_begun(error: BaseException) -> bool:
    return isinstance(error, httpcore.ReadError | httpcore.WriteError)


def _cause_of(error: BaseException) -> BaseException:
    """Return the error at the bottom, which is the operating system's: httpcore wraps it."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return error
