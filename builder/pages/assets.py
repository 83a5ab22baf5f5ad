"""Files of our own that pages load, and where they and the templates lie."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

BUILDER = Path(__file__).resolve().parent.parent
PLOTLY = "plotly/package_data/plotly.min.js"
"""In the plotly package, which itself is never imported: that takes longer than a build."""


ASKED = b'document.getElementById("'
REST_OF_ASKED = re.compile(rb'[0-9a-f]{64}"\)')


def asset_files() -> dict[str, bytes]:
    """Hand-written files and Plotly by logical name, to be published under fingerprinted names."""
    folder = package_folder("assets", "site/assets")
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    return {**files, "plotly.min.js": _plotly()}


def package_folder(inside: str, beside: str) -> Path:
    """Return a folder that lies inside the package in a wheel, and beside it in a checkout."""
    within = BUILDER / inside
    return within if within.is_dir() else BUILDER.parent / beside


def _plotly() -> bytes:
    # The bundle adds one inline <style> for maps, which a strict content policy refuses with a
    # console error; its own test "is it there already" is made true. The rest is Plotly's.
    bundle = Path(str(distribution("plotly").locate_file(PLOTLY))).read_bytes()
    first, *others = bundle.split(ASKED)  # one expression for all takes longer on megabytes
    return first + b"".join(map(_answered, others))


def _answered(rest: bytes) -> bytes:
    """Return what follows the start of a question for an element, with the answer of ours before
    it, or else with that start."""
    found = REST_OF_ASKED.match(rest)
    return b"true" + rest[found.end() :] if found else ASKED + rest
