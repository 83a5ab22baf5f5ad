"""`oracle doctor`."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import click

from builder.gather import gather
from oracle.cli.common import as_json_option, read_settings, show
from oracle.config import Settings
from oracle.doctor import Finding, examine
from oracle.notify import Event, deliver
from oracle.record.reader import open_reader
from oracle.wiring import open_sources


@click.command()
@click.option("--notify", is_flag=True, help="Also send a test by every notification that is set.")
@as_json_option
def doctor(*, notify: bool, as_json: bool) -> None:
    """Look at every source, the clock, disks, permissions, the quote and the database."""
    settings = read_settings()
    sources = open_sources(settings, time.time, is_lasting=False, is_patient=False)
    try:
        findings = examine(
            settings, sources.blocks.sources, sources.quotes, lambda: _query_ms(settings), time.time
        )
    finally:
        sources.close()
    if notify:
        findings += _notify(settings)
    lines = [
        f"{found.level:4}  {found.name}: {found.message}"
        + (f"\n      {found.advice}" if found.advice else "")
        for found in findings
    ]
    show([asdict(finding) for finding in findings], lines, as_json=as_json)
    sys.exit(1 if any(finding.level == "bad" for finding in findings) else 0)


def _notify(settings: Settings) -> list[Finding]:
    """Send a test message by each way, and say which took it."""
    if not settings.alert_webhook_url and not settings.alert_email:
        advice = "Set ALERT_WEBHOOK_URL or ALERT_EMAIL; see docs/settings.md."
        return [Finding("notify", "warn", "no notification is set", advice)]
    message = "This is a test of oracle doctor --notify; nothing is wrong."
    failures = deliver([Event("test", message, int(time.time()))], settings)
    if failures:
        advice = "Check its address, port, user and password."
        return [Finding("notify", "bad", failure, advice) for failure in failures]
    return [Finding("notify", "ok", "a test message was taken by every way that is set")]


def _query_ms(settings: Settings) -> float:
    with open_reader(settings.duckdb_path) as reader:
        started = time.perf_counter()
        gather(reader, int(time.time()))
        return 1000 * (time.perf_counter() - started)
