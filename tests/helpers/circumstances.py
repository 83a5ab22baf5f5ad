"""What a build is told besides the record: a time, and everything else as the settings have it."""

from __future__ import annotations

from typing import Any

from builder.gather import Context
from oracle.config import load_settings
from oracle.wiring import calculator_of, limits_of
from tests.helpers.made_history import END_UNIX


def context(now_unix: int = END_UNIX, **changes: Any) -> Context:
    """Return the circumstances of a build at a time, with the settings' own defaults."""
    settings = load_settings({})
    usual: dict[str, Any] = {
        "interval_seconds": 60 * settings.analysis_interval_minutes,
        "limits": limits_of(settings),
        "calculator": calculator_of(settings),
        "machine": {},
    }
    return Context(now_unix=now_unix, **{**usual, **changes})
