"""Other publishers beside this one, for the status page and the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.site import Site
from builder.pages.views.parts import Tag, plural

if TYPE_CHECKING:
    from builder.api.types import Peer, PeerState

STATE_TAGS: dict[PeerState | None, Tag] = {
    "agrees": Tag("ok", "agrees"),
    "differs": Tag("failing", "differs"),
    "other_method": Tag("degraded", "another version of the method"),
    "other_branch": Tag("degraded", "on another branch"),
    "other_network": Tag("degraded", "on another network"),
    None: Tag("degraded", "not compared yet"),
}
LAG_BLOCKS = 2
"""A peer so far behind lags: one block is what two builds may be apart."""


class PeerLine(NamedTuple):
    """A publisher: how it stands to us and since when, and how far it is."""

    peer: Peer
    state: Tag
    since_unix: int
    distance: str
    problem: str | None


class PeersFact(NamedTuple):
    """How many of the publishers that were compared agree."""

    agreeing: int
    compared: int
    words: str


def peer_lines(site: Site) -> Sequence[PeerLine]:
    """Return a line a publisher."""
    return [_line(peer) for peer in site.objects.peers["peers"]]


def peers_fact(site: Site) -> PeersFact | None:
    """Return how many agree; None where nobody was compared."""
    peers = site.objects.peers
    compared = peers["compared"]
    if not compared:
        return None
    differ = sum(peer["state"] == "differs" for peer in peers["peers"])
    words = f"{differ} {plural(differ, 'publisher')} differ" if differ else "to the last digit"
    return PeersFact(peers["agreeing"], compared, words)


def _line(peer: Peer) -> PeerLine:
    problem = peer["problem"]
    return PeerLine(
        peer=peer,
        state=STATE_TAGS[peer["state"]],
        since_unix=peer["since_unix"],
        distance=_distance(peer["blocks_behind"]),
        problem=problem and f"not compared now: {problem}",
    )


def _distance(blocks_behind: int | None) -> str:
    if blocks_behind is None:
        return "unknown"
    if blocks_behind < 0:
        return f"{-blocks_behind} ahead"
    if blocks_behind >= LAG_BLOCKS:
        return f"lags by {blocks_behind} blocks"
    return "at the tip"
