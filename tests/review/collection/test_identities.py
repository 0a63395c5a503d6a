"""Whom accounts belong to: the first rule that names somebody decides."""

from __future__ import annotations

from lapse.review.collection.identities import Hints, Identities, Rules

PEOPLE = Rules(
    mapping={("*", "role/deploy"): frozenset({"ci"})},
    mails={"ann@example.com": frozenset({"ann"})},
    logins={"ann": frozenset({"ann"}), "bob": frozenset({"bob"}), "max": frozenset({"max1", "max2"})},
)


def links(identities):
    return [(row["account"], row["rule"], row["principal"]) for row in identities.rows()]


def test_an_account_that_is_shared_belongs_to_nobody_and_each_session_to_whom_it_names():
    identities = Identities(PEOPLE)
    sessions = ("ann@example.com", "BOB", "i-0abc", "max")
    assert [identities.of("aws", "role/admin", Hints(session=one)) for one in sessions] == ["ann", "bob", None, None]
    assert identities.of("aws", "role/admin") is None
    assert links(identities) == [("role/admin", "session", None)]


def test_a_mapping_comes_before_what_a_session_says():
    identities = Identities(PEOPLE)
    assert identities.of("aws", "role/deploy", Hints(session="ann@example.com")) == "ci"
    assert links(identities) == [("role/deploy", "mapping", "ci")]


def test_the_login_name_may_be_a_part_of_the_account():
    identities = Identities(PEOPLE)
    assert identities.of("aws", "user/Ann", Hints(login="Ann")) == "ann"
    assert identities.of("aws", "user/eve", Hints(login="eve")) is None
    assert links(identities) == [("user/Ann", "login", "ann"), ("user/eve", "unresolved", None)]
