"""Asking peers for their newest prices: all at once, and no longer than some seconds together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from oracle.address import parse_address
from oracle.errors import SettingsError
from oracle.peers.judge import PeerAnswer
from oracle.sources.replies import latest_of
from oracle.web import Route, WebClient, WebError, WebRequest

ASK_SECONDS = 3.0  # for all of them: a peer never holds a build up for longer
MAX_LATEST_BYTES = 200_000  # of latest.json, which has some 3,000
OK = 200
NO_ANSWER = f"it did not answer within {ASK_SECONDS:g} seconds"


def ask_peers(peers: Sequence[str], route: Route) -> dict[str, PeerAnswer | str]:
    """Return by peer what it says, or in words why nothing usable came.

    Whoever has not answered in time is left behind in a thread that ends by its own deadline.
    """
    answers: dict[str, PeerAnswer | str] = dict.fromkeys(peers, NO_ANSWER)
    came: dict[str, PeerAnswer | str] = {}

    def ask(peer: str) -> None:
        came[peer] = ask_peer(peer, route)

    end = time.monotonic() + ASK_SECONDS
    threads = [threading.Thread(target=ask, args=(peer,), daemon=True) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return answers | dict(came)


def ask_peer(peer: str, route: Route) -> PeerAnswer | str:
    """Return what one peer says of its newest block, or in words why it says nothing usable."""
    try:
        address = parse_address(peer)
        client = WebClient(address, route)
    except (ValueError, SettingsError) as error:
        return str(error)
    try:
        target = address.target("/api/latest.json")
        answer = client.exchange(WebRequest("GET", target, ASK_SECONDS, MAX_LATEST_BYTES))
    except WebError as error:
        return f"it cannot be reached: {error.trouble.value}"
    finally:
        client.close()
    if answer.status != OK:
        return f"it answers {answer.status}"
    latest = latest_of(answer.body)
    if latest is None:
        return "what it answers is no latest.json"
    if latest.tip is None:
        return "it has no block yet"
    return PeerAnswer(
        network=latest.network,
        is_demo=latest.is_demo,
        algorithm_version=latest.algorithm_version,
        height=latest.tip.height,
        hash=latest.tip.hash,
        spot_usd=latest.spot.price_usd if latest.spot else None,
        window_usd=latest.window.price_usd if latest.window else None,
    )
