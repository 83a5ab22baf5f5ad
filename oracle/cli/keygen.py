"""`oracle keygen`."""

from __future__ import annotations

from pathlib import Path

import click

from oracle.cli.common import as_json_option, read_settings, show
from oracle.errors import RequestError


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@as_json_option
def keygen(*, file: Path | None, as_json: bool) -> None:
    """Make a key to sign what is published with: the secret one in FILE, the public one beside."""
    from oracle.signing import make_keys

    settings = read_settings()
    path = file or settings.duckdb_path.with_name("signing.key")
    if path.absolute().is_relative_to(settings.oracle_site_dir.absolute()):
        raise RequestError(f"{path} is inside the site, where everybody reads: name another file")
    keys = make_keys(path)
    lines = [
        f"secret key: {keys.secret_path} (yours alone; keep a copy where the site is not)",
        f"public key: {keys.public_key}",
        f"set ORACLE_SIGNING_KEY={keys.secret_path}, and tell your readers the public key by "
        "another way than this site",
    ]
    answer = {"secret_key_file": str(keys.secret_path), "public_key": keys.public_key}
    show(answer, lines, as_json=as_json)
