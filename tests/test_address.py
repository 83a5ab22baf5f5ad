"""The address of a server: what it may hold, and what is shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.address import parse_address, split_port

KEY = "KEY0123456789"


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("http://u:Ab/cd+ef=@node:1", ("u", "Ab/cd+ef=")),
        ("http://u:a#b@node:1", ("u", "a#b")),
        ("http://u:a?b@node:1", ("u", "a?b")),
        ("http://u:a@b@node:1", ("u", "a@b")),
        ("http://u:a:b@node:1", ("u", "a:b")),
        ("http://u:a%40b@node:1", ("u", "a@b")),
        ("http://u:p@[::1]:1", ("u", "p")),
        ("http://node:1/p@th", None),
        ("http://node/?mail=a@b", None),
    ],
)
def test_a_password_may_hold_what_else_would_end_it(text, login):
    assert parse_address(text).login == login


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://node:8332", "http://node:8332"),
        ("http://node:8332/", "http://node:8332"),
        ("https://u:p@node", "https://node"),
        (f"https://node/v2/{KEY}", "https://node/..."),
        (f"https://node/?apikey={KEY}", "https://node/..."),
        ("http://[::1]:8332", "http://[::1]:8332"),
    ],
)
def test_what_is_shown_holds_no_login_path_or_query(text, shown):
    assert parse_address(text).shown == shown


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://node", "/"),
        (f"http://node/v2/{KEY}", f"/v2/{KEY}"),
        (f"http://node/?apikey={KEY}", f"/?apikey={KEY}"),
        ("http://node/a b", "/a%20b"),
        ("http://node/a%20b", "/a%20b"),
    ],
)
def test_a_request_goes_to_the_address_as_it_is(text, target):
    assert parse_address(text).target() == target


def test_a_path_below_keeps_the_query_of_the_address():
    address = parse_address("http://node/x/?key=1")
    assert address.target("/prices", {"currency": "USD"}) == "/x/prices?key=1&currency=USD"


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("node", ("node", None)),
        ("node:8332", ("node", 8332)),
        ("::1", ("::1", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:8332", ("::1", 8332)),
    ],
)
def test_host_and_port_are_split_as_core_does(text, split):
    assert split_port(text) == split


@pytest.mark.parametrize(
    "text",
    [
        "", "node", "ftp://node", "http://", "http://:80", "http://a..b", "http://node:abc",
        "http://node:0", "http://node:65536", "http://[::1", "http://a\x00b", "http://a b",
        "http://-a", "http://" + "a" * 64, "http://user:hunter2",
    ],
)  # fmt: skip
def test_what_is_no_address_is_told_without_repeating_any_of_it(text):
    with pytest.raises(ValueError, match=r"should|host") as caught:
        parse_address(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(), st.text())
def test_any_text_is_an_address_or_a_sentence_and_is_shown_without_its_login(text, password):
    try:
        address = parse_address(f"http://user:{password}@{text}")
    except ValueError:
        return
    assert address.target().isascii()
    assert address.host.isascii()
    assert "@" not in address.shown
