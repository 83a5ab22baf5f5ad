"""One round of asking the peers: ask, compare with the record, write down, and say what is news."""

from __future__ import annotations

from oracle.config import Settings
from oracle.logs import get_logger
from oracle.news import News
from oracle.peers.judge import Judgement, OurPrice, PeerAnswer, judge
from oracle.record.peers import PeerLedger, StoredPeer
from oracle.wiring import route_of

log = get_logger(__name__)


def meet_peers(settings: Settings, now_unix: int) -> list[News]:
    """Ask the peers of the settings, record what they say, and return what people should hear of.

    Those that are asked no more are closed. A peer never fails a run; that the record cannot take
    what was heard is logged.
    """
    peers = settings.oracle_peers
    try:
        with PeerLedger(settings.duckdb_path) as ledger:
            known = {row["peer"]: row for row in ledger.open_rows()}
            if not peers and not known:
                return []
            heard = _asked(settings)
            met = [_meet(ledger, peer, heard[peer], known.get(peer), now_unix) for peer in peers]
            gone = [_closed(row, now_unix) for peer, row in known.items() if peer not in heard]
            ledger.write([*gone, *(row for rows, _ in met for row in rows)])
            return [news for _, found in met for news in found]
    except Exception as error:  # the prices are recorded, and their site is what counts
        log.warning("the peers could not be recorded", reason=str(error))
        return []


def _asked(settings: Settings) -> dict[str, PeerAnswer | str]:
    if not settings.oracle_peers:
        return {}
    from oracle.peers.ask import ask_peers  # loads HTTP, which most do not need here

    return ask_peers(settings.oracle_peers, route_of(settings))


def _meet(
    ledger: PeerLedger, peer: str, heard: PeerAnswer | str, before: StoredPeer | None, now_unix: int
) -> tuple[list[StoredPeer], list[News]]:
    """Return the rows of a peer as they now stand, and what is news."""
    said = heard if isinstance(heard, PeerAnswer) else None
    judged = Judgement(None, str(heard)) if said is None else _judged(ledger, said)
    now = next_row(peer, before, said, judged, now_unix)
    rows = [now] if before is None or _goes_on(before, now) else [_closed(before, now_unix), now]
    if judged.problem:
        log.info("a peer was not compared", peer=peer, reason=judged.problem)
    return rows, _news(before, now)


def _judged(ledger: PeerLedger, said: PeerAnswer) -> Judgement:
    found = ledger.price(said.height)
    ours = OurPrice(**found) if found else None
    network, is_demo = ledger.kind()
    return judge(said, ours, network, is_demo=is_demo)


def next_row(
    peer: str, before: StoredPeer | None, said: PeerAnswer | None, judged: Judgement, now_unix: int
) -> StoredPeer:
    """Return the row of a peer after an answer: a state lasts until another one is seen, however
    many answers are missing in between."""
    row: StoredPeer = before or _unknown(peer, now_unix)
    problem_since = row["problem_since_unix"] if row["problem"] else now_unix
    row = {
        **row,
        "asked_at_unix": now_unix,
        "problem": judged.problem,
        "problem_since_unix": problem_since if judged.problem else None,
    }
    if said is not None:
        row |= {
            "height": said.height,
            "hash": said.hash,
            "spot_usd": said.spot_usd,
            "window_usd": said.window_usd,
            "algorithm_version": said.algorithm_version,
        }
    if judged.state is not None:
        row |= {
            "since_unix": row["since_unix"] if row["state"] == judged.state else now_unix,
            "state": judged.state,
            "compared_height": judged.compared_height,
            "our_usd": judged.our_usd,
            "peer_usd": judged.peer_usd,
            "difference_percent": judged.difference_percent,
        }
    return row


def _unknown(peer: str, now_unix: int) -> StoredPeer:
    return {
        "peer": peer,
        "state": None,
        "since_unix": now_unix,
        "ended_at_unix": None,
        "asked_at_unix": now_unix,
        "problem": None,
        "problem_since_unix": None,
        "height": None,
        "hash": None,
        "spot_usd": None,
        "window_usd": None,
        "algorithm_version": None,
        "compared_height": None,
        "our_usd": None,
        "peer_usd": None,
        "difference_percent": None,
    }


def _goes_on(before: StoredPeer, now: StoredPeer) -> bool:
    return before["state"] in {None, now["state"]}


def _closed(row: StoredPeer, now_unix: int) -> StoredPeer:
    return {**row, "ended_at_unix": now_unix}


def _news(before: StoredPeer | None, now: StoredPeer) -> list[News]:
    state, state_before = now["state"], before["state"] if before else None
    if state == state_before or "differs" not in {state, state_before}:
        return []
    facts = dict(now)
    if state == "differs":
        message = (
            f"{now['peer']} publishes ${now['peer_usd']:,.2f} for block {now['compared_height']}, "
            f"where we have ${now['our_usd'] or 0:,.2f}, from the same blocks by the same method: "
            f"see who is right with `oracle verify {now['peer']}` and `oracle verify`"
        )
        return [News("peer_differs_started", message, facts)]
    return [News("peer_differs_ended", f"{now['peer']} no longer publishes other prices", facts)]
