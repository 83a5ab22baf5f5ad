"""A made-up record: days of plausible per-block rows, the same for the same seed. All of it is
simulated.

Fills a database by the shipped migrations, so that reading and publishing can be tried on any
length of
history: two years (105,000 blocks) take seconds. Prices walk at random; outputs are round dollar
amounts at the walk's price among other payments.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from oracle.record.sql import migrations

END_UNIX = 1_760_011_200  # 2025-10-09 12:00:00 UTC
BLOCK_SECONDS = 600
WINDOW = 144
VERSION = "9.1+2"
POINT_USD = np.array([5, 10, 15, 20, 25, 30, 40, 50, 100, 150, 200, 300, 500, 1000], dtype=float)


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of the shipped migrations."""
    for _, script in migrations():
        connection.execute(script)


def make_history(
    path: Path | str = ":memory:",
    *,
    days: float = 2,
    seed: int = 1,
    end_unix: int = END_UNIX,
    outputs_per_block: int = 60,
    recent_outputs_per_block: int | None = None,
    exchange: bool = True,
    percent_off: float = 0.0,
    last_spot_is_valid: bool = True,
    network: str = "simulated",
) -> duckdb.DuckDBPyConnection:
    """Return an open database with this many days of simulated history up to a time.

    Args:
        path: a database file, or in memory.
        days: length; the tip lies about 300 s before `end_unix`, the last run 60 s before it.
        seed: the same seed gives the same rows.
        end_unix: the moment the record ends.
        outputs_per_block: eligible outputs; zero leaves the outputs table empty.
        recent_outputs_per_block: the same for the last 300 blocks, 460 is what real ones have.
        exchange: whether there is an exchange price at all.
        percent_off: how far the spot price lies from the exchange in the last three hours (an open
            episode when > 2).
        last_spot_is_valid: false gives the last six hours a low confidence.
        network: whose blocks it says these are.
    """
    connection = duckdb.connect(str(path))
    migrate(connection)
    rng = np.random.default_rng(seed)
    n = int(days * 86_400 / BLOCK_SECONDS)
    _facts(connection, end_unix, days, network)
    if n == 0:
        return connection
    heights = np.arange(900_000, 900_000 + n)
    times = np.sort(end_unix - 300 - rng.integers(0, 100, n) - (np.arange(n)[::-1] * BLOCK_SECONDS))
    true_usd = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.0015, n)))
    hashes = np.array(
        [
            hashlib.sha256(f"simulated {seed} {h}".encode()).hexdigest()
            for h in range(heights[0] - 1, heights[-1] + 1)
        ]
    )
    _blocks(connection, rng, heights, times, hashes, outputs_per_block)
    spot = true_usd * (1 + rng.normal(0, 0.0012, n))
    off = times > end_unix - 3 * 3600
    spot[off] = true_usd[off] * (1 + percent_off / 100)
    invalid = (rng.random(n) < 0.004) | ((times > end_unix - 6 * 3600) & (not last_spot_is_valid))
    window = np.array([true_usd[max(0, i - WINDOW) : i + 1].mean() for i in range(n)])
    window *= 1 + rng.normal(0, 0.001, n)
    _prices(connection, rng, heights, times, hashes[1:], spot, window, invalid)
    _days(connection, rng, heights, times, hashes[1:], true_usd, exchange)
    if outputs_per_block:
        recent = min(n, 300) if recent_outputs_per_block else 0
        _outputs(connection, rng, heights[: n - recent], true_usd[: n - recent], outputs_per_block)
        _outputs(
            connection,
            rng,
            heights[n - recent :],
            true_usd[n - recent :],
            recent_outputs_per_block or 0,
        )
    _ticks(connection, rng, heights, times, true_usd, spot, window, invalid, end_unix, exchange)
    _episodes(connection, heights, times, end_unix, percent_off)
    _runs(connection, end_unix, int(heights[-1]))
    return connection


def add_block(connection: duckdb.DuckDBPyConnection, seconds_later: int = 600) -> int:
    """Add one block, its prices, a tick and a run after the newest, like a tick would; returns the
    new time."""
    height, time_unix = connection.execute(
        "SELECT max(height), max(time_unix) FROM blocks"
    ).fetchone()
    now = time_unix + seconds_later
    name = hashlib.sha256(f"simulated added {height + 1}".encode()).hexdigest()
    for table, key in (("blocks", "time_unix"), ("prices", "time_unix")):
        connection.execute(
            f"INSERT INTO {table} SELECT * REPLACE (height + 1 AS height, ? AS hash, ? AS {key}) "
            f"FROM {table} WHERE height = ?",
            [name, now, height],
        )
    connection.execute(
        "INSERT INTO outputs SELECT * REPLACE (height + 1 AS height) FROM outputs WHERE height = ?",
        [height],
    )
    connection.execute(
        "INSERT INTO exchange_samples SELECT * REPLACE (? AS sampled_at_unix, ? AS quoted_at_unix) "
        "FROM exchange_samples ORDER BY rowid DESC LIMIT 1",
        [now + 60, now],
    )
    connection.execute(
        "INSERT INTO divergences SELECT * REPLACE (? AS time_unix, height + 1 AS height) FROM "
        "divergences "
        "ORDER BY rowid DESC LIMIT 1",
        [now + 60],
    )
    connection.execute(
        "INSERT INTO runs SELECT * REPLACE (? AS started_at_unix, ? AS ended_at_unix, "
        "tip_height + 1 AS tip_height) FROM runs WHERE outcome <> 'failed' "
        "ORDER BY rowid DESC LIMIT 1",
        [now + 60, now + 62],
    )
    return int(now + 65)


def add_failed_run(connection: duckdb.DuckDBPyConnection, error: dict, ended_unix: int) -> None:
    """Add a run that failed, after which no source could be reached."""
    probe = {"source": "mempool", "state": "unreachable", "is_reachable": False}
    probe |= dict.fromkeys(("latency_ms", "version", "network", "is_synced", "tip_height"))
    probe |= {"advice": ["mempool does not answer"]}
    row = {
        "started_at_unix": ended_unix - 5,
        "ended_at_unix": ended_unix,
        "outcome": "failed",
        "blocks_added": 0,
        "blocks_replaced": 0,
        "tip_height": None,
        "source": None,
        "error": json.dumps(error),
        "sources": json.dumps([probe]),
    }
    _insert(connection, "runs", {name: [value] for name, value in row.items()})


def _insert(connection: duckdb.DuckDBPyConnection, table: str, columns: dict) -> None:
    rows = pa.table(columns)  # noqa: F841 - DuckDB finds it by name
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows")


def _nullable(values: np.ndarray, missing: np.ndarray) -> pa.Array:
    return pa.array(values, mask=np.broadcast_to(missing, values.shape).copy())


def _constant(n: int, value: object, kind: pa.DataType | None = None) -> pa.Array:
    return pa.array([value] * n, type=kind)


def _facts(connection, end_unix, days, network) -> None:
    created = int(end_unix - days * 86_400)
    is_demo = "true" if network == "simulated" else "false"
    facts = {"network": network, "is_demo": is_demo, "created_at_unix": str(created)}
    _insert(connection, "facts_of_database", {"name": list(facts), "value": list(facts.values())})


def _blocks(connection, rng, heights, times, hashes, outputs_per_block) -> None:
    n = len(heights)
    _insert(
        connection,
        "blocks",
        {
            "height": heights,
            "hash": hashes[1:],
            "prev_hash": hashes[:-1],
            "time_unix": times,
            "mediantime_unix": times - 5 * BLOCK_SECONDS,
            "size_bytes": rng.integers(800_000, 2_000_000, n),
            "transactions": rng.integers(1500, 5000, n),
            "outputs": rng.integers(4000, 14_000, n),
            "eligible_outputs": np.full(n, outputs_per_block),
            "left_out": _constant(
                n, '{"inputs": 210, "outputs": 700, "op_return": 40, "witness": 12}'
            ),
            "source": _constant(n, "simulated"),
        },
    )


def _prices(connection, rng, heights, times, hashes, spot, window, invalid) -> None:
    n = len(heights)
    none = np.zeros(n, dtype=bool)
    no_spot = invalid & (rng.random(n) < 0.3)
    _insert(
        connection,
        "prices",
        {
            "height": heights,
            "hash": hashes,
            "time_unix": times,
            "algorithm_version": _constant(n, VERSION),
            "window_usd": _nullable(window, none),
            "window_low_usd": window * 0.997,
            "window_high_usd": window * 1.003,
            "window_rough_usd": window.astype(int),
            "window_confidence": np.clip(rng.normal(0.95, 0.01, n), 0, 1),
            "window_is_valid": ~none,
            "window_reason": _constant(n, None, pa.string()),
            "window_first_height": heights - WINDOW,
            "window_last_height": heights - 1,
            "window_outputs": rng.integers(50_000, 70_000, n),
            "window_points": rng.integers(40_000, 60_000, n),
            "spot_usd": _nullable(spot, no_spot),
            "spot_low_usd": _nullable(spot * 0.996, no_spot),
            "spot_high_usd": _nullable(spot * 1.004, no_spot),
            "spot_confidence": np.where(invalid, 0.12, np.clip(rng.normal(0.9, 0.02, n), 0, 1)),
            "spot_is_valid": ~invalid,
            "spot_reason": _nullable(np.full(n, "confidence 0.12 is below 0.3"), ~invalid),
            "spot_first_height": heights - 5,
            "spot_last_height": heights,
            "spot_points": rng.integers(1000, 3000, n),
        },
    )


def _days(connection, rng, heights, times, hashes, true_usd, exchange) -> None:
    day = times // 86_400
    whole = np.arange(day[0] + 1, day[-1]) if len(day) else np.zeros(0, dtype=int)
    first = np.searchsorted(day, whole, "left")
    last = np.searchsorted(day, whole, "right") - 1
    mean = np.array([true_usd[a : b + 1].mean() for a, b in zip(first, last, strict=True)])
    n = len(whole)
    _insert(
        connection,
        "days",
        {
            "date": pa.array(whole.astype("datetime64[D]")),
            "algorithm_version": _constant(n, VERSION, pa.string()),
            "price_usd": mean * (1 + rng.normal(0, 0.002, n)),
            "low_usd": mean * 0.996,
            "high_usd": mean * 1.004,
            "rough_usd": mean.astype(int),
            "confidence": np.clip(rng.normal(0.95, 0.01, n), 0, 1),
            "is_valid": np.ones(n, dtype=bool),
            "reason": _constant(n, None, pa.string()),
            "first_height": heights[first],
            "last_height": heights[last],
            "first_hash": hashes[first],
            "last_hash": hashes[last],
            "blocks": last - first + 1,
            "outputs": rng.integers(50_000, 70_000, n),
            "points": rng.integers(40_000, 60_000, n),
            "exchange_mean_usd": _nullable(mean, np.array(not exchange)),
            "exchange_close_usd": _nullable(true_usd[last], np.array(not exchange)),
        },
    )


def _outputs(connection, rng, heights, true_usd, per_block) -> None:
    n = len(heights) * per_block
    price = np.repeat(true_usd, per_block)
    paid = POINT_USD[rng.integers(0, len(POINT_USD), n)] / price * np.exp(rng.normal(0, 0.002, n))
    other = 10 ** rng.normal(-2.2, 1.0, n)
    amount = np.where(rng.random(n) < 0.5, paid, other).clip(2e-5, 1e4)
    _insert(
        connection,
        "outputs",
        {
            "height": np.repeat(heights, per_block),
            "value_sats": (amount * 1e8).astype(np.int64),
            "is_round": np.zeros(n, dtype=bool),
            "parent_height": np.full(n, -1),
        },
    )


def _ticks(
    connection, rng, heights, times, true_usd, spot, window, invalid, end_unix, exchange
) -> None:
    ticks = (
        np.arange(end_unix - 60, times[0], -BLOCK_SECONDS)[::-1]
        if len(times)
        else np.zeros(0, dtype=int)
    )
    at = np.searchsorted(times, ticks, "right") - 1
    quote = true_usd[at] * (1 + rng.normal(0, 0.0004, len(ticks)))
    mean = np.array([true_usd[max(0, i - WINDOW) : i + 1].mean() for i in at])
    if exchange:
        _insert(
            connection,
            "exchange_samples",
            {
                "sampled_at_unix": ticks,
                "quoted_at_unix": ticks - 120,
                "price_usd": quote,
                "is_stale": np.zeros(len(ticks), dtype=bool),
                "source": _constant(len(ticks), "simulated", pa.string()),
                "currencies": pa.array([f'{{"EUR": {q * 0.92:.0f}}}' for q in quote]),
            },
        )
    valid = ~invalid[at]
    spot_percent, window_percent = (spot[at] / quote - 1) * 100, (window[at] / mean - 1) * 100
    headline = np.where(valid, spot_percent, window_percent)
    absent = np.full(len(ticks), not exchange)
    _insert(
        connection,
        "divergences",
        {
            "time_unix": ticks,
            "height": heights[at] if len(at) else at,
            "spot_usd": _nullable(spot[at], ~valid),
            "exchange_usd": _nullable(quote, absent),
            "spot_percent": _nullable(spot_percent, absent | ~valid),
            "window_usd": window[at],
            "exchange_mean_usd": _nullable(mean, absent),
            "window_percent": _nullable(window_percent, absent),
            "headline_percent": _nullable(headline, absent),
            "leg": pa.array(np.where(valid, "spot", "window"), mask=absent),
            "is_large": (np.abs(headline) > 2) & ~absent,
        },
    )


def _episodes(connection, heights, times, end_unix, percent_off) -> None:
    if len(times) < 200:
        return
    middle = len(times) // 2
    started = [int(times[middle])]
    ended: list[int | None] = [int(times[middle + 9])]
    start, end, peak = [int(heights[middle])], [int(heights[middle + 9])], [-2.9]
    if abs(percent_off) > 2:
        started, ended = [*started, end_unix - 3 * 3600], [*ended, None]
        start, end, peak = [*start, int(heights[-18])], [*end, None], [*peak, percent_off]
    n = len(started)
    _insert(
        connection,
        "episodes",
        {
            "kind": _constant(n, "divergence"),
            "leg": _constant(n, "spot"),
            "started_at_unix": started,
            "ended_at_unix": pa.array(ended, type=pa.int64()),
            "start_height": start,
            "end_height": pa.array(end, type=pa.int64()),
            "peak_percent": peak,
        },
    )


def _runs(connection, end_unix, tip_height) -> None:
    probe = {
        "source": "simulated",
        "state": "ok",
        "is_reachable": True,
        "latency_ms": 0.4,
        "version": None,
    }
    probe |= {"network": "simulated", "is_synced": True, "tip_height": tip_height, "advice": []}
    n = 12
    ends = [end_unix - 55 - 600 * k for k in range(n)][::-1]
    _insert(
        connection,
        "runs",
        {
            "started_at_unix": [e - 5 for e in ends],
            "ended_at_unix": ends,
            "outcome": _constant(n, "ok"),
            "blocks_added": [1] * n,
            "blocks_replaced": [0] * n,
            "tip_height": [tip_height - k for k in range(n)][::-1],
            "source": _constant(n, "simulated"),
            "error": _constant(n, None, pa.string()),
            "sources": _constant(n, json.dumps([probe])),
        },
    )
