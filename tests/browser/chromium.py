"""Built sites, a server for them with the strict content policy, and what a page said and asked
for."""

from __future__ import annotations

import functools
import hashlib
import http.server
import mimetypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from playwright.sync_api import Page

from builder.site import Output, build_site
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, make_history, migrate

CHROMIUM = "/usr/bin/chromium"  # Debian's
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-features=LocalNetworkAccessChecks",  # a made-up site shows one on loopback
]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HISTORIES: dict[str, dict[str, Any]] = {
    "usual": {"days": 9},
    "far": {"days": 2, "percent_off": 3.2, "outputs_per_block": 20},
    "windowed": {"days": 2, "last_spot_is_valid": False, "outputs_per_block": 20},
    "doubtful": {
        "days": 2,
        "last_spot_is_valid": False,
        "exchange": False,
        "outputs_per_block": 20,
    },
}


@dataclass
class Site:
    """A folder that is being served; `asked` are the requests so far as (path, status)."""

    folder: Path
    url: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)

    def file(self, path: str) -> Path:
        name = path.split("?", maxsplit=1)[0].lstrip("/")
        return self.folder / (f"{name}index.html" if name == "" or name.endswith("/") else name)


def answer(site: Site, request: http.server.BaseHTTPRequestHandler) -> None:
    """Files with an ETag, 304 for what the browser has, and the strict policy."""
    file = site.file(request.path)
    data = file.read_bytes() if file.is_file() else b""
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    status = 404 if not data else 304 if request.headers["If-None-Match"] == tag else 200
    site.asked.append((request.path.split("?")[0], status))
    request.send_response(status)
    request.send_header("Content-Security-Policy", POLICY)
    request.send_header("X-Content-Type-Options", "nosniff")
    request.send_header("ETag", tag)
    request.send_header(
        "Content-Type", mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    )
    request.send_header("Content-Length", str(len(data) if status == 200 else 0))
    request.end_headers()
    if status == 200 and request.command == "GET":
        request.wfile.write(data)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *rest: Any) -> None:
        self.site = site
        super().__init__(*rest)

    def do_GET(self) -> None:
        answer(self.site, self)

    def do_HEAD(self) -> None:
        answer(self.site, self)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def serve(folder: Path) -> tuple[Site, http.server.ThreadingHTTPServer]:
    site = Site(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, site))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    return site, server


def build(folder: Path, **history: Any) -> Path:
    connection = make_history(**history) if history else duckdb.connect()
    try:
        if not history:
            migrate(connection)
        return build_site(Reader(connection), Output(folder), context(END_UNIX)).folder
    finally:
        connection.close()


@dataclass
class Opened:
    """A page, and what it said and asked for since it was opened."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def outside(self) -> list[str]:
        own = (self.site.url, "data:", "blob:")
        return [url for url in self.asked if not url.startswith(own)]


Open = Callable[..., Opened]
