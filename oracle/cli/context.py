"""What a build is told of the moment and the machine."""

from __future__ import annotations

import time

from builder.gather import Context
from builder.site import describe_machine
from oracle.config import Settings
from oracle.wiring import calculator_of, limits_of


def context_of(settings: Settings) -> Context:
    """Return the time, the rules and the machine that status and site state."""
    return Context(
        now_unix=int(time.time()),
        interval_seconds=60 * settings.analysis_interval_minutes,
        limits=limits_of(settings),
        calculator=calculator_of(settings),
        machine=describe_machine(settings.oracle_site_dir, settings.duckdb_path),
    )
