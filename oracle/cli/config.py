"""`oracle config`."""

from __future__ import annotations

import click

from oracle.cli.common import as_json_option, read_settings, show


@click.command()
@as_json_option
def config(*, as_json: bool) -> None:
    """Print each setting, where its value came from, and what is wrong; secrets are masked."""
    settings = read_settings()
    shown = settings.describe()
    lines = [f"{setting.name}={setting.value}  # {setting.origin}" for setting in shown]
    show([setting._asdict() for setting in shown], lines, as_json=as_json)
    for warning in settings.warnings:
        click.echo(f"oracle: {warning}", err=True)
