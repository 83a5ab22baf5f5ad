"""The txids that a record remembers: searched as they are stored, with the same answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oracle.record.txids import RememberedTxids
from tests.helpers.steady import steady

HEIGHT = 500
TXIDS = st.integers(0, 40).map(lambda n: n.to_bytes(4, "little") + bytes(27) + b"\x01")


@steady(100)
@given(
    st.lists(st.tuples(st.booleans(), st.lists(TXIDS, max_size=6)), max_size=8),
    st.sets(TXIDS, max_size=12),
    st.integers(0, 4),
)
def test_blocks_as_they_are_stored_say_the_same_as_blocks_that_were_read(blocks, wanted, below):
    recent, newest = RememberedTxids(), {}
    for height, (is_stored, txids) in enumerate(blocks):
        if is_stored:
            recent.add_stored(height, b"".join(txids))
        else:
            recent.add(height, txids)
        newest |= dict.fromkeys(txids, height)
    assert recent.made_at(wanted) == {txid: newest[txid] for txid in wanted if txid in newest}
    recent.forget_below(below)
    known = [height in recent for height in range(len(blocks))]
    assert known == [height >= below for height in range(len(blocks))]
    assert all(height >= below for height in recent.made_at(wanted).values())


def test_a_txid_that_only_begins_like_one_that_is_looked_for_is_not_it() -> None:
    recent = RememberedTxids()
    recent.add_stored(HEIGHT, bytes(31) + b"\x02" + bytes(31) + b"\x01")
    assert recent.made_at({bytes(31) + b"\x03"}) == {}
    assert recent.made_at({bytes(31) + b"\x01"}) == {bytes(31) + b"\x01": HEIGHT}


def test_a_block_that_is_stored_after_the_first_question_is_found_too() -> None:
    recent = RememberedTxids()
    first, second = bytes(31) + b"\x01", bytes(31) + b"\x02"
    recent.add_stored(HEIGHT, first)
    assert recent.made_at({first, second}) == {first: HEIGHT}
    recent.add_stored(HEIGHT + 1, second + first)
    assert recent.made_at({first, second}) == {first: HEIGHT + 1, second: HEIGHT + 1}
    assert recent.made_at({bytes(31) + b"\x03"}) == {}  # nothing is left of what was asked for
