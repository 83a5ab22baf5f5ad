"""Small things that several pages show."""

from __future__ import annotations

from typing import Literal, NamedTuple

from builder.pages.charts.chart import Chart, Drawing, draw
from builder.pages.site import Site

FAIR_CONFIDENCE = 0.5
HIGH_CONFIDENCE = 0.8
"""Where a valid price's confidence is called fair, and high."""


class Tag(NamedTuple):
    """A coloured word; `kind` is a class."""

    kind: str
    words: str


class Notice(NamedTuple):
    """What a reader must know: `kind` is a class, `lead` is bold."""

    kind: str
    severity: str
    lead: str
    text: str

    @property
    def is_info(self) -> bool:
        """Whether this is no warning."""
        return self.severity == "info"


class Reading(NamedTuple):
    """How DuckDB and pandas read a file from afar.

    `columns` are SQL; `key` is what pandas picks out of a JSON file that is not a table.
    """

    address: str
    reader: Literal["read_parquet", "read_csv", "read_json"]
    columns: str = "*"
    key: str | None = None


class Downloads(NamedTuple):
    """Files with what a chart shows, and how to read one of them from afar; `is_part` says that the
    Parquet file has more than that."""

    name: str
    csv: str | None
    json: str
    parquet: str | None
    reading: Reading
    is_part: bool = False


class Drawn(NamedTuple):
    """A drawn chart alone, and the same in words."""

    drawing: Drawing
    words: str


def drawn(chart: Chart, words: str) -> Drawn:
    """Return a chart that has no files of its own."""
    return Drawn(draw(chart), words)


class Alive(NamedTuple):
    """What a chart becomes by its JSON file once scripts run (site/assets/figures.js).

    Args:
        kind: of chart; empty: it stays as it is drawn.
        part: of the file that it shows, where that is not all of it.
        has_address: whether a zoom stands in the page's address: of one chart a page.
    """

    kind: str = ""
    part: str = ""
    has_address: bool = False


class Figure(NamedTuple):
    """A drawn chart, the same in words, its downloads, and what it becomes."""

    drawing: Drawing
    words: str
    downloads: Downloads
    alive: Alive


AS_DRAWN = Alive()


def figure(chart: Chart, words: str, downloads: Downloads, alive: Alive = AS_DRAWN) -> Figure:
    """Return a chart as it is shown."""
    return Figure(draw(chart), words, downloads, alive)


def sureness(is_valid: bool, confidence: float) -> str:
    """Return a confidence in one word."""
    if not is_valid or confidence < FAIR_CONFIDENCE:
        return "Low"
    return "High" if confidence >= HIGH_CONFIDENCE else "Fair"


def plural(count: int, word: str) -> str:
    """Return a word, with an s unless it is one."""
    return word if count == 1 else f"{word}s"


def parquet_downloads(
    site: Site, name: str, *, table: str, json: str, columns: str = "*", csv: str | None = None
) -> Downloads:
    """Return the files of a table in `/data/`: CSV, Parquet, and a JSON file with the same facts.

    Args:
        site: what pages are made from.
        name: of the picture.
        table: path without `.csv` and `.parquet`.
        json: path.
        columns: of the table, as SQL.
        csv: path of rows of just what is drawn, where the table has more.
    """
    parquet = f"{table}.parquet"
    reading = Reading(f"{site.origin}{parquet}", "read_parquet", columns)
    return Downloads(name, csv or f"{table}.csv", json, parquet, reading, is_part=csv is not None)


def csv_downloads(site: Site, name: str, *, csv: str, json: str) -> Downloads:
    """Return the files of a table that has no Parquet twin."""
    return Downloads(name, csv, json, None, Reading(f"{site.origin}{csv}", "read_csv"))


def json_downloads(site: Site, name: str, *, json: str, column: str, key: str) -> Downloads:
    """Return a JSON file that is not a table, and what to pick out of it: an SQL column, a key."""
    reading = Reading(f"{site.origin}{json}", "read_json", column, key)
    return Downloads(name, None, json, None, reading)
