"""Whether what a peer says of a block is what the record says. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from oracle.exchange.compare import percent_above

PeerState = Literal["agrees", "differs", "other_method", "other_branch", "other_network"]


class PeerAnswer(NamedTuple):
    """What a peer publishes of its newest block."""

    network: str
    is_demo: bool
    algorithm_version: str
    height: int
    hash: str
    spot_usd: float | None
    window_usd: float | None


class OurPrice(NamedTuple):
    """What the record says of a block."""

    height: int
    hash: str
    algorithm_version: str
    spot_usd: float | None
    window_usd: float | None


class Judgement(NamedTuple):
    """How a peer stands to us; without a state, `problem` is why nothing could be compared.

    Where the two differ, `our_usd` and `peer_usd` are the prices that do.
    """

    state: PeerState | None
    problem: str | None = None
    compared_height: int | None = None
    our_usd: float | None = None
    peer_usd: float | None = None
    difference_percent: float | None = None


def judge(said: PeerAnswer, ours: OurPrice | None, network: str, *, is_demo: bool) -> Judgement:
    """Compare a peer's answer with what the record says of the same height.

    Args:
        said: the answer.
        ours: the record's price as of that height, None where it has none.
        network: whose blocks the record holds.
        is_demo: whether these are simulated.
    """
    if (said.network, said.is_demo) != (network, is_demo):
        return Judgement("other_network")
    if ours is None:
        return Judgement(None, "its newest block has no price on record here")
    if said.hash != ours.hash:
        return Judgement("other_branch", compared_height=said.height)
    pairs = [(said.spot_usd, ours.spot_usd), (said.window_usd, ours.window_usd)]
    known = [(theirs, own) for theirs, own in pairs if theirs is not None]
    if not known:
        return Judgement(None, "it has no price of its newest block")
    apart = [(theirs, own) for theirs, own in known if theirs != own]
    theirs, own = (apart or known)[0]
    if said.algorithm_version != ours.algorithm_version:
        state: PeerState = "other_method"
    else:
        state = "differs" if apart else "agrees"
    return Judgement(
        state,
        compared_height=said.height,
        our_usd=own,
        peer_usd=theirs,
        difference_percent=percent_above(theirs, own),
    )
