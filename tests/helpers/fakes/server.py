"""A loopback HTTP server in a thread, with faults that a test switches on."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

INDEX_HTML = b"<!doctype html><html><head><title>app</title></head><body></body></html>"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str | None = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0  # a pause after each byte of the body

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Reply:
        return cls(status, json.dumps(value).encode(), "application/json; charset=utf-8")


@dataclass
class Fault:
    """What to do instead of answering: how often (None: until healed), and for which part of the
    path."""

    act: Callable[[], Reply | None]
    times: int | None = None
    only: str = ""

    def applies(self, path: str) -> bool:
        if self.times == 0 or self.only not in path:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FakeServer:
    """Base of the fakes: subclasses answer in `handle`. Use it as a context manager."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._faults: list[Fault] = []
        self._released = threading.Event()
        self._server: _Server | None = None
        self._port = 0

    # Life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._released.clear()
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close everything: from now on connections are refused."""
        self._released.set()
        if self._server is not None:
            self._server.close_everything()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def paths(self) -> list[str]:
        """Every path asked for, in order."""
        return [request.path for request in self.requests]

    # Faults

    def fail(
        self,
        status: int,
        body: bytes = b"",
        *,
        times: int | None = None,
        only: str = "",
        kind: str = "text/plain",
    ) -> None:
        """Answer with a status and a body instead."""
        self.reply_with(Reply(status, body, kind), times=times, only=only)

    def reply_with(self, reply: Reply, *, times: int | None = None, only: str = "") -> None:
        """Answer with a ready reply instead."""
        self._faults.append(Fault(lambda: reply, times, only))

    def answer_html(self, *, status: int = 200, times: int | None = None, only: str = "") -> None:
        """Answer with a web page instead of data."""
        self.fail(status, INDEX_HTML, times=times, only=only, kind="text/html")

    def hang(self, *, times: int | None = None, only: str = "") -> None:
        """Take the request and say nothing until the server stops."""

        def wait() -> None:
            self.is_stopping(60)

        self._faults.append(Fault(wait, times, only))

    def drip(self, body: bytes, seconds: float) -> None:
        """Answer with a body that comes byte by byte."""
        self.reply_with(Reply(200, body, drip_seconds=seconds))

    def drop(self, *, times: int | None = None, only: str = "") -> None:
        """Take the request and close the connection without a word, as a keep-alive that ran out
        does."""
        self._faults.append(Fault(lambda: None, times, only))

    def heal(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def is_stopping(self, seconds: float) -> bool:
        """Wait so long, or until the server is stopped; tell whether it was."""
        return self._released.wait(seconds)

    # Work

    def handle(self, request: Request) -> Reply:
        raise NotImplementedError

    def respond(self, request: Request) -> Reply | None:
        """Return the answer, or None to close the connection."""
        self.requests.append(request)
        for fault in list(self._faults):
            if fault.applies(request.path):
                return fault.act()
        return self.handle(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them, and no test leaves a socket behind

    def __init__(self, address: tuple[str, int], fake: FakeServer) -> None:
        self.fake = fake
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""

    def close_everything(self) -> None:
        self.shutdown()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items()}
        reply = self.server.fake.respond(Request(self.command, parts.path, query, headers, body))
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        if reply.content_type is not None:
            self.send_header("Content-Type", reply.content_type)
        for key, value in reply.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.drip_seconds:
            self._drip(reply)
        else:
            self.wfile.write(reply.body)

    def _drip(self, reply: Reply) -> None:
        for at in range(len(reply.body)):
            self.wfile.write(reply.body[at : at + 1])
            if self.server.fake.is_stopping(reply.drip_seconds):
                return

    def log_message(self, *args: Any) -> None:
        """Say nothing."""
