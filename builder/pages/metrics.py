"""The facts of latest.json and status.json for Prometheus; what is unknown is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from oracle.lean import hollow

with hollow("http.server", "urllib.request", "wsgiref.simple_server"):  # we serve nothing
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from builder.api.types import BackfillState, Latest, Peer, Peers, Price, Status


STATES = ("ok", "degraded", "stale", "failing")
Number = float | int | bool | None
Sample = tuple[str, Number]
"""The value of a label, and the number."""


class _Facts(Collector):
    """One build's gauges, in a registry of their own."""

    def __init__(self, latest: Latest, status: Status, peers: Peers) -> None:
        self._latest = latest
        self._status = status
        self._peers = peers

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges that have a value."""
        gauges = [
            *_of_build(self._latest),
            *_of_prices(self._latest),
            *_of_run(self._status),
            *_of_machine(self._status),
            *_of_backfill(self._status["machine"].get("backfill")),
            *_of_peers(self._peers["peers"]),
        ]
        return [gauge for gauge in gauges if gauge.samples]


def metrics(latest: Latest, status: Status, peers: Peers) -> bytes:
    """Return `metrics.txt` in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Facts(latest, status, peers))
    return generate_latest(registry)


def _of_build(latest: Latest) -> list[GaugeMetricFamily]:
    tip = latest["tip"]
    states = [(state, latest["status"] == state) for state in STATES]
    return [
        _labelled("status", "1 at the present status.", "status", states),
        _plain("generated_at_seconds", "Time of the build.", latest["generated_at_unix"]),
        _plain("next_due_at_seconds", "When the next build is due.", latest["next_due_at_unix"]),
        _plain("demo", "1 when the data is simulated.", latest["is_demo"]),
        _plain("tip_height", "Newest block.", tip and tip["height"]),
        _plain("tip_time_seconds", "Header time of the newest block.", tip and tip["time_unix"]),
    ]


def _of_prices(latest: Latest) -> list[GaugeMetricFamily]:
    exchange = latest["exchange"]
    divergence = latest["divergence"]
    is_suspect = exchange["is_suspect"] if exchange else None
    usd = exchange["price_usd"] if exchange and not is_suspect else None
    quoted = exchange["quoted_at_unix"] if exchange else None
    sure = "How likely the price is within 5% of the market, 0 to 1."
    return [
        _by_kind(latest, "price_usd", "On-chain price.", "price_usd"),
        _by_kind(latest, "price_confidence", sure, "confidence"),
        _by_kind(latest, "price_valid", "1 when the price can be relied on.", "is_valid"),
        _plain("exchange_price_usd", "Exchange price.", usd),
        _plain("exchange_suspect", "1 when the exchange price is not believed.", is_suspect),
        _plain("exchange_quoted_at_seconds", "Time of the exchange price.", quoted),
        _plain("divergence_percent", "Headline difference.", divergence["headline_percent"]),
        _plain("divergence_large", "1 over the threshold.", divergence["is_large"]),
    ]


def _of_run(status: Status) -> list[GaugeMetricFamily]:
    sources = status["sources"]
    reached: list[Sample] = [(source["source"], source["is_reachable"]) for source in sources]
    latency = [(source["source"], _seconds(source["latency_ms"])) for source in sources]
    success = status["last_success_at_unix"]
    newest = status["runs"][0] if status["runs"] else None
    seconds = newest["ended_at_unix"] - newest["started_at_unix"] if newest else None
    codes = Counter(run["error"]["code"] for run in status["runs"] if run["error"])
    failures: list[Sample] = sorted(codes.items())
    return [
        _labelled("source_reachable", "1 when the last probe reached it.", "source", reached),
        _labelled("source_latency_seconds", "Latency of the last probe.", "source", latency),
        _plain("record_gaps", "Ranges of missing blocks.", len(status["gaps"])),
        _plain("last_success_seconds", "End of the last good run.", success),
        _plain("last_run_seconds", "How long the last run took, up to the record.", seconds),
        _plain("failing_since_seconds", "Start of the trouble.", status["failing_since_unix"]),
        _labelled("recent_failures", "Runs of status.json that failed.", "code", failures),
    ]


def _of_machine(status: Status) -> list[GaugeMetricFamily]:
    record = status["record"]
    machine = status["machine"]
    rows: list[Sample] = [
        ("blocks", record["blocks"]),
        ("prices", record["prices"]),
        ("days", record["days"]),
        ("exchange_samples", record["exchange_samples"]),
        ("episodes", record["episodes"]),
    ]
    return [
        _labelled("rows", "Rows of the record.", "table", rows),
        _plain("database_bytes", "Size of the database.", machine.get("database_bytes")),
        _plain("backup_seconds", "Time of the newest copy.", machine.get("copied_at_unix")),
        _plain("disk_free_bytes", "Room beside the site.", machine.get("disk_free_bytes")),
        _plain("disk_total_bytes", "Size of that disk.", machine.get("disk_total_bytes")),
    ]


def _of_backfill(state: BackfillState | None) -> list[GaugeMetricFamily]:
    if state is None:
        return []
    return [
        _plain("backfill_blocks", "Blocks that the backfill added.", state["blocks_done"]),
        _plain("backfill_wanted_blocks", "Blocks that it is to add.", state["blocks_wanted"]),
        _plain("backfill_updated_at_seconds", "When it got there.", state["updated_at_unix"]),
    ]


def _of_peers(peers: Sequence[Peer]) -> list[GaugeMetricFamily]:
    compared = [peer for peer in peers if peer["state"] is not None]
    agrees: list[Sample] = [(peer["peer"], peer["state"] == "agrees") for peer in compared]
    differs: list[Sample] = [(peer["peer"], peer["state"] == "differs") for peer in compared]
    behind: list[Sample] = [(peer["peer"], peer["blocks_behind"]) for peer in peers]
    return [
        _labelled("peer_agrees", "1 while a publisher says the same.", "peer", agrees),
        _labelled("peer_differs", "1 while one says another price.", "peer", differs),
        _labelled("peer_blocks_behind", "Our tip minus its tip.", "peer", behind),
    ]


def _seconds(milliseconds: float | None) -> Number:
    return None if milliseconds is None else milliseconds / 1000


def _by_kind(
    latest: Latest, name: str, words: str, key: Literal["price_usd", "confidence", "is_valid"]
) -> GaugeMetricFamily:
    """One sample for each of the three on-chain prices."""
    prices: dict[str, Price | None] = {
        "spot": latest["spot"],
        "window": latest["window"],
        "day": latest["day"],
    }
    samples: list[Sample] = [(kind, price[key]) for kind, price in prices.items() if price]
    return _labelled(name, words, "kind", samples)


def _plain(name: str, words: str, value: Number) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"oracle_{name}", words)
    if value is not None:
        gauge.add_metric([], float(value))
    return gauge


def _labelled(name: str, words: str, label: str, samples: Sequence[Sample]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"oracle_{name}", words, labels=[label])
    for value, number in samples:
        if number is not None:
            gauge.add_metric([value], float(number))
    return gauge
