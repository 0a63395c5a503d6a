"""Every select, as prepared `Query`s. Called by the reader and by the ledger's tables.

Listings have optional filters; a query is built once for each combination that is used. What the enforcer asks
each tick (`GRANTS_DUE`, `NEXT_DUE`) walks a partial index over what is not over, from its earliest end.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Select, Table, and_, bindparam, delete, func, literal_column, not_, or_, select
from sqlalchemy.sql import ColumnElement

from lapse.domain.grants import GrantState
from lapse.storage.schema import (
    aftermaths,
    catalog_objects,
    catalog_version,
    credentials,
    delegations,
    drifts,
    gateway_runs,
    grants,
    holds,
    items,
    known_findings,
    locks,
    notices,
    policies,
    proposals,
    removals,
    replies,
    requests,
    schedules,
    segments,
    sessions,
    sign_ins,
    templates,
    tokens,
)
from lapse.storage.statements import Among, Query


@lru_cache(maxsize=64)
def by_key(table: Table) -> Query:
    """The document with this `key`."""
    (key,) = table.primary_key
    return Query(select(table.c.doc).where(key == bindparam("key")))


@lru_cache(maxsize=64)
def everything(table: Table, *names: str) -> Query:
    """All documents whose columns `names` have the values given for them, by key."""
    return Query(
        select(table.c.doc).where(*(table.c[name] == bindparam(name) for name in names)).order_by(*table.primary_key)
    )


@lru_cache(maxsize=256)
def listing(table: Table, names: frozenset[str], *, unfinished: bool, after: bool, newest_first: bool) -> Query:
    """A page of what has an end (a request, a session). `unfinished` promises that no wanted state is an end."""
    statement = select(table.c.doc).where(*(_filter(table, name) for name in sorted(names)))
    if unfinished:
        statement = statement.where(table.c.due_at.is_not(None))
    if after:
        past: ColumnElement[str] = bindparam("after")
        statement = statement.where(table.c.id < past if newest_first else table.c.id > past)
    order = table.c.id.desc() if newest_first else table.c.id
    return Query(statement.order_by(order).limit(bindparam("limit")))


def _filter(table: Table, name: str) -> ColumnElement[bool]:
    if name == "states":
        return Among(table.c.state, "states")
    value: ColumnElement[str] = bindparam(name)
    if name == "requester":
        return or_(table.c.requester == value, table.c.beneficiary == value)
    return table.c[name] == value


def _due(table: Table) -> Select[tuple[str]]:
    return (
        select(table.c.doc)
        .where(table.c.due_at <= bindparam("now"))
        .order_by(table.c.due_at, table.c.id)
        .limit(bindparam("limit"))
    )


GRANTS_DUE = Query(_due(grants))
GRANTS_DUE_BESIDES = Query(_due(grants).where(not_(Among(grants.c.resource, "besides"))))
REQUESTS_DUE = Query(_due(requests))
NOTICES_DUE = Query(_due(notices))
_earliest = (
    select(grants.c.due_at).where(grants.c.due_at.is_not(None)).order_by(grants.c.due_at).limit(literal_column("1"))
)
NEXT_DUE = Query(_earliest)
NEXT_DUE_AFTER = Query(_earliest.where(grants.c.due_at > bindparam("after")))

_upwards = select(grants.c.id, grants.c.extends, literal_column("0").label("depth")).where(
    grants.c.id == bindparam("key")
)
_chain = _upwards.cte("chain", recursive=True)
_earlier = grants.alias("earlier")
_chain = _chain.union_all(
    select(_earlier.c.id, _earlier.c.extends, _chain.c.depth + literal_column("1")).where(
        _earlier.c.id == _chain.c.extends, _chain.c.depth < literal_column("10000")
    )
)
CHAIN = Query(select(grants.c.doc).join(_chain, _chain.c.id == grants.c.id).order_by(_chain.c.depth.desc()))

GRANTS_OF_ACCOUNTS = Query(
    select(grants.c.doc).where(
        Among(grants.c.account, "accounts"),
        grants.c.due_at.is_not(None),
        grants.c.state != GrantState.SCHEDULED.value,
    )
)
GRANTS_GOING_ON = Query(
    select(grants.c.doc).where(
        Among(grants.c.account, "accounts"),
        grants.c.due_at.is_not(None),
        or_(
            grants.c.state == GrantState.ACTIVATING.value,
            and_(grants.c.state == GrantState.ACTIVE.value, grants.c.due_at > bindparam("at")),
        ),
    )
)
"""Both on any resource and in no order: if asked for either, SQLite walks every grant of the resource."""

_holds = (Among(grants.c.beneficiary, "beneficiaries"), grants.c.entitlement == bindparam("entitlement"))
GRANTS_HELD = Query(
    select(grants.c.doc)
    .where(*_holds, grants.c.over_at.is_(None))
    .union_all(select(grants.c.doc).where(*_holds, grants.c.over_at > bindparam("since")))
)
REQUESTS_MADE = Query(
    select(requests.c.doc)
    .where(Among(requests.c.requester, "requesters"))
    .order_by(requests.c.id.desc())
    .limit(bindparam("limit"))
)
REQUESTS_IN_BUNDLE = Query(
    select(requests.c.doc).where(requests.c.bundle == bindparam("bundle")).order_by(requests.c.id)
)
DELEGATIONS_UNTIL = Query(
    select(delegations.c.doc).where(delegations.c.until > bindparam("now")).order_by(delegations.c.id)
)
OPEN_AFTERMATHS = Query(
    select(aftermaths.c.doc).where(aftermaths.c.is_open == literal_column("1")).order_by(aftermaths.c.id)
)
PROPOSALS = Query(select(proposals.c.doc).order_by(proposals.c.id.desc()))
OPEN_PROPOSALS = Query(
    select(proposals.c.doc).where(proposals.c.is_open == literal_column("1")).order_by(proposals.c.id.desc())
)

GRANTS_BY_ID = Query(select(grants.c.doc).where(Among(grants.c.id, "ids")).order_by(grants.c.id))
CREDENTIALS_IN_FORCE = Query(
    select(credentials.c.doc)
    .where(credentials.c.due_at > bindparam("now"))
    .order_by(credentials.c.due_at, credentials.c.id)
)
CREDENTIAL_BY_LOGIN = Query(select(credentials.c.doc).where(credentials.c.login == bindparam("login")))
_open = select(sessions.c.doc).where(sessions.c.due_at.is_not(None))
SESSIONS_BY_ID = Query(select(sessions.c.doc).where(Among(sessions.c.id, "ids")).order_by(sessions.c.id))
OPEN_SESSIONS = Query(_open.order_by(sessions.c.id))
OPEN_SESSIONS_OF_GRANTS = Query(_open.where(Among(sessions.c.grant_id, "grants")))
OPEN_SESSIONS_OF_GATEWAYS = Query(_open.where(Among(sessions.c.gateway, "gateways")))
SESSIONS_TO_CUT = Query(
    select(sessions.c.doc)
    .join_from(sessions, grants, grants.c.id == sessions.c.grant_id, isouter=True)
    .where(
        sessions.c.due_at.is_not(None),
        sessions.c.gateway == bindparam("gateway"),
        or_(
            sessions.c.must_end == literal_column("1"),
            grants.c.state.is_(None),
            grants.c.state != GrantState.ACTIVE.value,
        ),
    )
)
SESSIONS_LOST = Query(
    select(sessions.c.doc).where(sessions.c.gateway == bindparam("gateway"), sessions.c.lost_until > bindparam("now"))
)
SESSIONS_DUE = Query(_due(sessions))
_counted = (
    select(func.count())
    .select_from(sessions)
    .where(sessions.c.due_at.is_not(None), sessions.c.resource == bindparam("resource"))
)
COUNT_SESSIONS = Query(_counted.where(sessions.c.principal >= literal_column("''")))
"""The last condition always holds: without it SQLite goes through all sessions that the resource ever had."""

COUNT_SESSIONS_OF = Query(_counted.where(Among(sessions.c.principal, "principals")))
SEGMENTS_OF = Query(
    select(segments.c.doc).where(segments.c.session_id == bindparam("session_id")).order_by(segments.c.number)
)
SEGMENTS_DUE = Query(_due(segments))
HOLDS_DUE = Query(_due(holds))
OPEN_GATEWAY_RUNS = Query(
    select(gateway_runs.c.doc).where(gateway_runs.c.is_open == literal_column("1")).order_by(gateway_runs.c.id)
)

REMOVE_TEMPLATE = Query(delete(templates).where(templates.c.name == bindparam("name")))

LOCKS_IN_FORCE = Query(select(locks.c.doc).where(locks.c.in_force == literal_column("1")).order_by(locks.c.id))
OPEN_DRIFTS = Query(select(drifts.c.doc).where(drifts.c.is_open == literal_column("1")).order_by(drifts.c.id))
OPEN_DRIFTS_ON = Query(
    select(drifts.c.doc)
    .where(drifts.c.is_open == literal_column("1"), drifts.c.resource == bindparam("resource"))
    .order_by(drifts.c.id)
)

CATALOG_VERSION = Query(select(catalog_version.c.version))
CATALOG = Query(select(catalog_objects.c.kind, catalog_objects.c.name, catalog_objects.c.doc))

ACTIVE_POLICY = Query(select(policies.c.doc).order_by(policies.c.activation.desc()).limit(literal_column("1")))
POLICIES = Query(select(policies.c.doc).order_by(policies.c.activation))
LAST_ACTIVATION = Query(select(func.coalesce(func.max(policies.c.activation), literal_column("0"))))

TOKEN_BY_DIGEST = Query(select(tokens.c.doc).where(tokens.c.digest == bindparam("digest")))
SIGN_IN_BY_DIGEST = Query(select(sign_ins.c.doc).where(sign_ins.c.digest == bindparam("digest")))
FORGET_SIGN_INS = Query(delete(sign_ins).where(sign_ins.c.expires < bindparam("before")))
ITEMS_OF = Query(select(items.c.doc).where(items.c.review_id == bindparam("review_id")).order_by(items.c.id))
REMOVALS_DUE = Query(_due(removals))
REMOVE_SCHEDULE = Query(delete(schedules).where(schedules.c.id == bindparam("name")))
REMOVE_KNOWN_FINDINGS = Query(delete(known_findings).where(known_findings.c.schedule == bindparam("name")))
REPLY = Query(select(replies.c.call_hash, replies.c.reply).where(replies.c.key == bindparam("key")))
