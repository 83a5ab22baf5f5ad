"""`oracle backup` and `oracle restore`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from oracle.backup.make import Backup, back_up
from oracle.backup.proof import Proved
from oracle.backup.restore import Restored
from oracle.backup.restore import restore as bring_back
from oracle.chain import utc_text
from oracle.cli.common import as_json_option, read_settings, show

MEGABYTE = 1e6


@click.command()
@click.option("--to", "folder", metavar="FOLDER", help="Instead of ORACLE_BACKUP_DIR.")
@as_json_option
def backup(*, folder: str | None, as_json: bool) -> None:
    """Copy the database to ORACLE_BACKUP_DIR, look at the copy, and let go of old ones."""
    settings = read_settings(ORACLE_BACKUP_DIR=folder or "")
    made = back_up(settings, time.time())
    answer = {**made._asdict(), "path": str(made.path), "record": made.record._asdict()}
    answer["removed"] = [str(path) for path in made.removed]
    show(answer, _of_backup(made), as_json=as_json)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@as_json_option
def restore(*, file: Path | None, as_json: bool) -> None:
    """Bring back the newest copy of the database, or FILE; what is there is kept aside."""
    back = bring_back(read_settings(), file, time.time())
    answer = {**back._asdict(), "path": str(back.path), "record": back.record._asdict()}
    answer["price"] = back.price._asdict() if back.price else None
    answer["aside"] = str(back.aside) if back.aside else None
    show(answer, _of_restore(back), as_json=as_json)


def _of_backup(made: Backup) -> list[str]:
    lines = [
        f"{made.path}: {made.size_bytes / MEGABYTE:,.1f} MB, {_held(made.record)}",
        f"looked at, and all is as it must be; SHA-256 {made.sha256}",
    ]
    if made.removed:
        lines.append(f"{len(made.removed)} older copies are no longer kept, and removed")
    return lines


def _of_restore(back: Restored) -> list[str]:
    lines = [f"restored from {back.path}: {_held(back.record)}"]
    if not back.is_sum_known:
        lines.append("no .sha256 stands beside it: its rows were looked at, its bytes not compared")
    if back.price is None:
        lines.append("its newest price could not be worked out again (another version, or a gap)")
    elif back.price.window_usd is None:
        lines.append(f"block {back.price.height} has no price, as it comes out again")
    else:
        lines.append(
            f"the price as of block {back.price.height} comes out again to the last digit: "
            f"${back.price.window_usd:,.2f}"
        )
    if back.aside:
        lines.append(f"the database that was there is kept as {back.aside}; remove it when you may")
    lines.append("now run: oracle build (it reads the blocks that came since)")
    return lines


def _held(record: Proved) -> str:
    chain = "" if record.network == "main" else f" of the {record.network} chain"
    return (
        f"{record.blocks} blocks{chain} up to {record.tip_height} "
        f"({utc_text(record.tip_time_unix)}), {record.prices} prices, {record.days} days"
    )
