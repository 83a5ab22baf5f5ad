"""The witness commitment (BIP141): what a block's coinbase says about the witnesses in it.

Txids and the merkle root prove everything of a block but its witnesses. Those count for the rule of
large witnesses, so a source that leaves them out would add outputs to the price.
"""

from __future__ import annotations

from collections.abc import Sequence

from oracle.core.wire import Header, merkle_root, read_compact_size, sha256d, target_of

COMMITMENT_START = bytes.fromhex("6a24aa21a9ed")  # OP_RETURN, a push of 36 bytes, BIP141's mark
COMMITMENT_END = len(COMMITMENT_START) + 32
# Signet's limit, the easiest target of a network whose blocks cost something. Above it are chains
# made for tests: those may leave witnesses without a commitment, or fill it with zeros.
EASIEST_TARGET = target_of(0x1E03_77AE)
# From 2016 on miners committed to witnesses that no block could carry yet: until two hours behind
# main's first block under BIP141 (481,824, stamped 2017-08-24 01:57:37 UTC).
FIRST_WITNESS_UNIX = 1_503_539_857 + 7_200


def witness_problem(
    data: bytes, header: Header, starts: Sequence[int], txids: Sequence[bytes], *, is_hashed: bool
) -> str | None:
    """Return what is wrong with the witnesses of a block that parses, or None.

    Args:
        data: the block.
        header: its header, whose target tells real chains from made ones.
        starts: where each transaction begins.
        txids: their txids, in internal order.
        is_hashed: compare the commitment with the witnesses; else only that both are there.
    """
    is_made = header.target > EASIEST_TARGET
    has_witness = any(data[start + 4] == 0 for start in starts)
    commitments, witness = read_coinbase(data, starts[0])
    if not commitments:
        return "it carries witnesses and commits to none" if has_witness and not is_made else None
    if not has_witness:
        return (
            "it commits to witnesses and carries none"
            if is_made or header.time_unix >= FIRST_WITNESS_UNIX
            else None
        )
    if [len(item) for item in witness] != [32]:  # one item, which the commitment covers, too
        return "its coinbase lacks the witness that the commitment covers"
    is_open = not is_hashed or (is_made and not any(commitments[-1]))
    is_well = is_open or sha256d(witness_root(data, starts, txids) + witness[0]) == commitments[-1]
    return None if is_well else "its witnesses are not those that it commits to"


def witness_root(data: bytes, starts: Sequence[int], txids: Sequence[bytes]) -> bytes:
    """Return the merkle root over the transactions with their witnesses; zeros stand for the
    coinbase, which cannot commit to itself."""
    wtxids = [
        sha256d(data[start:end]) if data[start + 4] == 0 else txid
        for start, end, txid in zip(starts, [*starts[1:], len(data)], txids, strict=True)
    ]
    return merkle_root([bytes(32), *wtxids[1:]])[0]


def read_coinbase(data: bytes, start: int) -> tuple[list[bytes], list[bytes]]:
    """Return the commitments among the outputs of a block's first transaction, the last of which
    counts, and its first input's witness; the block is known to parse."""
    has_witness = data[start + 4] == 0
    _, position = _read_items(data, start + (6 if has_witness else 4), before=36, behind=4)
    scripts, position = _read_items(data, position, before=8, behind=0)
    commitments = [
        script[len(COMMITMENT_START) : COMMITMENT_END]
        for script in scripts
        if script.startswith(COMMITMENT_START) and len(script) >= COMMITMENT_END
    ]
    return commitments, _read_items(data, position, before=0, behind=0)[0] if has_witness else []


def _read_items(data: bytes, position: int, *, before: int, behind: int) -> tuple[list[bytes], int]:
    """Read a counted list of sized items, each with so many other bytes before and behind it."""
    items = []
    count, position = read_compact_size(data, position)
    for _ in range(count):
        size, position = read_compact_size(data, position + before)
        items.append(data[position : position + size])
        position += size + behind
    return items, position
