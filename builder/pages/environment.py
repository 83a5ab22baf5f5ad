"""The templates: they print what views and filters give them, and compute nothing."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.compiler import __file__ as compiler_file

from builder.draft import fingerprint
from builder.pages.assets import package_folder
from builder.pages.filters import FILTERS

HERE = Path(__file__).resolve().parent
OURS_ALONE = 0o700
OTHERS = 0o077


@cache
def environment() -> Environment:
    """The template environment: an undefined name is an error, everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(package_folder("templates", "templates")),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


def keep_compiled(folder: Path) -> None:
    """Keep compiled templates in a folder from run to run: to compile them takes as long as all
    else in a build.

    What lies there is run, so the folder must be ours alone; else nothing is kept. A file that is
    damaged, or of another template, Jinja2 or Python, is made anew by Jinja2.
    """
    with suppress(OSError):  # what cannot be kept is compiled each time
        folder.mkdir(mode=OURS_ALONE, exist_ok=True)
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if is_ours and not found.st_mode & OTHERS:
            start = f"{_compiled_from()}-"
            environment().bytecode_cache = _Kept(str(folder), f"{start}%s")
            for file in folder.iterdir():
                if not file.name.startswith(start):
                    file.unlink()


def _compiled_from() -> str:
    """Return a text that changes with all that a compiled template depends on: filters of constants
    are worked out when it is compiled."""
    compiler = Path(compiler_file).stat()
    return fingerprint((sources(), compiler.st_mtime_ns, compiler.st_size))


class _Kept(FileSystemBytecodeCache):
    """Does without where the disk is full or a file is damaged."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load a compiled template, if there is a whole one."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template, if there is room."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


def render(template: str, **facts: object) -> bytes:
    """Return a template with facts in it."""
    return environment().get_template(template).render(facts).encode()


@cache
def sources() -> list[bytes]:
    """Return all that decides how a page looks besides its facts and assets: templates, views,
    charts."""
    folder = package_folder("templates", "templates")
    files = [*sorted(folder.iterdir()), *sorted(HERE.rglob("*.py"))]
    return [file.read_bytes() for file in files if file.is_file()]
