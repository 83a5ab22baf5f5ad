"""The typed rows: each statement of the record answers with exactly the columns of its class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from builder import day_rows, rows, score_rows
from builder.api import types
from oracle.record.reader import Reader
from oracle.record.sql import statements
from tests.helpers.made_history import END_UNIX, make_history

MIDNIGHT = END_UNIX // 86_400 * 86_400
HEIGHTS = {"first": 900_144, "last": 900_200}
ANSWERS: dict[str, tuple[type, dict[str, Any]]] = {
    "facts": (rows.FactRow, {}),
    "tip": (rows.TipRow, {"now": END_UNIX}),
    "block": (rows.BlockRow, {"height": 900_144}),
    "spot": (rows.SpotRow, {}),
    "window": (rows.WindowRow, {}),
    "exchange": (rows.ExchangeRow, {"now": END_UNIX}),
    "divergence": (rows.DivergenceRow, {"now": END_UNIX}),
    "days": (rows.DayRow, {}),
    "candles": (rows.CandleRow, {"first": 0, "last": 10**6}),
    "ticks": (rows.MomentRow, {"first": 0, "now": END_UNIX}),
    "thinned": (rows.MomentRow, {"first": 0, "step": 3600, "last": 10**6}),
    "scorecard": (
        score_rows.ScoreRow,
        {"hour": END_UNIX, "first": 0, "last": 10**6, "periods": [1, 365]},
    ),
    "price_months": (rows.PriceMonthRow, {"last": None}),
    "score_parts": (score_rows.ScorePartRow, {"last": 10**6, "most": 12_800}),
    "reliability": (score_rows.ReliabilityRow, {"last": 10**6, "edges": [0.0, 0.5]}),
    "changes": (rows.ChangeRow, {}),
    "episodes": (rows.EpisodeRow, {"now": END_UNIX}),
    "runs": (rows.RunRow, {"now": END_UNIX}),
    "last_good_run": (rows.RunRow, {"now": END_UNIX}),
    "last_failed_run": (rows.RunRow, {"now": END_UNIX}),
    "counts": (rows.CountsRow, {}),
    "first_comparisons": (rows.FirstComparisonsRow, {}),
    "failing": (rows.FailingRow, {}),
    "gaps": (rows.GapRow, {}),
    "peers": (rows.PeerRow, {}),
    "first_price": (rows.PriceAtRow, {}),
    "prices_at": (
        rows.PriceAtRow,
        {"first": END_UNIX - 86_400, "last": END_UNIX, "step": 10_000, "since": 0},
    ),
    "hours_of_day": (day_rows.HourRow, {**HEIGHTS, "start": MIDNIGHT}),
    "quotes_of_day": (day_rows.QuoteRow, {"start": MIDNIGHT}),
    "left_out": (day_rows.LeftOutRow, HEIGHTS),
    "spot_line": (day_rows.SpotLineRow, HEIGHTS),
    "months": (rows.MonthRow, {}),
}
NOT_ROWS = {"views", "window_blocks", "window_outputs"}  # arrays, and what other statements use


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """Three days with a gap, a failed run and an episode that goes on."""
    with make_history(days=3, outputs_per_block=0, percent_off=3.2) as connection:
        connection.execute("DELETE FROM blocks WHERE height = 900010")
        connection.execute(
            "INSERT INTO runs SELECT * REPLACE ('failed' AS outcome, ? AS error) FROM runs LIMIT 1",
            ['{"code": "A", "message": "b", "retry_after": null, "details": {}}'],
        )
        connection.execute(
            "INSERT INTO peers (peer, state, since_unix, asked_at_unix) "
            "VALUES ('p', 'agrees', 1, 2)"
        )
        yield Reader(connection)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_statement_answers_with_the_columns_and_types_of_its_class(
    reader: Reader, name: str
) -> None:
    kind, parameters = ANSWERS[name]
    found = reader.rows(name, **parameters)
    assert found
    adapter = TypeAdapter(list[kind], config={"defer_build": True})
    adapter.rebuild(_types_namespace=vars(types))  # the builder itself imports them for mypy only
    assert adapter.validate_python(found, strict=True) == found


def test_every_statement_of_the_site_has_a_class() -> None:
    names = {name.removeprefix("site_") for name in statements() if name.startswith("site_")}
    tables = {name for name in names if name.startswith("table_of_")}
    assert names - tables - NOT_ROWS == set(ANSWERS)
