"""What all tests share: the folder of real data, and nothing that hides a fact."""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oracle.simulated.chain import SimulatedChain
from tests.helpers.clock import STANDING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ORACLE_SHARED_DIR", PROJECT.parent / "shared"))


DRAW_BODY = SimulatedChain._draw_body

if "faketime" in os.environ.get("LD_PRELOAD", ""):
    # `make test-hours`: timers are real there, and libfaketime then refuses the deadline that
    # Python's own sleep hands to the kernel.
    time.sleep = partial(select.select, [], [], [])


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage does not watch the many examples of one property: being watched doubles their time,
    and what they run through is covered by the others."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("examples")
            item.add_marker("no_cover")


@pytest.fixture(scope="session", autouse=True)
def _standing_clock() -> Iterator[None]:
    """The machine's day and hour change nothing: see tests/helpers/clock.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", STANDING)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """What the builder writes is not forced out to the disk: no test pulls the plug, and a killed
    process leaves the same files either way. It was most of the time of a build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _blocks_drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The bodies of simulated blocks are drawn once for all tests and processes of a session: the
    same chains are asked for everywhere, and drawing was a seventh of its time."""
    here = tmp_path_factory.getbasetemp()
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    folder = (here.parent if worker else here) / "drawn"

    def drawn(chain: SimulatedChain, height: int) -> tuple[bytes, bytes]:
        name = hashlib.sha256(repr((type(chain), chain.settings, height)).encode()).hexdigest()
        place = folder / name[:2] / name
        with contextlib.suppress(FileNotFoundError):
            found = place.read_bytes()
            return found[:32], found[32:]
        root, packed = DRAW_BODY(chain, height)
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_suffix(f".{worker}.{threading.get_ident()}")
        unfinished.write_bytes(root + packed)
        unfinished.replace(place)
        return root, packed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedChain, "_draw_body", drawn)
        yield


@pytest.fixture(scope="module")
def drawn_anew(_blocks_drawn_once: None) -> Iterator[None]:
    """For tests of the drawing itself: nothing is remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedChain, "_draw_body", DRAW_BODY)
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all that look at pages."""
    from playwright.sync_api import sync_playwright

    from tests.browser.chromium import CHROMIUM, QUIET

    if not Path(CHROMIUM).is_file():
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real blocks and vectors beside the checkout; a clone without it skips these
    tests."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data: {SHARED} is absent (set ORACLE_SHARED_DIR to point at it)")
    return SHARED.resolve()


@pytest.fixture
def quick_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks write a fingerprint of what a price would be made of, instead of the price, which
    takes its time."""
    from tests.helpers.ticking import spot_fingerprint, window_fingerprint

    monkeypatch.setattr("oracle.tick.estimate_window", window_fingerprint)
    monkeypatch.setattr("oracle.tick.estimate_spot", spot_fingerprint)
