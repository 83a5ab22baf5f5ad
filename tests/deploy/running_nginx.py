"""Debian's nginx on a free loopback port with the shipped site file; only its port and root
differ."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.clock import environ_at

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
SITE_FILE = DEPLOY / "nginx" / "oracle.conf"
SHIPPED_ROOT = "/var/lib/onchain-oracle/site/public"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire; header names are in lower case."""

    status: int
    pairs: list[tuple[str, str]]
    body: bytes
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", dict(self.pairs))


@dataclass(frozen=True)
class Server:
    """A running nginx and the folder whose `public` link it serves."""

    port: int
    site: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, target: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        """Send one request, its target exactly as written; `If_None_Match=` stands for
        If-None-Match."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                method, target, body, {k.replace("_", "-"): v for k, v in headers.items()}
            )
            response = connection.getresponse()
            return Answer(
                response.status, [(k.lower(), v) for k, v in response.getheaders()], response.read()
            )
        finally:
            connection.close()

    def send(self, raw: bytes) -> bytes:
        """Send bytes that no client library would, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(raw)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def configure(prefix: Path, site: Path, port: int, *, workers: int = 2, also: str = "") -> Path:
    """Write a main nginx.conf that includes the shipped site file, and return its path."""
    shipped = SITE_FILE.read_text(encoding="utf-8")
    listen, root = f"listen 127.0.0.1:{port};", f"root {site}/public;"
    text, listens = re.subn(r"listen 8000;", listen, shipped)
    text, roots = re.subn(rf"root {SHIPPED_ROOT};", root, text)
    assert (listens, roots) == (1, 1), "the site file has one listen line and one root line"
    (prefix / "oracle.conf").write_text(text, encoding="utf-8")
    folders = "\n".join(f"    {name}_temp_path {prefix}/{name};" for name in TEMPORARY)
    user = "user root;" if os.geteuid() == 0 else ""
    main = f"""
{user}
daemon off;
pid {prefix}/nginx.pid;
worker_processes {workers};
error_log {prefix}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    gzip on;
    keepalive_requests 1000000;
{folders}
    include {prefix}/oracle.conf;
    {also}
}}
"""
    (prefix / "nginx.conf").write_text(main, encoding="utf-8")
    return prefix / "nginx.conf"


def command(prefix: Path, *options: str) -> list[str]:
    """Return the command that starts nginx from its configuration under `prefix`."""
    return [
        str(NGINX),
        "-e",
        f"{prefix}/start.log",
        "-p",
        str(prefix),
        "-c",
        str(prefix / "nginx.conf"),
        *options,
    ]


def free_port() -> int:
    """Return a loopback port that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.01)  # the only way to know that another program is ready
    return False


@contextmanager
def running(
    prefix: Path, site: Path, *, now_unix: float | None = None, **options: object
) -> Iterator[Server]:
    """Run nginx for a site until the block ends; another program may take the port first, so try a
    few. Its clock stands at `now_unix` (None: it is the machine's)."""
    prefix.mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, **(environ_at(now_unix) if now_unix is not None else {})}
    for _ in range(5):
        port = free_port()
        configure(prefix, site, port, **options)  # type: ignore[arg-type]
        process = subprocess.Popen(command(prefix), stdin=subprocess.DEVNULL, env=environ)
        if _answers(port, process):
            break
        process.kill()
        process.wait()
    else:
        raise RuntimeError((prefix / "start.log").read_text())
    try:
        yield Server(port, site)
    finally:
        process.terminate()
        process.wait(timeout=20)


def point_at(site: Path, release: str) -> None:
    """Let `public` point at a release, as the builder does: a new link, renamed over the old
    one."""
    fresh = site / "public.new"
    fresh.symlink_to(Path("releases") / release)
    fresh.rename(site / "public")


def write_tree(root: Path, files: Mapping[str, bytes | str]) -> None:
    """Write files by their path below a folder."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def fresh_slots(now_unix: float, seconds: int = 1800) -> list[str]:
    """Return the marker files a release brings while it counts as fresh."""
    first, last = int(now_unix) // 100, (int(now_unix) + seconds) // 100
    return [f"health/fresh/{slot}" for slot in range(first, last + 1)]
