"""What must not leave the machine: secrets in any spelling, and what texts from outside may hold.

Two layers. A source masks what a server sends back with what it has told that server (any secret,
be it a single letter). Whatever leaves (log, terminal, notification, record) is masked here once
more with every secret there is; only one that is a word of our own, or shorter than four letters,
stays there, for it could not be told from our words: the password `mempool` must not blacken the
source of that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

MASK = "**********"  # as pydantic hides its secrets
LONGEST_TEXT = 2_000  # characters of a text that leaves; a sentence for a person is shorter
LONGEST_TRACEBACK = 20_000  # characters; the one text that is longer by nature
SHORTEST_SECRET = 4  # characters; a shorter one would be found everywhere
SHORTEST_NUMBER = 6  # digits: a shorter password of digits alone would blacken heights and prices
SHORTEST_KEY = 8  # characters of a path or query that may be a key

# In a URL, in a request's header, and from Bitcoin Core's cookie, which no setting holds.
CREDENTIALS = (
    r"(?<=://)[^\s'\"<>]+(?=@)",
    r"(?<=basic )(?=\S*[A-Z0-9=])[A-Za-z0-9+/_-]{6,}={0,2}",
    r"(?<=bearer )(?=\S*[A-Z0-9])[\w.~+/-]{8,}=*",
    r"(?<=__cookie__:)\w+",
    r"(?<=__cookie__%3A)\w+",
)
# Everything but line ends and tabs that moves a cursor, or turns the direction of writing.
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
WORD = re.compile(r"[a-z_][a-z0-9_]*(?:-[a-z0-9_]+)*")
_learned: set[str] = set()


def learn(*secrets: str | None) -> None:
    """Remember secrets that no setting holds: Bitcoin Core's cookie, a password of bitcoin.conf."""
    _learned.update(secret for secret in secrets if secret)


def secrets_of(login: tuple[str, str] | None) -> tuple[str, ...]:
    """Return what a server that was told a user and a password may send back: the password, and
    both as the header has them."""
    return (login[1], ":".join(login)) if login else ()


def tamed(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return a text from outside without control characters, and not longer than a sane length."""
    cut = text if len(text) <= limit else f"{text[:limit]} ... ({len(text):,} characters)"
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", cut)


def outside(text: str, secrets: Iterable[str], limit: int = 200) -> str:
    """Return what a server sent, short, tame, and without any secret that it was told.

    Args:
        text: a part of an answer.
        secrets: all that was sent to the server and must not be shown, however short.
        limit: characters.
    """
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    pattern = "|".join(re.escape(one) for one in sorted(spellings, key=len, reverse=True))
    masked = re.sub(pattern, MASK, text, flags=re.IGNORECASE) if pattern else text
    return tamed(masked, limit)


def mask(text: str, secrets: frozenset[str] = frozenset(), limit: int = LONGEST_TEXT) -> str:
    """Return a text as it may leave the machine.

    Args:
        text: anything.
        secrets: values of settings; those that were learned are masked as well.
        limit: characters.
    """
    masked = _pattern(secrets | frozenset(_learned)).sub(MASK, text)
    if masked != text and text.lower() in _our_words():
        return text
    return tamed(masked, limit)


def clean(value: object, secrets: frozenset[str] = frozenset()) -> Any:
    """Return a value as JSON can hold it, each text in it masked; what JSON lacks becomes text."""
    if isinstance(value, Mapping):
        return {mask(str(key), secrets): clean(part, secrets) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [clean(part, secrets) for part in value]
    if isinstance(value, bool | int | None):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # JSON has no infinity, and no NaN
    return mask(str(value), secrets)


def keys_in(url: str) -> Iterator[str]:
    """Yield the parts of an address's path and query that may be somebody's key (hosted nodes)."""
    parts = urlsplit(url)
    for part in re.split(r"[/?&=;]", f"{parts.path}?{parts.query}?{parts.fragment}"):
        if len(part) >= SHORTEST_KEY and not part.isalpha():
            yield part


@lru_cache(maxsize=32)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    distinct = (secret for secret in secrets if _is_distinct(secret))
    spellings = {spelling for secret in distinct for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join([*map(re.escape, longest_first), *CREDENTIALS]), re.IGNORECASE)


def _is_distinct(secret: str) -> bool:
    """Tell a secret from what our own texts are made of."""
    if secret.isdigit():
        return len(secret) >= SHORTEST_NUMBER
    if len(secret.strip()) < SHORTEST_SECRET:
        return False
    return not WORD.fullmatch(secret.lower()) or secret.lower() not in _our_words()


def _spellings(secret: str) -> set[str]:
    """Return the ways in which a program or a server may write a secret."""
    import base64
    import html

    data = secret.encode("utf-8", "surrogatepass")
    as_json = json.dumps(secret)[1:-1]
    as_html = html.escape(secret)
    percent = quote(data, safe="")
    return {
        secret,
        repr(secret)[1:-1],
        repr(data)[2:-1],
        as_json,
        as_json.replace("/", "\\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        as_html,
        as_html.replace("&#x27;", "&#39;"),
        html.escape(secret, quote=False),
        quote(data),
        percent,
        quote(percent),
        quote_plus(data),
        "".join(f"%{byte:02x}" for byte in data),
        data.hex(),
        base64.b64encode(data).decode().rstrip("="),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
    }


@lru_cache(maxsize=1)
def _our_words() -> frozenset[str]:
    """Return every word of our own source: names of sources, keys, codes, and of sentences."""
    from importlib.resources import files

    words: set[str] = set()
    for package in ("oracle", "builder"):
        folders = [files(package)]
        while folders:
            for entry in folders.pop().iterdir():
                if entry.is_dir():
                    folders.append(entry)
                elif entry.name.endswith((".py", ".sql", ".html", ".txt")):
                    words.update(WORD.findall(entry.read_text("utf-8").lower()))
    return frozenset(words)
