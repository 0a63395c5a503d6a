"""Domain values as rows of the evidence tables. Pure; called by `collect`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.grants import Grant
from lapse.domain.principals import PrincipalKind
from lapse.domain.requests import Decision, Request
from lapse.domain.resources import Entitlement, Resource
from lapse.domain.sessions import Session, SessionEnd
from lapse.domain.targets import TargetRead, UseSighting
from lapse.ledger.entry import Entry
from lapse.ports import PolicyVersion

Row = dict[str, Any]


def seconds(duration: timedelta | None) -> int | None:
    """Whole seconds, rounded up."""
    return None if duration is None else -(-duration // timedelta(seconds=1))


def joined(parts: tuple[str, ...]) -> str | None:
    """Several values in one cell; null for none."""
    return ";".join(parts) or None


def principal_rows(catalog: Catalog) -> Iterator[Row]:
    """Every principal."""
    for p in catalog.principals.values():
        yield {
            "principal": p.name,
            "kind": str(p.kind),
            "active": p.active,
            "person": _person(catalog, p.name) if p.kind is PrincipalKind.PERSON else None,
            "alias_of": p.alias_of or None,
            "sponsor": p.sponsor or None,
            "owner": p.owner or None,
            "manager": p.manager or None,
            "department": p.department or None,
            "title": p.title or None,
            "display_name": p.display_name or None,
            "email": p.email or None,
            "left_at": p.left_at,
        }


def human_rows(catalog: Catalog) -> Iterator[Row]:
    """The humans behind every principal."""
    for name in catalog.principals:
        yield from ({"principal": name, "person": person} for person in sorted(catalog.humans_behind(name)))


def group_rows(catalog: Catalog) -> Iterator[Row]:
    """The members of every group, nested ones included."""
    for group in catalog.groups:
        yield from ({"group_name": group, "principal": name} for name in sorted(catalog.members_of(group)))


def resource_row(resource: Resource, catalog: Catalog, governed: bool | None) -> Row:
    """One resource; `governed` says whether the policy offers anything on it, None if that is not known."""
    return {
        "resource": resource.name,
        "connector": resource.connector,
        "title": resource.title or None,
        "owner": resource.owner or None,
        "owner_active": bool(resource.owner) and bool(catalog.persons_in(resource.owner)),
        "governed": governed,
        "tags": _tags(resource.tags),
    }


def entitlement_row(entitlement: Entitlement) -> Row:
    """One entitlement."""
    return {
        "entitlement": entitlement.name,
        "resource": entitlement.resource,
        "role": entitlement.role,
        "native_role": entitlement.native.get("role"),
        "mode": entitlement.native.get("mode"),
        "title": entitlement.title or None,
        "tags": _tags(entitlement.tags),
    }


def request_row(request: Request) -> Row:
    """One request with its terms."""
    return {
        "request_id": request.id,
        "requester": request.requester,
        "beneficiary": request.beneficiary,
        "entitlement": request.entitlement,
        "resource": request.entitlement.partition("/")[0],
        "state": str(request.state),
        "created_at": request.created_at,
        "requested_s": seconds(request.requested_duration),
        "justification": request.justification or None,
        "ticket": f"{request.ticket.system}:{request.ticket.number}" if request.ticket else None,
        "policy_version": request.policy_version or None,
        "offer": request.terms.offer or None,
        "max_duration_s": seconds(request.terms.max_duration),
        "max_total_s": seconds(request.terms.max_total),
        "expires_at": request.expires_at,
        "starts_at": request.starts_at,
        "extends": request.extends,
        "break_glass": request.terms.break_glass,
        "closed_at": request.closed_at,
        "close_reason": request.close_reason or None,
    }


def stage_rows(request: Request) -> Iterator[Row]:
    """The approval stages of a request, in order."""
    for position, stage in enumerate(request.terms.stages):
        yield {
            "request_id": request.id,
            "stage": stage.name,
            "position": position,
            "quorum": stage.quorum,
            "approvers": joined(stage.approvers),
            "everyone": stage.everyone,
            "excluded": joined(stage.excluded),
            "escalated_to": joined(tuple(party for step in stage.escalations for party in step.approvers)),
        }


def decision_row(decision: Decision) -> Row:
    """One vote."""
    return {
        "decision_id": decision.id,
        "request_id": decision.request_id,
        "approver": decision.approver,
        "person": decision.person,
        "verdict": str(decision.verdict),
        "stage": decision.stage,
        "decided_at": decision.decided_at,
        "reason": decision.reason or None,
        "on_behalf_of": decision.on_behalf_of or None,
        "delegation": decision.delegation or None,
        "on_call": joined(tuple(f"{rota}:{name}" for rota, names in decision.on_call.items() for name in names)),
    }


def grant_row(grant: Grant, native_role: str | None, ordered_at: datetime | None) -> Row:
    """One grant; `ordered_at` is when its end was ordered by someone (or something) other than its deadline."""
    ends = [at for at in (grant.ends_at, ordered_at) if at is not None]
    return {
        "grant_id": grant.id,
        "beneficiary": grant.beneficiary,
        "entitlement": grant.entitlement,
        "resource": grant.resource,
        "role": grant.role,
        "state": str(grant.state),
        "request_id": grant.request_id or None,
        "account": grant.account or None,
        "native_role": native_role,
        "starts_at": grant.starts_at,
        "activated_at": grant.activated_at,
        "ends_at": grant.ends_at,
        "end_due_at": min(ends, default=None),
        "ended_at": grant.ended_at,
        "end_reason": str(grant.end_reason) if grant.end_reason else None,
        "duration_s": seconds(grant.duration),
        "held_before": grant.held_before,
        "extends": grant.extends,
        "policy_version": grant.policy_version or None,
        "created_at": grant.created_at,
        "attempts": grant.attempts,
        "last_error": grant.last_error or None,
        "break_glass": grant.break_glass,
    }


def sighting_row(sighting: UseSighting) -> Row:
    """One sighting as proof of use; the time between sightings is not proven."""
    return {
        "resource": sighting.resource,
        "account": sighting.account,
        "started_at": sighting.started_at,
        "ended_at": sighting.seen_at,
        "grant_id": sighting.grant_id,
        "source": sighting.source,
    }


def session_row(session: Session, native_role: str | None) -> Row:
    """One session through the gateway as proof of use: by whom, when, and by which grant is known exactly.

    When a session that was lost ended is not known.
    """
    lost = session.end_reason is SessionEnd.LOST
    did = ", ".join(f"{number} {kind}" for kind, number in sorted(session.use.kinds.items()))
    statements = f"{session.use.statements} statements" if session.use.statements else None
    return {
        "resource": session.resource,
        "account": session.account,
        "started_at": session.started_at,
        "ended_at": None if lost else session.ended_at,
        "grant_id": session.grant_id,
        "role": native_role,
        "action": did or statements,
        "source": f"gateway {session.gateway}",
        "object": session.place or None,
        "principal": session.principal,
        "address": session.client or None,
        "device": session.program or None,
        "session_id": session.id,
    }


def connection_row(session: Session) -> Row:
    """One session through the gateway as a whole."""
    return {
        "session_id": session.id,
        "resource": session.resource,
        "account": session.account,
        "started_at": session.started_at,
        "ended_at": None if session.end_reason is SessionEnd.LOST else session.ended_at,
        "grant_id": session.grant_id,
        "principal": session.principal,
        "protocol": session.protocol,
        "address": session.client or None,
        "device": session.program or None,
        "end_reason": str(session.end_reason) if session.end_reason else None,
        "recorded": session.recorded,
        "source": f"gateway {session.gateway}",
    }


def target_read_row(read: TargetRead) -> Row:
    """One read of a target."""
    return {
        "resource": read.resource,
        "finished_at": read.finished_at,
        "complete": read.complete,
        "started_at": read.started_at,
        "accounts": read.accounts,
        "memberships": read.memberships,
        "gaps": joined(read.gaps),
    }


def policy_row(policy: PolicyVersion, *, active: bool) -> Row:
    """One policy version with its files."""
    return {
        "policy_version": policy.version,
        "files": json.dumps(dict(policy.files), sort_keys=True, ensure_ascii=False),
        "activated_at": policy.activated_at,
        "activated_by": policy.activated_by or None,
        "active": active,
    }


def ledger_row(seq: int, entry: Entry, body: bytes) -> Row:
    """One ledger entry with its canonical bytes."""
    return {
        "seq": seq,
        "happened_at": entry.at,
        "type": entry.type,
        "subject": entry.subject,
        "actor": entry.actor or None,
        "policy_version": entry.policy_version or None,
        "body": body.decode("utf-8"),
    }


def event_row(seq: int | None, entry: Entry) -> Row:
    """One ledger entry about a grant, as an enforcement event."""
    return {
        "happened_at": entry.at,
        "event": entry.type,
        "subject": entry.subject,
        "seq": seq,
        "actor": entry.actor or None,
        "detail": json.dumps(to_data(entry.after), sort_keys=True, ensure_ascii=False),
    }


def _tags(tags: Mapping[str, str]) -> str | None:
    return joined(tuple(f"{key}={value}" for key, value in sorted(tags.items())))


def _person(catalog: Catalog, name: str) -> str | None:
    """The human a person's name stands for, active or not; None where the aliases lead nowhere."""
    seen: set[str] = set()
    while name in catalog.principals and name not in seen:
        seen.add(name)
        alias = catalog.principals[name].alias_of
        if not alias:
            return name
        name = alias
    return None
