"""What a reader must know before relying on a number, and the one word for how the oracle is.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from builder.gather import Context, Gathered
from builder.rows import PeerRow, RunRow
from oracle.chain import OLD_TIP_SECONDS, utc_text
from oracle.headers import MAX_AHEAD_SECONDS

if TYPE_CHECKING:
    from builder.api.types import Leg, Notice, NoticeCode, Shown, State, Tip

NOT_ABOUT_HEALTH = frozenset({"large_divergence", "peer_differs"})
"""Notices that are about the market, and about others."""

STALE_RUNS = 3
"""This many intervals without a good run."""

LEG_IN_WORDS: dict[Leg, str] = {"spot": "now", "window": "over the window"}


def status_of(notices: Iterable[Notice]) -> State:
    """Return ok, degraded, stale or failing: the worst that the notices say about the oracle
    itself."""
    codes = {notice["code"] for notice in notices if notice["severity"] != "info"}
    codes -= NOT_ABOUT_HEALTH
    if codes & {"failing", "no_data"}:
        return "failing"
    if "stale" in codes:
        return "stale"
    return "degraded" if codes else "ok"


def notices_of(gathered: Gathered, shown: Shown, context: Context) -> list[Notice]:
    """Return the notices about what `latest.json` shows, most severe first."""
    return [
        *_failures(gathered, shown["tip"], context),
        *_of_divergence(shown),
        *_of_prices(shown),
        *_of_exchange(shown),
        *_of_peers(gathered.peers),
        *_of_record(gathered),
        *_of_clock(shown["tip"], context),
        *_of_branches(gathered.runs),
    ]


def _error(code: NoticeCode, message: str) -> Notice:
    return {"code": code, "severity": "error", "message": message}


def _warning(code: NoticeCode, message: str) -> Notice:
    return {"code": code, "severity": "warning", "message": message}


def _failures(gathered: Gathered, tip: Tip | None, context: Context) -> Iterator[Notice]:
    reading = "" if gathered.runs else " The first run is still reading."
    if gathered.spot is None:
        yield _error("no_data", f"No data yet: no block has been priced so far.{reading}")
    elif reading and tip:
        of_when = utc_text(tip["time_unix"])
        first = f"The first run is still reading: the newest block so far is of {of_when}."
        yield _error("stale", f"{first} The price of now comes when it is done.")
        return
    last = gathered.runs[0] if gathered.runs else None
    if last and last["outcome"] == "failed" and not _still_serves(last):
        reason = last["error"]["message"] if last["error"] else "no reason recorded"
        since = utc_text(gathered.failing_since_unix or last["started_at_unix"])
        yield _error("failing", f"The last run failed: {reason} (failing since {since})")
    good = gathered.last_good_run
    silent_seconds = context.now_unix - good["ended_at_unix"] if good else 0
    if silent_seconds > STALE_RUNS * context.interval_seconds:
        since = utc_text(context.now_unix - silent_seconds)
        yield _error("stale", f"No run has succeeded since {since}.")
    elif tip and tip["age_seconds"] > OLD_TIP_SECONDS:
        yield _error("stale", f"The newest known block is of {utc_text(tip['time_unix'])}.")


def _still_serves(run: RunRow) -> bool:
    """Tell whether a run failed only in that a node hung, while the record is fresh."""
    return bool(run["error"] and run["error"]["details"].get("record_still_serves"))


def _of_divergence(shown: Shown) -> Iterator[Notice]:
    divergence = shown["divergence"]
    if divergence["is_large"] and divergence["leg"]:
        when = LEG_IN_WORDS[divergence["leg"]]
        message = f"{divergence['message']} against the exchange price {when}."
        yield _warning("large_divergence", message)


def _of_prices(shown: Shown) -> Iterator[Notice]:
    spot = shown["spot"]
    window = shown["window"]
    if spot is None or window is None:
        return
    if spot["price_usd"] is None and window["price_usd"] is None:
        yield _warning("no_price", f"No on-chain price: {window['reason'] or spot['reason']}.")
    if not spot["is_valid"]:
        yield _warning("low_confidence", f"Low confidence in the spot price: {spot['reason']}.")
    if not window["is_valid"]:
        yield _warning("low_confidence", f"Low confidence in the window price: {window['reason']}.")


def _of_exchange(shown: Shown) -> Iterator[Notice]:
    exchange = shown["exchange"]
    if exchange is None:
        if shown["spot"]:
            # There never was one: a site without an exchange source is as its owner wants it.
            message = "No exchange price is known: on-chain prices only."
            yield {"code": "no_exchange", "severity": "info", "message": message}
    elif exchange["is_suspect"]:
        usd = f"${exchange['price_usd']:,.0f}"
        message = f"The exchange price, {usd}, is not believed: {exchange['reason']}."
        yield _warning("suspect_exchange", message)
    elif exchange["is_stale"]:
        message = (
            f"The exchange price is of {utc_text(exchange['quoted_at_unix'])}: too old to compare."
        )
        yield _warning("stale_exchange", message)


def _of_peers(peers: Sequence[PeerRow]) -> Iterator[Notice]:
    for peer in peers:
        if peer["state"] == "differs":
            message = (
                f"{peer['peer']} publishes another price for block {peer['compared_height']}: "
                f"${peer['peer_usd']:,.2f}, here ${peer['our_usd'] or 0:,.2f}."
            )
            yield _warning("peer_differs", message)


def _of_clock(tip: Tip | None, context: Context) -> Iterator[Notice]:
    if tip and tip["time_unix"] - context.now_unix > MAX_AHEAD_SECONDS:
        message = "The clock of this machine is behind the newest block: ages here are wrong."
        yield _warning("clock", message)


def _of_branches(runs: Sequence[RunRow]) -> Iterator[Notice]:
    """Yield what the newest run says of the source's branch, and what one of hours ago did."""
    said = [remark for run in runs[:1] for remark in run["remarks"] or ()]
    yield from (
        _warning("source_differs", f"{remark['message']}.")
        for remark in said
        if remark["code"] == "source_differs"
    )
    followed = [remark for run in runs for remark in run["remarks"] or ()]
    for remark in [remark for remark in followed if remark["code"] == "less_work"][:1]:
        yield _warning("less_work", f"{remark['message']}.")


def _of_record(gathered: Gathered) -> Iterator[Notice]:
    for probe in gathered.runs[0]["sources"] if gathered.runs else ():
        name = probe["source"]
        if not probe["is_reachable"]:
            yield _warning("source_unreachable", f"The source {name} could not be reached.")
        elif probe.get("state") in {"refused", "bad_answer"}:
            yield _warning("source_unreachable", f"The source {name} gives no blocks now.")
    if gathered.gaps:
        yield _warning("gaps", f"Blocks are missing in the record: {len(gathered.gaps)} gaps.")
    if gathered.is_demo:
        message = "Simulated data: the blocks and all prices here are made up."
        yield {"code": "simulated", "severity": "info", "message": message}
    elif not gathered.has_market:
        chain = f"of the {gathered.network} network"
        message = f"Not the main chain: these are blocks {chain}, whose coins are worth nothing."
        yield {"code": "test_network", "severity": "info", "message": message}
