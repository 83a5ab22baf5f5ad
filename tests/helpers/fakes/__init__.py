"""Loopback servers that behave like the real ones, good days and bad: built from a plain list of
raw blocks.

chain = FakeChain(blocks, first_height=100)
with FakeCore(chain) as node:
    source = CoreSource(node.url, user=node.user, password=node.password)
    node.fail(503, b"Work queue depth exceeded", times=1)
"""

from tests.helpers.fakes.chain import GENESIS, FakeChain, small_blocks
from tests.helpers.fakes.core import FakeCore
from tests.helpers.fakes.esplora import (
    FakeElectrs,
    FakeMempoolBackend,
    FakeMempoolFrontend,
    FakeMempoolSite,
)
from tests.helpers.fakes.server import FakeServer, Reply

__all__ = [
    "GENESIS",
    "FakeChain",
    "FakeCore",
    "FakeElectrs",
    "FakeMempoolBackend",
    "FakeMempoolFrontend",
    "FakeMempoolSite",
    "FakeServer",
    "Reply",
    "small_blocks",
]
