"""`oracle publish`."""

from __future__ import annotations

import time

import click

from builder.push.push import Pushed, push
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.progress import show_progress
from oracle.logs import logging_to

HOUR_SECONDS = 3600
MEGABYTE = 1e6


@click.command()
@click.argument("target")
@click.option(
    "--grace",
    "grace_hours",
    type=click.IntRange(0, 24 * 365),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long files stay that are over.",
)
@as_json_option
def publish(*, target: str, grace_hours: int, as_json: bool) -> None:
    """Put the site to TARGET, as in s3://bucket/folder or a folder: what is new, and no more."""
    settings = read_settings()
    with logging_to(settings), show_progress("sending", "files") as progress:
        pushed = push(
            settings.oracle_site_dir,
            target,
            now_unix=int(time.time()),
            grace_seconds=grace_hours * HOUR_SECONDS,
            progress=progress,
        )
    show(pushed._asdict(), _words(pushed), as_json=as_json)


def _words(pushed: Pushed) -> list[str]:
    lines = [
        f"release {pushed.release}: {pushed.sent_files:,} files sent "
        f"({pushed.sent_bytes / MEGABYTE:,.1f} MB), {pushed.unchanged_files:,} were there"
    ]
    if pushed.removed_files or pushed.waiting_files:
        lines.append(
            f"{pushed.removed_files:,} files that are over were removed, "
            f"{pushed.waiting_files:,} wait for the end of their grace"
        )
    return lines
