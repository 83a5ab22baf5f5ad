"""What the log says of a tick that went well."""

from __future__ import annotations

from oracle.logs import get_logger
from oracle.remarks import log_remarks
from oracle.tick import TickReport

log = get_logger("oracle.run")


def log_report(report: TickReport, quote_max_age_seconds: int) -> None:
    """Log what the tick found, in the order in which an administrator would ask."""
    facts = {name: getattr(report, name) for name in ("blocks_added", "source")}
    facts["tip_height"] = report.tip.height
    if report.blocks_replaced:
        log.warning("the chain was reorganised", blocks_replaced=report.blocks_replaced, **facts)
    if report.quote_problem is not None:
        log.warning("no exchange price", reason=str(report.quote_problem))
    elif report.quote_suspicion is not None:
        log.warning("the exchange price is not believed", reason=report.quote_suspicion)
    elif report.quote_is_stale:
        log.warning("the exchange price is stale", max_age_seconds=quote_max_age_seconds)
    log_remarks(report.remarks)
    if report.is_idle:
        return
    price = report.price
    comparison = report.comparison
    if price is None:
        log.warning("no price yet: the window needs 144 blocks and the tip", **facts)
        return
    if report.blocks_added and not price["window_is_valid"]:
        summary = {name: value for name, value in price.items() if name.startswith("window_")}
        log.warning("Low confidence: the price is not valid", **facts, **summary)
    prices = {name: price[name] for name in ("window_usd", "spot_usd", "spot_confidence")}
    shown = ("exchange_usd", "headline_percent", "leg")
    compared = {name: getattr(comparison, name) for name in shown} if comparison else {}
    log.info("recorded", **facts, **prices, **compared)
