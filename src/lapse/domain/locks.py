"""Locks: the red button on a principal, a resource, an entitlement or everything.

A principal is locked with everything that stands or acts for it: its other names, its agents, its services. Asked by
`control` before every change, and by `enforcement` before a target is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.catalog import Catalog
from lapse.domain.times import Instant


class LockKind(StrEnum):
    """What a lock stops."""

    PRINCIPAL = "principal"
    RESOURCE = "resource"
    ENTITLEMENT = "entitlement"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """While it is not removed: no new access to what it covers, and what is there ends. `target` names it.

    `persons` are the humans behind whoever set it, as they were known then: none of them may remove it.
    """

    id: str
    kind: LockKind
    target: str
    reason: str
    created_by: str
    created_at: Instant
    persons: tuple[str, ...] = ()
    removed_by: str = ""
    removed_at: Instant | None = None
    version: int = 0

    def covers(self, *, principals: Iterable[str], entitlement: str) -> bool:
        """Whether this lock, if in force, stops `entitlement` for any of `principals`."""
        if self.removed_at is not None:
            return False
        match self.kind:
            case LockKind.EVERYTHING:
                return True
            case LockKind.PRINCIPAL:
                return self.target in principals
            case LockKind.RESOURCE:
                return self.target == entitlement.partition("/")[0]
            case LockKind.ENTITLEMENT:
                return self.target == entitlement


def covering_lock(locks: Iterable[Lock], catalog: Catalog, names: Iterable[str], entitlement: str) -> Lock | None:
    """The first lock in force that stops `entitlement` for any of `names`, or whoever stands behind one of them."""
    known = frozenset[str]().union(*(catalog.everyone_behind(name) for name in names))
    return next((lock for lock in locks if lock.covers(principals=known, entitlement=entitlement)), None)
