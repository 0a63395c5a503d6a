"""Random claims about random policies, and a slow but obvious way to look for what they say is impossible."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from lapse.policy import Ask, Claim, History, PastGrant, Policy, Situation, decide, evaluate, parse
from lapse.policy.frequency import contiguous
from lapse.policy.proof.replay import selected
from lapse.policy.windows import closes_at, is_open
from support.policy_world import HOUR, TUESDAY
from support.random_policies import CONDITIONS, PARTIES, PATTERNS, RandomPolicies

LENGTHS = ("30m", "1h", "2h", "3h", "4h", "6h", "8h")
OFFICE = [{"days": "mon-fri", "from": "08:00", "to": "18:00", "timezone": "Europe/Berlin"}]


class RandomClaims:
    """A random policy with random claims."""

    def __init__(self, seed: int, claims: int = 6) -> None:
        self.world, self.random = RandomPolicies(seed), Random(seed)  # noqa: S311  test data
        files = json.loads(self.world.policy().files["p.json"])
        files["claims"] = [self._claim(f"claim-{number}") for number in range(claims)]
        self.policy: Policy = parse({"p.json": json.dumps(files)})

    def promising(self, claim: Claim) -> Ask:
        """A random question that the claim is about and the policy allows, if one comes up soon."""
        for _ in range(40):
            asked = self.world.ask()
            if selected(claim.about, asked) and decide(self.policy, asked).allowed:
                break
        return asked

    def _claim(self, name):
        about = {}
        if self.random.random() < 0.5:
            about["entitlements"] = self.random.choice(PATTERNS)
        if self.random.random() < 0.4:
            about["to"] = self.random.choice(PARTIES)
        if self.random.random() < 0.3:
            about["kinds"] = self.random.choice(["person", "agent", "service"])
        if self.random.random() < 0.3:
            about["when"] = self.random.choice(CONDITIONS)
        return {"name": name, "never": self._situation(), **({"about": about} if about else {})}

    def _situation(self):
        one = self.random
        if one.random() < 0.1:
            return "access"
        parts = {
            "longer_than": one.choice(LENGTHS),
            "total_longer_than": one.choice(LENGTHS),
            "fewer_persons_than": one.choice([1, 1, 2, 3]),
            "automatic": True,
            "break_glass": True,
            "outside": OFFICE,
        }
        return {name: parts[name] for name in one.sample(sorted(parts), one.choice([1, 1, 1, 2]))}


@dataclass
class Walk:
    """What one principal gets of one entitlement by asking at random, again and again."""

    policy: Policy
    random: Random
    first: Ask
    held: list[tuple[PastGrant, Ask, object]] = field(default_factory=list)

    def violation(self, claim: Claim) -> str:
        """A stretch of access that the claim says is impossible; empty if none came about."""
        for _ in range(8):
            self._ask(claim)
        for situation in claim.never:
            for stretch in self._stretches():
                if _is_so(situation, stretch):
                    return (
                        f"{situation}: {[(str(g.begins_at), str(g.ends_at), terms.offer) for g, _, terms in stretch]}"
                    )
        return ""

    def _ask(self, claim: Claim) -> None:
        one, edges = self.random, [TUESDAY, *(grant.ends_at for grant, _, _ in self.held)]
        length = timedelta(minutes=one.choice([30, 60, 120, 180, 240]))
        begins = one.choice(
            [*edges, *(grant.begins_at - length for grant, _, _ in self.held if grant.begins_at - length >= TUESDAY)]
        )
        grants = tuple(grant for grant, _, _ in self.held)
        asked = replace(
            self.first,
            duration=length,
            total_duration=length,
            at=TUESDAY,
            starts_at=begins,
            is_extension=False,
            history=History(since=TUESDAY - 2000 * HOUR, grants=grants),
        )
        total = contiguous(asked, grants)
        asked = replace(asked, total_duration=total, is_extension=total > length and one.random() < 0.7)
        answer = evaluate(self.policy, asked)
        if answer.terms is not None and selected(claim.about, asked) and all(map(_can_be_met, answer.terms.stages)):
            grant = PastGrant(entitlement=asked.entitlement.name, begins_at=begins, ends_at=begins + length)
            self.held.append((grant, asked, answer.terms))

    def _stretches(self):
        stretch, stretches = [], []
        for one in sorted(self.held, key=lambda one: one[0].begins_at):
            if stretch and one[0].begins_at > max(grant.ends_at for grant, _, _ in stretch):
                stretches.append(stretch)
                stretch = []
            stretch.append(one)
        return [*stretches, stretch] if stretch else []


def _can_be_met(stage) -> bool:
    named = [party for party in stage.approvers if ":" not in party and party != "owner"]
    return len(named) < len(stage.approvers) or stage.quorum <= len(named)


def _is_so(situation: Situation, stretch) -> bool:
    """Whether a stretch surely is what must never be; for several requests the persons are taken to be different."""
    total = max(grant.ends_at for grant, _, _ in stretch) - min(grant.begins_at for grant, _, _ in stretch)
    singles = [[one] for one in stretch] if situation.total_longer_than is None else [stretch]
    return any(_all_so(situation, some, total) for some in singles)


def _all_so(situation, some, total) -> bool:
    votes = sum(stage.quorum for _, _, terms in some for stage in terms.stages)
    return (
        (situation.total_longer_than is None or total > situation.total_longer_than)
        and (situation.fewer_persons_than is None or votes < situation.fewer_persons_than)
        and (situation.automatic is None or all(terms.automatic for _, _, terms in some))
        and (situation.break_glass is None or all(terms.break_glass for _, _, terms in some))
        and any(_one_so(situation, grant) for grant, _, _ in some)
    )


def _one_so(situation, grant) -> bool:
    longer = situation.longer_than is None or grant.ends_at - grant.begins_at > situation.longer_than
    windows, begin = situation.outside, grant.begins_at
    outside = not windows or not is_open(windows, begin) or closes_at(windows, begin, grant.ends_at) is not None
    return longer and outside
