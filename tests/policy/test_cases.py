"""Test cases: what is expected is compared, what is misspelt is named, and rules nobody tests are seen."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from textwrap import dedent, indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.policy import PolicyErrors, parse
from lapse.policy.cases import judge as judge_module
from lapse.policy.cases import read_cases, run_cases
from support.policy_world import CATALOG, limit, offer
from support.tools import ROOT

RULES = offer("max_total: 6h") + limit("to: group:contractors\nforbid: true\nreason: contractors stay out", "out")
PEOPLE = """
principals:
  - {name: alice, groups: developers, manager: lea}
  - {name: carl, groups: [developers, contractors]}
  - {name: lea}
resources:
  - {name: pg-prod, owner: lea, tags: {env: prod}, roles: [reader, {name: admin, tags: {level: high}}]}
"""


def case(ask, expect, name="it works"):
    return f"  - name: {name}\n    ask: {ask}\n    expect: {expect}\n"


def run(*cases, rules=RULES, people=PEOPLE, catalog=None):
    text = "version: 1\n" + people + "cases:\n" + "".join(cases)
    policy = parse({"p.yaml": "version: 1\n" + rules})
    return run_cases(policy, read_cases({"t.test.yaml": text}), {"t.test.yaml": catalog} if catalog else {})


READ = "{requester: alice, entitlement: pg-prod/reader, duration: 1h}"


def differences(ask, expect, **more):
    (result,) = run(case(ask, expect), **more).cases
    return [(one.what, one.expected, one.actual) for one in result.differences]


PASSING = [
    (READ, "{allowed: true}"),
    (READ, "{offer: read, max_duration: 2h, max_total: 6h, pending_timeout: 1d, automatic: false}"),
    (READ, "{approvals: [{name: owner, quorum: 1, from: owner}], break_glass: false}"),
    (READ, "{approvals: [{}]}".replace("{}", "{quorum: 1}")),
    (READ.replace("1h", "3h"), "{denied: allows at most 2h, by: read, hint: ask for 2h or less}"),
    (READ.replace("alice", "carl"), "{denied: true, by: [out]}"),
    (READ.replace("alice", "{name: eve, groups: developers}"), "{offer: read}"),
    (READ.replace("alice", "{name: eve}"), "{denied: no offer is about}"),
    (READ.replace("pg-prod/reader", "{name: pg-new/admin, tags: {env: dev}, owner: lea}"), "{offer: read}"),
    (READ.replace("pg-prod/reader", "{name: wiki/reader}"), "{denied: true}"),
]


@pytest.mark.parametrize(("ask", "expect"), PASSING)
def test_what_is_as_expected_passes(ask, expect):
    assert differences(ask, expect) == []


FAILING = [
    (READ, "{denied: no}", ("denied", "denied: no", "allowed: offer `read` allows it with approval by 1 of `owner`")),
    (READ, "{max_duration: 1h}", ("max_duration", "1h", "2h")),
    (READ, "{automatic: true}", ("automatic", "true", "false")),
    (READ, "{approvals: none}", ("approvals", "none", "1 of `owner`")),
    (READ, "{approvals: [{quorum: 2, from: owner}]}", ("approvals", "2 of `owner`", "1 of `owner`")),
    (READ, "{approvals: [{name: x}]}", ("approvals", "any number (x)", "1 of `owner`")),
    (READ.replace("1h", "3h"), "{offer: read}", ("offer", "allowed by `read`", "denied: no offer fits: ")),
    (READ.replace("1h", "3h"), "{allowed: true}", ("allowed", "allowed", "denied: no offer fits: ")),
    (READ.replace("1h", "3h"), "{denied: a ticket}", ("denied", "a reason with 'a ticket'", "no offer fits: ")),
    (READ.replace("1h", "3h"), "{denied: true, by: out}", ("by", "`out`", "`read`")),
    (READ.replace("1h", "3h"), "{denied: true, hint: try}", ("hint", "a hint with 'try'", "ask for 2h or less")),
    (READ.replace("alice", "carl"), "{denied: true, hint: x}", ("hint", "a hint with 'x'", "no hint")),
    (READ.replace("alice", "{name: eve}"), "{denied: true, by: read}", ("by", "`read`", "no rule")),
]


@pytest.mark.parametrize(("ask", "expect", "difference"), FAILING)
def test_what_is_not_as_expected_says_what_it_is(ask, expect, difference):
    ((what, expected, actual),) = differences(ask, expect)
    assert (what, expected) == difference[:2]
    assert actual.startswith(difference[2])


def test_a_difference_is_on_the_line_of_what_was_expected():
    (result,) = run(f"  - name: x\n    ask: {READ}\n    expect:\n      offer: read\n      max_total: 9h\n").cases
    assert (result.line, result.differences[0].line) == (10, 14)
    assert not result.passed


def test_the_past_is_given_as_seen_from_the_question():
    rules = offer("cooldown: 1h\nmax_total: 6h")
    held = "{requester: alice, entitlement: pg-prod/reader, duration: 1h, history: {held: [{from: 3h ago, to: %s}]}}"
    assert differences(held % "30m ago", "{denied: 'asks for 1h without'}", rules=rules) == []
    assert differences(held % "2h ago", "{offer: read}", rules=rules) == []
    assert differences(held % "now", "{denied: allows at most 2h}", rules=offer()) == []
    assert differences(held.replace("duration", "extension: true, duration") % "now", "{offer: read}") == []


def test_requests_justifications_and_reviews_of_before():
    rules = limit("quota: {most: 2, per: 1h, pending: 3}\njustification: {unlike_last: 1}", "few") + offer()
    ask = READ[:-1] + ", justification: because of it, history: {%s}}"
    made = "requests: [{at: 10m ago, offer: read, automatic: true}, {at: 20m ago}]"
    assert differences(ask % made, "{denied: accepts 2 requests of one requester}", rules=rules) == []
    assert differences(ask % "pending: 3", "{denied: lets 3 requests}", rules=rules) == []
    assert differences(ask % "justifications: [Because of it!]", "{denied: differs from your last}", rules=rules) == []
    assert differences(ask % "pending: 1", "{offer: read}", rules=rules) == []
    loud = offer().replace("approvals: [{from: [owner]}]", "break_glass: {review_within: 1d, reviewers: lea}")
    ask = READ[:-1] + ", break_glass: true, history: {overdue_reviews: 1}}"
    assert differences(ask, "{denied: is overdue}", rules=loud) == []


def test_what_nobody_looked_up_is_unknown():
    ask = READ[:-1] + ", history: unknown}"
    (result,) = run(case(ask, "{denied: is not known}"), rules=offer("budget: {most: 3h, per: 1d}")).cases
    assert result.passed


def test_tickets_times_and_context():
    rules = offer("ticket: {checked: true}\nwhen: context.risk < 5\nwindows: [" + WINDOW + "]")
    ask = READ[:-1] + ", at: '2026-03-03T10:00:00Z', context: {risk: 3, flag: true, why: x}, ticket: %s}"
    assert differences(ask % "jira:OPS-1", "{offer: read}", rules=rules) == []
    assert differences(ask % "{system: jira, number: '1', status: closed}", "{denied: is closed}", rules=rules) == []
    assert differences(ask.replace("T10", "T22") % "jira:OPS-1", "{denied: is open}", rules=rules) == []
    later = ask.replace("at:", "starts_at: in 12h, at:")
    assert differences(later % "jira:OPS-1", "{denied: is open}", rules=rules) == []


WINDOW = "{from: '09:00', to: '17:00', timezone: UTC}"


def test_a_catalog_lies_below_what_the_file_describes():
    ask = "{requester: tim, entitlement: mysql-shop/reader, duration: 1h}"
    rules = offer().replace("pg-*/*", "mysql-*/*")
    assert run(case(ask, "{denied: true}"), catalog=CATALOG, rules=rules).failed == ()
    people = "principals: [{name: tim, groups: developers}]\n"
    assert run(case(ask, "{offer: read}"), catalog=CATALOG, rules=rules, people=people).failed == ()


def test_rules_that_no_case_is_about_are_seen():
    report = run(case(READ, "{allowed: true}"), case(READ.replace("1h", "3h"), "{denied: true}", "too long"))
    read, out = report.rules
    assert (read.satisfied, read.unsatisfied, read.failed, read.looked_at) == (1, 1, 0, True)
    assert (out.name, out.kind, out.looked_at, report.percent) == ("out", "limit", False, 50)


MISTAKES = [
    (case(READ.replace("requester", "requestor"), "{offer: read}"), 11, "there is no key `requestor`", "`requester`"),
    (case(READ, "{ofer: read}"), 12, "there is no key `ofer`", "`offer`"),
    (case(READ, "{offer: reed}"), 12, "the policy has no offer `reed`", "did you mean `read`?"),
    (case(READ, "{denied: true, by: owt}"), 12, "the policy has no rule `owt`", "did you mean `out`?"),
    (case(READ.replace("alice", "alise"), "{offer: read}"), 11, "the principal `alise`", "did you mean `alice`?"),
    (case(READ.replace("reader", "reder"), "{offer: read}"), 11, "`pg-prod/reder`", "`pg-prod/reader`?"),
    (case(READ.replace("alice", "x1"), "{offer: read}"), 11, "the principal `x1`", "describe it here"),
    (case(READ, "{denied: true, offer: read}"), 12, "what is denied has no terms", "leave"),
    (case(READ, "{allowed: false}"), 12, "says less than it could", "use `denied`"),
    (case(READ, "{by: out}"), 12, "`by` speaks of a denial", "denied: true"),
    (case(READ, "{}"), 12, "nothing is expected", "add"),
    (case(READ, "{denied: [a]}"), 12, "this is `true`, or a part", "must read"),
    (case(READ.replace("1h", "0s"), "{allowed: true}"), 11, "not longer than zero", "at least"),
    (case(READ[:-1] + ", at: soon}", "{allowed: true}"), 11, "`soon`", ""),
    (case(READ[:-1] + ", ticket: x}", "{allowed: true}"), 11, "`x` is not a ticket", "jira:OPS"),
    (case(READ[:-1] + ", ticket: {system: a, number: b, status: done}}", "{allowed: true}"), 11, "`done`", "`open`"),
    (case(READ[:-1] + ", context: {a: [1]}}", "{allowed: true}"), 11, "a single value", ""),
    (case(READ[:-1] + ", context: x}", "{allowed: true}"), 11, "`key: value`", ""),
    (case(READ[:-1] + ", context: {a: 0.5}}", "{allowed: true}"), 11, "a whole number", ""),
    (case(READ[:-1] + ", at: 9999 ago}", "{allowed: true}"), 11, "`9999` is not a duration", ""),
    (case(READ.replace("alice", "{name: x, kind: robot}"), "{offer: read}"), 11, "`robot`", "`agent`"),
    (case(READ.replace("alice", "{name: x, manager: leah}"), "{offer: read}"), 11, "`leah`", "did you mean `lea`?"),
    (case(READ, "{offer: read}") * 2, 13, "there is a case of this name already, on line 10", "rename"),
]


@pytest.mark.parametrize(("text", "line", "message", "hint"), MISTAKES)
def test_a_mistake_has_its_place_and_the_nearest_name(text, line, message, hint):
    with pytest.raises(PolicyErrors) as caught:
        run(text)
    (problem,) = [one for one in caught.value.problems if message in one.message]
    assert (problem.file, problem.line, hint in problem.hint) == ("t.test.yaml", line, True), problem


BROKEN = [
    ("", "the file is empty"),
    ("version: 1\n", "the key `cases` is missing"),
    ("version: 1\nat: 2h ago\ncases: []\n", "1 to"),
    ("version: 1\nx: &a [*a]\n", "are not used in test cases"),
    ("- {", "this is not YAML"),
    ("version: 1\n---\nversion: 1\n", "a file of test cases has one document"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_file_says_so(text, message):
    with pytest.raises(PolicyErrors) as caught:
        read_cases({"t.test.yaml": text})
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems


def test_the_files_time_is_an_instant():
    with pytest.raises(PolicyErrors, match="must be an instant"):
        run(case(READ, "{allowed: true}"), people="at: 2h ago\n" + PEOPLE)
    assert run(case(READ, "{allowed: true}"), people="at: 2026-03-03T10:00:00Z\n" + PEOPLE).failed == ()


CIRCLES = "groups: [{name: a, groups: b}, {name: b, groups: [c]}, {name: c, groups: a, members: alice}]\n"


def test_groups_in_a_circle_and_names_that_lead_nowhere_are_mistakes():
    with pytest.raises(PolicyErrors, match="the group `a` is inside itself"):
        run(case(READ, "{allowed: true}"), people=CIRCLES + PEOPLE)
    with pytest.raises(PolicyErrors, match="`members` names the principal `nobody`"):
        run(case(READ, "{allowed: true}"), people="groups: [{name: a, members: nobody}]\n" + PEOPLE)
    with pytest.raises(PolicyErrors, match="names the group `x`"):
        run(case(READ, "{allowed: true}"), people=PEOPLE.replace("owner: lea", "owner: 'group:x'"))


def test_a_group_may_be_named_like_a_person():
    people = PEOPLE + "groups: [{name: lea, members: carl}]\n"
    rules = offer().replace("group:developers", "lea")
    assert run(case(READ.replace("alice", "lea"), "{offer: read}"), people=people, rules=rules).failed == ()
    assert run(case(READ.replace("alice", "carl"), "{denied: true}"), people=people, rules=rules).failed == ()


def test_times_beyond_all_calendars_are_a_mistake_of_the_case(monkeypatch):
    ask = READ[:-1] + ", at: 9999-12-31T23:59:59Z, history: {held: [{from: in 360d, to: in 361d}]}}"
    with pytest.raises(PolicyErrors, match="cannot be asked"):
        run(case(ask, "{allowed: true}"))
    monkeypatch.setattr(judge_module, "WEDNESDAY", judge_module.WEDNESDAY - timedelta(days=1))
    assert run(case(READ, "{allowed: true}")).failed == ()


def test_the_examples_are_as_expected_and_look_at_every_rule():
    folder = ROOT / "examples" / "policy"
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*.yaml"))}
    policy = parse({name: text for name, text in texts.items() if not name.endswith(".test.yaml")})
    report = run_cases(policy, read_cases({"offers.test.yaml": texts["offers.test.yaml"]}), {})
    assert report.failed == ()
    assert report.percent == 100


def test_a_rule_that_is_changed_makes_a_case_fail():
    """What tests are for: each rule of the example that is loosened is noticed."""
    folder = ROOT / "examples" / "policy"
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*.yaml"))}
    cases = read_cases({"offers.test.yaml": texts.pop("offers.test.yaml")})
    for loosened in ("quorum: 2", "pending: 10", "cooldown: 30m"):
        changed = {name: text.replace(loosened, _looser(loosened)) for name, text in texts.items()}
        assert run_cases(parse(changed), cases, {}).failed, loosened


def _looser(line):
    return {"quorum: 2": "quorum: 1", "pending: 10": "pending: 99"}.get(line, "")


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-#&*!|>'\"%@` \nacdeiknopqrstuv", max_size=80))
def test_any_text_is_cases_or_problems(text):
    for whole in (text, "version: 1\ncases:\n" + indent(dedent(text), "  ")):
        with suppress(PolicyErrors):
            read_cases({"t.test.yaml": whole})


def test_no_rule_at_all_is_all_looked_at():
    report = run(case(READ, "{denied: true}"))
    assert replace(report, rules=()).percent == 100
    assert re.match("sha256:", report.policy_version)
