"""Whose fault, and is a retry useful?"""

from __future__ import annotations

import pytest

from lapse.domain.errors import (
    Conflict,
    Corrupt,
    Fault,
    InvalidInput,
    LapseError,
    NotFound,
    Refused,
    Unavailable,
)


@pytest.mark.parametrize(
    ("kind", "code", "fault", "retry"),
    [
        (InvalidInput, "invalid-input", Fault.CALLER, False),
        (NotFound, "not-found", Fault.CALLER, False),
        (Refused, "refused", Fault.CALLER, False),
        (Conflict, "conflict", Fault.CALLER, True),
        (Unavailable, "unavailable", Fault.SYSTEM, True),
        (Corrupt, "corrupt", Fault.SYSTEM, False),
    ],
)
def test_each_kind_answers_both_questions(kind, code, fault, retry):
    assert (kind.code, kind.fault, kind.retry) == (code, fault, retry)
    assert issubclass(kind, LapseError)


def test_an_error_says_what_is_wrong_and_what_to_do():
    error = NotFound("there is no grant `g1`", hint="`lapse grant list` shows those that are known")

    assert str(error) == error.message == "there is no grant `g1`"
    assert error.hint.startswith("`lapse grant list`")
    assert not Refused("no").hint
