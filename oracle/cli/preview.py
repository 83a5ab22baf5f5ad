"""`oracle preview`."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import click

from builder.releases import current_release
from oracle.cli.common import read_settings
from oracle.errors import NoDataError, RequestError


@click.command()
@click.option("--port", default=8000, show_default=True, help="Port on 127.0.0.1.")
def preview(port: int) -> None:
    """Serve the finished files on 127.0.0.1 for a look; nginx is the real server."""
    folder = current_release(read_settings().oracle_site_dir)
    if folder is None:
        raise NoDataError("there is no site yet; make one with: oracle build")
    try:
        server = ThreadingHTTPServer(
            ("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=folder)
        )
    except OSError as error:
        raise RequestError(
            f"port {port} cannot be used ({error.strerror}); choose another with --port"
        ) from error
    click.echo(
        f"http://127.0.0.1:{server.server_port}/ (for a look; nginx is the real server; stop "
        f"with Ctrl-C)"
    )
    with server:
        server.serve_forever()
