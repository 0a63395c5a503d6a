"""From direct memberships to everything they lead to. Pure.

A role is held through others when the memberships in between allow it: `inherits` if every step inherits, `may_set`
if every step may be switched to. One row says the shortest way; the flags count every way.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lapse.domain.access import ObservedMembership

Edges = Mapping[str, list[ObservedMembership]]


@dataclass(slots=True)
class _Reached:
    via: tuple[str, ...]
    inherits: bool
    may_set: bool
    admin: bool


def nested(direct: Iterable[ObservedMembership]) -> Iterator[ObservedMembership]:
    """The indirect memberships that follow from `direct`, one for each member and role."""
    edges: dict[str, list[ObservedMembership]] = defaultdict(list)
    for membership in direct:
        edges[membership.member].append(membership)
    for member in sorted(edges):
        for role, reached in sorted(_reached(member, edges).items()):
            yield ObservedMembership(
                member=member,
                role=role,
                via=reached.via,
                admin_option=reached.admin,
                inherits=reached.inherits,
                may_set=reached.may_set,
            )


def _reached(member: str, edges: Edges) -> dict[str, _Reached]:
    """Breadth first, so the first way to a role is a shortest one; a better way is followed again."""
    found: dict[str, _Reached] = {}
    queue: deque[tuple[str, _Reached]] = deque(
        (m.role, _Reached((), m.inherits, m.may_set, m.admin_option)) for m in edges[member]
    )
    while queue:
        role, so_far = queue.popleft()
        for step in edges.get(role, ()):
            if step.role == member or step.role in so_far.via or step.role == role:
                continue
            onward = _Reached(
                (*so_far.via, role),
                so_far.inherits and step.inherits,
                so_far.may_set and step.may_set,
                step.admin_option,
            )
            if _better(found, step.role, onward):
                queue.append((step.role, onward))
    return found


def _better(found: dict[str, _Reached], role: str, new: _Reached) -> bool:
    """Merge `new` into what is known of `role`; True if it adds anything."""
    old = found.get(role)
    if old is None:
        found[role] = _Reached(new.via, new.inherits, new.may_set, new.admin)
        return True
    gain = (new.inherits > old.inherits) or (new.may_set > old.may_set) or (new.admin > old.admin)
    old.inherits |= new.inherits
    old.may_set |= new.may_set
    old.admin |= new.admin
    return gain
