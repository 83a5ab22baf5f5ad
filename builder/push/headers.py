"""What a file of a release is told to readers as: its type, how long it may be kept, whether it is
packed. As nginx does it (deploy/nginx/oracle.conf); a test compares."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

TYPES = {
    ".atom": "application/atom+xml; charset=utf-8",
    ".bin": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".minisig": "application/octet-stream",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".pub": "application/octet-stream",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".xml": "application/xml; charset=utf-8",
}
TYPE_OF_PATH = {
    "feed.json": "application/feed+json",
    "metrics": "text/plain; version=0.0.4; charset=utf-8",
    "api/prices/latest": "application/json",
    "api/v1/prices": "application/json",
    "data/SHA256SUMS": "text/plain; charset=utf-8",
}
UNKNOWN = "application/octet-stream"

CACHES = (
    (re.compile(r"assets/"), "public, max-age=31536000, immutable"),
    (re.compile(r"(api/days|data/amounts)/[-\d]+\.(json|csv|bin)$"), "public, max-age=86400"),
    (re.compile(r"days/[-\d]+/"), "public, max-age=3600"),
    (re.compile(r"api/status\.json$"), "no-cache"),
)
CACHE = "public, max-age=30, must-revalidate"

PACKED = {".html", ".css", ".js", ".svg"}
"""What only browsers ask for, which all unpack. A store serves what it has: a program that does not
say that it can unpack would get packed JSON."""


class Headers(NamedTuple):
    """What is said of a file."""

    content_type: str
    cache_control: str
    is_packed: bool


def headers_of(path: str) -> Headers:
    """Return what to say of a file by the path under which it is served."""
    suffix = PurePosixPath(path).suffix
    kind = TYPE_OF_PATH.get(path) or TYPES.get(suffix, UNKNOWN)
    caches = (words for pattern, words in CACHES if pattern.match(path))
    return Headers(kind, next(caches, CACHE), suffix in PACKED)
