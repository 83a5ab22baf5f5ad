"""The command `oracle`: parses, calls the library, prints, and maps errors to exit codes.

One module a group of commands, loaded when its command is asked for. Nothing else prints, reads
the clock and the environment, or imports `builder`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from typing import NamedTuple, NoReturn

import click

from oracle import DISTRIBUTION
from oracle.errors import (
    ExhaustedError,
    InternalError,
    OracleError,
    RequestError,
    StoreError,
    unexpected,
)

# Database, lock, log and backup are ours alone; what is published is opened on purpose.
PRIVATE = 0o077
# A command makes few cycles and ends soon: what it loads need not be looked through for garbage
# time and again, and not at all at its end. Together a tenth of what a build takes.
OBJECTS_BETWEEN_COLLECTIONS = 500_000


class Place(NamedTuple):
    """The module of a command, whose function has the command's name, and what it is for."""

    module: str
    help: str


# What --help says stands here, so that it need not load every command; a test compares.
COMMANDS = {
    "backfill": Place(
        "oracle.cli.backfill",
        "Add the past that the database lacks: ORACLE_HISTORY_DAYS, or the days that are named.",
    ),
    "backup": Place(
        "oracle.cli.backup",
        "Copy the database to ORACLE_BACKUP_DIR, look at the copy, and let go of old ones.",
    ),
    "build": Place(
        "oracle.cli.build",
        "Run once: fetch what is new, price it, record it, and publish the site.",
    ),
    "config": Place(
        "oracle.cli.config",
        "Print each setting, where its value came from, and what is wrong; secrets are masked.",
    ),
    "doctor": Place(
        "oracle.cli.doctor",
        "Look at every source, the clock, disks, permissions, the quote and the database.",
    ),
    "import-quotes": Place(
        "oracle.cli.quotes",
        "Set the exchange prices of a CSV file beside the past that was recorded without any.",
    ),
    "keygen": Place(
        "oracle.cli.keygen",
        "Make a key to sign what is published with: the secret one in FILE, the public one beside.",
    ),
    "notify": Place(
        "oracle.cli.notify",
        "Tell people that a service failed which could not tell it itself; systemd runs this.",
    ),
    "preview": Place(
        "oracle.cli.preview",
        "Serve the finished files on 127.0.0.1 for a look; nginx is the real server.",
    ),
    "price": Place(
        "oracle.cli.price",
        "Print the on-chain price of the last 144 blocks, of a UTC day, or of blocks in files.",
    ),
    "publish": Place(
        "oracle.cli.publish",
        "Put the site to TARGET, as in s3://bucket/folder or a folder: what is new, and no more.",
    ),
    "recover": Place(
        "oracle.cli.recover",
        "Merge the rows that failed runs left in DUCKDB_BACKUP_PATH into the database.",
    ),
    "render": Place(
        "oracle.cli.build", "Publish the site again from the database, without asking any source."
    ),
    "restore": Place(
        "oracle.cli.backup",
        "Bring back the newest copy of the database, or FILE; what is there is kept aside.",
    ),
    "rollback": Place(
        "oracle.cli.build", "Go back to the release before the present one, or to the one named."
    ),
    "status": Place("oracle.cli.status", "Say how the last runs went, from the database."),
    "verify": Place(
        "oracle.cli.verify",
        "Work out again from the node what was published here, or at URL, and compare.",
    ),
}


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None for a name that is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = getattr(
            importlib.import_module(COMMANDS[cmd_name].module), cmd_name.replace("-", "_")
        )
        assert isinstance(command, click.Command)  # noqa: S101 - the table above says so
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        stubs = [click.Command(name, help=COMMANDS[name].help) for name in names]
        rows = [(stub.name or "", stub.get_short_help_str(room)) for stub in stubs]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def main() -> NoReturn:
    """Run the command; every error we raise becomes one sentence and its exit code."""
    os.umask(PRIVATE)
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
    _open_standard_streams()
    try:
        oracle.main(standalone_mode=False)
    except click.exceptions.Abort:
        _die("stopped", 130)
    except click.ClickException as error:
        _die(error.format_message(), RequestError.exit_code)
    except OracleError as error:
        _die("\noracle: ".join(getattr(error, "problems", [str(error)])), error.exit_code)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except PermissionError as error:
        _die(
            f"{error.filename} is closed to this user: run this as the user of the service "
            f"(sudo onchain-oracle, where it was installed so)",
            StoreError.exit_code,
        )
    except Exception as error:  # nobody expects it: a fault of ours, of a library, of a replacement
        _die(_unexpected(error), InternalError.exit_code)
    sys.exit(0)


def _open_standard_streams() -> None:
    """Lead a standard stream that is closed to nowhere.

    The next file that is opened, which may be the database, would get its number, and whatever a
    library prints would be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _unexpected(error: Exception) -> str:
    """Return the sentence for what nobody expects; its traceback goes to the log alone."""
    from oracle.cli.common import log_traceback

    where = log_traceback(error) or "set LOG_FILE and run it again to have the traceback"
    found = unexpected(error, "")
    if isinstance(found, ExhaustedError):
        return str(found)
    return f"something went wrong that should not have ({type(error).__name__}); {where}"


def _die(sentence: str, exit_code: int) -> NoReturn:
    from oracle.cli.common import complain

    complain(sentence)
    sys.exit(exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION, prog_name="oracle")
def oracle() -> None:
    """The on-chain bitcoin price, from your own node's blocks.

    Settings come from the environment and from .env (see docs/settings.md). With no node
    configured, a simulated chain is used, and everything that shows its numbers says so.
    """
