"""What roles allow against what their holders did, where every action is on record; else not known, with the reason.

Called by `stages` with the validation; the narrower roles are proposals, nothing is changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lapse.policy.editing import OfferText
from lapse.ports import Engine
from lapse.review.model import Snapshot
from lapse.review.roles.matching import Use
from lapse.review.roles.model import Right, RightState, RoleCheck, RoleState
from lapse.review.roles.postgresql import tables_are_named, without_tableless
from lapse.review.roles.spelling import POSTGRESQL, RoleNames, judge_of, kind_of, spell
from lapse.review.sql import ask

MOST_LISTED = 500
"""Rights of a role that are listed; all are counted."""
MOST_RIGHTS = 200_000
"""Rights of all roles on one resource that are compared."""

_TABLES = (
    "role_privileges",
    "object_privileges",
    "usage",
    "coverage",
    "grants",
    "access_observed",
    "accounts",
    "entitlements",
    "resources",
    "offers",
)
_HOLDERS = """
holders AS (
    SELECT resource, account, COALESCE(native_role, role) AS role FROM grants
    WHERE account IS NOT NULL AND activated_at < $period_end AND COALESCE(ended_at, $as_of) >= $period_start
    UNION
    SELECT resource, account, role FROM access_observed WHERE COALESCE(can_login, TRUE)
    UNION
    SELECT resource, account, account FROM accounts WHERE can_login
)"""
_CHOSEN = """
origins AS (
    SELECT resource, role, max(CASE WHEN origin = 'observed' THEN 1 ELSE 0 END) AS is_observed
    FROM role_privileges GROUP BY resource, role
),
chosen AS (
    SELECT DISTINCT p.resource, p.role, p.action, p.object, COALESCE(p.wildcard, FALSE) AS wildcard
    FROM role_privileges p JOIN origins o ON o.resource = p.resource AND o.role = p.role
    WHERE o.is_observed = 0 OR p.origin = 'observed'
)"""
_ROLES = f"""
WITH edges AS (
    SELECT resource, from_at, to_at,
        max(to_at) OVER (PARTITION BY resource ORDER BY from_at, to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM coverage
    WHERE complete AND COALESCE(actions, FALSE)
),
numbered AS (
    SELECT resource, from_at, to_at,
        sum(CASE WHEN covered_to >= from_at THEN 0 ELSE 1 END)
            OVER (PARTITION BY resource ORDER BY from_at, to_at) AS island
    FROM edges
),
covered AS (
    SELECT DISTINCT resource
    FROM (SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at FROM numbered GROUP BY resource, island) i
    WHERE from_at <= $period_start AND to_at >= LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))
),
known AS (
    SELECT resource, max(CASE WHEN complete THEN 1 ELSE 0 END) AS complete,
        max(CASE WHEN COALESCE(actions, FALSE) THEN 1 ELSE 0 END) AS actions
    FROM coverage GROUP BY resource
),
{_HOLDERS.strip()},
{_CHOSEN.strip()},
active AS (
    SELECT DISTINCT resource, account FROM usage WHERE started_at >= $period_start AND started_at < $period_end
),
holding AS (
    SELECT h.resource, h.role, count(*) AS holders, count(a.account) AS users
    FROM holders h LEFT JOIN active a ON a.resource = h.resource AND a.account = h.account
    GROUP BY h.resource, h.role
),
named AS (
    SELECT resource, COALESCE(native_role, role) AS role, min(entitlement) AS entitlement, min(mode) AS mode
    FROM entitlements GROUP BY resource, COALESCE(native_role, role)
),
offered AS (
    SELECT entitlement, min(offer) AS offer FROM offers GROUP BY entitlement
),
sizes AS (
    SELECT resource, role, count(*) AS rights FROM chosen GROUP BY resource, role
)
SELECT s.resource, s.role, s.rights, r.connector, n.entitlement, n.mode, o.offer, COALESCE(h.holders, 0) AS holders,
    COALESCE(h.users, 0) AS users, c.resource IS NOT NULL AS covered, COALESCE(k.complete, 0) AS complete,
    COALESCE(k.actions, 0) AS actions
FROM sizes s
LEFT JOIN (SELECT resource, min(connector) AS connector FROM resources GROUP BY resource) r ON r.resource = s.resource
LEFT JOIN holding h ON h.resource = s.resource AND h.role = s.role
LEFT JOIN named n ON n.resource = s.resource AND n.role = s.role
LEFT JOIN offered o ON o.entitlement = n.entitlement
LEFT JOIN covered c ON c.resource = s.resource
LEFT JOIN known k ON k.resource = s.resource
ORDER BY s.resource, s.role
"""  # noqa: S608  constants of our own

_RIGHTS = f"""
WITH {_CHOSEN.strip()}
SELECT c.role, c.action, c.object, c.wildcard, o.object_kind, o.database_name
FROM chosen c
LEFT JOIN (
    SELECT DISTINCT resource, grantee, object_kind, object_name, database_name, privileges FROM object_privileges
) o ON o.resource = c.resource AND o.grantee = c.role AND o.object_name = c.object
    AND contains(';' || o.privileges || ';', ';' || c.action || ';')
WHERE c.resource = $resource
ORDER BY 1, 2, 3, 5, 6
LIMIT {MOST_RIGHTS + 1}
"""  # noqa: S608  constants of our own

_USES = f"""
WITH {_HOLDERS.strip()}
SELECT h.role, u.action, u.object, max(u.started_at) AS last
FROM usage u JOIN holders h ON h.resource = u.resource AND h.account = u.account
WHERE u.resource = $resource AND u.action IS NOT NULL
    AND u.started_at >= $period_start AND u.started_at < $period_end
GROUP BY h.role, u.action, u.object
ORDER BY 1, 2, 3
"""  # noqa: S608  constants of our own

OffersByName = Callable[[str], OfferText | None]


def role_checks(engine: Engine, snapshot: Snapshot, offer_of: OffersByName) -> tuple[RoleCheck, ...]:
    """Every role of which it is known what it allows. `offer_of` gives the text of an offer of the policy in force."""
    rows = ask(engine, snapshot, _ROLES, _TABLES)
    by_resource: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_resource[row["resource"]].append(row)
    return tuple(
        check
        for resource, roles in by_resource.items()
        for check in _Resource(engine, snapshot, resource, roles, offer_of).checks()
    )


@dataclass
class _Resource:
    """The roles of one resource."""

    engine: Engine
    snapshot: Snapshot
    name: str
    roles: Sequence[Mapping[str, Any]]
    offer_of: OffersByName

    def checks(self) -> list[RoleCheck]:
        """Each role, compared if that can be done."""
        first = [_before(row) for row in self.roles]
        if all(check.reason for check in first):
            return first
        rights = self._asked(_RIGHTS)
        if len(rights) > MOST_RIGHTS:
            why = f"the roles of the resource have more than {MOST_RIGHTS:,} rights"
            return [c if c.reason else replace(c, state=RoleState.UNKNOWN, reason=why) for c in first]
        of_role, uses = _grouped(rights), self._uses()
        return [
            check if check.reason else self._compared(check, row, of_role.get(check.role, []), uses)
            for check, row in zip(first, self.roles, strict=True)
        ]

    def _uses(self) -> dict[str, list[Use]]:
        """What the holders of each role did."""
        uses = {
            role: [Use(one["action"], one["object"], one["last"]) for one in rows]
            for role, rows in _grouped(self._asked(_USES)).items()
        }
        is_postgresql = kind_of(self.roles[0]["connector"] or "") == POSTGRESQL
        if is_postgresql and tables_are_named(use for several in uses.values() for use in several):
            return {role: without_tableless(several) for role, several in uses.items()}
        return uses

    def _asked(self, sql: str) -> list[dict[str, Any]]:
        return ask(self.engine, self.snapshot, sql, _TABLES, {"resource": self.name})

    def _compared(
        self,
        check: RoleCheck,
        row: Mapping[str, Any],
        rights: Iterable[Mapping[str, Any]],
        uses: Mapping[str, Sequence[Use]],
    ) -> RoleCheck:
        judged = judge_of(check.connector)([_right(one) for one in rights], uses.get(check.role, []))
        counts = Counter(right.state for right in judged)
        counted = replace(
            check,
            rights=len(judged),
            used=counts[RightState.USED],
            kept=counts[RightState.KEPT],
            unused=counts[RightState.UNUSED],
        )
        if not counts[RightState.USED]:
            reason = f"none of its {check.holders} holders used it: take it away, rather than narrow it"
            return replace(counted, state=RoleState.NEVER_USED, reason=reason)
        narrowed = sum(r.wildcard and r.state is RightState.USED for r in judged)
        if not counts[RightState.UNUSED] and not narrowed:
            return replace(counted, state=RoleState.FITS, reason="every right was used, or is needed by what was")
        return self._narrower(counted, row, judged)

    def _narrower(self, check: RoleCheck, row: Mapping[str, Any], judged: Sequence[Right]) -> RoleCheck:
        names = RoleNames(
            resource=self.name,
            connector=check.connector,
            native=check.role,
            entitlement=check.entitlement,
            mode=row["mode"] or "",
            offer=self.offer_of(row["offer"]) if row["offer"] else None,
        )
        spellings, notes = spell(names, judged, {one["role"] for one in self.roles})
        wide = sum(right.wildcard and right.state is RightState.USED for right in judged)
        reasons = [f"{check.unused} of {check.rights} rights were not used"] if check.unused else []
        reasons += [f"{wide} rights stand for more than what was used"] if wide else []
        by_state = {state: [right for right in judged if right.state is state] for state in RightState}
        return replace(
            check,
            state=RoleState.NARROWER,
            reason=f"{', and '.join(reasons)}, by any of its {check.holders} holders",
            unused_rights=tuple(by_state[RightState.UNUSED][:MOST_LISTED]),
            kept_rights=tuple(by_state[RightState.KEPT][:MOST_LISTED]),
            used_rights=tuple(by_state[RightState.USED][:MOST_LISTED]),
            spellings=spellings,
            notes=tuple(notes),
        )


def _before(row: Mapping[str, Any]) -> RoleCheck:
    """What is known of a role without comparing; without a reason it can be compared."""
    state, reason = RoleState.UNKNOWN, ""
    if not row["covered"]:
        reason = _why_not_covered(row)
    elif not row["holders"]:
        state, reason = RoleState.NOT_HELD, "nobody held it in the period, so there is no use to compare with"
    return RoleCheck(
        resource=row["resource"],
        role=row["role"],
        connector=row["connector"] or "",
        entitlement=row["entitlement"] or "",
        state=state,
        reason=reason,
        holders=int(row["holders"]),
        users=int(row["users"]),
        rights=int(row["rights"]),
    )


def _why_not_covered(row: Mapping[str, Any]) -> str:
    if row["actions"]:
        return "single actions are on record for a part of the period only"
    if row["complete"]:
        return "that there was use is on record, single actions are not"
    return "nothing says that every use is on record"


def _right(row: Mapping[str, Any]) -> Right:
    return Right(
        action=row["action"],
        object=row["object"],
        kind=row["object_kind"] or "",
        database=row["database_name"] or "",
        wildcard=row["wildcard"],
    )


def _grouped(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["role"]].append(row)
    return found
