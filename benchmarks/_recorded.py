"""A ledger with very many requests and their whole lives in it, made as quickly as the disk takes it.

Entries of each kind are made once for each pair of a person and an entitlement, by the code that records them; the
rest are copies with other ids, times and durations. They are as canonical as those that lapse writes.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.grants import Grant, GrantState
from lapse.domain.principals import Group, Principal
from lapse.domain.requests import Decision, Request, RequestState, Ticket, Verdict
from lapse.domain.resources import Entitlement, Resource
from lapse.domain.times import format_time
from lapse.ledger.canonical import encode
from lapse.ledger.entry import Entry, changed, created
from lapse.policy import Ask, History, PastRequest, Policy, ask_for, evaluate

PERSONS, DATABASES, PAIRS = 2_000, 60, 5_000
FIRST = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SPAN = timedelta(days=85)
CHUNK = 20_000

_MARK = datetime(2001, 1, 1, tzinfo=UTC)
_MARKS = tuple(format_time(_MARK + timedelta(microseconds=step)).encode() for step in range(1, 5))
_REQUEST, _GRANT = b"req_00000000000000000000000001", b"gra_00000000000000000000000001"
_LENGTH = timedelta(seconds=3_599)
_LENGTHS = [timedelta(minutes=minutes) for minutes in (15, 30, 45, 60, 60, 60, 90, 120, 120, 240)]
_REASONS = ("slow query on the orders table", "refund of order 17 is stuck", "restoring the nightly export")


def company() -> Catalog:
    """Two thousand persons in the groups of `examples/policy`, and sixty databases."""
    names = [f"person{number:04d}" for number in range(PERSONS)]
    people = {
        name: Principal(name=name, email=f"{name}@example.com", manager="person0000", department=f"team-{at % 40}")
        for at, name in enumerate(names)
    }
    groups = {
        "developers": names[:1500],
        "support": names[1500:1900],
        "dba": names[:40],
        "leads": names[40:90],
        "security": names[90:110],
        "contractors": names[1400:1500],
    }
    resources = {}
    for number in range(DATABASES):
        name, env = f"pg-{number:02d}", "dev" if number % 3 == 0 else "prod"
        roles = tuple(Entitlement(resource=name, role=role) for role in ("reader", "writer", "admin"))
        resources[name] = Resource(
            name=name, connector="postgresql", owner="group:dba", tags={"env": env}, entitlements=roles
        )
    return Catalog(
        principals=people,
        groups={name: Group(name=name, members=tuple(members)) for name, members in groups.items()},
        resources=resources,
    )


@dataclass(frozen=True)
class Life:
    """The entries of one request, as (type, canonical bytes) with marks in place of ids and times."""

    entries: tuple[tuple[str, bytes], ...]

    def at(self, number: int, begins: datetime, length: timedelta, reason: str) -> Iterator[tuple[str, str, bytes]]:
        """The same life at another time: type, subject and body of each entry."""
        request, grant = f"req_{number:026d}", f"gra_{number:026d}"
        ends = begins + length
        times = [format_time(at).encode() for at in (begins, ends, begins + timedelta(days=1), begins - _DAY)]
        swaps = [
            *zip(_MARKS, times, strict=True),
            (_REQUEST, request.encode()),
            (_GRANT, grant.encode()),
            (b'"PT59M59S"', f'"{_spelled(length)}"'.encode()),
            (b"why", reason.encode()),
        ]
        for kind, template in self.entries:
            body = template
            for mark, real in swaps:
                body = body.replace(mark, real)
            yield kind, grant if kind.startswith("grant.") else request, body


_DAY = timedelta(days=1)


def lives(policy: Policy, catalog: Catalog, rng: random.Random) -> list[Life]:
    """One life for each of `PAIRS` pairs of a person and an entitlement, as `policy` answers."""
    people, what = sorted(catalog.principals), [entitlement.name for entitlement in catalog.entitlements()]
    return [_life(policy, catalog, rng.choice(people), rng.choice(what), rng) for _ in range(PAIRS)]


def fill(path: Path, made: list[Life], requests: int, rng: random.Random) -> int:
    """Put `requests` lives into the store at `path`, as if they had been sequenced; how many entries that made."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("DROP INDEX ledger_entries_subject")
        total = 0
        for first in range(0, requests, CHUNK):
            rows = [
                row
                for number in range(first, min(first + CHUNK, requests))
                for row in _one(made, number, requests, rng)
            ]
            db.execute("BEGIN")
            db.executemany("INSERT INTO ledger_entries (type, subject, body) VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")
            total += len(rows)
        db.execute("CREATE INDEX ledger_entries_subject ON ledger_entries (subject, id)")
        db.execute("INSERT INTO ledger_runs (first_seq, first_id, length) VALUES (0, 1, ?)", (total,))
        db.execute("UPDATE ledger_head SET size = ?", (total,))
        db.execute("PRAGMA journal_mode=WAL")
    db.close()
    return total


def _one(made: list[Life], number: int, requests: int, rng: random.Random) -> Iterator[tuple[str, str, bytes]]:
    begins = FIRST + SPAN * (number / requests)
    # Few pairs make most of the requests, as in real life.
    life = made[int(len(made) * rng.random() ** 2)]
    return life.at(number, begins.replace(microsecond=number % 1_000_000), rng.choice(_LENGTHS), rng.choice(_REASONS))


def _life(policy: Policy, catalog: Catalog, who: str, what: str, rng: random.Random) -> Life:
    begins = _MARK + timedelta(microseconds=1)
    before = tuple(
        PastRequest(at=begins - timedelta(minutes=7 * step), offer="prod-read")
        for step in range(rng.choice([0, 0, 1, 3]))
    )
    ask = ask_for(
        catalog,
        requester=who,
        entitlement=what,
        duration=_LENGTH,
        at=begins,
        justification="why this takes somebody",
        ticket=Ticket(system="jira", number=f"OPS-{rng.randrange(10_000)}") if rng.random() < 0.5 else None,
        history=History(since=_MARK + timedelta(microseconds=4), requests=before),
    )
    # The question is answered on a working day; what is recorded carries the marks.
    answer = evaluate(policy, replace(ask, at=FIRST + timedelta(hours=2), history=History(since=FIRST - 400 * _DAY)))
    if answer.terms is None:
        context = {"ask": to_data(ask), "reason": answer.reason, "via": "api"}
        return _encoded([
            Entry(type="request.refused", at=begins, actor=who, subject=what, context=context,
                  policy_version=policy.version)
        ])  # fmt: skip
    request = Request(
        id=_REQUEST.decode(),
        requester=who,
        beneficiary=who,
        entitlement=what,
        requested_duration=_LENGTH,
        justification=ask.justification,
        terms=answer.terms,
        policy_version=policy.version,
        created_at=begins,
        expires_at=_MARK + timedelta(microseconds=3),
        ticket=ask.ticket,
    )
    made = created("request.created", request, request.id, at=begins, actor=who, policy_version=policy.version,
                   ask=to_data(ask), via="api")  # fmt: skip
    return _encoded([made, *_decided(request, begins), *_granted(request, begins)])


def _decided(request: Request, at: datetime) -> Iterator[Entry]:
    if request.terms.stages:
        vote = Decision(
            id="dec_00000000000000000000000001",
            request_id=request.id,
            approver="person0001",
            person="person0001",
            verdict=Verdict.APPROVE,
            stage=request.terms.stages[0].name,
            decided_at=at,
        )
        yield created("decision.approve", vote, request.id, at=at, actor="person0001")
    approved = replace(request, state=RequestState.APPROVED, closed_at=at, version=1)
    yield changed("request.approved", request, approved, request.id, at=at, actor="person0001")


def _granted(request: Request, at: datetime) -> Iterator[Entry]:
    until = _MARK + timedelta(microseconds=2)
    grant = Grant(
        id=_GRANT.decode(),
        request_id=request.id,
        beneficiary=request.beneficiary,
        entitlement=request.entitlement,
        duration=request.requested_duration,
        policy_version=request.policy_version,
        created_at=at,
        starts_at=at,
    )
    yield created("grant.scheduled", grant, grant.id, at=at, actor="system:policy", request=request.id)
    steps: list[tuple[GrantState, Mapping[str, object], datetime]] = [
        (GrantState.ACTIVATING, {"ends_at": until}, at),
        (GrantState.ACTIVE, {"activated_at": at}, at),
        (GrantState.REVOKING, {}, until),
        (GrantState.ENDED, {"ended_at": until}, until),
    ]
    for state, more, when in steps:
        after = replace(grant, state=state, version=grant.version + 1, **more)
        yield changed(f"grant.{state}", grant, after, grant.id, at=when, actor="system:enforcer")
        grant = after


def _encoded(entries: list[Entry]) -> Life:
    return Life(tuple((entry.type, encode(entry)) for entry in entries))


def _spelled(length: timedelta) -> str:
    from lapse.domain.durations import iso_duration

    return iso_duration(length)


__all__ = ["Ask", "Life", "company", "fill", "lives"]
