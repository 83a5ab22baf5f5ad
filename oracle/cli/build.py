"""`oracle build`, `oracle render` and `oracle rollback`: what makes a release."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from functools import partial

import click

from builder import releases
from builder.pages.environment import keep_compiled
from builder.site import Output, build_site
from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.context import context_of
from oracle.cli.progress import show_progress
from oracle.config import Settings
from oracle.early import EarlySite
from oracle.errors import SiteError
from oracle.fetch import no_progress
from oracle.lock import only_run
from oracle.logs import get_logger, log_settings, logging_to
from oracle.record.reader import open_reader
from oracle.run import run_once

log = get_logger("oracle.cli")


@click.command()
@click.option("--anew", is_flag=True, help="Begin a new database although the site has a history.")
@as_json_option
def build(*, anew: bool, as_json: bool) -> None:
    """Run once: fetch what is new, price it, record it, and publish the site."""
    settings = read_settings()
    output = output_of(settings)  # a key that cannot be used is told before anything is done
    with logging_to(settings):
        log_settings(settings)
        shown_height = _shown_height(settings)
        is_first = shown_height is None and not settings.is_simulated
        publish_early = partial(_build_site, settings, output, is_early=True)
        with show_progress("reading blocks") as progress:
            run = run_once(
                settings,
                time.time,
                lambda: _build_site(settings, output),
                EarlySite(publish_early, progress) if is_first else progress,
                shown_height=None if anew else shown_height,
            )
        if as_json:
            answer = {"exit_code": run.exit_code, "released": run.released}
            show(answer, (), as_json=True)
    if run.error:
        raise run.error


def _shown_height(settings: Settings) -> int | None:
    """Return the newest block that the site in force shows, unless its blocks are simulated."""
    try:
        release = releases.current_release(settings.oracle_site_dir)
        path = release / "api/latest.json" if release else None
        if path is None or not path.is_file():  # to open a pipe would wait for ever
            return None
        latest = json.loads(path.read_bytes())
        return None if latest.get("is_demo") else int(latest["tip"]["height"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # no such site
        return None


def _build_site(settings: Settings, output: Output, *, is_early: bool = False) -> str:
    """Build the site from the record, and return the name of the release; an early one beside the
    progress of the reading, without its own."""
    keep_compiled(settings.duckdb_path.with_suffix(".templates"))
    drawing = nullcontext(no_progress) if is_early else show_progress("drawing days", "days")
    with open_reader(settings.duckdb_path) as reader, drawing as progress:
        report = build_site(reader, output, context_of(settings), progress)
    if not is_early:
        log.info("published", **report._asdict() | {"folder": str(report.folder)})
    return report.folder.name


def output_of(settings: Settings) -> Output:
    """Return where and how the site appears.

    Raises:
        SettingsError: the key that signs it cannot be used.
    """
    signer = None
    if settings.oracle_signing_key:
        from oracle.signing import Signer

        signer = Signer(settings.oracle_signing_key)
    where = settings.oracle_site_dir
    url = settings.oracle_public_url
    return Output(
        where,
        url,
        settings.oracle_keep_releases,
        settings.oracle_publish_outputs,
        sign=signer.sign if signer else None,
        public_key=signer.public_key if signer else None,
    )


@click.command()
def render() -> None:
    """Publish the site again from the database, without asking any source."""
    settings = read_settings()
    output = output_of(settings)
    with logging_to(settings), only_run(settings):
        try:
            release = _build_site(settings, output)
        except OSError as error:
            raise SiteError(settings.oracle_site_dir, str(error)) from error
    click.echo(release)


@click.command()
@click.argument("release", required=False)
def rollback(release: str | None) -> None:
    """Go back to the release before the present one, or to the one named."""
    settings = read_settings()
    with only_run(settings):
        click.echo(releases.rollback(settings.oracle_site_dir, release).name)
