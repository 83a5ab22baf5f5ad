"""A server below HTTP: it sends what a test says, byte for byte, and closes."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class RawServer:
    """Sends `says` to whoever connects, a pause after each byte if so wanted."""

    def __init__(self, says: bytes = b"", pause_seconds: float = 0.0) -> None:
        self.says = says
        self.pause_seconds = pause_seconds
        self._released = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        return self._listening.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._released.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(1)
        connection.recv(65_536)
        if not self.pause_seconds:
            connection.sendall(self.says)
            return
        for at in range(len(self.says)):
            connection.sendall(self.says[at : at + 1])
            if self._released.wait(self.pause_seconds):
                return
