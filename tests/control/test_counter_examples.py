"""What a proof refutes really comes about: the counter-example is carried out by the use cases themselves."""

import time
from datetime import timedelta

import pytest

from lapse.policy import parse
from lapse.policy.proof.decide import Prover
from support.carried_out import HOUR, carried_out

POLICY = """
version: 1
offers:
  - name: alone
    entitlements: "*/reader"
    to: group:developers
    max_duration: 2h
    max_total: 4h
    auto_approve: true
  - name: asked
    entitlements: "*/*"
    to: [group:developers, group:dba]
    kinds: [person, service, agent]
    purpose: repairs
    max_duration: 3h
    max_total: 9h
    justification: {min_length: 15, real: true, unlike_last: 1}
    approvals:
      - {from: [owner, group:leads]}
      - {from: group:security, quorum: 2}
  - name: helped
    entitlements: "*/writer"
    to: group:support
    asked_by: group:helpdesk
    max_duration: 1h
    windows: [{days: mon-fri, from: "09:00", to: "17:00", timezone: Europe/Berlin}]
    approvals: [{from: manager}]
  - name: emergency
    entitlements: tag:env=prod
    to: group:dba
    max_duration: 90m
    max_total: 3h
    break_glass: {review_within: 24h, reviewers: group:leads}
limits:
  - name: leads-agree
    entitlements: "*/admin"
    when: has(resource.tags.env) && resource.tags.env == "prod"
    approvals: [{from: group:leads, quorum: 2}]
facts:
  - disjoint: [group:dba, group:developers]
claims:
"""
NEVER = {
    "one request": "{longer_than: 2h}",
    "one request, alone": "{longer_than: 1h, automatic: true}",
    "a chain, alone": "{total_longer_than: 3h, fewer_persons_than: 1}",
    "a chain of many": "{total_longer_than: 8h}",
    "a chain with few persons": "{total_longer_than: 5h, fewer_persons_than: 4}",
    "an emergency": "{break_glass: true, longer_than: 1h}",
    "a chain of emergencies": "{break_glass: true, total_longer_than: 2h}",
    "out of hours": '{outside: [{days: mon-fri, from: "09:00", to: "17:00", timezone: Europe/Berlin}]}',
}
ABOUT = {
    "an agent": "{kinds: agent}",
    "a service": "{kinds: service}",
    "an alias": "{when: principal.person != principal.name && principal.kind == 'person'}",
    "on behalf": '{to: group:support, when: "!request.for_self && !(requester.person in principal.humans)"}',
    "production": "{entitlements: '*/admin', when: \"has(resource.tags.env) && resource.tags.env == 'prod'\"}",
    "office hours": "{entitlements: '*/writer', to: group:support, when: \"!('dba' in principal.groups)\"}",
}


def example_of(never="access", about=""):
    text = f"{POLICY}  - name: it\n    never: {never}\n" + (f"    about: {about}\n" if about else "")
    (proof,) = Prover(parse({"p.yaml": text}), clock=time.monotonic, timeout=timedelta(seconds=30)).proofs()
    assert proof.outcome == "refuted", proof
    return proof.counter_example, text


@pytest.mark.parametrize("what", NEVER)
async def test_a_situation_comes_about_in_the_use_cases(what):
    example, text = example_of(NEVER[what])
    done = await carried_out(example, text)
    assert [request.terms.offer for request in done.requests] == [step.offer for step in example.steps]
    assert done.persons == {person for step in example.steps for person in step.persons}
    if "total_longer_than" in NEVER[what]:
        assert done.contiguous == example.total


@pytest.mark.parametrize("what", ABOUT)
async def test_what_a_claim_is_about_can_really_be_asked_for(what):
    example, text = example_of(about=ABOUT[what])
    done = await carried_out(example, text)
    assert len(done.grants) == 1


async def test_what_is_proved_is_refused_by_the_use_cases():
    """One hour more than is proved to be the longest chain, asked for in the same way, is refused."""
    example, text = example_of("{total_longer_than: 8h}")
    done = await carried_out(example, text)
    assert done.contiguous == 9 * HOUR
    longest = text.replace("{total_longer_than: 8h}", "{total_longer_than: 9h}")
    (proof,) = Prover(parse({"p.yaml": longest}), clock=time.monotonic, timeout=timedelta(seconds=30)).proofs()
    assert proof.outcome == "proved"
