"""Who is asked about an item: its resource's owner, then the holder's manager, then the review's fallback. Pure.

Nobody is asked about their own access, that of a service or agent they answer for, or what they approved themselves,
under whatever name. Called when a review is validated and whenever an item is handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound, Refused
from lapse.domain.names import shown
from lapse.domain.reviews import Item, Line, Reviewers


def with_reviewers(
    items: Iterable[Item], catalog: Catalog, approvers: Mapping[str, frozenset[str]], fallback: str
) -> list[Item]:
    """`items` with those who are asked, line after line; a line in which nobody is left is left out.

    `approvers` are the persons who approved, by grant; `fallback` is a party (a name, or `group:NAME`).
    """
    return [replace(item, asked=_lines(item, catalog, approvers, fallback), asking=0) for item in items]


def barred(item: Item, catalog: Catalog, approvers: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The persons who must not decide on `item`."""
    own = catalog.humans_behind(item.principal) if item.principal else frozenset[str]()
    return own | approvers.get(item.grant_id or "", frozenset())


def reassigned(item: Item, to: str, catalog: Catalog, approvers: Mapping[str, frozenset[str]]) -> Item:
    """`item` with `to` asked next, before everybody else who was not asked yet.

    Raises:
        NotFound: `to` is no active person.
        Refused: `to` must not decide on it.
    """
    person = catalog.person_of(to)
    if person is None:
        raise NotFound(f"`{shown(to)}` is no active person", hint="`lapse catalog show` lists who is")
    if person in barred(item, catalog, approvers):
        raise Refused(f"`{shown(person)}` holds or approved what item {item.id} is about", hint="name somebody else")
    line = Reviewers(line=Line.ASSIGNED, persons=(person,))
    asked = (*item.asked[: item.asking], line, *item.asked[item.asking :])
    return replace(item, asked=asked, version=item.version + 1)


def _lines(
    item: Item, catalog: Catalog, approvers: Mapping[str, frozenset[str]], fallback: str
) -> tuple[Reviewers, ...]:
    refused, seen = barred(item, catalog, approvers), set[str]()
    found = []
    for line, party in _parties(item, catalog, fallback):
        persons = sorted(catalog.persons_in(party) - refused - seen) if party else []
        if persons:
            seen.update(persons)
            found.append(Reviewers(line=line, persons=tuple(persons)))
    return tuple(found)


def _parties(item: Item, catalog: Catalog, fallback: str) -> Sequence[tuple[Line, str]]:
    resource, holder = catalog.resources.get(item.resource), catalog.principals.get(item.principal)
    return (
        (Line.OWNER, resource.owner if resource else ""),
        (Line.MANAGER, holder.manager if holder else ""),
        (Line.FALLBACK, fallback),
    )
