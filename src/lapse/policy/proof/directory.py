"""The real directory as what can be: requests of principals, and for entitlements, that are in a catalog.

Principals who are alike in everything that rules look at are one to the solver, so that a large directory costs what it
has of different people. Where rules compare two attributes with one another, their values are looked at as they are.
Called by `decide`, when all formulas are made.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

from lapse.domain.catalog import Catalog
from lapse.domain.resources import Entitlement
from lapse.policy.asks import principal_facts
from lapse.policy.proof.asked import AskedModel, PrincipalModel, TagsModel
from lapse.policy.proof.logic import Formula, any_of, both, implies, no, same
from lapse.policy.proof.solver import Found
from lapse.policy.proof.vocabulary import Text
from lapse.policy.rules import Fact
from lapse.policy.values import PrincipalFacts

_NAMES = frozenset({"name", "person"})


@dataclass(frozen=True)
class Alike:
    """The members of each class, and the class of each member."""

    classes: list[list[str]] = field(default_factory=list)
    of: dict[str, int] = field(default_factory=dict)


class Directory:
    """`catalog` as formulas over `asked`; `who` says afterwards who was found."""

    def __init__(self, asked: AskedModel, catalog: Catalog) -> None:
        self._asked, self._words, self.catalog = asked, asked.words, catalog
        self._facts = facts_in(catalog)
        self._write_out()

    def _write_out(self) -> None:
        """Write out what is compared, with whatever that may be the same as, before people are told apart."""
        compared = self._words.compared
        attributes = {name.partition(".")[2] for name in compared if name.startswith(("requester.", "beneficiary."))}
        attributes |= _NAMES if attributes & _NAMES else set()
        compared.update(f"{one.role}.{name}" for one in self._asked.principals for name in attributes & one.used)
        for facts in self._facts.values() if attributes else ():
            for name in attributes:
                self._words.written(getattr(facts, name))
        for entitlement in self.catalog.entitlements() if compared else ():
            for text, value in self._thing_texts(entitlement):
                if text.name in compared:
                    self._words.written(value)

    def formulas(self) -> Iterator[Formula]:
        """That requester, beneficiary and entitlement are in the catalog."""
        requester, beneficiary = self._asked.principals
        for principal, alike in ((requester, self._requesters), (beneficiary, self._beneficiaries)):
            yield from self._one_of(
                self._class_of(principal.role),
                [list(self._person(principal, self._facts[names[0]])) for names in alike.classes],
            )
        yield from self._one_of(
            self._class_of("entitlement"),
            [list(self._thing(self.catalog.entitlement(names[0]))) for names in self._entitlements.classes],
        )
        pairs = {(self._beneficiaries.of[one], self._requesters.of[other]) for one, other in self._answering}
        both_are = (
            both(self._class_of("beneficiary") == one, self._class_of("requester") == other)
            for one, other in sorted(pairs)
        )
        yield implies(both(self._asked.answers, no(self._asked.for_self)), any_of(both_are))

    def who(self, found: Found) -> tuple[str, str, str] | None:
        """Requester, beneficiary and entitlement as found; None if nobody else is left who could ask."""
        held = self._entitlements.classes[found.number(self._class_of("entitlement"))][0]
        mine = found.number(self._class_of("beneficiary"))
        if found.true(self._asked.for_self):
            name = self._beneficiaries.classes[mine][0]
            return name, name, held
        asker = found.number(self._class_of("requester"))
        if found.true(self._asked.answers):
            pairs = self._answering
            pair = next(
                (p for p in pairs if (self._beneficiaries.of[p[0]], self._requesters.of[p[1]]) == (mine, asker)), None
            )
            return (pair[1], pair[0], held) if pair else None
        name = self._beneficiaries.classes[mine][0]
        other = next((one for one in self._requesters.classes[asker] if one != name), None)
        return (other, name, held) if other else None

    def these(self, found: Found) -> Formula:
        """That it is the same kind of people, and the same kind of entitlement, as what was found."""
        classes = (self._class_of(what) for what in ("requester", "beneficiary", "entitlement"))
        return both(*(one == found.number(one) for one in classes))

    def kinds_of_entitlements(self) -> Iterator[tuple[Formula, list[str]]]:
        """Entitlements that rules do not tell apart, together, each time with that the request is for one of them."""
        for number, names in enumerate(self._entitlements.classes):
            yield self._class_of("entitlement") == number, names

    def _class_of(self, what: str) -> object:
        return self._words.integer(f"class of {what}")

    def _one_of(self, chosen: object, classes: Sequence[Sequence[Formula]]) -> Iterator[Formula]:
        yield any_of(chosen == number for number in range(len(classes)))
        for number, parts in enumerate(classes):
            yield implies(chosen == number, both(*parts))

    @cached_property
    def _requesters(self) -> Alike:
        return _alike(self._facts, lambda name: self._key(self._asked.requester, self._facts[name]))

    @cached_property
    def _beneficiaries(self) -> Alike:
        return _alike(self._facts, lambda name: self._key(self._asked.beneficiary, self._facts[name]))

    @cached_property
    def _entitlements(self) -> Alike:
        names = [entitlement.name for entitlement in self.catalog.entitlements()]
        return _alike(names, lambda name: self._thing_key(self.catalog.entitlement(name)))

    @cached_property
    def _answering(self) -> list[tuple[str, str]]:
        """Who benefits, and who may ask because they answer for it."""
        pairs = []
        for name, facts in self._facts.items():
            askers = {other for human in facts.humans for other in self.catalog.names_of(human)}
            pairs += [(name, other) for other in sorted(askers) if other != name and other in self._facts]
        return pairs

    def _key(self, principal: PrincipalModel, facts: PrincipalFacts) -> Hashable:
        texts = [self._seen(principal.text(name), getattr(facts, name)) for name in sorted(principal.used)]
        return (*texts, *(self._held(principal, name, facts) for name in principal.lists), _plain(facts))

    def _held(self, principal: PrincipalModel, name: str, facts: PrincipalFacts) -> Hashable:
        """What of a list matters: the texts it is asked about; all of it where it is gone through."""
        held = set(getattr(facts, name))
        known = [text.known for text in principal.lists[name].asked.values() if text.known is not None]
        open_ended = any(text.known is None for text in principal.lists[name].asked.values())
        return frozenset(held if open_ended and name != "humans" else held.intersection(known))

    def _seen(self, text: Text, value: str) -> Hashable:
        """What rules can see of a text: which of those written out it is, or in which sets."""
        if value in self._words.known or text.name in self._words.compared:
            return value
        return tuple(texts.has(value) for texts in self._words.asked.get(text.name, {}))

    def _thing_key(self, entitlement: Entitlement) -> Hashable:
        texts = tuple(self._seen(text, value) for text, value in self._thing_texts(entitlement))
        return texts, tuple(sorted(self._tag_keys(entitlement)))

    def _thing_texts(self, entitlement: Entitlement) -> Iterator[tuple[Text, str]]:
        resource = self.catalog.resource(entitlement.resource)
        for name in sorted(self._words.unknown):
            kind, _, attribute = name.partition(".")
            owner = {"resource": resource, "entitlement": entitlement}.get(kind)
            if owner is not None and not attribute.startswith("tags"):
                yield self._words.unknown[name], getattr(owner, attribute)
        for tags, values in self._tags(entitlement):
            yield from ((tags.value(key), values[key]) for key in sorted(tags.keys & values.keys()))

    def _tags(self, entitlement: Entitlement) -> Iterator[tuple[TagsModel, Mapping[str, str]]]:
        yield self._asked.resource_tags, self.catalog.resource(entitlement.resource).tags
        yield self._asked.entitlement_tags, entitlement.tags

    def _tag_keys(self, entitlement: Entitlement) -> Iterator[tuple[str, str]]:
        for tags, values in self._tags(entitlement):
            yield from ((tags.role, key) for key in tags.keys & values.keys())

    def _person(self, principal: PrincipalModel, facts: PrincipalFacts) -> Iterator[Formula]:
        for name in sorted(principal.used):
            yield from self._is(principal.text(name), getattr(facts, name))
        for name, members in principal.lists.items():
            held = set(getattr(facts, name))
            for text in members.asked.values():
                if text.known is not None:
                    yield same(members.has(text), text.known in held)
                elif name != "humans":
                    inside = any_of(self._words.equal(text, self._words.written(one)) for one in sorted(held))
                    yield implies(members.has(text), inside)
        yield same(principal.plain, _plain(facts))

    def _thing(self, entitlement: Entitlement) -> Iterator[Formula]:
        for text, value in self._thing_texts(entitlement):
            yield from self._is(text, value)
        for tags, values in self._tags(entitlement):
            yield from (same(tags.has(key), key in values) for key in sorted(tags.keys))

    def _is(self, text: Text, value: str) -> Iterator[Formula]:
        if value in self._words.known or text.name in self._words.compared:
            yield self._words.equal(text, self._words.written(value))
        else:
            yield text.number >= 0
        for texts, holds in self._words.asked.get(text.name, {}).items():
            yield same(holds, texts.has(value))


def facts_in(catalog: Catalog) -> dict[str, PrincipalFacts]:
    """What is known of every principal that may act at all."""
    found = {name: principal_facts(catalog, name) for name in sorted(catalog.principals)}
    return {name: facts for name, facts in found.items() if facts.active}


def untrue(facts: Iterable[Fact], catalog: Catalog) -> Iterator[tuple[Fact, str]]:
    """The facts that are not true in `catalog`, each with a principal that shows it."""
    people = facts_in(catalog)
    for fact in facts:
        for name, known in people.items():
            groups = {f"group:{group}" for group in known.groups}
            clash = any(one in groups and other in groups for one, other in combinations(fact.disjoint, 2))
            if clash or (fact.subset in groups and fact.of not in groups):
                yield fact, name
                break


def _alike(names: Iterable[str], key: Callable[[str], Hashable]) -> Alike:
    alike, numbers = Alike(), dict[Hashable, int]()
    for name in names:
        number = numbers.setdefault(key(name), len(numbers))
        if number == len(alike.classes):
            alike.classes.append([])
        alike.classes[number].append(name)
        alike.of[name] = number
    return alike


def _plain(facts: PrincipalFacts) -> bool:
    alone = facts.humans == ((facts.name,) if facts.kind == "person" else ())
    return alone and facts.person == facts.name and not facts.sponsor and not facts.owner
