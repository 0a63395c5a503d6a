"""What `lapse policy prove` says of claims, one example each."""

import itertools
import time
from datetime import timedelta

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.policy import evaluate
from lapse.policy.effects import ProofOutcome
from lapse.policy.proof.decide import Prover
from lapse.policy.proof.outcomes import claim_effects
from lapse.policy.proof.render import lines_of
from support.policy_world import CATALOG, HOUR, policy

ADMIN = """
offers:
  - name: admin
    entitlements: "*/admin"
    to: group:dba
    max_duration: 1h
    max_total: 4h
    approvals: [{from: group:leads}]
"""


def proof_of(text, catalog=None, seconds=20):
    rules = policy(text)
    proofs = list(Prover(rules, clock=time.monotonic, timeout=timedelta(seconds=seconds), catalog=catalog).proofs())
    for proof in proofs:
        reproduce(rules, proof)
    return proofs[0]


def reproduce(rules, proof):
    """Every counter-example is one to the evaluator, too."""
    assert (proof.counter_example is not None) == (proof.outcome is ProofOutcome.REFUTED)
    for step in proof.counter_example.steps if proof.counter_example else ():
        answer = evaluate(rules, step.ask)
        assert answer.chosen == step.offer
        assert len(step.persons) == sum(stage.quorum for stage in answer.terms.stages)


def claim(never="", about="", always=""):
    parts = [
        f"about: {{{about}}}" if about else "",
        f"never: {never}" if never else "",
        f"always: {always}" if always else "",
    ]
    return "claims:\n  - name: it\n" + "".join(f"    {part}\n" for part in parts if part)


@pytest.mark.parametrize(
    ("never", "outcome"),
    [
        ("{longer_than: 1h}", "proved"),
        ("{longer_than: 59m}", "refuted"),
        ("{total_longer_than: 4h}", "proved"),
        ("{total_longer_than: 3h59m}", "refuted"),
        ("{fewer_persons_than: 1}", "proved"),
        ("{fewer_persons_than: 2}", "refuted"),
        ("{total_longer_than: 2h, fewer_persons_than: 1}", "proved"),
        ("{total_longer_than: 2h, fewer_persons_than: 2}", "refuted"),
        ("{automatic: true}", "proved"),
        ("{break_glass: true}", "proved"),
        ("access", "refuted"),
        ("[{longer_than: 2h}, {automatic: true}]", "proved"),
        ("[{longer_than: 2h}, {longer_than: 30m}]", "refuted"),
    ],
)
def test_a_situation_comes_about_or_does_not(never, outcome):
    assert proof_of(ADMIN + claim(never)).outcome == outcome


def test_a_chain_of_requests_is_as_long_as_the_total_allows_and_no_longer():
    proof = proof_of(ADMIN + claim("{total_longer_than: 3h}"))
    steps = proof.counter_example.steps
    assert [step.ask.duration for step in steps] == [HOUR] * 4
    assert [step.ask.is_extension for step in steps] == [False, True, True, True]
    assert all(after.held_from == before.held_from + HOUR for before, after in itertools.pairwise(steps))
    assert proof.counter_example.total == 4 * HOUR


def test_the_offer_of_the_last_request_binds_the_total_whatever_came_before():
    text = (
        ADMIN
        + """
  - name: alone
    entitlements: "*/admin"
    to: group:dba
    max_duration: 1h
    max_total: 2h
    auto_approve: true
"""
    )
    assert proof_of(text + claim("{total_longer_than: 2h, fewer_persons_than: 1}")).outcome == "proved"
    mixed = proof_of(text + claim("{total_longer_than: 2h, fewer_persons_than: 2}"))
    assert {step.offer for step in mixed.counter_example.steps} == {"admin", "alone"}


def test_a_limit_closes_what_an_offer_opens():
    limit = """
limits:
  - name: two
    when: entitlement.role == "admin" && has(resource.tags.env) && resource.tags.env == "prod"
    approvals: [{from: group:security, quorum: 2}]
"""
    prod = 'entitlements: tag:env=prod, when: "has(resource.tags.env)"'
    found = proof_of(ADMIN + limit + claim(always="{at_least_persons: 2}", about=prod))
    assert found.outcome == "refuted"  # the tag can be the entitlement's, which the limit does not look at
    assert found.counter_example.steps[0].ask.resource.tags.get("env") != "prod"
    exact = "when: \"has(resource.tags.env) && resource.tags.env == 'prod'\""
    assert proof_of(ADMIN + limit + claim(always="{at_least_persons: 3}", about=exact)).outcome == "proved"


def test_a_limit_that_cannot_be_evaluated_denies():
    limit = '\nlimits:\n  - {name: odd, when: resource.tags.env == "prod", forbid: true, reason: so it is}\n'
    untagged = claim("access", about='when: "!has(resource.tags.env)"')
    assert proof_of(ADMIN + limit + untagged).outcome == "proved"


FACTS = (
    "\nfacts:\n  - disjoint: [group:dba, group:contractors]\n  - {subset: group:freelancers, of: group:contractors}\n"
)


def test_facts_exclude_members():
    about = "to: group:freelancers"
    assert proof_of(ADMIN + claim("access", about)).outcome == "refuted"
    assert proof_of(ADMIN + FACTS + claim("access", about)).outcome == "proved"


def test_nothing_is_proved_from_facts_that_contradict_one_another():
    facts = FACTS + "  - {subset: group:freelancers, of: group:dba}\n"
    proof = proof_of(ADMIN + facts + claim("access"))
    assert proof.outcome == "unknown"
    assert "nobody could be in `group:freelancers`" in proof.detail
    assert "p.yaml:12" in proof.detail


def test_what_is_proved_of_nothing_says_so():
    proof = proof_of(
        ADMIN + claim("access", "when: \"request.duration > duration('400h') && request.duration < duration('1h')\"")
    )
    assert proof.outcome == "proved"
    assert proof.vacuous
    assert "of nothing" in proof.detail


def test_what_the_model_does_not_cover_is_named():
    text = ADMIN.replace("max_duration", "when: request.justification.matches('^a+b$')\n    max_duration")
    proof = proof_of(text + claim("access"))
    assert proof.outcome == "unknown"
    assert "`matches` in `request.justification.matches" in proof.detail
    assert proof_of(text + claim("{longer_than: 2h}")).outcome == "proved"


def test_no_time_is_no_proof():
    ticks = iter(range(1_000_000))
    rules = policy(ADMIN + claim("access"))
    proof = next(Prover(rules, clock=lambda: next(ticks), timeout=timedelta(seconds=1)).proofs())
    assert proof.outcome == "unknown"
    assert "not decided within 1s" in proof.detail


def test_somebody_else_may_ask_only_if_an_offer_says_so():
    about = (
        "when: requester.name != principal.name && requester.person != principal.person && principal.kind == 'person'"
    )
    quoted = f'when: "{about[6:]}"'
    never_by_others = claim("access", quoted)
    assert proof_of(ADMIN + never_by_others).outcome == "refuted"  # a person can have a sponsor, who answers for them
    plain = quoted[:-1] + ' && !(requester.person in principal.humans)"'
    assert proof_of(ADMIN + claim("access", plain)).outcome == "proved"
    open_to = ADMIN.replace("max_duration", "asked_by: group:helpdesk\n    max_duration")
    found = proof_of(open_to + claim("access", plain))
    assert "helpdesk" in found.counter_example.steps[0].ask.requester.groups


def test_an_agent_acts_for_a_person_and_needs_an_offer_of_its_own():
    assert proof_of(ADMIN + claim("access", "kinds: agent")).outcome == "proved"
    text = ADMIN.replace("max_duration", "kinds: [agent]\n    purpose: a test\n    max_duration", 1)
    example = proof_of(text + claim("access", "kinds: agent")).counter_example
    agent = example.catalog.principal(example.steps[0].ask.beneficiary.name)
    assert agent.kind is PrincipalKind.AGENT
    assert agent.sponsor in example.catalog.principals


def test_an_alias_does_not_slip_past_a_limit_on_its_person():
    limit = "\nlimits:\n  - {name: out, to: group:contractors, forbid: true, reason: so it is}\n"
    person = "when: \"principal.human_groups.exists(g, g == 'contractors')\""
    assert proof_of(ADMIN + limit + claim("access", person)).outcome == "proved"


WINDOWED = ADMIN.replace(
    "max_duration",
    'windows: [{days: mon-fri, from: "09:00", to: "12:00", timezone: Europe/Berlin}]\n    max_duration',
    1,
).replace("max_duration: 1h", "max_duration: 4h")


@pytest.mark.parametrize(
    ("never", "outcome"),
    [
        ("{longer_than: 3h}", "proved"),
        ("{longer_than: 2h59m}", "refuted"),
        ('{outside: [{days: mon-fri, from: "08:00", to: "13:00", timezone: Europe/Berlin}]}', "proved"),
        ('{outside: [{days: mon-thu, from: "08:00", to: "13:00", timezone: Europe/Berlin}]}', "refuted"),
        ('{outside: [{days: mon-fri, from: "08:00", to: "11:00", timezone: UTC}]}', "refuted"),
        ('{outside: [{days: mon-fri, from: "07:00", to: "11:00", timezone: UTC}]}', "proved"),
    ],
)
def test_windows_are_looked_at_on_their_own_clocks(never, outcome):
    assert proof_of(WINDOWED + claim(never)).outcome == outcome


def test_access_that_waits_for_a_vote_may_begin_later():
    text = ADMIN.replace("max_duration", "when: request.starts_at.getHours() < 12\n    max_duration", 1)
    noon = '{outside: [{from: "00:00", to: "13:00", timezone: UTC}]}'
    assert (
        proof_of(text.replace("approvals: [{from: group:leads}]", "auto_approve: true") + claim(noon)).outcome
        == "proved"
    )
    step = proof_of(text + claim(noon)).counter_example.steps[0]
    assert step.held_from > step.ask.begins_at


def test_break_glass_is_found_where_nothing_else_asks_as_little():
    text = (
        ADMIN
        + """
  - name: emergency
    entitlements: "*/admin"
    to: group:dba
    max_duration: 2h
    break_glass: {review_within: 24h, reviewers: group:security}
"""
    )
    proof = proof_of(text + claim("{break_glass: true, longer_than: 1h}"))
    assert proof.counter_example.steps[0].break_glass
    quiet = text + '  - {name: quiet, entitlements: "*/*", to: anyone, max_duration: 2h, auto_approve: true}\n'
    assert proof_of(quiet + claim("{break_glass: true}")).outcome == "proved"


def test_a_quorum_that_nobody_can_meet_gives_nothing():
    text = ADMIN.replace("from: group:leads", "from: manager, quorum: 2")
    assert proof_of(text + claim("access")).outcome == "proved"


def test_a_budget_bounds_the_contiguous_time():
    text = ADMIN.replace("max_total", "budget: {most: 2h, per: 1d}\n    max_total")
    assert proof_of(text + claim("{total_longer_than: 2h}")).outcome == "proved"
    assert proof_of(text + claim("{total_longer_than: 1h59m}")).outcome == "refuted"


def test_in_the_directory_only_who_is_there_counts():
    nobody = "to: group:nobody-is-in-it"
    assert proof_of(ADMIN + claim("access"), CATALOG).outcome == "refuted"
    assert proof_of(ADMIN.replace("group:dba", "group:ghosts") + claim("access"), CATALOG).outcome == "proved"
    assert proof_of(ADMIN + claim("access", nobody), CATALOG).vacuous
    two = ADMIN.replace("from: group:leads", "from: group:leads, quorum: 2")
    assert proof_of(two + claim("access"), CATALOG).outcome == "unknown"  # there is one lead


def test_in_the_directory_the_counter_example_is_about_real_people():
    example = proof_of(ADMIN + claim("access"), CATALOG).counter_example
    assert example.catalog is CATALOG
    assert example.steps[0].ask.beneficiary.name in {"dora", "bob", "carl-admin"}
    assert example.steps[0].persons == ("lea",)


def test_attributes_that_are_compared_are_looked_at_as_they_are():
    text = ADMIN.replace("to: group:dba", "to: anyone\n    when: resource.owner == principal.name")
    example = proof_of(text + claim("access"), CATALOG).counter_example
    assert example.steps[0].ask.resource.owner == example.steps[0].ask.beneficiary.name
    assert (
        proof_of(text + claim("access", "to: group:security, when: \"principal.name != 'tim'\""), CATALOG).outcome
        == "proved"
    )


def test_facts_must_be_true_in_the_directory():
    facts = "\nfacts:\n  - disjoint: [group:dba, group:developers]\n"
    proof = proof_of(ADMIN + facts + claim("access"), CATALOG)
    assert proof.outcome == "unknown"
    assert "is not true in the directory: see `bob`" in proof.detail


def test_a_large_directory_costs_what_it_has_of_different_people():
    people = {f"p{number}": Principal(name=f"p{number}") for number in range(3_000)}
    groups = {
        "dba": Group(name="dba", members=tuple(list(people)[:50])),
        "leads": Group(name="leads", members=("p60",)),
    }
    catalog = Catalog(principals=people, groups=groups, resources=CATALOG.resources)
    assert proof_of(ADMIN + claim("{longer_than: 1h}"), catalog).outcome == "proved"
    assert proof_of(ADMIN + claim("access"), catalog).outcome == "refuted"


def test_a_counter_example_reads_like_a_story():
    lines = lines_of(proof_of(ADMIN + claim("{total_longer_than: 1h}")).counter_example)
    assert lines == (
        "`ann` is a person, in `group:dba`",
        "`db` is a resource",
        "1. Tue 2027-03-02 10:00 UTC: `ann` asks for `db/admin`, 1h; offer `admin` allows it; `kim` agrees",
        "2. Tue 2027-03-02 10:30 UTC: `ann` asks for more of `db/admin`, 1h; offer `admin` allows it; `kim` agrees",
        "together 2h without a gap, and 1 person in all agrees to it",
    )


def test_effects_of_a_proposal_have_every_claim(monkeypatch):
    rules = policy(ADMIN + claim("{longer_than: 59m}"))
    found = claim_effects(rules, timeout=timedelta(seconds=20), clock=time.monotonic)
    assert [(effect.name, effect.outcome) for effect in found] == [("it", "refuted")]
    assert found[0].lines
    monkeypatch.setattr("lapse.policy.proof.outcomes.find_spec", lambda _name: None)
    missing = claim_effects(rules, timeout=timedelta(seconds=20), clock=time.monotonic)
    assert missing[0].outcome == "unknown"
    assert "lapse[prove]" in missing[0].detail
    assert claim_effects(policy(ADMIN), timeout=timedelta(seconds=1), clock=time.monotonic) == ()
