"""What a target really has, as evidence: each account and each role held, with the grant that explains it.

A role held through others is explained by the grant of the membership it starts with. What no grant explains
is never explained away: it is `baseline` (seen before lapse managed it) or out of band. Called by `collect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lapse.domain.access import Observation, ObservedAccount, ObservedMembership
from lapse.domain.grants import ENDING, LIVE, Grant
from lapse.domain.targets import Drift, DriftKind

Row = dict[str, Any]
Holding = tuple[str, str, str]
"""Resource, account and native role."""


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """Why access may be there. `managed` are (resource, native role) pairs that the catalog can grant.

    `has_history` is False where nothing manages the target (a brownfield review): then nothing is baseline or
    out of band, everything is just there.
    """

    grants: Mapping[Holding, str] = field(default_factory=dict)
    ephemeral: Mapping[tuple[str, str], str] = field(default_factory=dict)
    baseline: frozenset[Holding] = frozenset()
    managed: frozenset[tuple[str, str]] = frozenset()
    has_history: bool = False


def explain(grants: Iterable[Grant], drifts: Iterable[Drift], natives: Mapping[str, Mapping[str, str]]) -> Explanations:
    """What explains access, from unfinished grants and known drift; `natives` is by entitlement name."""
    held: dict[Holding, str] = {}
    ephemeral: dict[tuple[str, str], str] = {}
    baseline = {(d.resource, d.account, d.role) for d in drifts if d.kind is DriftKind.STANDING}
    for grant in grants:
        native = natives.get(grant.entitlement, {})
        holding = (grant.resource, grant.account, native.get("role", ""))
        if grant.held_before:
            baseline.add(holding)
        elif grant.state in LIVE | ENDING:
            held[holding] = grant.id
            if native.get("mode") == "ephemeral":
                ephemeral[grant.resource, grant.account] = grant.id
    return Explanations(
        grants=held,
        ephemeral=ephemeral,
        baseline=frozenset(baseline),
        managed=frozenset((name.partition("/")[0], n["role"]) for name, n in natives.items() if n.get("role")),
        has_history=True,
    )


def account_rows(
    observation: Observation, why: Explanations, owner_of: Callable[[str, str], str | None]
) -> Iterator[Row]:
    """Every account seen; `owner_of` says which principal a login belongs to."""
    for account in observation.accounts:
        yield {
            "resource": observation.resource,
            "account": account.name,
            "principal": owner_of(observation.resource, account.name),
            "can_login": account.can_login,
            "powers": ";".join(account.powers) or None,
            "valid_until": account.valid_until,
            "last_activity": account.last_activity,
            "grant_id": why.ephemeral.get((observation.resource, account.name)),
            "observed": True,
            "observed_at": observation.observed_at,
            "builtin": is_builtin(account.name),
        }


def access_rows(
    observation: Observation, why: Explanations, owner_of: Callable[[str, str], str | None]
) -> Iterator[Row]:
    """Every role or power held, direct or nested."""
    accounts = {account.name: account for account in observation.accounts}
    for member in observation.memberships:
        yield _membership_row(observation, member, accounts, why) | {
            "principal": owner_of(observation.resource, member.member)
        }
    for account in observation.accounts:
        for power in account.powers:
            yield _power_row(observation, account, power, why) | {
                "principal": owner_of(observation.resource, account.name)
            }


def privilege_rows(observation: Observation) -> Iterator[Row]:
    """Every right given directly on an object."""
    for p in observation.privileges:
        yield {
            "resource": observation.resource,
            "grantee": p.grantee,
            "object_kind": p.object_kind,
            "object_name": p.object_name,
            "database_name": p.database or None,
            "privileges": ";".join(p.privileges) or None,
            "grantor": p.grantor or None,
            "grantable": p.grantable,
            "is_owner": p.is_owner,
            "on_future": p.on_future,
        }


def role_privilege_rows(observation: Observation) -> Iterator[Row]:
    """What each role allows by the rights given to it directly; what it gets from other roles is theirs."""
    for p in observation.privileges:
        if p.grantee != "PUBLIC" and not p.on_future:
            for action in p.privileges:
                yield {
                    "resource": observation.resource,
                    "role": p.grantee,
                    "action": action,
                    "object": p.object_name,
                    "origin": "observed",
                    "wildcard": p.is_owner,
                }


def escalation_rows(observation: Observation) -> Iterator[Row]:
    """Every step to more that is no membership and no power."""
    for step in observation.escalations:
        yield {
            "resource": observation.resource,
            "from_name": step.from_name,
            "to_name": step.to_name,
            "how": step.how,
        }


def is_builtin(account: str) -> bool:
    """Whether the server brings the role along; PostgreSQL reserves `pg_` for its own (CREATE ROLE)."""
    return account.startswith("pg_")


def _membership_row(
    observation: Observation,
    member: ObservedMembership,
    accounts: Mapping[str, ObservedAccount],
    why: Explanations,
) -> Row:
    holder, held = accounts.get(member.member), accounts.get(member.role)
    first = (observation.resource, member.member, member.via[0] if member.via else member.role)
    return _common(observation, member.member, holder) | {
        "role": member.role,
        "holding": "nested" if member.via else "direct",
        "depth": len(member.via),
        "via": " > ".join(member.via) or None,
        "admin_option": member.admin_option,
        "inherits": member.inherits,
        "may_set": member.may_set,
        "powers": (";".join(held.powers) or None) if held else None,
        "grantor": member.grantor or None,
        "grant_id": why.grants.get(first),
        "baseline": _is_baseline(first, why, observation),
        "managed": (observation.resource, member.role) in why.managed,
    }


def _power_row(observation: Observation, account: ObservedAccount, power: str, why: Explanations) -> Row:
    return _common(observation, account.name, account) | {
        "role": f"({power})",
        "holding": "power",
        "depth": 0,
        "powers": power,
        "grant_id": None,
        "baseline": True if why.has_history else None,
        "managed": False,
    }


def _common(observation: Observation, name: str, account: ObservedAccount | None) -> Row:
    return {
        "resource": observation.resource,
        "account": name,
        "observed_at": observation.observed_at,
        "can_login": account.can_login if account else None,
        "valid_until": account.valid_until if account else None,
    }


def _is_baseline(first: Holding, why: Explanations, observation: Observation) -> bool | None:
    """Only roles that lapse grants can be given out of band; all others were never its business."""
    if not why.has_history:
        return None
    resource, account, role = first
    governed = (resource, role) in why.managed
    return not governed or first in why.baseline or account == observation.own_account
