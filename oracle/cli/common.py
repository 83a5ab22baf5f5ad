"""What several commands share: settings, the --json option, and how an answer is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import click

from oracle.config import Settings, load_settings

DOTENV = Path(".env")
as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON value on standard output."
)


def read_settings(**overrides: str) -> Settings:
    """Return the settings of the environment and .env; an empty override changes nothing."""
    return load_settings(os.environ, DOTENV, overrides=overrides)


def show(value: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print an answer: a JSON value, or lines."""
    click.echo(json.dumps(value, allow_nan=False) if as_json else "\n".join(lines))
