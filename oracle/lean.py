"""Import a library without what it takes along and we do not use.

structlog loads rich for coloured tracebacks, and it loads asyncio for its asynchronous half;
prometheus-client loads a web server. Each took longer to load than most of the code of a build.
They are made to work without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


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


class _Hollow(ModuleType):
    """Has every class that it is asked for, with nothing in it: something to derive from."""

    def __getattr__(self, name: str) -> type:
        return type(name, (), {})


@contextmanager
def hollow(*names: str) -> Iterator[None]:
    """Let imports within have empty classes from modules; one that is loaded already stays."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = _Hollow(name)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _StandIn(ModuleType):
    """Loads the module that it stands for as soon as somebody asks for anything in it."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def putting_off(name: str) -> Iterator[None]:
    """Let imports within have a module only when they use it; one that is loaded already stays."""
    if name in sys.modules:
        yield
        return
    stand_in = sys.modules[name] = _StandIn(name)
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
