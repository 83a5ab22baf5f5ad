"""`oracle notify`: what systemd runs where a service failed."""

from __future__ import annotations

import os
import re
import time

import click

from oracle.cli.common import read_settings, show
from oracle.errors import OracleError, RequestError
from oracle.logs import logging_to
from oracle.untold import Ending, tell

SERVICE = re.compile(r"[\w@.-]{1,80}")


@click.command()
@click.argument("service")
def notify(*, service: str) -> None:
    """Tell people that a service failed which could not tell it itself; systemd runs this."""
    if not SERVICE.fullmatch(service):
        raise RequestError("the service should be the name of a unit, such as oracle-build")
    settings = read_settings()
    result, status = (
        os.environ.get(f"MONITOR_{name}", "")[:40] for name in ("SERVICE_RESULT", "EXIT_STATUS")
    )
    ending = Ending(service, result, status)
    with logging_to(settings):
        failures = tell(ending, settings, int(time.time()))
    if failures:
        raise OracleError("; ".join(failures))
    answer = "there was nothing new to tell" if failures is None else ending.sentence
    show(answer, [answer], as_json=False)
