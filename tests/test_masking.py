"""What leaves the machine: no secret in any spelling, no control characters, never without end."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oracle.config import load_settings
from oracle.masking import LONGEST_TEXT, MASK, _is_distinct, clean, keys_in, mask, outside
from tests.helpers.steady import steady

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "quoted": repr,
    "in bytes": lambda secret: repr(secret.encode()),
    "in JSON": json.dumps,
    "in HTML": html.escape,
    "in a path": lambda secret: quote(secret, safe=""),
    "in a query": quote_plus,
    "in a path twice": lambda secret: quote(quote(secret, safe="")),
    "in HTML of another kind": lambda secret: html.escape(secret).replace("&#x27;", "&#39;"),
    "in HTML with quotes": lambda secret: html.escape(secret, quote=False),
    "in JSON of another kind": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in JSON with its letters": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in hex": lambda secret: secret.encode().hex(),
    "each byte in percent": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in base64 without its end": lambda secret: (
        base64.b64encode(secret.encode()).decode().rstrip("=")
    ),
    "in a header": lambda secret: "Basic " + base64.b64encode(f"u:{secret}".encode()).decode(),
    "in a header in small letters": lambda secret: (
        "authorization: basic " + base64.b64encode(f"u:{secret}".encode()).decode()
    ),
    "in a URL": lambda secret: f"http://u:{secret}@host/",
}
SECRETS = ["Ab/cd+ef=", "a#b?c@d", "pä55wörter", "a'b\"c\\d", "two words 1", "<b>&amp;</b>"]


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=list(SPELLINGS))
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_leaves_in_no_spelling(secret: str, spelling: Callable[[str], str]) -> None:
    shown = mask(f"it said {spelling(secret)} to us", frozenset({secret}))
    assert MASK in shown
    assert spelling(secret).strip("'\"b=") not in shown
    assert secret not in shown
    assert quote(secret, safe="") not in shown
    assert base64.b64encode(f"u:{secret}".encode()).decode().rstrip("=") not in shown


# Passwords that are words of ours: source names, keys of the log, of the record, of notifications.
OURS = ["mempool", "a", "message", "level", "blocks_added", "details", "core", "bitcoin-core", "12"]


@pytest.mark.parametrize("word", OURS)
def test_a_password_that_is_a_word_of_ours_changes_nothing_of_ours(word: str) -> None:
    row = {"level": "INFO", "message": "a block of mempool", "details": {"source": "bitcoin-core"}}
    row |= {"blocks_added": 12}  # type: ignore[dict-item]
    assert clean(row, frozenset({word})) == row


@pytest.mark.parametrize("secret", ["ocks", "tore", "evel", "outc"])
def test_a_secret_inside_a_word_of_ours_leaves_keys_and_names_whole(secret: str) -> None:
    row = {"blocks_added": 1, "outcome": "no_new_block", "level": "INFO"}
    assert clean(row, frozenset({secret})) == row


@steady(300)
@given(
    secret=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=6, max_size=40),
    spelling=st.sampled_from(sorted(set(SPELLINGS) - {"in a header", "in a URL"})),
    around=st.text(max_size=10),
)
def test_no_password_is_shown_whatever_its_letters_and_what_stands_around_it(
    secret: str, spelling: str, around: str
) -> None:
    assume(_is_distinct(secret))
    spelled = SPELLINGS[spelling](secret)
    shown = mask(f"{around} {spelled} {around}", frozenset({secret}))
    assert spelled not in shown


@pytest.mark.parametrize("secret", ["mempool", "a", "12", "-", "Ab/cd+ef="])
def test_a_server_that_sends_a_secret_back_does_not_get_it_shown(secret: str) -> None:
    shown = outside(f"you said {secret}!", [secret])
    assert secret not in shown.replace(MASK, "")


@given(st.text(max_size=50), st.text(max_size=20))
@settings(deadline=None)
def test_whatever_comes_from_outside_can_be_encoded_and_is_on_one_screen(
    text: str, secret: str
) -> None:
    shown = outside(text, [secret])
    assert len(shown.encode()) < 5000
    assert "\x1b" not in shown
    assert "\x00" not in shown


@pytest.mark.parametrize("control", ["\x1b[2J", "\x00", "\u202e", "\x07", "\r", "\ud800", "\x9b"])
def test_control_characters_do_not_leave(control: str) -> None:
    assert not set(control[:1]) & set(mask(f"before {control} after"))


def test_a_text_that_does_not_end_is_cut_and_says_so() -> None:
    assert len(mask("x" * 10_000_000)) < LONGEST_TEXT + 40
    assert "10,000,000 characters" in mask("x" * 10_000_000)


def test_numbers_that_json_lacks_become_nothing() -> None:
    assert clean([float("nan"), float("inf"), 1.5, True, None]) == [None, None, 1.5, True, None]


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        ("https://node.example/v2/KEY0123456789", ["KEY0123456789"]),
        ("https://node.example/?apikey=KEY0123456789&x=1", ["KEY0123456789"]),
        ("http://127.0.0.1:8999/api/v1", []),
    ],
)
def test_a_key_in_an_address_is_found(url: str, keys: list[str]) -> None:
    assert list(keys_in(url)) == keys


def test_a_key_in_the_address_of_a_source_is_a_secret() -> None:
    found = load_settings({"BITCOIN_RPC_URL": "https://n.example/v2/KEY0123456789"})
    assert "KEY0123456789" not in found.redact("POST https://n.example/v2/KEY0123456789: 503")


def test_the_name_of_a_network_in_an_address_is_no_secret() -> None:
    found = load_settings({"MEMPOOL_API_URL": "https://mempool.example/testnet4/api"})
    assert found.redact("the chain testnet4") == "the chain testnet4"
