"""Which rules may concern a question, found without looking at the others. Used by `decide`.

A set of rules is a number with a bit for each (the first rule the lowest), so that joining and cutting sets costs the
same for ten rules and for a thousand. A rule is found if and only if its `entitlements`, `to` and `kinds` select the
question; the checks remain the judge of everything else. Built once for a policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from lapse.policy.globs import Globs
from lapse.policy.patterns import ANYONE
from lapse.policy.values import Ask, PrincipalFacts

if TYPE_CHECKING:
    from lapse.policy.rules import Selector

RuleSet = int


class RuleIndex:
    """The index of all offers or of all limits of a policy."""

    def __init__(self, selectors: Sequence[Selector]) -> None:
        rules = [(1 << place, selector) for place, selector in enumerate(selectors)]
        self._entitlements = _Entitlements(rules)
        self._parties = _Parties(rules)
        self._kinds = _by_key((kind, bit) for bit, selector in rules for kind in selector.kinds)
        self._any_kind = _union(bit for bit, selector in rules if not selector.kinds)

    def about(self, ask: Ask) -> Iterator[int]:
        """The places of the rules that are about the entitlement, whoever asks."""
        return _places(self._entitlements.about(ask))

    def offered(self, ask: Ask) -> Iterator[int]:
        """The places of the offers that are about the question and made to its beneficiary."""
        to, kind = self._parties.naming(ask.beneficiary), self._kinds.get(ask.beneficiary.kind, 0)
        return _places(to & kind and to & kind & self._entitlements.about(ask))

    def binding(self, ask: Ask) -> Iterator[int]:
        """The places of the limits that are about the question and bind somebody in it."""
        to = self._parties.touching(ask.beneficiary)
        if ask.requester is not ask.beneficiary:
            to |= self._parties.touching(ask.requester)
        kind = self._any_kind | self._kinds.get(ask.beneficiary.kind, 0)
        return _places(to & kind and to & kind & self._entitlements.about(ask))


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
            found = reduce(or_, roles.find(ask.entitlement.role), found)
        if self._tags:
            found |= self._tagged(ask.resource.tags) | self._tagged(ask.entitlement.tags)
        return found

    def _tagged(self, tags: Mapping[str, str]) -> RuleSet:
        found = 0
        for tag, value in tags.items():
            if tag in self._tags:
                found = reduce(or_, self._tags[tag].find(value), found)
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


def _places(rules: RuleSet) -> Iterator[int]:
    while rules:
        lowest = rules & -rules
        yield lowest.bit_length() - 1
        rules ^= lowest
