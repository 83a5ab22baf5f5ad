"""Errors of ours come back from another process as they were."""

from __future__ import annotations

import pickle

import pytest

from oracle import errors

KINDS = [
    errors.BlockNotFoundError("no block", source="electrs"),
    errors.ChainMovedError.between_questions(7),
    errors.ParseError("too short", block=7, offset=3),
    errors.SettingsError(["one", "two"]),
    errors.SourceTimeoutError("it hangs", source="core"),
    errors.InternalError("KeyError", "'x'"),
    errors.RequestError("no such day"),
]


@pytest.mark.parametrize("error", KINDS, ids=[type(error).__name__ for error in KINDS])
def test_an_error_survives_the_way_to_another_process(error: errors.OracleError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert again.public_message == error.public_message
