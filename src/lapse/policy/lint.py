"""What is allowed in a policy and probably not meant, seen together with a catalog.

Warnings, never errors: a policy may be written before the group it names. Called by `lapse policy check --catalog` and
for the effects of a proposal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields

from lapse.domain.catalog import Catalog
from lapse.domain.names import shown
from lapse.domain.terms import Stage
from lapse.policy.expressions.reader import read
from lapse.policy.expressions.syntax import Binary, Call, Index, Literal, Name, Node, Select
from lapse.policy.patterns import ANYONE, ON_CALL, Pattern
from lapse.policy.places import Places
from lapse.policy.problems import Problem, nearest
from lapse.policy.rules import Claim, Fact, Limit, Offer, Policy
from lapse.policy.yaml_tree import Place

_DEPENDS = frozenset({"owner", "manager"})
"""Approvers that depend on the request: nothing can be said of them here."""

_GROUPS = frozenset({"groups", "human_groups"})
Rule = Offer | Limit


def lint(policy: Policy, catalog: Catalog, *, rotas: Collection[str] | None = None) -> tuple[Problem, ...]:
    """Warnings in order of the rules: names that nobody has, patterns that match nothing, quorums out of reach.

    `rotas` are those that are set up; without them nothing is said about rotas.
    """
    linter = _Linter(policy, catalog, rotas)
    rules: tuple[Rule, ...] = (*policy.offers, *policy.limits)
    return (
        *(warning for rule in rules for warning in linter.of_rule(rule)),
        *(warning for fact in policy.facts for warning in linter.of_fact(fact)),
        *(warning for claim in policy.claims for warning in linter.of_claim(claim)),
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """One thing to say about a word of a rule."""

    word: str
    message: str
    hint: str
    offset: int = 0


class _Linter:
    def __init__(self, policy: Policy, catalog: Catalog, rotas: Collection[str] | None) -> None:
        self._catalog = catalog
        self._rotas = rotas
        self._places = Places(policy)
        tagged = [resource.tags for resource in catalog.resources.values()]
        tagged += [entitlement.tags for entitlement in catalog.entitlements()]
        self._tags: dict[str, set[str]] = {}
        for tags in tagged:
            for tag, value in tags.items():
                self._tags.setdefault(tag, set()).add(value)

    def of_rule(self, rule: Rule) -> Iterator[Problem]:
        """What is odd about an offer or a limit."""
        named = rule.name
        for words in self._about_rule(rule):
            yield self._warning(rule, words, named)
        for stage in rule.needs.stages:
            message = self._unreachable(stage)
            if message:
                hint = "add people to the groups, or ask for fewer"
                yield self._warning(rule, _Words(stage.approvers[0], message, hint), named)

    def of_fact(self, fact: Fact) -> Iterator[Problem]:
        """What is odd about a fact: groups there are none of, and what the catalog says otherwise."""
        for party in (*fact.disjoint, *filter(None, (fact.subset, fact.of))):
            for words in self._party(party):
                yield self._warning(fact, words)
        for message in self._contradicted(fact):
            yield self._warning(fact, _Words("", message, "correct the fact, or the groups"))

    def of_claim(self, claim: Claim) -> Iterator[Problem]:
        """What is odd about a claim: it would hold because it speaks of nothing."""
        selector = claim.about
        for party in selector.to:
            for words in self._party(party):
                yield self._warning(claim, words, claim.name)
        for pattern in selector.entitlements:
            for words in self._pattern(pattern):
                yield self._warning(claim, words, claim.name)
        if selector.when is not None:
            for words in self._condition(selector.when.text):
                yield self._warning(claim, words, claim.name)

    def _about_rule(self, rule: Rule) -> Iterator[_Words]:
        for party in (*rule.selector.to, *rule.selector.asked_by):
            yield from self._party(party)
        for pattern in rule.selector.entitlements:
            yield from self._pattern(pattern)
        if rule.selector.when is not None:
            yield from self._condition(rule.selector.when.text)
        for party in _approvers(rule):
            yield from self._approver(party)

    def _approver(self, party: str) -> Iterator[_Words]:
        kind, colon, rota = party.partition(":")
        if colon and kind == ON_CALL:
            if self._rotas is not None and rota not in self._rotas:
                hint = _near(rota, self._rotas, "set it up in integrations.yaml")
                yield _Words(party, f"there is no rota `{rota}`", hint)
        elif party not in _DEPENDS:
            yield from self._party(party)

    def _party(self, party: str) -> Iterator[_Words]:
        kind, colon, group = party.partition(":")
        catalog = self._catalog
        if colon and kind == "group" and group not in catalog.groups:
            hint = f"write `{group}`" if group in catalog.principals else _near(group, catalog.groups)
            what = f", but a {catalog.principals[group].kind}" if group in catalog.principals else ""
            yield _Words(party, f"there is no group `{group}` in the catalog{what}", hint)
        elif not colon and party != ANYONE and party not in catalog.principals:
            hint = f"did you mean `group:{party}`?" if party in catalog.groups else _near(party, catalog.principals)
            what = ", but a group" if party in catalog.groups else ""
            yield _Words(party, f"there is no principal `{party}` in the catalog{what}", hint)

    def _pattern(self, pattern: Pattern) -> Iterator[_Words]:
        entitlements = list(self._catalog.entitlements())
        if any(pattern.covers(self._catalog.resources[one.resource], one) for one in entitlements):
            return
        if pattern.tag and pattern.tag not in self._tags:
            hint = _near(pattern.tag, self._tags)
            yield _Words(pattern.text, f"nothing in the catalog has the tag `{shown(pattern.tag)}`", hint)
            return
        known = {f"tag:{pattern.tag}={value}" for value in self._tags.get(pattern.tag, ())}
        hint = _near(pattern.text, known or {one.name for one in entitlements}, "check its spelling")
        yield _Words(pattern.text, f"`{shown(pattern.text)}` is about no entitlement of the catalog", hint)

    def _condition(self, text: str) -> Iterator[_Words]:
        """Tags and groups that a condition names."""
        tree = read(text)
        for at, tag in _tags_in(tree):
            if tag not in self._tags:
                message = f"nothing in the catalog has the tag `{shown(tag)}`"
                yield _Words(text, message, _near(tag, self._tags), at)
        for at, group in _groups_in(tree):
            if group not in self._catalog.groups:
                message = f"there is no group `{shown(group)}` in the catalog"
                yield _Words(text, message, _near(group, self._catalog.groups), at)

    def _unreachable(self, stage: Stage) -> str:
        if _DEPENDS & set(stage.approvers) or any(party.startswith(f"{ON_CALL}:") for party in stage.approvers):
            return ""
        excluded = self._persons(tuple(party for party in stage.excluded if party not in _DEPENDS))
        able = len(self._persons(stage.approvers) - excluded)
        if able >= stage.quorum:
            return ""
        return f"stage `{stage.name}` needs {stage.quorum} persons, and {able} could decide"

    def _persons(self, parties: tuple[str, ...]) -> frozenset[str]:
        return frozenset[str]().union(*(self._catalog.persons_in(party) for party in parties))

    def _contradicted(self, fact: Fact) -> Iterator[str]:
        """What the catalog has that the fact says there never is."""
        groups = [(party, self._members(party)) for party in fact.disjoint]
        for place, (one, members) in enumerate(groups):
            for other, others in groups[place + 1 :]:
                if both := sorted(members & others):
                    yield f"`{both[0]}` is in `{one}` and in `{other}`, which the fact calls disjoint"
        outside = sorted(self._members(fact.subset) - self._members(fact.of)) if fact.subset else []
        if outside:
            yield f"`{outside[0]}` is in `{fact.subset}` and not in `{fact.of}`, as the fact says"

    def _members(self, party: str) -> frozenset[str]:
        return self._catalog.members_of(party.removeprefix("group:"))

    def _warning(self, rule: Rule | Fact | Claim, words: _Words, name: str = "") -> Problem:
        place = self._places.of(rule, words.word, after=words.offset) if words.word else Place(rule.line, 1)
        message = f"`{name}`: {words.message}" if name else words.message
        return Problem(file=rule.file, line=place.line, column=place.column, message=message, hint=words.hint)


def _approvers(rule: Rule) -> Iterator[str]:
    """Everybody who decides by the rule, or must not."""
    for stage in rule.needs.stages:
        yield from (*stage.approvers, *stage.excluded)
        for step in stage.escalations:
            yield from step.approvers
    if isinstance(rule, Offer) and rule.post_review is not None:
        yield from rule.post_review.reviewers


def _near(name: str, known: Collection[str], otherwise: str = "") -> str:
    near = nearest(name, known)
    return near if near.startswith("did you mean") or not otherwise else otherwise


def _nodes(node: object) -> Iterator[Node]:
    if isinstance(node, tuple):
        for item in node:
            yield from _nodes(item)
    elif isinstance(node, Node):
        yield node
        for part in fields(node):
            yield from _nodes(getattr(node, part.name))


def _tags_in(tree: Node) -> Iterator[tuple[int, str]]:
    """The tags that are looked at, each where it stands: `x.tags.env`, `x.tags["env"]`, `"env" in x.tags`."""
    for node in _nodes(tree):
        if isinstance(node, Select) and _is_tags(node.operand):
            yield node.at, node.field
        elif isinstance(node, Index) and _is_tags(node.operand) and isinstance(node.key, Literal) and node.key.text:
            yield node.key.at, node.key.text
        elif isinstance(node, Binary) and node.operator == "in" and _is_tags(node.right):
            yield from _texts(node.left)


def _groups_in(tree: Node) -> Iterator[tuple[int, str]]:
    """The groups that are looked for: `"dba" in principal.groups`, `principal.groups.exists(g, g == "dba")`."""
    for node in _nodes(tree):
        if isinstance(node, Binary) and node.operator == "in" and _is_groups(node.right):
            yield from _texts(node.left)
        elif isinstance(node, Call) and node.name in {"exists", "all", "exists_one"} and _is_groups(node.receiver):
            for inner in _nodes(node.args):
                if isinstance(inner, Binary) and inner.operator == "==":
                    yield from (*_texts(inner.left), *_texts(inner.right))


def _texts(node: Node) -> Iterator[tuple[int, str]]:
    if isinstance(node, Literal) and node.text:
        yield node.at, node.text


def _is_tags(node: object) -> bool:
    return isinstance(node, Select) and node.field == "tags" and isinstance(node.operand, Name)


def _is_groups(node: object) -> bool:
    return isinstance(node, Select) and node.field in _GROUPS
