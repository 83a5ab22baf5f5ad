"""The templates: they print what views and filters give them, and compute nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder.pages.assets import package_folder
from builder.pages.filters import FILTERS

HERE = Path(__file__).resolve().parent


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
