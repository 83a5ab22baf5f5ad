"""`/api/peers.json`: what other publishers say of the same blocks."""

from __future__ import annotations

from typing import Annotated, Literal

from typing_extensions import TypeAliasType, TypedDict

from builder.api.types.base import Count, Hash, Head, Height, Percent, Time, Unix, Usd, about

PeerState = TypeAliasType(
    "PeerState", Literal["agrees", "differs", "other_method", "other_branch", "other_network"]
)


class Peer(TypedDict):
    """One publisher."""

    peer: Annotated[str, about("the address of its site")]
    state: Annotated[
        PeerState | None,
        about(
            "agrees: the same prices of the same block, to the last digit; differs: other prices "
            "by the same method; other_method: another version of it; other_branch: another block "
            "at that height; null: never compared"
        ),
    ]
    since: Annotated[Time, about("since when that is so (ISO 8601 UTC)")]
    since_unix: Annotated[Unix, about("since when that is so (seconds since 1970 UTC)")]
    asked_at: Annotated[Time, about("when it was asked (ISO 8601 UTC)")]
    asked_at_unix: Annotated[Unix, about("when it was asked (seconds since 1970 UTC)")]
    problem: Annotated[str | None, about("why its last answer could not be compared")]
    problem_since: Annotated[Time | None, about("since when (ISO 8601 UTC)")]
    problem_since_unix: Annotated[Unix | None, about("since when (seconds since 1970 UTC)")]
    height: Annotated[Height | None, about("its newest block")]
    hash: Annotated[Hash | None, about("hash of it")]
    blocks_behind: Annotated[int | None, about("our tip minus its height; negative: it is ahead")]
    spot_usd: Annotated[Usd | None, about("its spot price")]
    window_usd: Annotated[Usd | None, about("its window price")]
    algorithm_version: Annotated[str | None, about("its version of the method")]
    compared_height: Annotated[Height | None, about("the newest block that was compared")]
    our_usd: Annotated[Usd | None, about("our price of that block; where they differ, the one")]
    peer_usd: Annotated[Usd | None, about("its price of that block")]
    difference_percent: Annotated[
        Percent | None, about("its price against ours (percent; 3.2 means 3.2 %)")
    ]


class Peers(Head):
    """Other publishers, by address; none where nobody set any."""

    agreeing: Annotated[Count, about("how many agree")]
    compared: Annotated[Count, about("how many were ever compared")]
    peers: list[Peer]
