"""How much is tried: property tests that find the same cases in every run and are never judged by
the clock, and the cases that are left to `make test-slow`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
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


def thinned(cases: Iterable[Any], every: int = FEWER) -> list[Any]:
    """Return cases, each in a test's one parameter, of which the suite that everybody runs tries
    some and `make test-slow` the others."""
    return [
        case if place % every == 0 else pytest.param(case, marks=pytest.mark.slow)
        for place, case in enumerate(cases)
    ]
