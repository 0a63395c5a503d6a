"""The rules of `_decision` in Cedar and Rego, run by cedarpy and regopy. Whatever can be prepared is prepared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from _decision import MONDAY, Rule
from cedarpy import Decision, Entities, PolicySet, is_authorized
from regopy import Input, Interpreter

from lapse.policy import Ask

_FRIDAY = 4
_REGO = """package lapse
import rego.v1
default allow := false
allow if { offered; not denied }
"""


class Cedar:
    """A parsed policy set; the entities of each question are parsed beforehand, and are only those that it is about."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._policies = PolicySet.from_str("\n".join(map(_cedar, rules)))

    @staticmethod
    def prepared(ask: Ask) -> tuple[dict[str, Any], Entities]:
        """The question as Cedar takes it."""
        who, what = ask.beneficiary, ask.entitlement
        tags = {**ask.resource.tags, **what.tags}
        person = {
            "uid": {"type": "Person", "id": who.name},
            "attrs": {"title": who.title, "department": who.department},
            "parents": [{"type": "Group", "id": group} for group in who.groups],
        }
        entitlement = {
            "uid": {"type": "Entitlement", "id": what.name},
            "attrs": {"resource": ask.resource.name, "role": what.role},
            "parents": [{"type": "Tag", "id": f"{key}={value}"} for key, value in tags.items()],
        }
        request = {
            "principal": f'Person::"{who.name}"',
            "action": 'Action::"hold"',
            "resource": f'Entitlement::"{what.name}"',
            "context": _facts(ask),
        }
        return request, Entities.from_json_str(json.dumps([person, entitlement]))

    def allows(self, prepared: tuple[dict[str, Any], Entities]) -> bool:
        """The decision; an error while deciding is one of the benchmark's own."""
        answer = is_authorized(prepared[0], self._policies, prepared[1])
        if answer.diagnostics.errors:
            raise RuntimeError(f"Cedar could not evaluate a rule: {answer.diagnostics.errors[0]}")
        return answer.decision is Decision.Allow


class Rego:
    """A compiled bundle; only the input is handed over for each question."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rego = Interpreter()
        self._rego.add_module("policy", _REGO + "\n".join(map(_rego, rules)))
        self._bundle = self._rego.build("answer := data.lapse.allow")

    @staticmethod
    def prepared(ask: Ask) -> Input:
        """The question as Rego takes it."""
        who, what = ask.beneficiary, ask.entitlement
        tags = {**ask.resource.tags, **what.tags}
        return Input(
            {
                "groups": dict.fromkeys(who.groups, 1),
                "title": who.title,
                "department": who.department,
                "resource": ask.resource.name,
                "role": what.role,
                "tags": {f"{key}={value}": 1 for key, value in tags.items()},
                **_facts(ask),
            }
        )

    def allows(self, prepared: Input) -> bool:
        """The decision."""
        self._rego.set_input(prepared)
        answer = self._rego.query_bundle(self._bundle).results[0].bindings["answer"]
        if not isinstance(answer, bool):
            raise TypeError(f"Rego gave {answer!r}")
        return answer


def _facts(ask: Ask) -> dict[str, Any]:
    begin = ask.at - MONDAY
    minutes, first = ask.duration.seconds // 60, begin.seconds // 60
    return {
        "minutes": minutes,
        "words": len(ask.justification),
        "ticket": ask.ticket.system if ask.ticket else "",
        "weekday": begin.days % 7,
        "begin": first,
        "end": first + minutes,
    }


def _needs(rule: Rule, facts: str) -> list[str]:
    """What the facts must meet, in words that both languages have."""
    needs = [f"{facts}.minutes <= {rule.hours * 60}"] if rule.hours else []
    needs += [f"{facts}.words >= {rule.words}"] if rule.words else []
    needs += [f'{facts}.ticket == "{rule.ticket}"'] if rule.ticket else []
    if rule.window:
        first, start, end = rule.window
        needs += [f"{facts}.weekday >= {first}", f"{facts}.weekday <= {_FRIDAY}"]
        needs += [f"{facts}.begin >= {start * 60}", f"{facts}.end <= {end * 60}"]
    return needs


def _cedar(rule: Rule) -> str:
    principal = f'principal in Group::"{rule.to}"' if rule.to else "principal"
    needs = _needs(rule, "context")
    when = [f'principal.{rule.when[0]} {rule.when[1]} "{rule.when[2]}"'] if rule.when else []
    resource, like = _cedar_resource(rule.selects)
    if not rule.limit:
        return f"permit({principal}, action, {resource}) when {{ {' && '.join([*like, *when, *needs])} }};"
    unless = f" unless {{ {' && '.join(needs)} }}" if needs and not rule.forbid else ""
    conditions = f" when {{ {' && '.join([*like, *when])} }}" if like or when else ""
    return f"forbid({principal}, action, {resource}){conditions}{unless};"


def _cedar_resource(selects: str) -> tuple[str, list[str]]:
    if not selects:
        return "resource", []
    if selects.startswith("tag:"):
        return f'resource in Tag::"{selects[4:]}"', []
    if "*" not in selects:
        return f'resource == Entitlement::"{selects}"', []
    parts = zip(("resource", "role"), selects.split("/"), strict=True)
    return "resource", [
        f'resource.{name} like "{part}"' if "*" in part else f'resource.{name} == "{part}"'
        for name, part in parts
        if part != "*"
    ]


def _rego(rule: Rule) -> str:
    about = [f'input.groups["{rule.to}"]'] if rule.to else []
    about += _rego_resource(rule.selects)
    about += [f'input.{rule.when[0]} {rule.when[1]} "{rule.when[2]}"'] if rule.when else []
    needs = _needs(rule, "input")
    if not rule.limit:
        return f"offered if {{ {'; '.join([*about, *needs])} }}"
    if rule.forbid or not needs:
        return f"denied if {{ {'; '.join(about)} }}"
    return "\n".join(f"denied if {{ {'; '.join([*about, f'not {need}'])} }}" for need in needs)


def _rego_resource(selects: str) -> list[str]:
    if selects.startswith("tag:"):
        return [f'input.tags["{selects[4:]}"]']
    found = []
    for name, part in zip(("resource", "role"), selects.split("/") if selects else (), strict=False):
        start, star, end = part.partition("*")
        if not star:
            found.append(f'input.{name} == "{part}"')
        found += [f'startswith(input.{name}, "{start}")'] if star and start else []
        found += [f'endswith(input.{name}, "{end}")'] if end else []
    return found
