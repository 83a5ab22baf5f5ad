"""`/api/peers.json`: other publishers beside this one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.api.head import head, iso, iso_or_none
from builder.gather import Context, Gathered
from builder.rows import PeerRow

if TYPE_CHECKING:
    from builder.api.types import Peer, Peers


def make_peers(gathered: Gathered, context: Context) -> Peers:
    """Return `/api/peers.json`."""
    states = [row["state"] for row in gathered.peers]
    return {
        **head(gathered, context.now_unix, context.calculator.algorithm_version),
        "agreeing": states.count("agrees"),
        "compared": len(states) - states.count(None),
        "peers": [_peer(row, gathered) for row in gathered.peers],
    }


def _peer(row: PeerRow, gathered: Gathered) -> Peer:
    tip = gathered.tip
    height = row["height"]
    return {
        "peer": row["peer"],
        "state": row["state"],
        "since": iso(row["since_unix"]),
        "since_unix": row["since_unix"],
        "asked_at": iso(row["asked_at_unix"]),
        "asked_at_unix": row["asked_at_unix"],
        "problem": row["problem"],
        "problem_since": iso_or_none(row["problem_since_unix"]),
        "problem_since_unix": row["problem_since_unix"],
        "height": height,
        "hash": row["hash"],
        "blocks_behind": tip["height"] - height if tip and height is not None else None,
        "spot_usd": row["spot_usd"],
        "window_usd": row["window_usd"],
        "algorithm_version": row["algorithm_version"],
        "compared_height": row["compared_height"],
        "our_usd": row["our_usd"],
        "peer_usd": row["peer_usd"],
        "difference_percent": row["difference_percent"],
    }
