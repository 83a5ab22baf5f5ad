"""The address of a server: taken apart once, and shown without anything that may be a secret."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode

PROXY_SCHEMES = ("http", "socks5", "socks5h")
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
MAX_HOST_CHARACTERS = 253
MAX_PORT = 65_535
# What stands in a path or a query as it is; the rest is quoted, what is quoted stays so.
SAFE = "/%:@!$&'()*+,;=~-._?"


class Address(NamedTuple):
    """Where a server is. `host` has no brackets; `path` and `query` may hold a key: see `shown`."""

    scheme: str
    host: str
    port: int
    path: str = ""
    query: str = ""
    login: tuple[str, str] | None = None
    has_own_port: bool = False

    @property
    def shown(self) -> str:
        """Return it without login, path and query, any of which may be a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.has_own_port else ""
        rest = "/..." if self.path.strip("/") or self.query else ""
        return f"{self.scheme}://{host}{port}{rest}"

    def target(self, below: str = "", parameters: dict[str, str | int] | None = None) -> str:
        """Return what is asked for: a path below the address, with its own query if it has one."""
        path = self.path.rstrip("/") + below if below else self.path
        query = "&".join(part for part in (self.query, urlencode(parameters or {})) if part)
        quoted = quote(path or "/", safe=SAFE)
        return f"{quoted}?{quote(query, safe=SAFE)}" if query else quoted

    def without_suffix(self, pattern: str) -> Address:
        """Return the address with the end of its path cut off where it matches."""
        return self._replace(path=re.sub(f"(?:{pattern})$", "", self.path))


def parse_address(text: str, schemes: tuple[str, ...] = ("http", "https")) -> Address:
    """Take an address apart.

    A login is everything up to the last @, so that a password may hold / # ? and @ as they are
    (what is written as %40 is read as @).

    Raises:
        ValueError: it is none; the sentence repeats no part of the text.
    """
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in schemes:
        starts = " or ".join(f"{name}://" for name in schemes)
        raise ValueError(f"should be an address that starts with {starts}")
    login, rest = _split_login(rest)
    authority, below = re.match(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    host, port = split_port(authority)
    path, _, query = below.partition("#")[0].partition("?")
    return Address(
        scheme=scheme,
        host=checked_host(host),
        port=port if port is not None else DEFAULT_PORTS[scheme],
        path=path,
        query=query,
        login=login,
        has_own_port=port is not None,
    )


def _split_login(rest: str) -> tuple[tuple[str, str] | None, str]:
    """Cut off a login; an @ behind what is a host with its port by itself belongs to the path."""
    before, separator, after = rest.rpartition("@")
    is_host_and_port = re.match(r"(\[[0-9A-Fa-f:.]+\]|[^/?#:@]+)(:\d{1,5})?[/?#]", before)
    if not separator or is_host_and_port:
        return None, rest
    user, _, password = before.partition(":")
    return (unquote(user), unquote(password)), after


def split_port(text: str) -> tuple[str, int | None]:
    """Split host and port as Bitcoin Core does: of a bare IPv6 address no part is the port.

    Raises:
        ValueError: the port is none.
    """
    host, colon, port = text.rpartition(":")
    is_bare_ipv6 = ":" in host and not host.endswith("]")
    if not colon or is_bare_ipv6:
        return _without_brackets(text), None
    return _without_brackets(host), checked_port(port)


def _without_brackets(text: str) -> str:
    is_in_brackets = text.startswith("[") and text.endswith("]")
    return text[1:-1] if is_in_brackets else text


def checked_port(text: str) -> int:
    """Return a port; raise ValueError where it is none."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= MAX_PORT:
        raise ValueError(f"its port should be a number from 1 to {MAX_PORT}")
    return int(text)


def checked_host(text: str) -> str:
    """Return a host name or IP address, in ASCII; raise ValueError where it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        name = ""
    labels = name.removesuffix(".").split(".")
    if len(name) > MAX_HOST_CHARACTERS or not all(map(LABEL.fullmatch, labels)):
        raise ValueError("its host is no host name and no IP address")
    return name
