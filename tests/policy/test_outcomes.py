"""A condition comes out the same for all that look the same to it, and only for those."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.domain.requests import Ticket
from lapse.policy import outcomes as outcomes_module
from lapse.policy.checks import Question, condition_check
from lapse.policy.expressions.condition import compile_condition
from lapse.policy.outcomes import Outcomes
from lapse.policy.recorded import AskReader, recorded
from support.policy_world import HOUR, TUESDAY, ask

NOON = 'timestamp("2026-03-03T12:00:00Z")'
CONDITIONS = [
    "principal.kind == 'person'",
    "principal.groups.exists(g, g == 'dba')",
    "resource.tags.env == 'prod'",
    "request.for_self",
    "request.duration > duration('1h') && request.total_duration > duration('2h')",
    "request.is_extension || request.justification == 'x'",
    "request.ticket.system == 'jira'",
    "context.risk < 5",
    f"request.at < {NOON}",
    f"{NOON} <= request.starts_at",
    "request.at == request.starts_at",
    f"request.at.getHours() < 12 || request.starts_at > {NOON}",
    "string(request.at) < 'b' && resource.owner == requester.name",
]
QUESTIONS = [
    ask(who, what, hours, beneficiary=whom, at=TUESDAY + early * HOUR, **facts)
    for who, whom in (("alice", "alice"), ("dora", "dora"), ("alice", "bot"), ("lea", "alice"))
    for what in ("pg-prod/reader", "pg-dev/admin", "wiki/reader")
    for hours, early in ((1, 0), (3, 2), (3, 4))
    for facts in (
        {},
        {"justification": "x", "ticket": Ticket(system="jira", number="1"), "context": {"risk": 3}},
        {"starts_at": TUESDAY + 3 * HOUR, "context": {"risk": 9}},
    )
]


@pytest.mark.parametrize("text", CONDITIONS)
def test_it_comes_out_as_the_check_says(text):
    condition = compile_condition(text)
    outcomes, reader = Outcomes(condition), AskReader()
    for question in [*QUESTIONS, *reversed(QUESTIONS)]:
        asked = recorded(question)
        whole = reader.whole(asked)
        assert outcomes.of_people(whole)(asked) is condition_check(condition, Question(question)).status, question


def test_it_is_run_once_for_what_looks_the_same(monkeypatch):
    run = []

    def counted(condition, question):
        run.append(condition)
        return condition_check(condition, question)

    monkeypatch.setattr(outcomes_module, "condition_check", counted)
    outcomes, reader = Outcomes(compile_condition(f"principal.kind == 'person' && request.at < {NOON}")), AskReader()
    for minutes in range(-300, 300):
        for who in ("alice", "bob"):
            asked = recorded(replace(ask(who), at=TUESDAY + 2 * HOUR + timedelta(minutes=minutes, seconds=1)))
            outcomes.of_people(reader.whole(asked))(asked)
    assert len(run) == 2


def test_what_sees_only_people_is_fixed():
    assert Outcomes(compile_condition("principal.kind == 'person' && request.for_self")).fixed
    assert not Outcomes(compile_condition("request.duration > duration('1h')")).fixed


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(outcomes_module, "MOST_OUTCOMES", 2)
    outcomes, reader = Outcomes(compile_condition("request.justification == principal.name")), AskReader()
    for who in ("alice", "bob", "carl", "dora"):
        for text in ("alice", "bob", "carl", "x"):
            asked = recorded(ask(who, justification=text))
            assert (outcomes.of_people(reader.whole(asked))(asked) == "satisfied") is (text == who)
