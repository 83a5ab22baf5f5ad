"""`oracle status`."""

from __future__ import annotations

import sys

import click

from builder.api.latest import make_latest
from builder.api.status import make_status
from builder.gather import gather
from oracle.chain import span_text
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.context import context_of
from oracle.record.reader import open_reader


@click.command()
@as_json_option
def status(*, as_json: bool) -> None:
    """Say how the last runs went, from the database."""
    settings = read_settings()
    with open_reader(settings.duckdb_path) as reader:
        context = context_of(settings)
        gathered = gather(reader, context.now_unix)
        found = make_status(gathered, make_latest(gathered, context), context)
    tip = found["tip"]
    error = found["last_error"]
    reasons = "; ".join(reason["message"] for reason in found["reasons"]) or "all is well"
    lines = [
        f"{found['status']}: {reasons}",
        f"  tip {tip['height']}, {span_text(tip['age_seconds'])} old" if tip else "  no block yet",
        f"  last success {found['last_success_at']}, next build due {found['next_due_at']}",
        *([f"  last error {found['last_error_at']}: {error['message']}"] if error else []),
    ]
    show(found, lines, as_json=as_json)
    sys.exit(0 if found["status"] in ("ok", "degraded") else 1)
