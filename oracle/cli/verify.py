"""`oracle verify`: is what was published so? Ours, or somebody else's."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import click

from oracle.cli.common import as_json_option, read_settings, show
from oracle.cli.days import parse_day
from oracle.cli.progress import show_progress
from oracle.config import Settings
from oracle.errors import RequestError, SourceError, UncheckedError
from oracle.lock import only_run
from oracle.verify.compare import Published, compare_with_blocks
from oracle.verify.finding import Verification
from oracle.verify.recompute import Rules
from oracle.verify.selection import Asked, Chosen, choose
from oracle.wiring import calculator_of, limits_of, open_sources

DAY = {"callback": parse_day, "metavar": "DATE"}
MISS = 1  # the exit code where something does not match
MAX_SHOWN = 20  # misses printed one by one


@click.command()
@click.argument("url", required=False)
@click.option("--day", help="Only the prices of one UTC day.", **DAY)  # type: ignore[arg-type]
@click.option("--from", "first_day", help="From this UTC day on.", **DAY)  # type: ignore[arg-type]
@click.option("--to", "last_day", help="Up to this UTC day.", **DAY)  # type: ignore[arg-type]
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the newest N blocks.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="Only N blocks, drawn at random."
)
@click.option("--key", metavar="KEY", help="Demand a signature by this minisign key, or key file.")
@as_json_option
def verify(
    *, url: str | None, day: date | None, first_day: date | None, last_day: date | None,
    last: int | None, sample: int | None, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Work out again from the node what was published here, or at URL, and compare."""
    asked = _asked(day, first_day, last_day, last, sample)
    settings = read_settings()
    rules = Rules(calculator_of(settings), limits_of(settings))
    found = (
        _site_elsewhere(settings, url, key, asked, rules)
        if url
        else _our_site(settings, key, asked, rules)
    )
    _show(found, as_json=as_json)
    if found.misses:
        sys.exit(MISS)
    if found.unchecked:
        sys.exit(UncheckedError.exit_code)


def _asked(
    day: date | None, first_day: date | None, last_day: date | None,
    last: int | None, sample: int | None,
) -> Asked:  # fmt: skip
    ways = (day is not None, bool(first_day or last_day), last is not None, sample is not None)
    if sum(ways) > 1:
        raise RequestError("ask for one of --day, --from/--to, --last and --sample at a time")
    return Asked(day or first_day, day or last_day, last, sample)


def _our_site(settings: Settings, key: str | None, asked: Asked, rules: Rules) -> Verification:
    from builder.releases import current_release
    from builder.verify import check_release
    from oracle.cli.build import output_of
    from oracle.cli.context import context_of
    from oracle.record.reader import open_reader
    from oracle.verify.published import known_days, known_heights, of_record
    from oracle.verify.record import check_record

    # While the lock is held the site and the record are of one moment; a tick comes back later.
    with only_run(settings), open_reader(settings.duckdb_path) as reader:
        network = {row["name"]: row["value"] for row in reader.rows("facts")}.get("network")
        found = check_record(reader)
        release = current_release(settings.oracle_site_dir)
        if release is None:
            found.unchecked.append("the site: none is published yet")
        else:
            with show_progress("building aside", "days") as progress:
                context = context_of(settings)
                output = output_of(settings)
                _add(found, check_release(reader, release, output, context, progress))
            if key:
                _check_signature_of(release, key, found)
        chosen = choose(known_heights(reader), known_days(reader), asked)
        published = of_record(reader, chosen)
    _add(found, _beside_the_node(settings, published, chosen, rules, network))
    return found


def _check_signature_of(release: Path, key: str, found: Verification) -> None:
    from oracle.signing import check_signature
    from oracle.verify.elsewhere import MANIFEST, SIGNATURE

    try:
        signature = (release / SIGNATURE).read_bytes()
    except FileNotFoundError:
        signature = None
    manifest = (release / MANIFEST).read_bytes()
    found.note("signatures", 1, check_signature(manifest, signature, key))


def _site_elsewhere(
    settings: Settings, url: str, key: str | None, asked: Asked, rules: Rules
) -> Verification:
    from oracle.address import parse_address
    from oracle.verify.elsewhere import Elsewhere, read_site
    from oracle.verify.tables import Tables
    from oracle.wiring import route_of

    try:
        address = parse_address(url)
    except ValueError as error:
        raise RequestError(f"the site to verify {error}, such as https://example.com") from error
    with (
        closing(Elsewhere(address, route_of(settings))) as site,
        show_progress("reading files", "files") as progress,
    ):
        manifest, files, found = read_site(site, key, progress)
    tables = Tables(files, found)
    chosen = choose(tables.heights(), tables.spans(), asked)
    published = tables.published(chosen)
    _add(found, _beside_the_node(settings, published, chosen, rules, manifest.network))
    return found


def _beside_the_node(
    settings: Settings, published: Published, chosen: Chosen, rules: Rules, network: str | None
) -> Verification:
    found = Verification()
    with (
        closing(open_sources(settings, time.time, is_patient=False).blocks) as source,
        show_progress("reading blocks") as progress,
    ):
        try:
            ours = source.network()
        except SourceError as error:
            found.unchecked.append(f"every price: {error}")
            return found
        if network is not None and ours != network:
            raise RequestError(
                f"these numbers are of the network {network}, and your node is on {ours}: nothing "
                "can be worked out again"
            )
        return compare_with_blocks(published, chosen, source, rules, progress)


def _add(found: Verification, more: Verification) -> None:
    found.matches.update(more.matches)
    found.misses += more.misses
    found.unchecked += more.unchecked


def _show(found: Verification, *, as_json: bool) -> None:
    lines = [f"{count} {kind}: as they must be" for kind, count in found.matches.items() if count]
    lines += [f"miss: {miss.sentence}" for miss in found.misses[:MAX_SHOWN]]
    if len(found.misses) > MAX_SHOWN:
        lines.append(f"... and {len(found.misses) - MAX_SHOWN} more; --json has all of them")
    lines += [f"not checked: {reason}" for reason in found.unchecked]
    lines.append(_verdict(found))
    answer = {
        "is_match": found.is_match,
        "matches": dict(found.matches),
        "misses": [miss._asdict() for miss in found.misses],
        "unchecked": found.unchecked,
    }
    show(answer, lines, as_json=as_json)


def _verdict(found: Verification) -> str:
    if found.misses:
        return f"MISS: {len(found.misses)} things are not as they must be"
    if found.unchecked:
        return "match, as far as it could be told"
    return "match: everything that was compared is the same to the last digit"
