"""How long does it take to decide 20 claims over 200 offers and 50 limits, and how does that grow with the rules?

The rules are those of many teams: each has a few systems, offers with patterns, tags, conditions, windows and stages,
and every fifth rule is a limit. The claims speak of one team, of all production, or of everything; some do not hold.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta

from _bench import AtMost, Row, report, row

from lapse.policy import Policy, parse
from lapse.policy.effects import ProofOutcome
from lapse.policy.proof.decide import Prover
from lapse.policy.proof.results import Proof

OFFERS, LIMITS, ROUNDS = 200, 50, 5
SIZES = (10, 50, 250, 1_000)
TIMEOUT = timedelta(seconds=60)
OFFICE = {"days": "mon-fri", "from": "08:00", "to": "18:00", "timezone": "Europe/Berlin"}
FACTS = [{"disjoint": ["group:contractors", "group:dba"]}, {"subset": "group:dba", "of": "group:staff"}]


def main() -> None:
    """Prove in full each time, from the text of the policy on; the import of z3 is not counted."""
    list(Prover(policy(8, 2), clock=time.monotonic, timeout=TIMEOUT).proofs())
    runs = [decided(policy(OFFERS, LIMITS)) for _ in range(ROUNDS)]
    proofs = runs[0]
    outcomes = [proof.outcome for proof, _ in proofs]
    print(f"{len(proofs)} claims: " + ", ".join(f"{outcomes.count(one)} {one}" for one in ProofOutcome))
    refutations = [slowest_refutation() for _ in range(ROUNDS)]
    rows = [
        row(f"{len(proofs)} claims, {OFFERS} offers, {LIMITS} limits", totals(runs), "s", goal=AtMost(3)),
        row("slowest refutation with its counter-example", refutations, "s", goal=AtMost(0.5)),
        *(growth(size) for size in SIZES),
    ]
    report("prove", rows)


def growth(size: int) -> Row:
    """All claims over `size` rules."""
    return row(
        f"20 claims over {size:,} rules", totals([decided(policy(size * 4 // 5, size // 5)) for _ in range(3)]), "s"
    )


def totals(runs: list[list[tuple[Proof, float]]]) -> list[float]:
    """Seconds of each run."""
    return [sum(seconds for _, seconds in run) for run in runs]


def slowest_refutation() -> float:
    """Each claim decided alone, with a solver that has seen none before: the longest wait for a counter-example."""
    rules = policy(OFFERS, LIMITS)
    alone = [pair for claim in rules.claims for pair in decided(rules, claim.name)]
    return max(seconds for proof, seconds in alone if proof.outcome is ProofOutcome.REFUTED)


def decided(rules: Policy, *names: str) -> list[tuple[Proof, float]]:
    """Each proof, with the seconds it took."""
    found, started = [], time.perf_counter()
    for proof in Prover(rules, clock=time.monotonic, timeout=TIMEOUT).proofs(names):
        now = time.perf_counter()
        found.append((proof, now - started))
        started = now
    return found


def policy(offers: int, limits: int) -> Policy:
    """As many rules as are asked for, of as many teams as that takes, and always the same 20 claims."""
    teams = max(1, offers // 8)
    files = {
        "offers.json": {"offers": [_offer(number, number % teams) for number in range(offers)]},
        "limits.json": {"limits": [_limit(number, number % teams) for number in range(limits)]},
        "claims.json": {"facts": FACTS, "claims": [*_team_claims(), *_wide_claims()]},
    }
    return parse({name: json.dumps({"version": 1, **rules}) for name, rules in files.items()})


def _offer(number: int, team: int) -> dict[str, object]:
    kind = number // 2 % 4
    rule: dict[str, object] = {
        "name": f"offer-{number}",
        "entitlements": sorted({f"t{team}-*/reader", f"t{team}-*/{('reader', 'writer', 'admin', 'operator')[kind]}"}),
        "to": [f"group:team-{team}", "group:dba"],
        "max_duration": ("1h", "2h", "4h", "8h")[kind],
        "max_total": "8h",
        "justification": {"min_length": 10},
    }
    if number % 3 == 0:
        rule["when"] = 'has(resource.tags.env) && resource.tags.env != "prod" || principal.department == "sre"'
    if number % 7 == 0:
        rule["windows"] = [OFFICE]
    if kind == 0:
        return {**rule, "auto_approve": True}
    stages = [{"from": ["owner", f"group:leads-{team}"]}, {"from": "group:security"}][: 1 + kind // 2]
    return {**rule, "approvals": stages, "ticket": {"systems": ["jira"]}}


def _limit(number: int, team: int) -> dict[str, object]:
    rules: tuple[dict[str, object], ...] = (
        {"entitlements": f"t{team}-*/admin", "approvals": [{"from": "group:security", "quorum": 2}]},
        {"entitlements": "tag:env=prod", "max_duration": "4h", "max_total": "6h"},
        {"entitlements": f"t{team}-*/*", "when": 'principal.kind == "service"', "max_duration": "1h"},
        {"to": "group:contractors", "entitlements": "tag:env=prod", "forbid": True, "reason": "so it is"},
        {"entitlements": f"t{team}-secret*/*", "windows": [OFFICE], "max_total": "4h"},
    )
    return {"name": f"limit-{number}", **rules[number % len(rules)]}


def _team_claims() -> list[dict[str, object]]:
    """Of one team: what its own rules say."""
    return [
        {"name": "t0-admin", "about": {"entitlements": "t0-*/admin"}, "always": {"at_least_persons": 1}},
        {"name": "t0-total", "about": {"entitlements": "t0-*/*"}, "always": {"total_no_longer_than": "8h"}},
        {"name": "t0-short", "about": {"entitlements": "t0-*/reader"}, "always": {"no_longer_than": "1h"}},
        {"name": "t0-secret", "about": {"entitlements": "t0-secret*/admin"}, "always": {"at_least_persons": 4}},
        {"name": "t0-agents", "about": {"entitlements": "t0-*/*", "kinds": "agent"}, "never": "access"},
        {"name": "t0-night", "about": {"entitlements": "t0-*/*"}, "never": {"outside": [OFFICE]}},
        {"name": "t0-alone", "about": {"entitlements": "t0-*/writer"}, "never": {"automatic": True}},
        {"name": "t0-loud", "about": {"entitlements": "t0-*/*"}, "always": {"no_break_glass": True}},
    ]


def _wide_claims() -> list[dict[str, object]]:
    """Of everything, or of everything that is tagged so."""
    prod = {"entitlements": "tag:env=prod"}
    exact = {"when": 'has(resource.tags.env) && resource.tags.env == "prod"'}
    return [
        {"name": "contractors", "about": {**prod, "to": "group:contractors"}, "never": "access"},
        {"name": "prod-total", "about": exact, "always": {"total_no_longer_than": "6h"}},
        {"name": "prod-length", "about": prod, "always": {"no_longer_than": "4h"}},
        {"name": "prod-alone", "about": exact, "never": {"longer_than": "2h", "fewer_persons_than": 1}},
        {"name": "agents", "about": {"kinds": "agent"}, "never": "access"},
        {"name": "no-break-glass", "always": {"no_break_glass": True}},
        {"name": "day", "never": {"total_longer_than": "8h"}},
        {"name": "half-day", "never": {"total_longer_than": "5h"}},
        {"name": "services", "about": {"kinds": "service"}, "always": {"no_longer_than": "8h"}},
        {"name": "writers", "about": {"entitlements": "*/writer"}, "always": {"at_least_persons": 1}},
        {"name": "admins", "about": {"entitlements": "*/admin"}, "always": {"not_automatic": True}},
        {"name": "long-alone", "never": {"total_longer_than": "4h", "fewer_persons_than": 1}},
    ]


if __name__ == "__main__":
    main()
