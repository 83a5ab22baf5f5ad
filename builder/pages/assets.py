"""Files of our own that pages load, and where they and the templates lie."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

BUILDER = Path(__file__).resolve().parent.parent
PLOTLY = "plotly/package_data/plotly.min.js"
"""In the plotly package, which itself is never imported: that takes longer than a build."""


ASKED = b'document.getElementById("'
REST_OF_ASKED = re.compile(rb'[0-9a-f]{64}"\)')


ROOT_FILES = (
    "favicon.svg",
    "apple-touch-icon.png",
    "icon-192.png",
    "icon-512.png",
    "site.webmanifest",
)
"""What browsers ask for under these names, at the root of the site."""


HEAD_BYTES = 4096
"""Of Plotly's bundle: its version stands there."""


class Asset(NamedTuple):
    """A file that pages load: the name under which it never changes, and how its bytes are had."""

    path: str
    read: Callable[[], bytes]


def assets() -> dict[str, Asset]:
    """Return hand-written files and Plotly by logical name.

    A name holds a hash of what is in the file. Of Plotly's bundle, which takes as long to go
    through as making all pages, the hash is of its size, of its head and of what we do with it.
    """
    folder = package_folder("assets", "site/assets")
    others = frozenset(ROOT_FILES) - {"favicon.svg"}
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    files = {name: (folder / name).read_bytes() for name in names if name not in others}
    found = {name: Asset(_named(name, data), _giving(data)) for name, data in files.items()}
    found["plotly.min.js"] = Asset(_named("plotly.min.js", _plotly_in_short()), _plotly)
    return found


def root_files() -> dict[str, bytes]:
    """Return the files at the root of the site that are not made from facts."""
    folder = package_folder("assets", "site/assets")
    return {name: (folder / name).read_bytes() for name in ROOT_FILES}


def _giving(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _named(name: str, facts: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"assets/{stem}.{hashlib.sha256(facts).hexdigest()[:12]}.{suffix}"


def _bundle() -> Path:
    return Path(str(distribution("plotly").locate_file(PLOTLY)))


def _plotly_in_short() -> bytes:
    path = _bundle()
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return b"%d %b %b %b" % (path.stat().st_size, ASKED, REST_OF_ASKED.pattern, head)


def package_folder(inside: str, beside: str) -> Path:
    """Return a folder that lies inside the package in a wheel, and beside it in a checkout."""
    within = BUILDER / inside
    return within if within.is_dir() else BUILDER.parent / beside


def _plotly() -> bytes:
    # The bundle adds one inline <style> for maps, which a strict content policy refuses with a
    # console error; its own test "is it there already" is made true. The rest is Plotly's.
    first, *others = (
        _bundle().read_bytes().split(ASKED)
    )  # one expression for all takes longer on megabytes
    return first + b"".join(map(_answered, others))


def _answered(rest: bytes) -> bytes:
    """Return what follows the start of a question for an element, with the answer of ours before
    it, or else with that start."""
    found = REST_OF_ASKED.match(rest)
    return b"true" + rest[found.end() :] if found else ASKED + rest
