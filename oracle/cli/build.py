"""`oracle build`, `oracle render` and `oracle rollback`: what makes a release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import cast

import click

from builder import releases
from builder.api.types import ErrorObject
from builder.site import Output, build_site, publish_failure
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.context import context_of
from oracle.cli.progress import show_progress
from oracle.config import Settings
from oracle.errors import StoreError
from oracle.logs import get_logger, log_settings, logging_to
from oracle.notify import deliver
from oracle.record.reader import open_reader
from oracle.run import Run, error_object, only_run, record

log = get_logger("oracle.cli")


@click.command()
@as_json_option
def build(*, as_json: bool) -> None:
    """Run once: fetch what is new, price it, record it, and publish the site."""
    settings = read_settings()
    with logging_to(settings), only_run(settings):
        log_settings(settings)
        with show_progress("reading blocks") as progress:
            result = record(settings, time.time, progress)
        released = _publish(settings, result)
        deliver(result.events, settings)
        if as_json:
            show({"exit_code": result.exit_code, "released": released}, (), as_json=True)
    if result.error:
        raise result.error


def _publish(settings: Settings, result: Run) -> str | None:
    """Publish what the run found, or that it failed; nothing when the database cannot be used."""
    if result.may_publish:
        return _build_site(settings)
    if isinstance(result.error, StoreError) or result.error is None:
        return None
    error = cast("ErrorObject", error_object(result.error, settings))
    with _site_errors(settings):
        return publish_failure(_output(settings), error, context_of(settings)).folder.name


def _build_site(settings: Settings) -> str:
    with (
        _site_errors(settings),
        open_reader(settings.duckdb_path) as reader,
        show_progress("drawing days") as progress,
    ):
        report = build_site(reader, _output(settings), context_of(settings), progress)
    log.info("published", **asdict(report) | {"folder": str(report.folder)})
    return report.folder.name


@contextmanager
def _site_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the site cannot be written to {settings.oracle_site_dir}: {error}"
        ) from error


def _output(settings: Settings) -> Output:
    where, url = settings.oracle_site_dir, settings.oracle_public_url
    return Output(where, url, settings.oracle_keep_releases, settings.oracle_publish_outputs)


@click.command()
def render() -> None:
    """Publish the site again from the database, without asking any source."""
    settings = read_settings()
    with logging_to(settings), only_run(settings):
        click.echo(_build_site(settings))


@click.command()
@click.argument("release", required=False)
def rollback(release: str | None) -> None:
    """Go back to the release before the present one, or to the one named."""
    settings = read_settings()
    with only_run(settings):
        click.echo(releases.rollback(settings.oracle_site_dir, release).name)
