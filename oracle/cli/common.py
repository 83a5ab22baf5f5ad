"""What several commands share: settings, the --json option, and how an answer is shown."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import click

from oracle.config import Settings, load_settings
from oracle.errors import OracleError
from oracle.masking import mask

DOTENV = Path(".env")
_settings: Settings | None = None
as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON value on standard output."
)


def read_settings(**overrides: str) -> Settings:
    """Return the settings of the environment and .env; an empty override changes nothing."""
    global _settings  # noqa: PLW0603 - one command a process, and its last sentence is masked
    _settings = load_settings(os.environ, DOTENV, overrides=overrides)
    return _settings


def complain(sentence: str) -> None:
    """Print a sentence on standard error, without any secret of the settings."""
    secrets = _settings.secrets if _settings else frozenset[str]()
    try:
        click.echo(f"oracle: {mask(sentence, secrets)}", err=True)
    except (OSError, ValueError):  # standard error is closed, or full: the exit code says it still
        return


def log_traceback(error: Exception) -> str | None:
    """Log an error that nobody expects where LOG_FILE says; return where it stands, if anywhere."""
    if _settings is None or _settings.log_file is None:
        return None
    from oracle.logs import get_logger, logging_to

    with logging_to(_settings, io.StringIO()):  # not on the terminal
        get_logger("oracle.cli").critical(
            "something went wrong that should not have", exc_info=error
        )
    return f"the traceback is in {_settings.log_file}"


def show(value: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print an answer: a JSON value, or lines.

    Raises:
        OracleError: standard output does not take it.
    """
    text = json.dumps(value, allow_nan=False) if as_json else "\n".join(lines)
    try:
        click.echo(text)
    except BrokenPipeError:  # its reader has seen enough
        raise
    except OSError as error:
        raise OracleError(
            f"the answer cannot be written to standard output ({error.strerror}): is the disk full?"
        ) from error
