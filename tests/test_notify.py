"""Notifications: what a webhook and a mail server get, and that nothing they do fails a run."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import io
import json
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oracle import notify
from oracle.config import Settings, load_settings
from oracle.logs import logging_to
from oracle.notify import Event, deliver, payload
from tests.helpers.fakes.hook import Hook
from tests.helpers.fakes.mail import FakeMailServer
from tests.helpers.fakes.server import Request

EVENT = Event(
    "divergence_started",
    "Large divergence detected: +3.2%",
    1_735_689_600,
    details={"headline_percent": 3.2, "leg": "spot", "height": 877_259},
)


def hooked(server: Hook, **more: str) -> Settings:
    return load_settings({"ALERT_WEBHOOK_URL": f"{server.url}/services/T0/s3cr3t", **more})


def mailing(server: FakeMailServer, **more: str) -> Settings:
    environ = {"ALERT_EMAIL": "ops@example.org,boss@example.org", "SMTP_HOST": "127.0.0.1"}
    return load_settings(
        {**environ, "SMTP_PORT": str(server.port), "SMTP_SECURITY": "none", **more}
    )


def posted(event: Event = EVENT, **more: str) -> tuple[dict[str, Any], Request]:
    with Hook() as server:
        assert deliver([event], hooked(server, **more)) == []
    [request] = server.requests
    return json.loads(request.body), request


def test_the_webhook_gets_one_json_object() -> None:
    body, request = posted()
    assert (request.method, request.path) == ("POST", "/services/T0/s3cr3t")
    assert request.headers["content-type"] == "application/json"
    assert body == {
        "text": "[on-chain price] divergence started: Large divergence detected: +3.2%",
        "content": "[on-chain price] divergence started: Large divergence detected: +3.2%",
        "allowed_mentions": {"parse": []},
        "kind": "divergence_started",
        "message": "Large divergence detected: +3.2%",
        "time": "2025-01-01T00:00:00Z",
        "time_unix": 1_735_689_600,
        "network": "main",
        "is_demo": False,
        "details": {"headline_percent": 3.2, "leg": "spot", "height": 877_259},
    }


def test_a_simulated_number_is_labelled() -> None:
    body, _ = posted(Event("failure", "x", 0, network="simulated"))
    assert body["text"].startswith("[on-chain price, simulated] ")
    assert body["is_demo"] is True


def test_an_error_message_cannot_give_slack_commands() -> None:
    body, _ = posted(Event("failure", "<!channel> 404 & more", 0))
    assert body["text"].endswith("&lt;!channel> 404 & more")
    assert body["message"] == "<!channel> 404 & more"


def test_a_signed_post_can_be_checked_against_its_body() -> None:
    _, request = posted(ALERT_WEBHOOK_SECRET="key")
    digest = hmac.new(b"key", request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-oracle-signature"] == f"sha256={digest}"


def test_without_a_secret_there_is_no_signature() -> None:
    assert "x-oracle-signature" not in posted()[1].headers


def test_no_secret_leaves_in_a_notification() -> None:
    event = Event("failure", "401 for hunter2", 0, details={"url": "http://oracle:hunter2@node"})
    more = {"BITCOIN_RPC_USER": "oracle", "BITCOIN_RPC_PASSWORD": "hunter2"}
    assert b"hunter2" not in posted(event, **more)[1].body


def test_every_event_is_posted_in_order() -> None:
    with Hook() as server:
        deliver([EVENT, Event("recovery", "All is well again.", 0)], hooked(server))
    assert [json.loads(x.body)["kind"] for x in server.requests] == [
        "divergence_started",
        "recovery",
    ]


def test_nothing_configured_is_nothing_sent() -> None:
    assert deliver([EVENT], load_settings({})) == []


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_a_webhook_that_says_no_is_a_failure(status: int) -> None:
    with Hook() as server:
        server.fail(status, b"no")
        [failure] = deliver([EVENT], hooked(server))
    assert (
        failure == f"ALERT_WEBHOOK_URL did not take a notification: the webhook answered {status}"
    )


def test_a_webhook_that_is_not_there_is_a_failure() -> None:
    with Hook() as server:
        settings = hooked(server)
    assert len(deliver([EVENT], settings)) == 1


def test_a_webhook_that_never_answers_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TIMEOUT_SECONDS", 0.05)
    with Hook() as server:
        server.hang()
        assert len(deliver([EVENT], hooked(server))) == 1


def test_a_webhook_that_hangs_up_is_a_failure() -> None:
    with Hook() as server:
        server.drop()
        assert len(deliver([EVENT], hooked(server))) == 1


def test_a_failed_notification_is_a_warning_without_the_webhooks_secret() -> None:
    stream = io.StringIO()
    with Hook() as server:
        settings = hooked(server)
    with logging_to(settings, stream):
        deliver([EVENT], settings)
    assert json.loads(stream.getvalue())["level"] == "WARNING"
    assert "s3cr3t" not in stream.getvalue()


def test_a_webhook_that_fails_does_not_keep_the_mail_back() -> None:
    with FakeMailServer() as server:
        settings = mailing(server, ALERT_WEBHOOK_URL="http://127.0.0.1:1/")
        assert len(deliver([EVENT], settings)) == 1
    assert len(server.messages) == 1


def test_the_mail_says_what_happened() -> None:
    with FakeMailServer() as server:
        assert deliver([EVENT], mailing(server)) == []
    [mail] = server.messages
    assert (
        mail["Subject"] == "[on-chain price] divergence started: Large divergence detected: +3.2%"
    )
    assert mail["Date"] == "Wed, 01 Jan 2025 00:00:00 +0000"
    assert mail.get_content().splitlines() == [
        "Large divergence detected: +3.2%",
        "",
        "time: 2025-01-01T00:00:00Z",
        "network: main",
        "headline_percent: 3.2",
        "leg: spot",
        "height: 877259",
    ]


def test_the_mail_goes_to_every_address() -> None:
    with FakeMailServer() as server:
        deliver([EVENT], mailing(server))
    assert server.recipients == ["TO:<ops@example.org>", "TO:<boss@example.org>"]


def test_the_sender_is_the_first_address_unless_set() -> None:
    with FakeMailServer() as server:
        deliver([EVENT], mailing(server))
        deliver([EVENT], mailing(server, SMTP_FROM="oracle@example.org"))
    assert [mail["From"] for mail in server.messages] == ["ops@example.org", "oracle@example.org"]


def test_a_login_is_made_when_a_user_is_set() -> None:
    with FakeMailServer(login=("mailer", "hunter2")) as server:
        assert deliver([EVENT], mailing(server, SMTP_USER="mailer", SMTP_PASSWORD="hunter2")) == []


def test_a_wrong_mail_password_is_a_failure_that_does_not_tell_it() -> None:
    with FakeMailServer(login=("mailer", "right")) as server:
        [failure] = deliver([EVENT], mailing(server, SMTP_USER="mailer", SMTP_PASSWORD="hunter2"))
    assert "535" in failure
    assert "hunter2" not in failure


def test_a_mail_server_that_refuses_everybody_is_a_failure() -> None:
    with FakeMailServer() as server:
        server.refuses = True
        [failure] = deliver([EVENT], mailing(server))
    assert "no such user" in failure


def test_a_mail_server_without_encryption_gets_nothing_unless_allowed() -> None:
    with FakeMailServer() as server:
        [failure] = deliver([EVENT], mailing(server, SMTP_SECURITY="starttls"))
    assert "STARTTLS" in failure
    assert server.messages == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    options = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext "
        "subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        ["openssl", *options.split(), "-keyout", path, "-out", path.with_suffix(".crt")],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def test_a_mail_is_encrypted_to_a_server_whose_certificate_is_right(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with FakeMailServer(certificate) as server:
        assert deliver([EVENT], mailing(server, SMTP_SECURITY="starttls")) == []
    assert (server.was_encrypted, len(server.messages)) == (True, 1)


def test_a_mail_server_at_home_is_trusted_by_the_authority_of_the_settings(
    certificate: Path,
) -> None:
    with FakeMailServer(certificate) as server:
        settings = mailing(server, SMTP_SECURITY="starttls", ORACLE_CA_FILE=str(certificate))
        assert deliver([EVENT], settings) == []
    assert (server.was_encrypted, len(server.messages)) == (True, 1)


def test_a_mail_server_with_an_unknown_certificate_gets_nothing(certificate: Path) -> None:
    with FakeMailServer(certificate) as server:
        [failure] = deliver([EVENT], mailing(server, SMTP_SECURITY="starttls"))
    assert "certificate" in failure
    assert server.messages == []


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_goes_to_a_server_that_speaks_tls_from_the_first_byte(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(notify, "TIMEOUT_SECONDS", 1.0)
    with FakeMailServer(certificate, is_tls_at_once=True) as server:
        assert deliver([EVENT], mailing(server, SMTP_SECURITY=security)) == []
    assert (server.was_encrypted, len(server.messages)) == (True, 1)


def test_a_server_that_wants_tls_gets_no_mail_in_the_open(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "TIMEOUT_SECONDS", 0.2)
    with FakeMailServer(certificate, is_tls_at_once=True) as server:
        assert len(deliver([EVENT], mailing(server, SMTP_SECURITY="none"))) == 1
    assert server.messages == []


INJECTIONS = [
    "down\r\nBcc: everybody@example.org",
    "down =?utf-8?q?=0D=0ABcc:_everybody=40example.org?=",
    "down =?utf-8?b?DQpCY2M6IGV2ZXJ5Ym9keUBleGFtcGxlLm9yZw==?=",
    "down\u2028Bcc: everybody@example.org",
    "\x00\x1b[2J",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_error_text_cannot_add_headers_to_a_mail(text: str) -> None:
    with FakeMailServer() as server:
        assert deliver([Event("failure", text, 0)], mailing(server)) == []
    [mail] = server.messages
    assert mail["Bcc"] is None
    assert set(mail.keys()) == {
        *("Subject", "From", "To", "Date", "Message-ID", "MIME-Version"),
        *("Content-Type", "Content-Transfer-Encoding"),
    }


def test_every_mail_has_an_id_of_its_own_that_does_not_name_the_machine() -> None:
    with FakeMailServer() as server:
        deliver([EVENT, EVENT], mailing(server))
    ids = [str(mail["Message-ID"]) for mail in server.messages]
    assert len(set(ids)) == 2
    assert all(one.endswith("@example.org>") for one in ids)


@pytest.mark.parametrize(
    "text", ["@everyone", "@here look", "<!channel>", "<@U123>", "<@&42>", "@channel: fire"]
)
def test_an_error_text_calls_nobody(text: str) -> None:
    body, _ = posted(Event("failure", f"it said {text}", 0))
    for shown in (body["text"], body["content"]):
        assert not re.search(r"@\w|<", shown)
    assert body["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize("settings", [{"ALERT_WEBHOOK_FORMAT": "ntfy"}])
def test_ntfy_gets_the_sentence_as_it_is(settings: dict[str, str]) -> None:
    with Hook() as server:
        assert deliver([EVENT], hooked(server, **settings)) == []
    [request] = server.requests
    assert request.body.decode() == "Large divergence detected: +3.2%"
    assert request.headers["title"] == "On-chain price: divergence started"


@pytest.mark.parametrize(
    ("url", "is_ntfy"),
    [
        ("https://ntfy.sh/topic", True),
        ("https://ntfy.example.org/topic", True),
        ("https://hooks.slack.com/services/x", False),
        ("https://discord.com/api/webhooks/ntfy", False),
    ],
)
def test_an_ntfy_server_is_known_by_its_name(url: str, is_ntfy: bool) -> None:
    assert notify._is_ntfy(load_settings({"ALERT_WEBHOOK_URL": url}), url) is is_ntfy


def test_a_webhook_that_sends_a_byte_now_and_then_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notify, "DEADLINE_SECONDS", 0.2)
    with Hook() as server:
        server.hang()
        [failure] = deliver([EVENT], hooked(server))
    assert "took longer than" in failure


def test_details_that_json_does_not_know_become_text() -> None:
    event = Event("failure", "x", 0, details={"error": ValueError("disk full"), "path": Path("/x")})
    assert load_settings({}).clean(payload(event))["details"] == {
        "error": "disk full",
        "path": "/x",
    }


# The way to the webhook is that of the sources


class TlsHook(http.server.ThreadingHTTPServer):
    """A webhook behind TLS."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), OkHandler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)


class OkHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def tls_url(certificate: Path) -> Iterator[str]:
    server = TlsHook(certificate)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_at_home_is_trusted_by_the_authority_of_the_settings(
    tls_url: str, certificate: Path
) -> None:
    settings = load_settings({"ALERT_WEBHOOK_URL": tls_url, "ORACLE_CA_FILE": str(certificate)})
    assert deliver([EVENT], settings) == []
    [failure] = deliver([EVENT], load_settings({"ALERT_WEBHOOK_URL": tls_url}))
    assert "certificate" in failure.lower()


def test_a_webhook_outside_is_posted_through_the_proxy_and_one_inside_is_not() -> None:
    with Hook() as proxy, Hook() as inside:
        settings = load_settings(
            {"ALERT_WEBHOOK_URL": "http://hooks.example.org/a", "ORACLE_PROXY": proxy.url}
        )
        assert deliver([EVENT], settings) == []
        assert len(proxy.requests) == 1
        near = load_settings({"ALERT_WEBHOOK_URL": inside.url, "ORACLE_PROXY": proxy.url})
        assert deliver([EVENT], near) == []
        assert (len(proxy.requests), len(inside.requests)) == (1, 1)


def test_the_proxy_of_the_environment_is_not_used_for_the_webhook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Hook() as server:
        assert deliver([EVENT], hooked(server)) == []
