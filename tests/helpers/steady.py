"""Property tests that find the same cases in every run, and are never judged by the clock."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TRIES_ALL = os.environ.get("ORACLE_EXAMPLES") == "all"  # as `make test-slow` does
FEWER = 4


def steady(examples: int) -> settings:
    """Return settings for so many examples, or a part of them in the suite that everybody runs; a
    busy machine changes nothing."""
    return settings(
        max_examples=examples if TRIES_ALL else max(FEWER, examples // FEWER),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )
