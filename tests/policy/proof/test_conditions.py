"""Conditions in the solver's model: each has the outcome that the engine gives, or is said not to be modelled."""

import json

import pytest

from lapse.policy import parse
from support.agreement import Agreement
from support.random_policies import RandomPolicies

MODELLED = (
    "true",
    "!false && !(!true)",
    "resource['name'] == 'pg-prod'",
    "resource.tags['env'] in ['prod', 'dev']",
    "'pg-prod/admin' == entitlement.name",
    "entitlement.name == 'pg-prod'",
    "entitlement.name.startsWith('pg-prod/re') || entitlement.name.startsWith('wiki')",
    "entitlement.name.endsWith('er') && !entitlement.name.endsWith('prod/reader')",
    "entitlement.name.contains('prod/ad') || entitlement.name.contains('wik')",
    "entitlement['name'] != 'pg-prod/reader'",
    "3 < size(request.justification)",
    "size(request.justification) <= 7 && request.justification.size() != 0",
    "request.justification.size() >= 0 && 13 == size(request.justification)",
    "request.duration - duration('30m') >= duration('-1h') + duration('2h')",
    "request.at + request.duration > timestamp('2026-03-03T11:00:00Z')",
    "request.starts_at - duration('2h') < request.at",
    "request.at.getSeconds() == 0 && request.at.getMilliseconds() < 1",
    "timestamp('2026-03-03T11:00:00Z').getHours() == 11",
    "(request.for_self ? principal.name : requester.name) == 'alice'",
    "request.is_extension == request.for_self",
    "1 + 2 == 3 && 2 - 1 > 0 && -1 < 0",
    "principal.active && requester.active",
    "has(principal.name) && has(request.ticket)",
    "[].exists(x, x == 'a') || ['a'].all(x, x == 'a')",
    "principal.groups.exists(g, resource.tags.env == g)",
    "principal.groups.all(g, g.startsWith('d')) || principal.groups.exists(g, g == 'support')",
    "principal.humans.exists(h, h in ['alice', 'bob'])",
    "requester.human_groups.exists(g, g == 'leads')",
    "principal.groups.exists(g, requester.groups.all(h, h != 'leads' || g != 'leads'))",
    "resource.tags.env in principal.groups || 'env' in resource.tags",
    "request.ticket.number == '' || request.ticket['system'] == 'jira'",
)
NOT_MODELLED = (
    ("request.justification.matches('^b')", "`matches`"),
    ("context.risk == 1", "`context`"),
    ("has(context.risk)", "`has` of what"),
    ("principal.name < 'm'", "an order of texts"),
    ("principal.groups.exists_one(g, g == 'dba')", "`exists_one`"),
    ("principal.groups.filter(g, g == 'dba').size() > 0", "`filter`"),
    ("size(principal.groups) > 1", "`size` of what"),
    ("resource.tags.exists(k, k == 'env')", "`exists` over what"),
    ("request.at.getFullYear() == 2026", "`getFullYear`"),
    ("request.duration.getHours() == 1", "`getHours`"),
    ("int('3') == 3", "`int` of what"),
    ("string(request.duration) == 'x'", "`string` of what"),
    ("duration(request.justification) > duration('1h')", "`duration` of what"),
    ("principal.name + 'x' == 'bobx'", "`+` of what"),
    ("(principal.name + 'x').startsWith('b')", "`+` of what"),
    ("1.5 > 1.0", "a decimal number"),
    ("[1, 2].exists(x, x == 1)", "other things than texts"),
    ("{'a': 1} == {'a': 1}", "a map that is written out"),
    ("principal.groups == ['dba']", "a comparison of lists"),
    ("principal.groups[0] == 'dba'", "picking with [ ]"),
    ("principal.name.startsWith(requester.name)", "`startsWith`"),
    ("size(request.justification) > 5000", "an order of"),
    ("(request.for_self ? request.duration : request.total_duration) > duration('1h')", "a choice between numbers"),
    ("timestamp('2026-03-03T11:00:00.1234567Z') < request.at", "`timestamp` of what"),
    ("9000000000000000000 - 1 > 0", "too large"),
    ("principal.name in [principal.name + 'x']", "`in` with what"),
    ("!(context.flag)", "`context`"),
    ("-(1.5) < 0.0", "a decimal number"),
    ("context.flag ? true : false", "`context`"),
    ("context.flag && true", "`context`"),
)


def agreement(condition):
    offer = {
        "name": "o",
        "entitlements": "*/*",
        "to": "anyone",
        "kinds": ["person", "agent", "service"],
        "purpose": "a test",
        "asked_by": "anyone",
        "max_duration": "8h",
        "when": condition,
        "auto_approve": True,
    }
    limit = {"name": "l", "when": condition, "max_duration": "3h", "max_total": "12h"}
    return Agreement(parse({"p.json": json.dumps({"version": 1, "offers": [offer], "limits": [limit]})}))


@pytest.mark.parametrize("condition", MODELLED)
def test_the_outcome_is_that_of_the_engine(condition):
    model, world = agreement(condition), RandomPolicies(7)
    assert not model.conditions.unmodelled
    assert not [said for _ in range(30) if (said := model.differs(world.ask()))]


@pytest.mark.parametrize(("condition", "what"), NOT_MODELLED)
def test_what_is_not_modelled_is_said_and_may_be_anything(condition, what):
    model, world = agreement(condition), RandomPolicies(7)
    assert any(what in part for part in model.conditions.unmodelled[condition])
    assert not [said for _ in range(12) if (said := model.differs(world.ask()))]
