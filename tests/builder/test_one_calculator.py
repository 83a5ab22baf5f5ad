"""One calculator: with a class in force that is not ours, nothing that is published is ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from builder.site import Output, build_site
from oracle.core.params import ALGORITHM_VERSION
from oracle.core.price import PricePoints, WindowPrice, price_window
from oracle.core.window import Window
from oracle.record.reader import Reader, open_reader
from oracle.record.store import Store
from oracle.tick import run_tick
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, make_history
from tests.helpers.swapped_calculator import OneDollarMore
from tests.helpers.ticking import FIRST, RULES, HeldSource, small_chain

BLOCKS = 300  # two days: a final day, and a window
THEIRS = "one-dollar-more"


class AllOneDollarMore(OneDollarMore):
    """The published price and all its points, each a dollar dearer."""

    def price_window(self, window: Window) -> WindowPrice:
        price = super().price_window(window)
        points = PricePoints(price.points.block_index, price.points.prices_usd + 1)
        return replace(price, points=points, chart_half_height=0.2)


@dataclass(frozen=True)
class Made:
    """A release and the record that it was made from."""

    folder: Path
    reader: Reader

    def read(self, path: str) -> Any:
        return json.loads((self.folder / path).read_bytes())

    def files(self, *endings: str) -> list[Path]:
        found = [path for path in self.folder.rglob("*") if path.name.endswith(endings)]
        assert found
        return found

    def ours(self, price: dict[str, Any]) -> float:
        """What our calculator says of the blocks of a published price."""
        ours = price_window(self.reader.window(price["first_height"], price["last_height"]))
        assert ours.price_usd is not None
        return ours.price_usd


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A record that ticks of the other class have made, and the site of it."""
    folder = tmp_path_factory.mktemp("swapped")
    source = HeldSource(small_chain(), FIRST + BLOCKS)
    calculator = AllOneDollarMore()
    rules = RULES._replace(first_run_blocks=BLOCKS)
    with Store(folder / "record.duckdb", network="simulated") as store:
        run_tick(store, source, source, calculator, rules, now_unix=source.time_unix)
    now = context(source.time_unix, calculator=calculator)
    output = Output(folder / "site", public_url="https://price.example.org", with_outputs=True)
    with open_reader(folder / "record.duckdb") as reader:
        yield Made(build_site(reader, output, now).folder, reader)


def test_no_file_names_our_version(made: Made) -> None:
    texts = made.files(".json", ".csv", ".html", ".atom", ".svg", ".txt", ".xml")
    assert [path for path in texts if ALGORITHM_VERSION in path.read_text()] == []


@pytest.mark.parametrize("name", ["latest", "window", "days", "status", "scorecard", "manifest"])
def test_each_file_names_the_version_of_the_class(made: Made, name: str) -> None:
    assert made.read(f"api/{name}.json")["algorithm_version"] == THEIRS


def test_every_block_of_the_table_has_its_version_and_price(made: Made) -> None:
    table = pq.read_table(made.folder / "data/prices.parquet").to_pydict()
    assert set(table["algorithm_version"]) == {THEIRS}
    newest = made.read("api/latest.json")["window"]
    assert table["window_usd"][-1] == newest["price_usd"] == made.ours(newest) + 1


def test_the_newest_window_and_each_day_are_a_dollar_dearer_than_ours(made: Made) -> None:
    days = [made.read(f"api/days/{day['date']}.json") for day in made.read("api/days.json")["days"]]
    assert days
    assert all(
        priced["price_usd"] == made.ours(priced) + 1
        for priced in (made.read("api/window.json"), *days)
    )


def test_the_points_beside_a_price_are_those_of_the_class(made: Made) -> None:
    window = made.read("api/window.json")
    blocks = made.reader.window(window["first_height"], window["last_height"])
    theirs = AllOneDollarMore().price_window(blocks).points.prices_usd.round(2)
    shown = window["price_points"]
    assert shown["total"] > 100
    assert set(shown["price_usd"]) <= set(theirs.tolist())
    assert "found by" not in shown["thinning"]


def test_our_own_price_stands_nowhere(made: Made) -> None:
    days = made.read("api/days.json")["days"]
    ours = [repr(made.ours(priced)) for priced in (made.read("api/latest.json")["window"], *days)]
    texts = [path.read_text() for path in made.files(".json", ".csv", ".html", ".atom", ".txt")]
    assert [price for price in ours if any(price in text for text in texts)] == []


def test_a_record_of_another_version_keeps_it_and_says_who_found_the_points(tmp_path: Path) -> None:
    now = context(END_UNIX, calculator=AllOneDollarMore())
    with make_history(days=3, outputs_per_block=20) as connection:
        release = Made(
            build_site(Reader(connection), Output(tmp_path), now).folder, Reader(connection)
        )
        files = {name: release.read(f"api/{name}.json") for name in ("latest", "window", "status")}
    versions = {name: file["algorithm_version"] for name, file in files.items()}
    assert versions == {"latest": "9.1+2", "window": "9.1+2", "status": THEIRS}
    assert files["window"]["price_points"]["thinning"].endswith(f"; found by {THEIRS}")


def test_a_file_of_many_prices_names_the_version_of_its_newest(tmp_path: Path) -> None:
    with make_history(days=3, outputs_per_block=0) as connection:
        connection.execute(
            "UPDATE prices SET algorithm_version = ? WHERE height = "
            "(SELECT max(height) FROM prices)",
            [THEIRS],
        )
        folder = build_site(Reader(connection), Output(tmp_path), context(END_UNIX)).folder
        release = Made(folder, Reader(connection))
    names = ("latest", "history/24h", "history/all", "days")
    versions = {name: release.read(f"api/{name}.json")["algorithm_version"] for name in names}
    assert versions == {
        "latest": THEIRS,
        "history/24h": THEIRS,
        "history/all": THEIRS,
        "days": ALGORITHM_VERSION,  # the newest final day is older than that block
    }


def test_another_version_makes_every_picture_anew(tmp_path: Path) -> None:
    with make_history(days=3, outputs_per_block=20) as connection:
        build_site(Reader(connection), Output(tmp_path), context())
        same = build_site(Reader(connection), Output(tmp_path), context())
        other = context(calculator=AllOneDollarMore())
        changed = build_site(Reader(connection), Output(tmp_path), other)
    assert (same.days_rendered, changed.days_rendered) == (0, 2)
