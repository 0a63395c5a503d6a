"""A changed copy of a random policy: another bound, pattern, group, quorum, condition or order, or another rule."""

from __future__ import annotations

import json
from typing import Any

from lapse.policy import Policy, parse
from support.random_policies import CONDITIONS, PARTIES, PATTERNS, TIMES, RandomPolicies


def changed_copy(world: RandomPolicies, policy: Policy, times: int = 1) -> Policy:
    """`policy` with that many changes."""
    files = json.loads(policy.files["p.json"])
    for number in range(times):
        _change(world, files, number)
    return parse({"p.json": json.dumps({name: rules for name, rules in files.items() if rules})})


def _change(world: RandomPolicies, files: dict[str, Any], number: int) -> None:
    one = world.random
    kind = one.choice([name for name in ("offers", "limits") if files.get(name)])
    rules = files[kind]
    rule = one.choice(rules)
    match one.choice(["bound", "pattern", "party", "quorum", "when", "rule", "more", "fewer", "order", "total"]):
        case "bound" if "max_duration" in rule:
            rule["max_duration"] = one.choice(TIMES)
            rule.pop("max_total", None)
        case "total":
            rule["max_total"] = "8h"
        case "pattern":
            rule["entitlements"] = one.sample(PATTERNS, 2)
        case "party":
            rule["to"] = one.sample(PARTIES[1:], 2)
        case "quorum" if rule.get("approvals"):
            one.choice(rule["approvals"])["quorum"] = one.randint(1, 3)
        case "when":
            rule["when"] = one.choice(CONDITIONS)
        case "more":
            name = f"new-{number}"
            files.setdefault("limits", []).append(world._limit(name))
        case "fewer" if len(rules) > 1:
            rules.remove(rule)
        case "order":
            one.shuffle(rules)
        case _:
            made = world._offer if kind == "offers" else world._limit
            rules[rules.index(rule)] = made(rule["name"])
