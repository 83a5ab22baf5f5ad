"""Made-up snapshots for the pages, in the published shapes (a test validates them against the
schemas)."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

from builder.api.head import iso
from oracle.core.params import SPIKES

NOW = 1_760_011_200  # 2025-10-09 12:00:00 UTC
DAY = 86_400
HASH = "00000000000000000001" + "3f" * 22


def times(name: str, time_unix: int | None) -> dict[str, Any]:
    """Return one moment under its two names."""
    return {name: None if time_unix is None else iso(time_unix), f"{name}_unix": time_unix}


def snapshots(*, days: int = 40, seed: int = 7, is_demo: bool = True) -> dict[str, Any]:
    """Return every snapshot that the pages read, of a record that is this many days long."""
    start = {
        "schema_version": 1,
        **times("generated_at", NOW),
        "network": "simulated" if is_demo else "main",
        "is_demo": is_demo,
        "algorithm_version": "9.1+2",
    }
    rows = _rows(days, seed)
    newest = rows[-1]
    made: dict[str, Any] = {
        "api/latest.json": {**start, **_latest(newest, is_demo)},
        "api/days.json": {**start, "days": _days(rows, days)},
        "api/peers.json": {
            **start,
            "agreeing": 1,
            "compared": 2,
            "peers": [_peer("agrees"), _peer("differs")],
        },
        "api/episodes.json": {
            **start,
            "rule": "starts beyond 2%, ends below 1.5%",
            "episodes": [_episode(NOW - 2 * DAY)],
        },
        "api/scorecard.json": {**start, **_scorecard()},
        "api/status.json": {**start, **_status()},
        "api/window.json": {**start, **_picture(newest, NOW - DAY), **_price(newest["spot_usd"])},
    }
    for name, seconds, step in _RANGES:
        first = None if seconds is None else NOW - seconds
        kept = [row for row in rows if first is None or row["time_unix"] >= first]
        columns = {key: [row[key] for row in kept[:: max(1, step // 600)]] for key in newest}
        facts = {
            "range": name,
            "first_unix": first,
            "step_seconds": step or None,
            "thinning": "every row",
        }
        made[f"api/history/{name}.json"] = {
            **start,
            **facts,
            "rows": len(columns["height"]),
            **columns,
        }
    for day in made["api/days.json"]["days"][-2:]:
        middle = NOW // DAY * DAY - DAY
        made[f"api/days/{day['date']}.json"] = {
            **start,
            **day,
            **_picture({"spot_usd": day["price_usd"]}, middle),
            **_market(day["price_usd"], middle),
        }
    return made


_RANGES = (
    ("24h", DAY, 0),
    ("7d", 7 * DAY, 0),
    ("30d", 30 * DAY, 3600),
    ("1y", 365 * DAY, 6 * 3600),
    ("all", None, 6 * 3600),
)


def empty() -> dict[str, Any]:
    """Return the snapshots of a database in which nothing has been recorded."""
    made = copy.deepcopy(snapshots(days=2))
    latest, status = made["api/latest.json"], made["api/status.json"]
    latest.update(tip=None, spot=None, window=None, day=None, exchange=None, status="failing")
    latest["notices"] = [
        _notice("no_data", "error", "No data yet: no block has been priced so far."),
        *latest["notices"],
    ]
    latest["divergence"].update(
        dict.fromkeys(("spot_percent", "window_percent", "headline_percent", "headline_usd", "leg"))
    )
    status.update(status="failing", tip=None, sources=[], runs=[], **times("last_success_at", None))
    status["record"] = {
        **dict.fromkeys(status["record"], 0),
        "first_height": None,
        "last_height": None,
    }
    made["api/days.json"]["days"] = []
    made["api/episodes.json"]["episodes"] = []
    made["api/peers.json"] |= {"agreeing": 0, "compared": 0, "peers": []}
    for leg in made["api/scorecard.json"]["legs"].values():
        leg.update(
            periods=dict.fromkeys(leg["periods"], _errors(0)),
            distribution={"edges_percent": [], "counts": []},
        )
    made["api/scorecard.json"].update(years={"spot": [], "day": []}, points=[], reliability=[])
    for name, *_ in _RANGES:
        history = made[f"api/history/{name}.json"]
        history.update(
            {key: [] for key, value in history.items() if isinstance(value, list)}, rows=0
        )
    return {
        path: value for path, value in made.items() if "/days/" not in path and "window" not in path
    }


def diverging(percent: float) -> dict[str, Any]:
    """Return snapshots whose spot price is this far from the exchange price."""
    made = snapshots(is_demo=False)
    latest = made["api/latest.json"]
    price = latest["exchange"]["price_usd"] * (1 + percent / 100)
    latest["spot"].update(price_usd=price, low_usd=price * 0.997, high_usd=price * 1.003)
    latest["divergence"].update(
        spot_percent=percent,
        headline_percent=percent,
        headline_usd=price - latest["exchange"]["price_usd"],
        is_large=True,
        message=f"Large divergence detected: {percent:+.1f}%",
        **times("since", NOW - 7800),
    )
    latest["notices"].insert(
        0, _notice("large_divergence", "warning", "Large divergence detected.")
    )
    return made


def _notice(code: str, severity: str, message: str) -> dict[str, str]:
    return {"code": code, "severity": severity, "message": message}


def _rows(days: int, seed: int) -> list[dict[str, Any]]:
    rng, price, rows = random.Random(seed), 111_000.0, []
    for i in range(days * 144):
        price *= math.exp(rng.gauss(0, 0.0012))
        spot = price * math.exp(rng.gauss(0, 0.0012))
        valid = rng.random() > 0.006
        row = {
            "time_unix": NOW - 60 - (days * 144 - 1 - i) * 600,
            "height": 918_000 - (days * 144 - 1 - i),
            "spot_usd": round(spot, 2),
            "spot_low_usd": round(spot * 0.996, 2),
            "spot_high_usd": round(spot * 1.004, 2),
            "window_usd": round(price, 2),
            "exchange_usd": round(price, 2),
            "divergence_percent": round((spot / price - 1) * 100, 4),
            "leg": "spot",
            "confidence": 0.93 if valid else 0.2,
            "is_valid": valid,
            "points": 1200 + i % 300,
        }
        rows.append(row)
    return rows


def _price(usd: float) -> dict[str, Any]:
    return {
        "price_usd": usd,
        "low_usd": usd * 0.9965,
        "high_usd": usd * 1.0035,
        "confidence": 0.93,
        "is_valid": True,
        "reason": None,
        "first_height": 917_998,
        "last_height": 918_000,
        "points": 1234,
    }


def _change(days: int, usd: float) -> dict[str, Any]:
    return {
        "days": days,
        "from_usd": usd / (1 + days / 100),
        "from_height": 918_000 - 144 * days,
        "percent": float(days),
        "low_usd": usd * (0.98 - days / 100),
        "high_usd": usd * 1.02,
    }


def _latest(row: dict[str, Any], is_demo: bool) -> dict[str, Any]:
    exchange = row["exchange_usd"]
    demo = [
        _notice("simulated", "info", "Simulated data: the blocks and all prices here are made up.")
    ]
    return {
        "status": "ok",
        "notices": demo if is_demo else [],
        "tip": {"height": 918_000, "hash": HASH, **times("time", NOW - 250), "age_seconds": 250},
        "spot": _price(row["spot_usd"]),
        "changes": [_change(days, row["spot_usd"]) for days in (1, 7, 30)],
        "window": {**_price(row["window_usd"]), "outputs": 61_234},
        "day": {**_price(row["window_usd"]), "outputs": 61_234, "date": "2025-10-08"},
        "exchange": {
            "price_usd": exchange,
            **times("quoted_at", NOW - 180),
            **times("sampled_at", NOW - 60),
            "age_seconds": 180,
            "is_stale": False,
            "is_suspect": False,
            "reason": None,
            "source": "mempool",
            "currencies": {"EUR": 95_000.0},
        },
        "divergence": {
            "spot_percent": row["divergence_percent"],
            "window_percent": 0.12,
            "headline_percent": row["divergence_percent"],
            "headline_usd": row["spot_usd"] - exchange,
            "leg": "spot",
            "is_large": False,
            "threshold_percent": 2.0,
            "exchange_mean_usd": exchange,
            **times("since", None),
            "message": None,
        },
        **times("next_due_at", NOW + 540),
    }


def _days(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    days = []
    for back in range(count - 1, 0, -1):
        at = NOW // DAY * DAY - back * DAY
        mean = next(row["window_usd"] for row in rows if row["time_unix"] >= at)
        date = times("x", at)["x"]
        facts = {"date": str(date)[:10], "blocks": 144, "outputs": 61_234, "points": 48_765}
        facts |= {
            "exchange_mean_usd": mean * 0.999,
            "exchange_close_usd": mean,
            "divergence_percent": 0.1001,
            **{f"spot_{name}_usd": mean for name in ("open", "high", "low", "close", "mean")},
            "spot_blocks": 144,
        }
        price = {key: value for key, value in _price(mean).items() if key != "points"}
        days.append({**price, **facts})
    return days


def _episode(start: int) -> dict[str, Any]:
    return {
        "kind": "divergence",
        "leg": "spot",
        "peer": None,
        **times("started_at", start),
        **times("ended_at", start + 5400),
        "duration_seconds": 5400,
        "is_ongoing": False,
        "start_height": 917_700,
        "end_height": 917_709,
        "peak_percent": -2.9,
    }


def _peer(state: str) -> dict[str, Any]:
    ours, theirs = (118_000.5, 118_000.5) if state == "agrees" else (118_000.5, 118_100.25)
    return {
        "peer": f"https://{state}.example.org",
        "state": state,
        **times("since", NOW - 7200),
        **times("asked_at", NOW - 60),
        "problem": None,
        **times("problem_since", None),
        "height": 918_000,
        "hash": HASH,
        "blocks_behind": 0,
        "spot_usd": theirs,
        "window_usd": theirs,
        "algorithm_version": "9.1+2",
        "compared_height": 918_000,
        "our_usd": ours,
        "peer_usd": theirs,
        "difference_percent": 100 * (theirs - ours) / ours,
    }


def _differences(n: int) -> dict[str, Any]:
    names = ("median_percent", "p95_percent", "rmse_percent", "worst_percent", "bias_percent")
    values = (
        dict(zip(names, (0.11, 0.48, 0.21, -1.2, 0.01), strict=True)) if n else dict.fromkeys(names)
    )
    return {"n": n, **values}


def _errors(n: int) -> dict[str, Any]:
    return {
        **_differences(n),
        "inside_interval_share": 0.95 if n else None,
        "baseline": _differences(n),
        "baseline_hour": _differences(n),
    }


def _scorecard() -> dict[str, Any]:
    periods = {
        name: _errors(n)
        for name, n in (("1d", 144), ("7d", 1008), ("30d", 4320), ("365d", 5760), ("all", 5760))
    }
    edges = [round(-2.5 + 0.1 * k, 1) for k in range(51)]
    counts = [round(600 * math.exp(-((k - 25) ** 2) / 18)) for k in range(50)]
    leg = {"compares": "the price against the exchange", "periods": periods}
    leg["distribution"] = {"edges_percent": edges, "counts": counts}
    return {
        "baseline": "the exchange price of a day earlier",
        **times("record_until", NOW),
        "legs": dict.fromkeys(("spot", "window", "day", "close", "mean"), leg),
        "years": {"spot": [{"year": 2025, **_differences(5760)}], "day": []},
        "points": [
            {"points_from": low, "points_to": high, **_differences(900)}
            for low, high in ((0, 24), (3200, 6399), (12_800, None))
        ],
        "reliability": [
            {
                "confidence_from": low,
                "confidence_to": high,
                "n": n,
                "said_share": (low + high) / 2,
                "right_share": right,
            }
            for low, high, n, right in ((0.05, 0.2, 31, 0.194), (0.95, 1.0, 5400, 0.9998))
        ],
    }


def _picture(row: dict[str, Any], start: int) -> dict[str, Any]:
    rng, price = random.Random(3), row["spot_usd"]
    times_unix = sorted(rng.randrange(start, start + DAY) // 600 * 600 for _ in range(1500))
    prices = [
        price * (1 + (rng.gauss(0, 0.004) if rng.random() < 0.6 else rng.uniform(-0.05, 0.05)))
        for _ in times_unix
    ]
    first = 1201 - round(math.log10(price / 100) * 200) - 401
    weights = [
        0.0004 * math.exp(-(((i - 700) / 400) ** 2)) * rng.uniform(0.7, 1.3) for i in range(1400)
    ]
    for i, (weight, _) in SPIKES.items():
        if 0 <= first + i - 201 < 1400:
            weights[first + i - 201] += weight * 0.5
    amounts = [
        {
            "usd": usd,
            "bin": first + i,
            "value_btc": 10 ** ((first + i - 1) / 200 - 6),
            "weight": weight,
        }
        for i, (weight, usd) in SPIKES.items()
    ]
    block = {"height": 917_857, "hash": HASH, **times("time", start)}
    return {
        "rough_price_usd": round(price),
        "outputs": 61_234,
        "blocks": 144,
        "points": 48_765,
        "first_block": block,
        "last_block": {**block, "height": 918_000},
        "left_out": {"inputs": 4021, "outputs": 90_123, "op_return": 812, "witness": 77},
        "price_points": {
            "thinning": "every 32nd",
            "total": 48_765,
            "shown": len(prices),
            "time_unix": times_unix,
            "height": [917_857] * len(prices),
            "price_usd": prices,
        },
        "histogram": {
            "first_bin": 201,
            "bins_per_decade": 200,
            "first_decade": -6,
            "weights": weights,
        },
        "spot": {
            "time_unix": [start + 600 * k for k in range(144)],
            "height": [917_857 + k for k in range(144)],
            "spot_usd": [price * (1 + 0.004 * math.sin(k / 20)) for k in range(144)],
            "is_valid": [True] * 144,
        },
        "stencil": {
            "slide": first - 199,
            "first_bin": first,
            "amounts": amounts,
            "first_slide": -141,
            "scores": [
                round(0.1 + 0.05 * math.exp(-((slide - (first - 199)) ** 2) / 8), 4)
                for slide in range(-141, 201)
            ],
        },
        "cleaned": [{"bin": 401, "share": 0.009}, {"bin": 601, "share": 0.012}],
        "density": {
            "first_unix": start,
            "step_seconds": 1800,
            "low_usd": price * 0.95,
            "step_usd": price * 0.1 / 50,
            "counts": [
                [round(40 * math.exp(-(((row - 25) / 4) ** 2))) for row in range(50)]
                for _ in range(48)
            ],
        },
    }


def _market(price: float, start: int) -> dict[str, Any]:
    """Return hours and quotes of a day, and where its amounts would be."""
    hours = [start + 3600 * k for k in range(24)]
    return {
        "hours": {
            "time_unix": hours,
            "spot_open_usd": [price] * 24,
            "spot_high_usd": [price * 1.004] * 24,
            "spot_low_usd": [price * 0.997] * 24,
            "spot_close_usd": [price * 1.001] * 24,
            "exchange_usd": [price * 1.0005] * 23 + [None],
        },
        "quotes": {
            "time_unix": [start + 600 * k for k in range(144)],
            "price_usd": [price * (1 + 0.004 * math.sin(k / 19)) for k in range(144)],
        },
        "amounts": f"/data/amounts/{iso(start)[:10]}.bin",
    }


def _status() -> dict[str, Any]:
    run = {
        **times("started_at", NOW - 60),
        **times("ended_at", NOW - 55),
        "outcome": "ok",
        "blocks_added": 1,
        "blocks_replaced": 0,
        "tip_height": 918_000,
        "source": "core",
        "error": None,
    }
    error = {
        "code": "MEMPOOL_API_UNAVAILABLE",
        "message": "mempool did not answer",
        "retry_after": 300,
        "details": {"attempts": 3},
    }
    source = {
        "source": "core",
        "state": "ok",
        "is_reachable": True,
        "latency_ms": 12.3,
        "version": "29.0",
    }
    source |= {
        "network": "main",
        "is_synced": True,
        "tip_height": 918_000,
        "advice": [],
        **times("last_success_at", NOW - 55),
    }
    counts = {"blocks": 5760, "prices": 5760, "days": 39, "exchange_samples": 5760, "episodes": 1}
    return {
        "status": "ok",
        "reasons": [],
        "error": None,
        "tip": {"height": 918_000, "hash": HASH, **times("time", NOW - 250), "age_seconds": 250},
        "sources": [source],
        "runs": [run] * 8,
        **times("last_success_at", NOW - 55),
        "last_error": error,
        **times("last_error_at", NOW - DAY),
        **times("failing_since", None),
        "gaps": [],
        "record": {**counts, "first_height": 912_241, "last_height": 918_000},
        "machine": {
            "disk_free_bytes": 412_300_000_000,
            "disk_total_bytes": 500_000_000_000,
            "copied_at_unix": 1_759_900_000,
            "backfill": {
                "blocks_done": 13_140,
                "blocks_wanted": 52_560,
                "day": "2025-03-04",
                **times("updated_at", 1_759_999_000),
            },
            "database_bytes": 31_000_000,
            "versions": {"python": "3.11", "duckdb": "1.4"},
        },
        "interval_seconds": 600,
        **times("next_due_at", NOW + 540),
    }
