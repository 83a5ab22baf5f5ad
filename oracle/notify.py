"""Tell people: a webhook (JSON that Slack understands, too) and e-mail. A notifier never fails a run."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import httpx

from oracle.config import SIMULATED, Settings
from oracle.logs import get_logger

TIMEOUT_SECONDS = 5.0
TLS_PORT = 465  # TLS from the first byte, by registration
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something people should hear of.

    `kind` is failure, recovery, divergence_started, divergence_ended, low_confidence_started,
    low_confidence_ended or backup_holds_rows; `message` is one sentence; `details` are facts for programs,
    with units in their names.
    """

    kind: str
    message: str
    time_unix: int
    network: str = "main"
    details: Mapping[str, object] = field(default_factory=dict)


def deliver(events: Sequence[Event], settings: Settings) -> list[str]:
    """Send every event by every way that is set; return what failed, logged as warnings. Never raises."""
    ways = {"ALERT_WEBHOOK_URL": _post} if settings.alert_webhook_url else {}
    ways |= {"ALERT_EMAIL": _mail} if settings.alert_email else {}
    attempts = [_attempt(name, send, event, settings) for event in events for name, send in ways.items()]
    return [failure for failure in attempts if failure]


def _attempt(
    name: str, send: Callable[[Event, Settings], None], event: Event, settings: Settings
) -> str | None:
    try:
        send(event, settings)
    except Exception as error:  # whatever it is: the run's own work is done and is not lost over it
        failure = settings.redact(f"{name} did not take a notification: {str(error) or type(error).__name__}")
        log.warning(failure, event_kind=event.kind)
        return failure
    log.info("notification sent", by=name, event_kind=event.kind)
    return None


def payload(event: Event, settings: Settings) -> dict[str, Any]:
    """Return the JSON object that the webhook gets; `text` is what Slack shows."""
    product = "on-chain price, simulated" if event.network == SIMULATED else "on-chain price"
    text = f"[{product}] {event.kind.replace('_', ' ')}: {event.message}"
    facts: dict[str, Any] = {
        "text": text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;"),  # or Slack reads commands
        "event": event.kind,
        "message": event.message,
        "time": f"{datetime.fromtimestamp(event.time_unix, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "time_unix": event.time_unix,
        "network": event.network,
        "is_demo": event.network == SIMULATED,
        "details": event.details,
    }
    cleaned: dict[str, Any] = settings.clean(facts)
    return cleaned


def _post(event: Event, settings: Settings) -> None:
    body = json.dumps(payload(event, settings)).encode()
    headers = {"Content-Type": "application/json"}
    if secret := settings.alert_webhook_secret:
        digest = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
        headers["X-Oracle-Signature"] = f"sha256={digest}"
    url = settings.alert_webhook_url.get_secret_value() if settings.alert_webhook_url else ""
    with httpx.stream("POST", url, content=body, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
        if not answer.is_success:  # its body is not read: it may be endless
            raise ConnectionError(f"the webhook answered {answer.status_code}")


def _mail(event: Event, settings: Settings) -> None:
    facts = payload(event, settings)
    mail = EmailMessage()
    mail["Subject"] = f"[on-chain price, {event.network}] {event.kind.replace('_', ' ')}"
    mail["From"] = settings.smtp_from or settings.alert_email[0]
    mail["To"] = ", ".join(settings.alert_email)
    mail["Date"] = format_datetime(datetime.fromtimestamp(event.time_unix, UTC))
    lines = {"time": facts["time"], "network": event.network} | facts["details"]
    below = "".join(f"{name}: {value}\n" for name, value in lines.items())
    mail.set_content(f"{facts['message']}\n\n{below}")
    with _server(settings) as server:
        if settings.smtp_starttls and settings.smtp_port != TLS_PORT:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user and settings.smtp_password:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(mail)


def _server(settings: Settings) -> smtplib.SMTP:
    host, port = settings.smtp_host or "", settings.smtp_port
    if port != TLS_PORT:
        return smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
