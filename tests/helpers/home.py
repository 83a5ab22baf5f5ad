"""A publisher's folder: settings, a record and a site, and commands run there in this process."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from oracle import cli

PREFIXES = ("ORACLE_", "BITCOIN_", "DUCKDB_", "MEMPOOL_", "ELECTRS_")


@dataclass
class Home:
    """A folder with a record and a site, and the settings by which they were made."""

    folder: Path
    settings: dict[str, str]

    @property
    def database(self) -> Path:
        [found] = self.folder.glob("state/*.duckdb")
        return found

    @property
    def public(self) -> Path:
        return self.folder / "site/public"

    def oracle(self, *arguments: str) -> int:
        """Run a command here, in this process; return its exit code."""
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(PREFIXES)]:
                patch.delenv(name)
            for name, value in self.settings.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["oracle", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return int(ended.value.code or 0)

    def copied_to(self, folder: Path) -> Home:
        """Return a copy of all that, to change."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Home(folder, self.settings)

    def render_anew(self) -> None:
        """Publish the record with nothing carried over."""
        self.public.unlink()
        assert self.oracle("render") == 0

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.database)) as connection:
            connection.execute(sql)
