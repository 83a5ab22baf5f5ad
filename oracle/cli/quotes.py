"""`oracle import-quotes`."""

from __future__ import annotations

import re
import time
from pathlib import Path

import click

from oracle.cli.common import as_json_option, read_settings, show
from oracle.errors import RequestError
from oracle.exchange.imports import Imported
from oracle.exchange.imports import import_quotes as import_into_record
from oracle.exchange.quote_file import read_quotes
from oracle.wiring import limits_of


@click.command(name="import-quotes")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--source", metavar="NAME", help="What its prices are called [default: FILE's name].")
@as_json_option
def import_quotes(*, file: Path, source: str | None, as_json: bool) -> None:
    """Set the exchange prices of a CSV file beside the past that was recorded without any."""
    name = source or re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem)[:40] or "file"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", name):
        raise RequestError(f"--source {name[:50]!r}: letters, digits, dots and dashes, 40 at most")
    settings = read_settings()
    now_unix = int(time.time())
    reach_seconds = limits_of(settings).quote_max_age_seconds
    quotes = read_quotes(file, name, reach_seconds, now_unix)
    imported = import_into_record(settings, quotes, now_unix)
    show({"source": name, **imported._asdict()}, _lines(name, imported), as_json=as_json)


def _lines(name: str, imported: Imported) -> list[str]:
    rows = f"{imported.rows:,} rows of {name} read"
    if imported.empty_rows:
        rows += f", {imported.empty_rows:,} of them without a price"
    if not imported.comparisons and not imported.days:
        return [rows, "nothing that was recorded lacks an exchange price that they have"]
    lines = [
        rows,
        f"{imported.comparisons:,} comparisons and {imported.days:,} days gained an exchange "
        f"price, from {imported.quotes:,} of the quotes",
    ]
    if imported.suspect:
        lines.append(
            f"{imported.suspect:,} quotes are not believed: kept, and compared with nothing"
        )
    return [*lines, "the site has them with the next build, the long histories at the full hour"]
