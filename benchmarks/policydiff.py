"""How long does it take to say how two policies of 200 offers and 50 limits differ where one rule was changed?

The rules are those of the benchmark `prove`. A bound, a group and a stage are changed, each by itself, then ten rules
together; and a limit is added, of everything or without effect. Then how it grows with the rules.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from _bench import AtMost, Row, report, row
from prove import policy

from lapse.policy import Policy, parse
from lapse.policy.proof.diff import compare
from lapse.policy.proof.differences import PolicyDiff
from lapse.policy.proof.findings import analyse

OFFERS, LIMITS, ROUNDS = 200, 50, 3
SIZES = (10, 50, 250, 1_000)
TIMEOUT = 300.0

Change = Callable[[list[dict[str, Any]], list[dict[str, Any]]], object]


def main() -> None:
    """Compare from parsed policies on; the import of z3 is not counted."""
    compare(policy(8, 2), changed(policy(8, 2), _bound), clock=time.monotonic)
    old = policy(OFFERS, LIMITS)
    print(f"{OFFERS} offers and {LIMITS} limits, of which was changed:")
    rows = [
        row(name, seconds(old, changed(old, change)), "s", goal=goal)
        for name, change, goal in (
            ("a bound", _bound, AtMost(1)),
            ("a group", _group, None),
            ("a stage", _stage, None),
            ("a limit of everything, added", _wide, None),
            ("a limit without effect, added", _loose, None),
            ("ten rules", _ten, None),
        )
    ]
    rows += [growth(size) for size in SIZES]
    rows.append(row("everything odd about 40 offers and 10 limits", [_analysed(policy(40, 10))], "s"))
    report("policydiff", rows)


def growth(size: int) -> Row:
    """One bound changed among `size` rules."""
    old = policy(size * 4 // 5, size // 5)
    return row(f"a bound among {size:,} rules", seconds(old, changed(old, _bound)), "s")


def seconds(old: Policy, new: Policy) -> list[float]:
    """How long each comparison took; all of it has to be known."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = compare(old, new, clock=time.monotonic, timeout=TIMEOUT)
        taken.append(time.perf_counter() - started)
        _check(found)
    return taken


def _check(found: PolicyDiff) -> None:
    if found.unknown:
        raise SystemExit(f"not all of it is known: {found.unknown[0]}")


def _analysed(rules: Policy) -> float:
    started = time.perf_counter()
    found = analyse(rules, clock=time.monotonic, timeout=TIMEOUT)
    taken = time.perf_counter() - started
    kinds = [f"{one.kind}, {one.certainty}" for one in found]
    print("odd: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
    return taken


def changed(rules: Policy, change: Change) -> Policy:
    """`rules` with one change."""
    files = {name: json.loads(text) for name, text in rules.files.items()}
    change(files["offers.json"]["offers"], files["limits.json"]["limits"])
    return parse({name: json.dumps(content) for name, content in files.items()})


def _bound(offers: list[dict[str, Any]], _limits: list[dict[str, Any]]) -> None:
    offers[4]["max_duration"] = "6h"


def _group(offers: list[dict[str, Any]], _limits: list[dict[str, Any]]) -> None:
    offers[4]["to"].append("group:interns")


def _stage(offers: list[dict[str, Any]], _limits: list[dict[str, Any]]) -> None:
    offers[5]["approvals"][0]["quorum"] = 2


def _wide(_offers: list[dict[str, Any]], limits: list[dict[str, Any]]) -> None:
    limits.append({"name": "new", "approvals": [{"from": "group:security"}], "when": 'principal.title == "intern"'})


def _loose(_offers: list[dict[str, Any]], limits: list[dict[str, Any]]) -> None:
    limits.append({"name": "new", "entitlements": "t3-*/*", "max_duration": "9h"})


def _ten(offers: list[dict[str, Any]], _limits: list[dict[str, Any]]) -> None:
    for offer in offers[:10]:
        offer["max_total"] = "9h"


if __name__ == "__main__":
    main()
