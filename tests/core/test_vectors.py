"""The published answers, as doubles: simulated vectors, a real window, real blocks."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from oracle.chain import day_range, recent_range, verify_continuity
from oracle.core.eligible import is_round_btc
from oracle.core.price import WindowPrice, price_window
from oracle.core.window import Window, form_window
from tests.helpers.vectors import block_index, chain_facts, expected, read_facts

ANSWERS = [
    *(
        ("recent_" + name, 0)
        for name in ("small", "low_price", "high_price", "weak_signal", "dense")
    ),
    *(("days", i) for i in range(3)),
]
REAL_BLOCKS = [
    *(
        "170",
        "150013",
        "255018",
        "362500",
        "500000",
        "525000",
        "625000",
        "696394",
        "739990",
        "757739",
        "767430",
    ),
    *("780004", "784588", "849236", "849250", "866342", "951658"),
]


def answer_of(shared: Path, name: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    chain = expected(shared / "vectors")[name]
    return chain, chain["answers"][number]


@pytest.mark.parametrize(("name", "number"), ANSWERS)
def test_every_vector_is_answered_to_the_last_bit(shared: Path, name: str, number: int) -> None:
    chain, answer = answer_of(shared, name, number)
    first = chain["first_height"]
    facts = chain_facts(shared / "vectors", name, first)
    price = price_window(
        form_window(facts[answer["first_height"] - first : answer["last_height"] - first + 1])
    )
    found = {
        "rough_price": price.rough_price_usd,
        "price": price.price_usd,
        "outputs": price.outputs,
        "points": len(price.points.prices_usd),
        "best_slide": price.rough and price.rough.best_slide,
        "deviation": price.spread,
        "axis_range": price.chart_half_height,
    }
    assert found == {name: answer[name] for name in found}


@pytest.mark.parametrize(("name", "number"), ANSWERS)
def test_every_vector_has_the_published_range_of_blocks(
    shared: Path, name: str, number: int
) -> None:
    chain, answer = answer_of(shared, name, number)
    first = chain["first_height"]
    times = [facts.time_unix for facts in chain_facts(shared / "vectors", name, first)]
    if answer["mode"] == "recent":
        found = recent_range(chain["tip_height"])
    else:
        day = datetime.strptime(answer["date"], "%Y/%m/%d").date()
        found = day_range(
            day,
            chain["tip_height"],
            lambda low, high: times[low - first : high - first + 1] if low >= first else [],
        )
    assert found == (answer["first_height"], answer["last_height"])


def test_the_vectors_are_chains(shared: Path) -> None:
    verify_continuity(
        chain_facts(
            shared / "vectors", "days", expected(shared / "vectors")["days"]["first_height"]
        )
    )


def real_window(shared: Path) -> Window:
    rows = pq.read_table(shared / "data" / "window_937665.parquet")
    heights, times, values = (rows[name].to_numpy() for name in ("height", "time", "value_sats"))
    block_heights, first, index = np.unique(heights, return_index=True, return_inverse=True)
    return Window(
        block_heights.astype(np.int32),
        times[first].astype(np.int64),
        index.astype(np.int32),
        values.astype(np.int64),
        is_round_btc(values),
    )


def test_the_real_window_has_its_published_price(shared: Path) -> None:
    price = price_window(real_window(shared))
    assert (price.price_usd, price.rough_price_usd, len(price.points.prices_usd)) == (
        68150.84052703316,
        67981,
        59_274,
    )


@pytest.mark.parametrize("height", REAL_BLOCKS)
def test_every_number_of_a_real_block_is_the_published_one(shared: Path, height: str) -> None:
    row = next(row for row in block_index(shared / "blocks") if row["height"] == height)
    (facts,) = read_facts([(shared / "blocks" / f"{height}.bin").read_bytes()], int(height))
    price = price_window(form_window([facts]))
    found = {
        "hash": facts.hash,
        "time_unix": facts.time_unix,
        "size": facts.size_bytes,
        "transactions": facts.transactions,
        "outputs": facts.outputs,
        "eligible_outputs": price.outputs,
        **alone(price),
    }
    assert found == {name: row[name] if name == "hash" else number(row[name]) for name in found}


def alone(price: WindowPrice) -> dict[str, Any]:
    points = len(price.points.prices_usd) if price.price_usd else None
    return {
        "alone_rough_usd": price.rough_price_usd,
        "alone_price_usd": price.price_usd,
        "alone_points": points,
    }


def number(text: str) -> Any:
    return json.loads(text) if text else None


def test_the_list_of_real_blocks_is_whole(shared: Path) -> None:
    assert [row["height"] for row in block_index(shared / "blocks")] == REAL_BLOCKS
