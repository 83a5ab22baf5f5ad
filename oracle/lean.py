"""Import a library without the optional ones that it takes along where they are installed.

structlog loads rich for coloured tracebacks, which are not used here, and which took longer to load
than the code of a build. It is made to work without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let imports within find no module of these names; one that is loaded already stays."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # what importlib takes for "is not there"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
