"""How a peer stands to us, worked out from what it says and what is recorded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.peers.judge import Judgement, OurPrice, PeerAnswer, judge
from oracle.peers.meet import next_row

HASH = "00" * 32
OURS = OurPrice(900_000, HASH, "9.1+1", 100_000.5, 100_100.25)
SAME = PeerAnswer("main", False, "9.1+1", 900_000, HASH, 100_000.5, 100_100.25)
NOW = 1_760_000_000


def judged(**changes: object) -> Judgement:
    return judge(SAME._replace(**changes), OURS, "main", is_demo=False)


def test_the_same_doubles_of_the_same_block_agree() -> None:
    found = judged()
    assert (found.state, found.difference_percent, found.problem) == ("agrees", 0.0, None)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"spot_usd": 100_000.50000000001}, "differs"),
        ({"window_usd": 1.0}, "differs"),
        ({"window_usd": None}, "agrees"),
        ({"hash": "11" * 32}, "other_branch"),
        ({"hash": "11" * 32, "spot_usd": 1.0}, "other_branch"),
        ({"algorithm_version": "9.2"}, "other_method"),
        ({"algorithm_version": "9.2", "spot_usd": 1.0}, "other_method"),
        ({"network": "signet"}, "other_network"),
        ({"is_demo": True}, "other_network"),
    ],
)
def test_a_peer_stands_to_us_as(changes: dict[str, object], state: str) -> None:
    assert judged(**changes).state == state


def test_where_they_differ_the_price_that_does_is_named() -> None:
    found = judged(window_usd=100_200.25)
    assert (found.our_usd, found.peer_usd) == (100_100.25, 100_200.25)
    assert found.difference_percent == pytest.approx(0.0999, abs=0.0001)


def test_what_cannot_be_compared_has_a_reason_and_no_state() -> None:
    assert judge(SAME, None, "main", is_demo=False).state is None
    nothing = judged(spot_usd=None, window_usd=None)
    assert (nothing.state, nothing.problem) == (None, "it has no price of its newest block")


STATES = st.sampled_from(["agrees", "differs", "other_branch", None])


@given(st.lists(STATES, min_size=1))
def test_a_state_lasts_from_its_first_answer_whatever_is_missing_between(
    states: list[str | None],
) -> None:
    row = None
    for tick, state in enumerate(states):
        problem = None if state else "no answer"
        row = next_row("p", row, SAME, Judgement(state, problem), NOW + tick)
    assert row is not None
    known = [state for state in states if state is not None]
    assert row["state"] == (known[-1] if known else None)
    spell = 0  # the tick at which the last state was first seen after another one
    for tick, state in enumerate(states):
        before = [earlier for earlier in states[:tick] if earlier is not None]
        if state is not None and (not before or before[-1] != state):
            spell = tick
    assert row["since_unix"] == NOW + spell
    silent = len(states)
    while silent and states[silent - 1] is None:
        silent -= 1
    assert row["problem_since_unix"] == (NOW + silent if silent < len(states) else None)
