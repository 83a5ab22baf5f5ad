"""`oracle recover`."""

from __future__ import annotations

import click

from oracle.cli.common import as_json_option, read_settings, show
from oracle.errors import NoDataError
from oracle.lock import only_run
from oracle.record.connect import check_ours
from oracle.record.store import Store


@click.command()
@as_json_option
def recover(*, as_json: bool) -> None:
    """Merge the rows that failed runs left in DUCKDB_BACKUP_PATH into the database."""
    settings = read_settings()
    backup = settings.duckdb_backup_path
    if not backup.exists():
        raise NoDataError(f"{backup} does not exist: there is nothing to recover")
    check_ours(backup)
    with only_run(settings):
        with Store(backup) as saved:
            network = saved.network
        with Store(settings.duckdb_path, network=network) as store:
            added = store.merge_from(backup)
        backup.unlink()
    lines = [f"{count} rows of {table}" for table, count in added.items() if count] or [
        "nothing was missing"
    ]
    show(added, lines, as_json=as_json)
