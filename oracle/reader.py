"""What the site reads from the record: every question as one SQL statement, answers as plain rows.

Only rows of the current chain are read, through views that leave out replaced ones. Questions about the
newest rows cost the same on any length of history, because the tables are filled in the order of the chain.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from oracle.core.window import Window
from oracle.errors import StoreError

Row = dict[str, Any]

_VIEWS = """
CREATE OR REPLACE TEMP VIEW now_blocks AS FROM blocks WHERE replaced_at_unix IS NULL;
CREATE OR REPLACE TEMP VIEW now_prices AS FROM prices WHERE replaced_at_unix IS NULL;
CREATE OR REPLACE TEMP VIEW now_days AS FROM days WHERE replaced_at_unix IS NULL;
CREATE OR REPLACE TEMP VIEW now_divergences AS FROM divergences WHERE replaced_at_unix IS NULL;
"""
# Prices to the cent, so that a week of ticks stays small on the wire.
_HISTORY = """
SELECT d.time_unix, d.height, round(p.spot_usd, 2) AS spot_usd, round(p.spot_low_usd, 2) AS spot_low_usd,
    round(p.spot_high_usd, 2) AS spot_high_usd, round(p.window_usd, 2) AS window_usd,
    round(d.exchange_usd, 2) AS exchange_usd, round(d.headline_percent, 4) AS divergence_percent, d.leg,
    round(if(p.spot_usd IS NULL, p.window_confidence, p.spot_confidence), 4) AS confidence,
    if(p.spot_usd IS NULL, p.window_is_valid, p.spot_is_valid) AS is_valid,
    if(p.spot_usd IS NULL, p.window_points, p.spot_points) AS points
FROM now_divergences AS d JOIN now_prices AS p USING (height)
WHERE d.time_unix >= $first ORDER BY d.time_unix, d.height
"""
_PRICE_ROWS = """
SELECT p.height, p.hash, p.time_unix * 1000 AS time, p.algorithm_version,
    p.spot_usd, p.spot_low_usd, p.spot_high_usd, p.spot_confidence, p.spot_is_valid, p.spot_reason,
    p.spot_points, p.window_usd, p.window_low_usd, p.window_high_usd, p.window_confidence, p.window_is_valid,
    p.window_reason, p.window_outputs, p.window_points,
    d.exchange_usd, d.exchange_mean_usd, d.spot_percent, d.window_percent, d.headline_percent, d.leg
FROM (FROM now_prices WHERE height >= $first AND height < $end) AS p
LEFT JOIN (
    SELECT DISTINCT ON (height) * FROM now_divergences
    WHERE height >= $first AND height < $end ORDER BY height, time_unix
) AS d USING (height)
ORDER BY height
"""
_EXCHANGE_ROWS = """
SELECT sampled_at_unix * 1000 AS sampled_at, quoted_at_unix * 1000 AS quoted_at, price_usd, is_stale, source,
    currencies::VARCHAR AS currencies
FROM exchange_samples WHERE sampled_at_unix >= $first AND sampled_at_unix < $end
ORDER BY sampled_at_unix, quoted_at_unix, source, price_usd
"""
_OUTPUT_ROWS = """
SELECT height, b.time_unix * 1000 AS time, value_sats, is_round, parent_height
FROM (FROM outputs WHERE replaced_at_unix IS NULL) AS o
JOIN (FROM now_blocks WHERE time_unix >= $first AND time_unix < $end) AS b USING (height)
ORDER BY height, value_sats, parent_height
"""
_WINDOW_OUTPUTS = """
SELECT height, value_sats, is_round FROM outputs
WHERE replaced_at_unix IS NULL AND height BETWEEN $first AND $last AND parent_height < $first
ORDER BY height, rowid
"""
_DAYS = """
SELECT * EXCLUDE (date, replaced_at_unix), strftime(date, '%Y-%m-%d') AS date,
    (price_usd / exchange_mean_usd - 1) * 100 AS divergence_percent
FROM now_days ORDER BY now_days.date
"""
_COUNTS = """
SELECT count(*) AS blocks, min(height) AS first_height, max(height) AS last_height,
    (SELECT count(*) FROM now_prices) AS prices, (SELECT count(*) FROM now_days) AS days,
    (SELECT count(*) FROM exchange_samples) AS exchange_samples, (SELECT count(*) FROM episodes) AS episodes
FROM now_blocks
"""
_MONTHS = """
SELECT epoch(month)::BIGINT AS first_unix, epoch(month + INTERVAL 1 MONTH)::BIGINT AS end_unix, count(*) AS blocks,
    arg_max(hash, height) AS last_hash
FROM (SELECT *, date_trunc('month', make_timestamp(time_unix * 1000000)) AS month FROM now_blocks)
GROUP BY month ORDER BY month
"""
_CLOSED_BLOCKS = """
SELECT (SELECT hash FROM now_blocks WHERE height = $end - 1) AS last_hash,
    (SELECT count(*) FROM now_prices WHERE height < $end) AS prices,
    (SELECT count(exchange_usd) FROM now_divergences WHERE height < $end) AS comparisons
"""
_CLOSED_SAMPLES = """
SELECT count(*) AS samples, max(sampled_at_unix) AS last_unix FROM exchange_samples WHERE sampled_at_unix < $end
"""
_GAPS = """
SELECT previous + 1 AS first_height, height - 1 AS last_height
FROM (SELECT height, lag(height) OVER (ORDER BY height) AS previous FROM now_blocks)
WHERE height > previous + 1 ORDER BY height
"""


class Reader:
    """The site's questions to an open database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._connection.execute(_VIEWS)

    def _rows(self, sql: str, **parameters: Any) -> list[Row]:
        try:
            answer = self._connection.execute(sql, parameters)
            names = [column[0] for column in answer.description or []]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
        except duckdb.Error as error:
            raise StoreError(f"the database cannot be read: {error}") from error

    def _one(self, sql: str, **parameters: Any) -> Row | None:
        return next(iter(self._rows(sql, **parameters)), None)

    def _table(self, sql: str, first: int, end: int) -> pa.Table:
        return self._connection.sql(sql, params={"first": first, "end": end}).to_arrow_table()

    def facts(self) -> dict[str, str]:
        """Return what is known about the database as a whole: network, is_demo, created_at_unix."""
        return {row["name"]: row["value"] for row in self._rows("FROM facts_of_database ORDER BY name")}

    def tip(self) -> Row | None:
        """Return the newest block."""
        return self._one("FROM now_blocks ORDER BY height DESC LIMIT 1")

    def block(self, height: int) -> Row | None:
        """Return the block at a height."""
        return self._one("FROM now_blocks WHERE height = $height", height=height)

    def price(self) -> Row | None:
        """Return the prices as of the newest tip that has any."""
        return self._one("FROM now_prices ORDER BY height DESC LIMIT 1")

    def exchange(self) -> Row | None:
        """Return the newest exchange sample, `currencies` as an object."""
        row = self._one("FROM exchange_samples ORDER BY sampled_at_unix DESC, quoted_at_unix DESC LIMIT 1")
        return row and _with_objects(row, "currencies")

    def divergence(self) -> Row | None:
        """Return the comparison made by the newest tick."""
        return self._one("FROM now_divergences ORDER BY time_unix DESC, height DESC LIMIT 1")

    def days(self) -> list[Row]:
        """Return all final days, oldest first, `date` as YYYY-MM-DD, with their difference in percent."""
        return self._rows(_DAYS)

    def history(self, first_unix: int) -> list[Row]:
        """Return what was known at each tick from a time on, oldest first, prices to the cent."""
        return self._rows(_HISTORY, first=first_unix)

    def episodes(self) -> list[Row]:
        """Return all episodes, newest first."""
        return self._rows("FROM episodes ORDER BY started_at_unix DESC, kind")

    def runs(self, limit: int = 30) -> list[Row]:
        """Return the last runs, newest first; `error` and `sources` as objects."""
        rows = self._rows("FROM runs ORDER BY started_at_unix DESC, ended_at_unix DESC LIMIT $limit", limit=limit)
        return [_with_objects(row, "error", "sources") for row in rows]

    def last_run(self, *, failed: bool) -> Row | None:
        """Return the last run that failed, or the last that did not."""
        sql = "FROM runs WHERE (outcome = 'failed') = $failed ORDER BY started_at_unix DESC LIMIT 1"
        row = self._one(sql, failed=failed)
        return row and _with_objects(row, "error", "sources")

    def counts(self) -> Row:
        """Return how many rows there are, and the lowest and highest block."""
        return self._rows(_COUNTS)[0]

    def gaps(self) -> list[Row]:
        """Return the ranges of heights that are missing between the lowest and the highest block."""
        return self._rows(_GAPS)

    def left_out(self, first_height: int, last_height: int) -> dict[str, int]:
        """Return how many transactions of a range of blocks were left out, by rule."""
        sql = "SELECT left_out FROM now_blocks WHERE height BETWEEN $first AND $last"
        rows = self._rows(sql, first=first_height, last=last_height)
        total = sum((Counter(json.loads(row["left_out"])) for row in rows), Counter[str]())
        return dict(sorted(total.items()))

    def window(self, first_height: int, last_height: int) -> Window:
        """Form a window again from the stored outputs, by the same-window rule."""
        heights = {"first": first_height, "last": last_height}
        sql = "SELECT height, time_unix FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height"
        blocks = self._connection.execute(sql, heights).fetchnumpy()
        outputs = self._connection.execute(_WINDOW_OUTPUTS, heights).fetchnumpy()
        return Window(
            block_heights=np.asarray(blocks["height"]),
            block_times_unix=np.asarray(blocks["time_unix"]),
            block_index=np.searchsorted(blocks["height"], outputs["height"]).astype(np.int32),
            value_sats=np.asarray(outputs["value_sats"]),
            is_round=np.asarray(outputs["is_round"]),
        )

    def months(self) -> list[Row]:
        """Return start and end of each UTC month that has blocks, how many, and the last hash; oldest first."""
        return self._rows(_MONTHS)

    def closed_blocks(self, end_height: int) -> Row:
        """Return what tells one history of the blocks below a height from another, without reading it.

        The last hash stands for the whole chain before it; the counts for what may be filled in later.
        """
        return self._rows(_CLOSED_BLOCKS, end=end_height)[0]

    def closed_samples(self, end_unix: int) -> Row:
        """Return the like for the exchange samples before a time."""
        return self._rows(_CLOSED_SAMPLES, end=end_unix)[0]

    def price_rows(self, first_height: int, end_height: int) -> pa.Table:
        """Return the published per-block rows of heights from first to below end; times in ms."""
        return self._table(_PRICE_ROWS, first_height, end_height)

    def exchange_rows(self, first_unix: int, end_unix: int) -> pa.Table:
        """Return the exchange samples from a time to before another; times in ms."""
        return self._table(_EXCHANGE_ROWS, first_unix, end_unix)

    def output_rows(self, first_unix: int, end_unix: int) -> pa.Table:
        """Return the eligible outputs of blocks stamped from a time to before another; times in ms."""
        return self._table(_OUTPUT_ROWS, first_unix, end_unix)


def _with_objects(row: Row, *names: str) -> Row:
    return row | {name: json.loads(row[name] or "null") for name in names}


@contextmanager
def open_reader(database_path: Path) -> Iterator[Reader]:
    """Open a database for reading only, and close it.

    Raises:
        StoreError: there is no such database, or it cannot be opened.
    """
    try:
        connection = duckdb.connect(str(database_path), read_only=True)
    except duckdb.Error as error:
        raise StoreError(f"the database {database_path} cannot be opened: {error}") from error
    with connection:
        yield Reader(connection)
