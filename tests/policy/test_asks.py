from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.data import from_data, to_data
from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.principals import Principal
from lapse.domain.requests import Ticket
from lapse.policy import Ask, principal_facts
from support.policy_world import CATALOG, HOUR, TUESDAY, ask


def test_a_question_has_what_the_catalog_says():
    question = ask("alice", "pg-people/admin", beneficiary="bot", ticket=Ticket(system="jira", number="A-1"))
    assert question.requester.department == "payments"
    assert question.requester.groups == ("developers",)
    assert question.beneficiary.kind == "agent"
    assert (question.beneficiary.humans, question.beneficiary.sponsor) == (("alice",), "alice")
    assert question.resource.owner == "group:dba"
    assert dict(question.resource.tags) == {"env": "prod", "data": "personal"}
    assert (question.entitlement.name, question.entitlement.role) == ("pg-people/admin", "admin")
    assert question.total_duration == question.duration == HOUR
    assert not question.for_self
    assert from_data(Ask, to_data(question)) == question


def test_an_alias_has_its_own_groups_and_those_of_its_person():
    facts = principal_facts(CATALOG, "carl-admin")
    assert facts.person == "carl"
    assert facts.groups == ("contractors", "dba", "developers")
    assert principal_facts(CATALOG, "carl").groups == ("contractors", "developers")


def test_an_agent_has_the_groups_of_its_sponsor_apart_from_its_own():
    facts = principal_facts(CATALOG, "carlbot")
    assert facts.groups == ("developers",)
    assert facts.human_groups == ("contractors", "developers")


@pytest.mark.parametrize(
    ("name", "active"), [("alice", True), ("bot", True), ("ci", True), ("gone", False), ("orphan", False)]
)
def test_who_may_act(name, active):
    assert principal_facts(CATALOG, name).active is active


def test_an_alias_that_leads_nowhere_or_in_a_circle_is_nobody():
    circle = Catalog(principals={n: Principal(name=n, alias_of=o) for n, o in (("a", "b"), ("b", "a"))})
    for facts in (principal_facts(CATALOG, "lost"), principal_facts(circle, "a")):
        assert facts.person == ""
        assert not facts.active


def test_an_alias_of_someone_who_left_is_not_active():
    gone = Catalog(principals={"x": Principal(name="x", active=False), "y": Principal(name="y", alias_of="x")})
    assert not principal_facts(gone, "y").active


def test_durations_are_rounded_up_to_seconds():
    question = ask(duration=timedelta(seconds=59, microseconds=1), total_duration=timedelta(minutes=2, microseconds=5))
    assert question.duration == timedelta(minutes=1)
    assert question.total_duration == timedelta(minutes=2, seconds=1)
    assert ask(hours=2, total_duration=HOUR).total_duration == 2 * HOUR


def test_access_begins_when_asked_for_and_never_before_the_question():
    assert ask().begins_at == TUESDAY
    assert ask(starts_at=TUESDAY + HOUR).begins_at == TUESDAY + HOUR
    assert ask(starts_at=TUESDAY - HOUR).begins_at == TUESDAY


def test_context_is_kept_as_data():
    question = ask(
        context={"seen": datetime(2026, 1, 1, tzinfo=UTC), "list": (1, None, True), "deep": {"a": {"b": "c"}}}
    )
    assert question.context == {
        "seen": "2026-01-01T00:00:00.000000Z", "list": [1, None, True], "deep": {"a": {"b": "c"}},
    }  # fmt: skip
    assert from_data(Ask, to_data(question)) == question


@pytest.mark.parametrize("context", [{"a": 1.5}, {"a": {"b": [0.1]}}, {"größe": 1}, {"a": 2**60}, {"a": object()}])
def test_context_that_the_ledger_cannot_hold_is_refused(context):
    with pytest.raises(InvalidInput, match="the context"):
        ask(context=context)


def test_unknown_names_are_told():
    for facts in (
        {"who": "nobody"},
        {"beneficiary": "nobody"},
        {"what": "pg-prod/nothing"},
        {"what": "nowhere/reader"},
    ):
        with pytest.raises(NotFound):
            ask(**facts)
