"""What all tests share: the folder of real data, and nothing that hides a fact."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real blocks and vectors beside the checkout; a clone without it skips these
    tests."""
    folder = Path(os.environ.get("ORACLE_SHARED_DIR", PROJECT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent (set ORACLE_SHARED_DIR to point at it)")
    return folder


@pytest.fixture
def quick_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks write a fingerprint of what a price would be made of, instead of the price, which
    takes its time."""
    from tests.helpers.ticking import spot_fingerprint, window_fingerprint

    monkeypatch.setattr("oracle.tick.estimate_window", window_fingerprint)
    monkeypatch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
