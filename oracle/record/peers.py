"""What the record holds of other publishers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, cast

from oracle.peers.judge import PeerState
from oracle.record.connect import connect, translated
from oracle.record.sql import statements


class StoredPeer(TypedDict):
    """A row of `peers`."""

    peer: str
    state: PeerState | None
    since_unix: int
    ended_at_unix: int | None
    asked_at_unix: int
    problem: str | None
    problem_since_unix: int | None
    height: int | None
    hash: str | None
    spot_usd: float | None
    window_usd: float | None
    algorithm_version: str | None
    compared_height: int | None
    our_usd: float | None
    peer_usd: float | None
    difference_percent: float | None


class PeerLedger:
    """The peers of a record that a tick has opened before; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            StoreError: it cannot be opened.
        """
        self._path = path
        with translated(path):
            self._db = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def open_rows(self) -> list[StoredPeer]:
        """Return the newest state of each peer that was asked in the run before."""
        return cast("list[StoredPeer]", self._rows("open_peers"))

    def price(self, height: int) -> dict[str, Any] | None:
        """Return the prices as of a block, with its hash and the version of the method."""
        found = self._rows("price_at", height=height)
        return found[0] if found else None

    def kind(self) -> tuple[str, bool]:
        """Return the network of the blocks, and whether they are simulated."""
        facts = {row["name"]: row["value"] for row in self._rows("facts_of_database")}
        return facts.get("network", "unknown"), facts.get("is_demo", "false").lower() == "true"

    def write(self, rows: Sequence[StoredPeer]) -> None:
        """Write the rows of this run in place of those that were open."""
        with translated(self._path):
            self._db.execute("BEGIN")
            self._db.execute(statements()["forget_open_peers"])
            for row in rows:
                self._db.execute(statements()["add_peer"], dict(row))
            self._db.execute("COMMIT")

    def _rows(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        with translated(self._path):
            cursor = self._db.execute(statements()[name], parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
