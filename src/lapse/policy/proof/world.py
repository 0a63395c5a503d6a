"""What is true of every request that can come about, whatever the rules: of principals, of time, and the facts.

The facts of a policy speak of a principal under all its names together: if two groups are disjoint, no alias of a
member of one is in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations

from lapse.domain.durations import LONGEST
from lapse.policy.proof.asked import KINDS, WEEK, AskedModel, PrincipalModel, microseconds, seconds
from lapse.policy.proof.logic import Formula, any_of, both, either, implies, no, same
from lapse.policy.proof.vocabulary import Members, Text
from lapse.policy.rules import Fact

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=180)
"""How far ahead access that does not extend any may begin: a start in 90 days, repeated for 90 more."""


def world(asked: AskedModel, facts: Iterable[Fact]) -> Iterator[Formula]:
    """What is true of `asked`. To be called when all rules were made formulas of, so that no text is missed."""
    facts = tuple(facts)
    yield from _request(asked)
    yield from _weeks(asked)
    for principal in asked.principals:
        yield from _facts(asked, principal, facts)
        yield from _principal(asked, principal)
    yield from _one_principal(asked)


def contradictions(facts: Iterable[Fact]) -> Iterator[tuple[str, tuple[Fact, ...]]]:
    """Groups that could have no member if all `facts` were true, each with the facts that exclude it."""
    facts = tuple(facts)
    for group in sorted({party for fact in facts for party in (*fact.disjoint, fact.subset) if party}):
        wider = around(group, facts)
        for fact in facts:
            inside = [wider[party] for party in fact.disjoint if party in wider]
            if len(inside) > 1:
                yield group, tuple(dict.fromkeys((*inside[0], *inside[1], fact)))
                break


def around(group: str, facts: tuple[Fact, ...]) -> dict[str, tuple[Fact, ...]]:
    """The groups that every member of `group` is in, each with the facts that say so."""
    found: dict[str, tuple[Fact, ...]] = {group: ()}
    queue = [group]
    while queue:
        inner = queue.pop()
        for fact in facts:
            if fact.subset == inner and fact.of not in found:
                found[fact.of] = (*found[inner], fact)
                queue.append(fact.of)
    return found


def _request(asked: AskedModel) -> Iterator[Formula]:
    early, late = microseconds(_EARLIEST), microseconds(_LATEST)
    yield both(asked.at >= early, asked.at < late - 1, asked.begins_at >= asked.at, asked.begins_at < late)
    yield both(asked.duration > 0, asked.duration <= seconds(LONGEST), asked.total >= asked.duration)
    yield implies(asked.is_extension, asked.total > asked.duration)
    yield implies(no(asked.is_extension), asked.begins_at - asked.at <= microseconds(_AHEAD))
    yield implies(asked.break_glass, either(asked.is_extension, asked.begins_at == asked.at))


def _weeks(asked: AskedModel) -> Iterator[Formula]:
    """How times and times of the week go together; said this way, it is easy for the solver."""
    for name, phase in sorted(asked.phases.items()):
        time, week = getattr(asked, name), asked.words.integer(f"week of {name}")
        yield both(phase >= 0, phase < WEEK, time == week * WEEK + phase)
    for (one, phase), (other, its_phase) in combinations(sorted(asked.phases.items()), 2):
        yield implies(getattr(asked, one) == getattr(asked, other), phase == its_phase)


def _principal(asked: AskedModel, principal: PrincipalModel) -> Iterator[Formula]:
    words, kind, lists = asked.words, principal.text("kind"), principal.lists
    is_kind = {name: words.equal(kind, words.written(name)) for name in KINDS}
    yield any_of(is_kind.values())
    yield implies(principal.plain, no(is_kind["agent"]))
    person = both(principal.plain, is_kind["person"])
    yield implies(principal.plain, words.equal(principal.text("name"), principal.text("person")))
    for attribute in sorted({"sponsor", "owner"} & principal.used):
        yield implies(principal.plain, words.equal(principal.text(attribute), words.written("")))
    for text in _texts(lists["humans"]):
        yield implies(person, same(lists["humans"].has(text), words.equal(text, principal.text("person"))))
    for text in _texts(lists["groups"], lists["human_groups"]):
        own, all_groups = lists["groups"].has(text), lists["human_groups"].has(text)
        yield implies(own, all_groups)
        yield implies(person, same(own, all_groups))


def _facts(asked: AskedModel, principal: PrincipalModel, facts: Iterable[Fact]) -> Iterator[Formula]:
    own, everybody = principal.lists["groups"], principal.lists["human_groups"]
    for fact in facts:
        disjoint = [asked.words.written(party[6:]) for party in fact.disjoint]
        for one, other in combinations(disjoint, 2):
            yield no(both(own.has(one), own.has(other)))
        if fact.subset:
            inner, outer = asked.words.written(fact.subset[6:]), asked.words.written(fact.of[6:])
            for members in (own, everybody):
                yield implies(members.has(inner), members.has(outer))


def _one_principal(asked: AskedModel) -> Iterator[Formula]:
    """Who asks for itself is one principal, with the same of everything."""
    requester, beneficiary, words = asked.requester, asked.beneficiary, asked.words
    yield same(asked.for_self, words.equal(requester.text("name"), beneficiary.text("name")))
    parts = [same(requester.plain, beneficiary.plain)]
    used = sorted(requester.used | beneficiary.used)
    parts += [words.equal(requester.text(attribute), beneficiary.text(attribute)) for attribute in used]
    for name in requester.lists:
        mine, theirs = requester.lists[name], beneficiary.lists[name]
        parts += [same(mine.has(text), theirs.has(text)) for text in _texts(mine, theirs)]
    for part in parts:
        yield implies(asked.for_self, part)
    for alias, person in ((requester, beneficiary), (beneficiary, requester)):
        is_alias = words.equal(alias.text("person"), person.text("name"))
        theirs, own = person.lists["groups"], alias.lists["groups"]
        for text in _texts(theirs, own):
            yield implies(both(is_alias, theirs.has(text)), own.has(text))


def _texts(*lists: Members) -> list[Text]:
    found: dict[str, Text] = {}
    for one in lists:
        found.update(one.asked)
    return list(found.values())
