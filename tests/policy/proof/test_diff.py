"""How the answers of two policies differ: each way with an example that both were asked, or proved to be none."""

import time
from datetime import timedelta

import pytest

from lapse.policy.proof.diff import compare
from lapse.policy.proof.differences import WIDER, Kind
from support.policy_world import HOUR, limit, offer, policy

BASE = offer()
TAGGED = "when: \"has(resource.tags.env) && resource.tags.env == 'prod'\""


def difference(old, new, **more):
    return compare(policy(old), policy(new), clock=time.monotonic, **more)


def kinds(old, new):
    found = difference(old, new)
    assert not found.unknown
    return [one.kind for one in found.differences]


def test_files_that_mean_the_same_are_equivalent_without_any_proof():
    renamed = offer("description: For everybody who writes programs.", name="other")
    found = difference(BASE, renamed)
    assert found.equivalent
    assert found.changed == ()


def test_rules_that_differ_and_come_to_the_same_are_proved_to_be_equivalent():
    found = difference(BASE, BASE + limit("max_duration: 5h\nentitlements: 'pg-*/*'"))
    assert found.equivalent
    assert found.changed == ("limit `limit` (added)",)


def test_two_conditions_that_say_the_same_are_equivalent():
    one = offer("when: principal.kind == 'person' && resource.name.startsWith('pg-')")
    other = offer("when: \"!(principal.kind != 'person' || !resource.name.startsWith('pg-p'))\"")
    assert kinds(offer("when: principal.kind == 'person'"), one) == []
    assert kinds(one, other) == [Kind.DENIED]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (BASE.replace("2h", "4h"), [Kind.LONGER]),
        (BASE.replace("2h", "1h"), [Kind.SHORTER]),
        (offer("max_total: 8h"), [Kind.LONGER]),
        (BASE.replace("pg-*/*", "pg-*/reader"), [Kind.DENIED]),
        (BASE.replace("pg-*/*", "*/*"), [Kind.PERMITTED]),
        (BASE.replace("group:developers", "[group:developers, group:interns]"), [Kind.PERMITTED]),
        (BASE.replace("group:developers", "group:interns"), [Kind.PERMITTED, Kind.DENIED]),
        (offer(approved_by="group:leads"), [Kind.APPROVERS]),
        (offer(approved_by=""), [Kind.AUTOMATIC]),
        (BASE.replace("{from: [owner]}", "{from: [owner], quorum: 2}"), [Kind.MORE]),
        (BASE.replace("{from: [owner]}", "{from: [owner], except: [group:dba]}"), [Kind.APPROVERS]),
        (BASE.replace("{from: [owner]}", "{from: [owner], remind_after: 1h}"), [Kind.OTHER]),
        (BASE.replace("{from: [owner]}", "{from: [owner], name: boss}"), []),
        (offer("pending_timeout: 1h"), [Kind.OTHER]),
        (offer("purpose: repairs"), [Kind.OTHER]),
        (offer("justification: {min_length: 10, real: true, unlike_last: 2}"), [Kind.DENIED]),
        (offer("ticket: {systems: [jira], checked: true}"), [Kind.DENIED]),
        (offer("cooldown: 3h"), [Kind.DENIED]),
        (offer(TAGGED), [Kind.DENIED]),
        (offer("asked_by: group:leads"), [Kind.PERMITTED]),
        (offer("kinds: [person]"), [Kind.DENIED]),
        (BASE + limit("approvals: [{from: [group:leads]}]"), [Kind.MORE]),
        (BASE + limit("to: group:contractors\nforbid: true\nreason: no"), [Kind.DENIED]),
        (BASE + limit("quota: {most: 3, per: 1h}"), [Kind.DENIED]),
    ],
)
def test_each_change_is_seen_for_what_it_does(new, expected):
    assert kinds(BASE, new) == expected


def test_undoing_a_change_is_seen_the_other_way_round():
    two = BASE.replace("{from: [owner]}", "{from: [owner], quorum: 2}")
    assert kinds(two, BASE) == [Kind.FEWER]
    assert Kind.FEWER in WIDER


def test_break_glass_instead_of_approval():
    emergency = BASE.replace(
        "approvals: [{from: [owner]}]", "break_glass: {review_within: 24h, reviewers: [group:security]}"
    )
    assert kinds(BASE, emergency) == [Kind.BREAK_GLASS, Kind.DENIED]
    assert kinds(emergency, BASE) == [Kind.PERMITTED, Kind.NO_BREAK_GLASS]


def test_an_example_is_a_question_that_can_be_asked():
    (one,) = difference(BASE, BASE.replace("2h", "4h")).differences
    assert (one.old.terms.max_duration, one.new.terms.max_duration) == (2 * HOUR, 4 * HOUR)
    assert one.ask.beneficiary.groups == ("developers",)
    assert one.ask.duration == HOUR
    assert one.rule == "offer `read` (changed)"


def test_a_budget_is_shown_with_a_past_that_uses_it_up():
    day, half = (offer(f"budget: {{most: {most}, per: 1d}}") for most in ("8h", "4h"))
    (one,) = difference(day, half).differences
    assert one.kind is Kind.DENIED
    held = one.ask.history.grants[0]
    assert timedelta(hours=3) < held.ends_at - held.begins_at + one.ask.duration <= timedelta(hours=8)


def test_windows_are_shown_at_a_time_that_matters():
    day = 'windows: [{days: mon-fri, from: "09:00", to: "17:00", timezone: Europe/Berlin}]'
    longer = day.replace("17:00", "18:00")
    found = difference(offer(day), offer(longer))
    assert {one.kind for one in found.differences} == {Kind.PERMITTED, Kind.OTHER}
    permitted = found.differences[0].ask
    assert permitted.begins_at + permitted.duration > permitted.begins_at.replace(hour=15, minute=0)


def test_what_is_not_modelled_is_not_passed_over():
    found = difference(BASE, offer("when: context.risk < 5"))
    assert [one.kind for one in found.differences] == [Kind.DENIED]
    found = difference(offer("when: context.risk < 5"), offer("when: context.risk < 6"))
    assert not found.equivalent
    assert {one.kind for one in found.unknown} == {Kind.PERMITTED, Kind.DENIED}
    assert "not modelled" in found.unknown[0].why


def test_a_condition_that_is_not_modelled_and_the_same_in_both_is_no_obstacle():
    risky = 'when: "has(context.risk) && context.risk < 5"'
    found = difference(offer(risky), offer(risky) + limit("max_duration: 3h"))
    assert found.equivalent


def test_facts_that_both_state_are_believed():
    facts = "facts:\n  - disjoint: [group:contractors, group:developers]\n"
    item = (
        "  - {name: odd, to: group:contractors, entitlements: 'pg-*/*', max_duration: 9h, approvals: [{from: owner}],\n"
    )
    odd = BASE + item + "     when: \"'developers' in principal.groups\"}\n"
    assert kinds(BASE, odd) == [Kind.LONGER]
    assert kinds(BASE, facts + odd) == [Kind.LONGER]
    assert difference(facts + BASE, facts + odd).equivalent


def test_facts_that_contradict_one_another_prove_nothing():
    facts = (
        "facts:\n  - disjoint: [group:a, group:b]\n"
        "  - {subset: group:developers, of: group:a}\n  - {subset: group:developers, of: group:b}\n"
    )
    found = difference(facts + BASE, facts + BASE.replace("2h", "4h"))
    assert [one.kind for one in found.differences] == [Kind.LONGER]
    assert "contradict" in found.notes[0] or "no member" in found.notes[0]


def test_when_the_time_is_over_nothing_is_known():
    found = difference(BASE, BASE.replace("2h", "4h"), timeout=0)
    assert not found.equivalent
    assert {one.kind for one in found.unknown} == set(Kind)


def test_a_change_is_told_with_the_rule_that_causes_it():
    old = BASE + limit("entitlements: tag:env=prod\nto: group:contractors\nforbid: true\nreason: no")
    new = old.replace("2h", "4h").replace("tag:env=prod", "tag:env=prod*")
    found = difference(old, new)
    assert [(one.kind, one.rule) for one in found.differences] == [
        (Kind.LONGER, "offer `read` (changed)"),
        (Kind.DENIED, "limit `limit` (changed)"),
    ]


def test_another_order_of_offers_matters_only_if_they_are_alike():
    first, second = (offer(name=name, approved_by=who) for name, who in (("a", "owner"), ("b", "group:leads")))
    item = second.removeprefix("offers:\n")
    assert kinds(first + item, "offers:\n" + item + first.removeprefix("offers:\n")) == [Kind.APPROVERS]


def test_limits_that_ask_the_same_people_in_another_order():
    first = limit("approvals: [{from: group:leads}]", name="first")
    second = "  - {name: second, approvals: [{from: group:dba}, {from: group:leads}]}\n"
    third = "  - {name: third, approvals: [{from: group:leads}]}\n"
    both_ways = BASE + first + second, BASE + "limits:\n" + second + first.removeprefix("limits:\n")
    assert kinds(*both_ways) == [Kind.APPROVERS]
    assert kinds(BASE + first + second, BASE + first + second + third) == []
    late = "  - {name: late, when: request.is_extension, approvals: [{from: group:leads}]}\n"
    begun = "limits:\n" + late + second
    assert kinds(BASE + "limits:\n" + second, BASE + begun) == [Kind.APPROVERS]


def test_exceptions_that_a_limit_adds_to_the_stage_of_an_offer():
    barred = limit("approvals: [{from: owner, except: [group:dba]}]")
    assert kinds(BASE, BASE + barred) == [Kind.APPROVERS]
    already = BASE.replace("{from: [owner]}", "{from: [owner], except: [group:dba]}")
    assert kinds(already, already + barred) == []
