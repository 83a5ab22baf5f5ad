"""A mail server on loopback: as much of SMTP as `smtplib` speaks, with STARTTLS when it has a
certificate."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, Self, cast


class FakeMailServer(socketserver.ThreadingTCPServer):
    """Collects messages. `refuses` makes it say no to every recipient; `login` is what AUTH must
    hold."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(
        self,
        certificate: Path | None = None,
        login: tuple[str, str] | None = None,
        *,
        is_tls_at_once: bool = False,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.port = self.server_address[1]
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.was_encrypted = False
        self.refuses = False
        self.login = login
        self.is_tls_at_once = is_tls_at_once
        self.tls: ssl.SSLContext | None = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()
        self.server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Encrypt the connection first where the server speaks TLS from the first byte."""
        if self.is_tls_at_once and self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
            self.was_encrypted = True
        super().finish_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.mail = cast("FakeMailServer", self.server)
        self.say("220 fake")
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            if not getattr(self, f"on_{verb.lower()}", self.on_unknown)(rest):
                return

    def finish(self) -> None:
        super().finish()
        self.request.close()  # the encrypted one; the server knows of the plain one only

    def say(self, text: str) -> bool:
        self.wfile.write(f"{text}\r\n".encode())
        return True

    def on_unknown(self, rest: str) -> bool:
        return self.say("250 fine")

    def on_ehlo(self, rest: str) -> bool:
        offers = [
            "fake",
            "AUTH PLAIN",
            *(["STARTTLS"] if self.mail.tls and not self.mail.was_encrypted else []),
        ]
        return self.say("\r\n".join([f"250-{offer}" for offer in offers] + ["250 HELP"]))

    def on_starttls(self, rest: str) -> bool:
        assert self.mail.tls
        self.say("220 go")
        self.request = self.mail.tls.wrap_socket(self.request, server_side=True)
        self.setup()
        self.mail.was_encrypted = True
        return True

    def on_auth(self, rest: str) -> bool:
        _, user, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
        return self.say(
            "235 welcome" if (user, password) == self.mail.login else "535 wrong password"
        )

    def on_rcpt(self, rest: str) -> bool:
        self.mail.recipients.append(rest)
        return self.say("550 no such user" if self.mail.refuses else "250 fine")

    def on_data(self, rest: str) -> bool:
        self.say("354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        message = BytesParser(policy=default).parsebytes(b"".join(lines))
        self.mail.messages.append(message)
        return self.say("250 taken")

    def on_quit(self, rest: str) -> bool:
        self.say("221 bye")
        return False
