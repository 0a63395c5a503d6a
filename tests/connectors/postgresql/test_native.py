from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.connectors.postgresql.native import Mode, Native, account_for, check_role_name, parse_native
from lapse.domain.errors import InvalidInput, Refused

EPHEMERAL = Native(role="reader", mode=Mode.EPHEMERAL)


def test_a_role_alone_is_a_membership():
    assert parse_native({"role": "reader"}) == Native(role="reader", mode=Mode.MEMBERSHIP)


@pytest.mark.parametrize(
    ("native", "words"),
    [
        ({}, "not a role name"),
        ({"role": "x", "mode": "forever"}, "`forever` is not a mode"),
        ({"role": "x", "rule": "y"}, "`rule` means nothing"),
        ({"role": "public"}, "a word of PostgreSQL"),
        ({"role": "none"}, "a word of PostgreSQL"),
        ({"role": "a\x00b"}, "not a role name"),
        ({"role": "a\nb"}, "not a role name"),
        ({"role": "é" * 32}, "has 64 bytes"),
        ({"role": "x", "reassign_to": "b" * 64}, "has 64 bytes"),
        ({"role": "x", "database": "d" * 64}, "the database name .* has 64 bytes"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(native, words):
    with pytest.raises(InvalidInput, match=words):
        parse_native(native)


@given(st.text(max_size=80))
def test_a_name_is_taken_whole_or_not_at_all(text):
    try:
        assert check_role_name(text) == text
    except InvalidInput:
        return
    assert 0 < len(text.encode()) <= 63


@given(st.lists(st.text(min_size=1, max_size=90), min_size=2, max_size=2, unique=True))
def test_different_grants_have_different_logins_that_a_server_can_hold(ids):
    first, second = (account_for(EPHEMERAL, None, grant) for grant in ids)
    assert first != second
    assert first.startswith("lapse_")
    assert check_role_name(first) == first


def test_a_readable_grant_id_is_readable_in_the_login():
    assert account_for(EPHEMERAL, "alice", "gr_01abc") == "lapse_gr_01abc"


def test_a_membership_takes_the_persons_login():
    assert account_for(Native(role="reader"), "alice", "g1") == "alice"
    with pytest.raises(Refused, match="none is linked"):
        account_for(Native(role="reader"), None, "g1")
    for wrong in ("public", "reader", "pg_monitor"):
        with pytest.raises(InvalidInput):
            account_for(Native(role="reader"), wrong, "g1")
