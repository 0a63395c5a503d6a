"""Which rules may concern a question, found without looking at the others. Used by `decide`.

A set of rules is a number with a bit for each (the first rule the lowest), so that joining and cutting sets costs the
same for ten rules and for a thousand. A rule is found if and only if its `entitlements`, `to` and `kinds` select the
question; the checks remain the judge of everything else. Built once for a policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, TypeAlias

from lapse.policy.globs import Globs
from lapse.policy.patterns import ANYONE
from lapse.policy.values import Ask, PrincipalFacts

if TYPE_CHECKING:
    from lapse.policy.rules import Selector

RuleSet: TypeAlias = int
Found: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Places of offers and of limits, each in the order of the policy."""


class RuleIndex:
    """The index of all offers and limits of a policy."""

    def __init__(self, offers: Sequence[Selector], limits: Sequence[Selector]) -> None:
        rules = [(1 << place, selector) for place, selector in enumerate((*offers, *limits))]
        self._first_limit = len(offers)
        self._offers = (1 << len(offers)) - 1
        self._entitlements = _Entitlements(rules)
        self._parties = _Parties(rules)
        self._kinds = _by_key((kind, bit) for bit, selector in rules for kind in selector.kinds)
        self._any_kind = _union(bit for bit, selector in rules if not selector.kinds)

    def about(self, ask: Ask) -> Found:
        """The rules that are about the entitlement, whoever asks."""
        return self._places(self._entitlements.about(ask))

    def concerning(self, ask: Ask) -> Found:
        """The offers that are made to the beneficiary and the limits that bind anybody in the question, of those."""
        kinds = self._any_kind | self._kinds.get(ask.beneficiary.kind, 0)
        offered = self._parties.naming(ask.beneficiary) & self._offers
        binding = self._parties.touching(ask.beneficiary)
        if ask.requester is not ask.beneficiary:
            binding |= self._parties.touching(ask.requester)
        return self._places(self._entitlements.about(ask) & kinds & (offered | binding & ~self._offers))

    def _places(self, rules: RuleSet) -> Found:
        return _bits(rules & self._offers), _bits(rules >> self._first_limit)


class _Entitlements:
    """Rules by the entitlements they are about."""

    def __init__(self, rules: Iterable[tuple[RuleSet, Selector]]) -> None:
        self._everything = 0
        names: dict[str, dict[str, RuleSet]] = defaultdict(lambda: defaultdict(int))
        tags: dict[str, dict[str, RuleSet]] = defaultdict(lambda: defaultdict(int))
        for bit, selector in rules:
            if not selector.entitlements:
                self._everything |= bit
            for pattern in selector.entitlements:
                if pattern.tag:
                    tags[pattern.tag][pattern.right] |= bit
                else:
                    names[pattern.left][pattern.right] |= bit
        self._names = Globs({left: Globs(roles) for left, roles in names.items()})
        self._tags = {tag: Globs(values) for tag, values in tags.items()}

    def about(self, ask: Ask) -> RuleSet:
        found = self._everything
        for roles in self._names.find(ask.resource.name):
            for rules in roles.find(ask.entitlement.role):
                found |= rules
        if self._tags:
            found |= self._tagged(ask.resource.tags) | self._tagged(ask.entitlement.tags)
        return found

    def _tagged(self, tags: Mapping[str, str]) -> RuleSet:
        found = 0
        for tag, value in tags.items():
            if tag in self._tags:
                for rules in self._tags[tag].find(value):
                    found |= rules
        return found


class _Parties:
    """Rules by whom they name in `to`."""

    def __init__(self, rules: Iterable[tuple[RuleSet, Selector]]) -> None:
        pairs = [(party, bit) for bit, selector in rules for party in selector.to or (ANYONE,)]
        self._anyone = _union(bit for party, bit in pairs if party == ANYONE)
        self._groups = _by_key((party[6:], bit) for party, bit in pairs if party.startswith("group:"))
        self._names = _by_key((party, bit) for party, bit in pairs if not party.startswith("group:"))

    def naming(self, facts: PrincipalFacts) -> RuleSet:
        """Those that name the principal itself, as `may_be` has it."""
        return self._anyone | _any(self._names, (facts.name, facts.person)) | _any(self._groups, facts.groups)

    def touching(self, facts: PrincipalFacts) -> RuleSet:
        """Those that name it or a human behind it, as `touches` has it; and those that bind everybody."""
        found = self.naming(facts)
        return found | _any(self._names, facts.humans) | _any(self._groups, facts.human_groups)


def _by_key(pairs: Iterable[tuple[str, RuleSet]]) -> dict[str, RuleSet]:
    found: dict[str, RuleSet] = defaultdict(int)
    for key, bit in pairs:
        found[key] |= bit
    return dict(found)


def _union(rules: Iterable[RuleSet]) -> RuleSet:
    return reduce(or_, rules, 0)


def _any(table: Mapping[str, RuleSet], keys: Iterable[str]) -> RuleSet:
    found = 0
    if table:
        for key in keys:
            found |= table.get(key, 0)
    return found


def _bits(rules: RuleSet) -> list[int]:
    found = []
    while rules:
        lowest = rules & -rules
        found.append(lowest.bit_length() - 1)
        rules ^= lowest
    return found
