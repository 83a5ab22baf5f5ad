"""Tell people: a webhook (JSON that Slack understands, too) and e-mail. A notifier never fails a
run."""

from __future__ import annotations

import hmac
import json
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import httpx

from oracle.config import SIMULATED, Settings
from oracle.logs import get_logger

TIMEOUT_SECONDS = 5.0
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something people should hear of.

    `kind` is failure, recovery, divergence_started, divergence_ended, low_confidence_started,
    low_confidence_ended or backup_holds_rows; `message` is one sentence; `details` are facts for
    programs, with units in their names.
    """

    kind: str
    message: str
    time_unix: int
    network: str = "main"
    details: Mapping[str, object] = field(default_factory=dict)


def deliver(events: Sequence[Event], settings: Settings) -> list[str]:
    """Send every event by every way that is set; return what failed, logged as warnings. Never
    raises."""
    ways = {"ALERT_WEBHOOK_URL": _post, "ALERT_EMAIL": _mail}
    failures = []
    for name, send in ways.items():
        for event in events if getattr(settings, name.lower()) else ():
            try:
                send(settings.clean(payload(event)), settings)
            except (
                Exception
            ) as error:  # whatever it is: the run's own work is done and is not lost over it
                failures.append(
                    settings.redact(
                        f"{name} did not take a notification: {str(error) or repr(error)}"
                    )
                )
                log.warning(failures[-1], kind=event.kind)
    return failures


def payload(event: Event) -> dict[str, Any]:
    """Return the JSON object that the webhook gets.

    Its `text` is what Slack shows, and the subject of a mail.
    """
    is_demo = event.network == SIMULATED
    sender = "on-chain price, simulated" if is_demo else "on-chain price"
    text = f"[{sender}] {event.kind.replace('_', ' ')}: {event.message}"
    time = f"{datetime.fromtimestamp(event.time_unix, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {"text": text, **asdict(event), "time": time, "is_demo": is_demo}


def _post(facts: dict[str, Any], settings: Settings) -> None:
    # Slack reads commands after <.
    body = json.dumps(facts | {"text": facts["text"].replace("<", "&lt;")}).encode()
    headers = {"Content-Type": "application/json"}
    if secret := settings.alert_webhook_secret:
        signature = hmac.new(secret.get_secret_value().encode(), body, "sha256")
        headers["X-Oracle-Signature"] = f"sha256={signature.hexdigest()}"
    url = settings.alert_webhook_url.get_secret_value() if settings.alert_webhook_url else ""
    with httpx.stream(
        "POST", url, content=body, headers=headers, timeout=TIMEOUT_SECONDS
    ) as answer:
        if not answer.is_success:  # its body is not read: it may be endless
            raise ConnectionError(f"the webhook answered {answer.status_code}")


def _mail(facts: dict[str, Any], settings: Settings) -> None:
    mail = EmailMessage()
    mail["Subject"] = " ".join(facts["text"].split())
    mail["From"], mail["To"] = (
        settings.smtp_from or settings.alert_email[0],
        ", ".join(settings.alert_email),
    )
    mail["Date"] = datetime.fromtimestamp(facts["time_unix"], UTC)
    below = "".join(f"{name}: {value}\n" for name, value in facts["details"].items())
    mail.set_content(
        f"{facts['message']}\n\ntime: {facts['time']}\nnetwork: {facts['network']}\n{below}"
    )
    with smtplib.SMTP(
        settings.smtp_host or "", settings.smtp_port, timeout=TIMEOUT_SECONDS
    ) as server:
        if settings.smtp_starttls:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user and settings.smtp_password:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(mail)
