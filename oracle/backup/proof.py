"""What shows that a copy is a record: its rows agree with one another, and its newest price comes
out again of its own outputs. No source is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from oracle.config import SIMULATED, Settings
from oracle.errors import NoDataError, RequestError, StoreError
from oracle.plan import WINDOW_AND_TIP
from oracle.record.reader import open_reader
from oracle.record.store import Store
from oracle.verify.compare import VERDICTS
from oracle.verify.finding import Finding
from oracle.verify.recompute import FOR_THE_RECORD, Rules, differences, prices_of
from oracle.verify.record import check_record
from oracle.wiring import calculator_of, limits_of


class Proved(NamedTuple):
    """What a record holds that was looked at."""

    network: str | None
    blocks: int
    prices: int
    days: int
    tip_height: int
    tip_hash: str
    tip_time_unix: int


class Price(NamedTuple):
    """A price of the record that came out again; None where nothing could be worked out."""

    height: int
    window_usd: float | None


def look_at(database: Path, told_as: Path) -> Proved:
    """Look at all rows of a record; an error calls it `told_as`, where it came from.

    Raises:
        NoDataError: it holds no block.
        StoreError: it cannot be read, or its rows do not agree with one another.
    """
    with _told_as(database, told_as), open_reader(database) as reader:
        tip = reader.row("tip", now=0)
        if tip is None:
            raise NoDataError(f"{told_as} holds no block yet: there is nothing to keep")
        _demand_none(check_record(reader).misses, told_as)
        counts = reader.rows("counts")[0]
        facts = {row["name"]: row["value"] for row in reader.rows("facts")}
    return Proved(
        facts.get("network"), counts["blocks"], counts["prices"], counts["days"],
        tip["height"], tip["hash"], tip["time_unix"],
    )  # fmt: skip


@contextmanager
def _told_as(database: Path, told_as: Path) -> Iterator[None]:
    """Let what DuckDB says of a copy in the making name the file that a person knows."""
    try:
        yield
    except StoreError as error:
        raise StoreError(str(error).replace(str(database), str(told_as))) from error


def check_network(network: str | None, settings: Settings) -> None:
    """Check that a record is of the network that the settings name.

    Raises:
        RequestError: it is of another one.
    """
    wanted = SIMULATED if settings.is_simulated else settings.oracle_network
    is_other = network != wanted if wanted else network == SIMULATED
    if is_other:
        raise RequestError(
            f"the backup records the {network} chain, and the settings name "
            f"{wanted or 'sources of a real one'}: set another DUCKDB_PATH, or restore another "
            f"backup with: oracle restore FILE"
        )


def newest_price_again(
    database: Path, told_as: Path, tip_height: int, settings: Settings
) -> Price | None:
    """Work out the newest price again from the outputs that the record keeps.

    Returns None where it cannot be: there is no price, another version made it, or the record
    has not all blocks of its window.

    Raises:
        StoreError: it is another price than the recorded one.
    """
    rules = Rules(calculator_of(settings), limits_of(settings))
    with Store(database) as store:
        row, _ = store.newest_price(tip_height)
        if row is None or row["algorithm_version"] != rules.calculator.algorithm_version:
            return None
        height = row["height"]
        chain = store.facts(height - WINDOW_AND_TIP + 1, height)
    if len(chain) < WINDOW_AND_TIP:
        return None
    prices = prices_of(chain, rules)
    # Settings of today decide the verdicts.
    made = {name: value for name, value in prices.items() if name not in VERDICTS}
    _demand_none(differences(f"block {height}", {**row}, made, FOR_THE_RECORD), told_as)
    return Price(height, prices["window_usd"])


def _demand_none(misses: Iterable[Finding], told_as: Path) -> None:
    found = list(misses)
    if found:
        raise StoreError(
            f"{told_as} is not as it must be ({len(found)} faults, the first: "
            f"{found[0].place} is {found[0].seen}, and should be {found[0].expected}): it is not "
            f"used, and no copy was removed; for the record itself, oracle verify says more"
        )
