"""Histories of the gateway's side on a store that sometimes fails, and what must be true after every step of one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from fakes.store import FakeStore
from lapse.control.credentials import give_credential, revoke_credential
from lapse.control.decisions import approve
from lapse.control.gateways import beat, lose_silent_gateways, register_gateway
from lapse.control.grants import release, revoke
from lapse.control.holds import decide_hold, drop_hold, expire_holds, hold_statement
from lapse.control.locks import lock, unlock
from lapse.control.sessions import (
    Over,
    cuts_for,
    cuts_of_lost,
    finish_session,
    kill_session,
    lose_overdue_sessions,
    open_session,
)
from lapse.domain.errors import Conflict, LapseError, NotFound, Refused, Unavailable
from lapse.domain.grants import GrantState
from lapse.domain.guards import GatewayRules
from lapse.domain.holds import HoldState
from lapse.domain.locks import LockKind
from lapse.domain.sessions import Session, SessionEnd, SessionState, SessionUse
from lapse.ports import Attempt, Page
from support.planes import OnStore, gateway_world
from support.shaky import ShakyStore

ALL = Page(limit=10_000, newest_first=False)
RULES = GatewayRules(sessions=4, sessions_per_principal=3)
PEOPLE = ("alice", "dave", "bot")
GATEWAYS = ("gw-1/0", "gw-1/1")
REFUSALS = (Refused, Conflict, NotFound, Unavailable)


@dataclass
class Story:
    """One history. `seen` is every session as it was when it was last looked at."""

    lapse: OnStore
    chance: Random
    credentials: list[str] = field(default_factory=list)
    seen: dict[str, Session] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)

    @property
    def control(self):
        return self.lapse.world.control

    @property
    def world(self):
        return self.lapse.world

    def actor(self, *names):
        return self.world.actor(self.chance.choice(names))

    async def one_of(self, read, **filters):
        found = await self.world.read(lambda reader: getattr(reader, read)(ALL, **filters))
        return self.chance.choice(found) if found else None


async def ask(story):
    request = await story.world.ask(story.chance.choice(PEOPLE), hours=story.chance.choice([1, 2, 4]))
    await approve(story.control, story.world.actor("carol"), request.id)
    await story.world.enforcer.tick()


async def give(story):
    grant = await story.one_of("grants", states=[GrantState.ACTIVE]) or await story.one_of("grants")
    if grant is None:
        return
    actor = story.actor(*[grant.beneficiary] * 4, *PEOPLE)
    given = await give_credential(story.control, actor, grant.id, single_use=story.chance.random() < 1 / 3)
    story.credentials.append(given.credential.id)


async def take_back(story):
    if story.credentials:
        await revoke_credential(story.control, story.world.admin(), story.chance.choice(story.credentials))


async def admit(story):
    if not story.credentials:
        return
    attempt = Attempt(
        credential_id=story.chance.choice(story.credentials[-story.chance.randint(1, 9) :]),
        protocol="postgresql",
        client="192.0.2.7:5",
        session_id=f"ses_{story.chance.randrange(200):03}",
    )
    locks = await story.world.read(lambda reader: reader.locks())
    session, _ = await open_session(story.control, story.chance.choice(GATEWAYS), attempt)
    grant = await story.world.grant(session.grant_id)
    assert grant.state is GrantState.ACTIVE
    assert session.started_at == story.lapse.clock.now() < grant.ends_at
    assert not [one for one in locks if one.target == session.principal], "a lock was in force"


async def finish(story):
    session = await story.one_of("sessions")
    if session is not None:
        reason = story.chance.choice([SessionEnd.CLIENT, SessionEnd.REVOKED, SessionEnd.FAILED])
        use = SessionUse(statements=story.chance.randrange(9))
        at = story.lapse.clock.now() - timedelta(minutes=story.chance.randrange(90))
        await finish_session(story.control, session.id, Over(reason=reason, at=at, use=use, recorded=True))


async def kill(story):
    session = await story.one_of("sessions")
    if session is not None:
        await kill_session(story.control, story.world.admin(), session.id, "runs away")


async def end_grant(story):
    grant = await story.one_of("grants", states=[GrantState.ACTIVE])
    if grant is not None and story.chance.random() < 1 / 2:
        await revoke(story.control, story.world.admin(), grant.id, "no longer needed")
    elif grant is not None:
        await release(story.control, story.actor(*PEOPLE), grant.id)


async def set_lock(story):
    await lock(story.control, story.world.admin(), LockKind.PRINCIPAL, story.chance.choice(PEOPLE), "laptop stolen")


async def lift_lock(story):
    for one in await story.world.read(lambda reader: reader.locks()):
        await unlock(story.control, story.world.admin("root2"), one.id)


async def hold(story):
    session = await story.one_of("sessions", states=[SessionState.OPEN])
    if session is not None:
        await hold_statement(story.control, session.id, "DELETE FROM orders", "deletes need approval")


async def decide(story):
    one = await story.one_of("holds", states=[HoldState.WAITING]) or await story.one_of("holds")
    if one is not None:
        actor = story.actor("olga", "olga", "olga", "alice", "bob", "dave", "alice-admin")
        await decide_hold(story.control, actor, one.id, allow=story.chance.random() < 1 / 2)


async def drop(story):
    one = await story.one_of("holds")
    if one is not None:
        await drop_hold(story.control, one.id)


async def follow(story):
    await beat(story.control, story.chance.choice(GATEWAYS))


async def begin_anew(story):
    await register_gateway(story.control, story.chance.choice(GATEWAYS))


async def housekeep(story):
    await expire_holds(story.control)
    await lose_silent_gateways(story.control)
    await lose_overdue_sessions(story.control)


async def wait(story):
    await story.lapse.clock.advance(timedelta(seconds=story.chance.choice([1, 20, 60, 100, 1_000, 4_000])))
    await story.world.enforcer.tick()


STEPS = {
    ask: 3, give: 6, take_back: 1, admit: 14, finish: 4, kill: 2, end_grant: 1, set_lock: 1, lift_lock: 3,
    hold: 6, decide: 6, drop: 1, follow: 6, begin_anew: 1, housekeep: 2, wait: 3,
}  # fmt: skip
MAY_FAIL = frozenset(STEPS) - {ask, wait}


async def tell(chance: Random, count: int) -> Story:
    """A history of `count` steps, looked at after each; at its end everything is over."""
    story = Story(await gateway_world(ShakyStore(FakeStore()), RULES), chance)
    for name in GATEWAYS:
        await register_gateway(story.control, name)
    for step in chance.choices(list(STEPS), list(STEPS.values()), k=count):
        fate = chance.choices(["fine", "lost", "unheard"], [8, 1, 1])[0] if step in MAY_FAIL else "fine"
        story.world.store.fate.append(fate)
        try:
            await step(story)
        except REFUSALS as error:
            story.happened[f"{step.__name__}: {type(error).__name__}"] += 1
        except LapseError as error:
            raise AssertionError(f"{step.__name__} failed: {error}") from error
        story.world.store.fate.clear()
        await check(story)
    await story.lapse.clock.advance(timedelta(days=3))
    await story.world.enforcer.tick()
    await housekeep(story)
    await check(story)
    assert not await story.one_of("sessions", states=[SessionState.OPEN])
    assert not await story.one_of("holds", states=[HoldState.WAITING])
    story.happened.update(entry.type for entry in story.world.store._store.recorded)
    return story


async def check(story: Story) -> None:
    """What is true at any time."""
    read = story.world.read
    sessions = await read(lambda reader: reader.sessions(ALL))
    grants = {grant.id: grant for grant in await read(lambda reader: reader.grants(ALL))}
    entries = Counter((entry.subject, entry.type) for entry in story.world.store._store.recorded)
    for session in sessions:
        assert session.deadline == grants[session.grant_id].ends_at, "a session ends with its grant"
        assert session.started_at < session.deadline
        told = [entries[session.id, kind] for kind in ("session.opened", "session.ended", "session.found")]
        assert told[:2] == [1, int(session.state is SessionState.ENDED)], "each change is in the ledger, once"
        _check_end(session, story.seen.get(session.id), found=told[2])
    _check_limits(sessions)
    await _check_cuts(story, sessions, grants)
    await _check_holds(story, {session.id: session for session in sessions})
    story.seen = {session.id: session for session in sessions}


def _check_end(session, before, *, found):
    if session.state is SessionState.OPEN:
        assert before is None or before.state is SessionState.OPEN, "ended is ended"
        return
    assert session.ended_at >= session.started_at
    if session.end_reason is SessionEnd.LOST:
        assert session.ended_at <= session.deadline
    if before is not None and before.state is SessionState.ENDED and before.end_reason is not SessionEnd.LOST:
        assert session == before, "what is known of an end stays"
    assert found <= 1
    assert session.version >= (before.version if before else 0)


def _check_limits(sessions):
    held = Counter(one.principal for one in sessions if one.state is SessionState.OPEN)
    assert held.total() <= RULES.sessions
    assert all(count <= RULES.sessions_per_principal for count in held.values())


async def _check_cuts(story, sessions, grants):
    """Whatever is open and may not be is to be cut; what is lost and may still run, too."""
    now = story.lapse.clock.now()
    for name in GATEWAYS:
        mine = [one for one in sessions if one.gateway == name]
        cuts = await story.world.read(lambda reader, name=name: cuts_for(reader, name))
        ended = {s.id for s in mine if s.must_end or grants[s.grant_id].state is not GrantState.ACTIVE}
        assert {cut.session_id for cut in cuts} == ended & {s.id for s in mine if s.state is SessionState.OPEN}
        lost = await story.world.read(lambda reader, name=name: cuts_of_lost(reader, name, now))
        may_run = {s.id for s in mine if s.end_reason is SessionEnd.LOST and s.deadline > now}
        assert {cut.session_id for cut in lost} == may_run


async def _check_holds(story, sessions):
    catalog = await story.world.read(lambda reader: reader.catalog())
    credentials = Counter(one.credential_id for one in sessions.values())
    for name, count in credentials.items():
        credential = await story.world.read(lambda reader, name=name: reader.credential(name))
        assert count == 1 or not credential.single_use, "single use is one session"
    for one in await story.world.read(lambda reader: reader.holds(ALL)):
        assert one.expires_at <= sessions[one.session_id].deadline
        behind = catalog.humans_behind(one.principal)
        assert not behind & set(one.approvers)
        if one.state in {HoldState.ALLOWED, HoldState.REFUSED}:
            assert catalog.person_of(one.decided_by) in set(one.approvers) - behind
