"""The addresses of a name, within a time.

The system's resolver has its own patience, which may be a minute; it is left behind in a thread
that nothing waits for.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

import httpcore

ADDRESSES_TRIED = 4  # of a host name that stands for many; they share the time of the request


def addresses_of(host: str, port: int, seconds: float) -> list[str]:
    """Return some addresses of a host.

    Raises:
        httpcore.ConnectTimeout: they were not found out within so many seconds.
        OSError: there is no such host.
    """
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, name="look up", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise httpcore.ConnectTimeout(f"the name {host} was not found out in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return [str(where[0]) for *_, where in found[0][:ADDRESSES_TRIED]]
