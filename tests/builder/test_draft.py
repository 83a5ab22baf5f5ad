"""What a draft holds: in memory, or on the disk where there is much of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder import draft
from builder.draft import NewFiles

SMALL = 1000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "HELD_BYTES", SMALL)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(files=st.dictionaries(st.text(max_size=8), st.binary(max_size=3 * SMALL), max_size=8))
@pytest.mark.usefixtures("small")
def test_every_file_is_what_was_put_in(files: dict[str, bytes]) -> None:
    held = NewFiles()
    for path, data in files.items():
        held[path] = b"an earlier one"
        held[path] = data
    assert dict(held) == files


@pytest.mark.usefixtures("small")
def test_threads_that_write_files_out_do_not_get_each_others(tmp_path: Path) -> None:
    held = NewFiles(tmp_path)
    files = {f"{number}": bytes([number]) * (50 * number) for number in range(100)}
    for path, data in files.items():
        held[path] = data
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(files, pool.map(held.__getitem__, files), strict=True))
    assert found == files
    assert list(tmp_path.iterdir()) == []  # nobody else sees what is held there
