"""What our own record publishes, as the rows that a verification compares."""

from __future__ import annotations

from datetime import date

from oracle.record.reader import Reader
from oracle.verify.compare import Published, fingerprint_of
from oracle.verify.recompute import FOR_THE_RECORD, Row, stretches
from oracle.verify.selection import Chosen, DaySpan


def known_heights(reader: Reader) -> list[int]:
    """Return the heights that have a price, ascending."""
    return [row["height"] for row in reader.ask("priced_heights")]


def known_days(reader: Reader) -> list[DaySpan]:
    """Return the days that have a row, ascending."""
    return [
        DaySpan(row["date"], row["first_height"], row["last_height"])
        for row in reader.ask("all_days")
    ]


def of_record(reader: Reader, chosen: Chosen) -> Published:
    """Return the rows of the record that are chosen, and of the blocks that they were made from."""
    prices: dict[int, Row] = {}
    blocks: dict[int, Row] = {}
    outputs: dict[int, str] = {}
    for first, last in stretches(chosen.heights):
        span = {"first": first, "last": last}
        prices |= {row["height"]: row for row in reader.ask("prices_between", **span)}
        blocks |= {row["height"]: row for row in reader.ask("blocks_between", **span)}
        outputs |= _fingerprints(reader, first, last)
    days: dict[date, Row] = {row["date"]: row for row in reader.ask("all_days")}
    return Published(prices, days, blocks=blocks, outputs=outputs, advice=FOR_THE_RECORD)


def _fingerprints(reader: Reader, first: int, last: int) -> dict[int, str]:
    found = {}
    for row in reader.ask("outputs_of_blocks", first=first, last=last):
        found[row["height"]] = fingerprint_of(row["value_sats"], row["is_round"])
    return found
