"""Tell people: a webhook that Slack, Discord or ntfy understands, and e-mail.

A notifier never fails a run, and never holds one up: all of a delivery has a deadline.
"""

from __future__ import annotations

import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from oracle.address import parse_address
from oracle.config import SIMULATED, Settings
from oracle.logs import get_logger
from oracle.masking import tamed
from oracle.wiring import route_of

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

    import httpx

TIMEOUT_SECONDS = 5.0  # of one step: connecting, or an answer
DEADLINE_SECONDS = 30.0  # of one delivery, however slowly the other side talks
LONGEST_CONTENT = 1_900  # characters: Discord refuses a message of more than 2,000
LONGEST_SUBJECT = 200  # characters of a mail's subject
log = get_logger(__name__)


class Event(NamedTuple):
    """Something people should hear of.

    `kind` is failure, recovery, divergence_started, divergence_ended, low_confidence_started,
    low_confidence_ended, peer_differs_started, peer_differs_ended, backup_holds_rows or test;
    `message` is one sentence; `details` are facts for programs, with units in their names.
    """

    kind: str
    message: str
    time_unix: int
    network: str = "main"
    details: Mapping[str, object] = MappingProxyType({})


def deliver(events: Sequence[Event], settings: Settings) -> list[str]:
    """Send every event by every way that is set; return what failed, logged as warnings.

    Never raises.
    """
    ways: dict[str, tuple[object, Callable[[dict[str, Any], Settings], None]]] = {
        "ALERT_WEBHOOK_URL": (settings.alert_webhook_url, _post),
        "ALERT_EMAIL": (settings.alert_email, _mail),
    }
    failures = []
    for name, (is_set, send) in ways.items():
        for event in events if is_set else ():
            problem = _within_deadline(send, settings.clean(payload(event)), settings)
            if problem is not None:
                failure = f"{name} did not take a notification: {problem}"
                failures.append(settings.redact(failure))
                log.warning(failures[-1], kind=event.kind)
    return failures


def _within_deadline(
    send: Callable[[dict[str, Any], Settings], None], facts: dict[str, Any], settings: Settings
) -> str | None:
    """Deliver in a thread that may be left behind; return what went wrong."""
    problems: list[str] = []

    def run() -> None:
        try:
            send(facts, settings)
        except Exception as error:  # whatever it is: the run's own work is done, not lost over it
            problems.append(str(error) or repr(error))

    thread = threading.Thread(target=run, name="deliver", daemon=True)
    thread.start()
    thread.join(DEADLINE_SECONDS)
    if thread.is_alive():
        return f"it took longer than {DEADLINE_SECONDS:.0f} seconds"
    return problems[0] if problems else None


def payload(event: Event) -> dict[str, Any]:
    """Return the JSON object that the webhook gets.

    Its `text` is what Slack shows, `content` what Discord shows; both without commands or mentions.
    """
    is_demo = event.network == SIMULATED
    sender = "on-chain price, simulated" if is_demo else "on-chain price"
    text = harmless(f"[{sender}] {event.kind.replace('_', ' ')}: {event.message}")
    time = f"{datetime.fromtimestamp(event.time_unix, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "text": text,
        "content": text[:LONGEST_CONTENT],
        "allowed_mentions": {"parse": []},
        **event._asdict(),
        "details": dict(event.details),
        "time": time,
        "is_demo": is_demo,
    }


def harmless(text: str) -> str:
    """Return a text in which no chat finds a command or a mention of somebody."""
    quiet = re.sub(r"@(?=\w)", "@ ", tamed(text))
    return " ".join(quiet.replace("<", "&lt;").split())


def _post(facts: dict[str, Any], settings: Settings) -> None:
    url = settings.alert_webhook_url.get_secret_value() if settings.alert_webhook_url else ""
    if _is_ntfy(settings, url):
        body = facts["message"].encode()
        title = facts["kind"].replace("_", " ")
        headers = {"Content-Type": "text/plain; charset=utf-8", "Title": f"On-chain price: {title}"}
    else:
        body = json.dumps(facts).encode()
        headers = {"Content-Type": "application/json"}
    if secret := settings.alert_webhook_secret:
        signature = hmac.new(secret.get_secret_value().encode(), body, "sha256")
        headers["X-Oracle-Signature"] = f"sha256={signature.hexdigest()}"
    with (
        _client(url, settings) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,
    ):
        if not answer.is_success:  # its body is not read: it may be endless
            raise ConnectionError(f"the webhook answered {answer.status_code}")


def _client(url: str, settings: Settings) -> httpx.Client:
    """Return a client that goes the way of sources: their authorities, their proxy, and nothing of
    the environment."""
    import httpx

    from oracle.web import trusted

    proxy = settings.oracle_proxy
    is_outside = route_of(settings).proxy_for(parse_address(url)) is not None
    return httpx.Client(
        timeout=TIMEOUT_SECONDS,
        verify=trusted(settings.oracle_ca_file),
        proxy=proxy.get_secret_value() if proxy and is_outside else None,
        trust_env=False,
        follow_redirects=False,
    )


def _is_ntfy(settings: Settings, url: str) -> bool:
    """Tell whether the webhook is an ntfy topic, which shows the body of a post as it is."""
    if settings.alert_webhook_format != "auto":
        return settings.alert_webhook_format == "ntfy"
    return "ntfy" in (urlsplit(url).hostname or "").split(".")


def _mail(facts: dict[str, Any], settings: Settings) -> None:
    with _connected(settings) as server:
        if settings.smtp_user and settings.smtp_password:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(_message(facts, settings))


def _connected(settings: Settings) -> smtplib.SMTP:
    """Return a connection as SMTP_SECURITY asks; never one with less protection."""
    import smtplib

    from oracle.web import trusted

    host = settings.smtp_host or ""
    context = trusted(settings.oracle_ca_file)
    is_tls = settings.smtp_security == "tls" or settings.smtp_port == smtplib.SMTP_SSL_PORT
    if not is_tls:
        try:
            server = smtplib.SMTP(host, settings.smtp_port, timeout=TIMEOUT_SECONDS)
        except (TimeoutError, smtplib.SMTPServerDisconnected):
            if settings.smtp_security == "none":
                raise
            is_tls = True  # a server that speaks TLS from the first byte says nothing in the open
    if is_tls:
        return smtplib.SMTP_SSL(host, settings.smtp_port, timeout=TIMEOUT_SECONDS, context=context)
    if settings.smtp_security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _message(facts: dict[str, Any], settings: Settings) -> EmailMessage:
    from email.message import EmailMessage
    from email.utils import make_msgid

    sender = settings.smtp_from or settings.alert_email[0]
    mail = EmailMessage()
    # "=?" would begin an encoded word, which may hold the end of a line and headers after it.
    subject = " ".join(facts["text"].replace("=?", "= ?").replace("&lt;", "<").split())
    mail["Subject"] = subject[:LONGEST_SUBJECT]
    mail["From"] = sender
    mail["To"] = ", ".join(settings.alert_email)
    mail["Date"] = datetime.fromtimestamp(facts["time_unix"], UTC)
    mail["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    below = "".join(f"{name}: {value}\n" for name, value in facts["details"].items())
    mail.set_content(
        f"{facts['message']}\n\ntime: {facts['time']}\nnetwork: {facts['network']}\n{below}"
    )
    return mail
