"""A webhook on loopback."""

from __future__ import annotations

import json
from typing import Any

from tests.helpers.fakes.server import FakeServer, Reply, Request


class Hook(FakeServer):
    """Somebody who is told."""

    def handle(self, request: Request) -> Reply:
        del request
        return Reply(200, b"ok")

    @property
    def told(self) -> list[dict[str, Any]]:
        """What was posted, in order."""
        return [json.loads(request.body) for request in self.requests]

    @property
    def kinds(self) -> list[str]:
        """The kind of each message."""
        return [facts["kind"] for facts in self.told]
