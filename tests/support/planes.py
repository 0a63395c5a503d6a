"""Control planes with one or more credentials that open sessions, for the contract suite."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from fakes.authority import FakeAuthority
from fakes.control_plane import FakePlane
from lapse.control.credentials import give_credential
from lapse.control.decisions import approve
from lapse.control.grants import revoke
from lapse.control.holds import decide_hold
from lapse.control.plane import Hub, LocalPlane
from lapse.domain.errors import Unavailable
from lapse.domain.guards import GatewayRules
from lapse.domain.holds import HoldEvent
from lapse.ports import ControlPlane, Decided, Store
from support.clock import HandClock
from support.world import CATALOG, World

GATEWAY = "gw-1/0"


@dataclass
class KeptBlobs:
    """Blobs in memory."""

    there: dict[str, bytearray] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)

    async def append(self, name, offset, data):
        blob = self.there.setdefault(name, bytearray())
        blob[offset:] = data

    async def remove(self, name):
        if name in self.stuck:
            raise Unavailable("a recording cannot be removed: input/output error")
        self.there.pop(name, None)


@dataclass
class OnFake:
    """The plane that gateways' own tests use."""

    plane: ControlPlane
    clock: HandClock

    async def credential(self, *, single_use: bool = False):
        number = len(self.plane.allowed)
        return self.plane.allow(
            f"alice.pg-prod.{number}", verifier="v", single_use=single_use, life=timedelta(hours=2)
        ).credential

    async def revoke(self, session):
        for allowed in self.plane.allowed.values():
            if allowed.credential.grant_id == session.grant_id:
                allowed.credential = replace(allowed.credential, revoked_at=self.clock.now())
        self.plane.cut(session.id, by="")

    async def session(self, session_id):
        return self.plane.sessions[session_id]

    async def decide(self, hold, *, allow):
        event = HoldEvent.ALLOW if allow else HoldEvent.REFUSE
        decided = hold.after(event, at=self.clock.now(), by="bob")
        self.plane.tell(self.plane.sessions[hold.session_id].gateway, Decided(hold=decided))
        return decided


@dataclass
class OnStore:
    """The real one, on a store, with a small company whose Alice has access."""

    plane: ControlPlane
    clock: HandClock
    world: World
    grant_id: str

    async def credential(self, *, single_use: bool = False):
        control, alice = self.world.control, self.world.actor("alice")
        return (await give_credential(control, alice, self.grant_id, single_use=single_use)).credential

    async def revoke(self, session):
        await revoke(self.world.control, self.world.admin(), session.grant_id, "no longer needed")

    async def session(self, session_id):
        return await self.world.read(lambda reader: reader.session(session_id))

    async def decide(self, hold, *, allow):
        return await decide_hold(self.world.control, self.world.actor("olga"), hold.id, allow=allow)


async def gateway_world(store: Store | None = None, rules: GatewayRules | None = None) -> OnStore:
    """Alice has `pg-prod/reader` for two hours, and lapse an authority."""
    resource = replace(CATALOG.resources["pg-prod"], gateway=rules or GatewayRules())
    world = await World.create(store, catalog=replace(CATALOG, resources={"pg-prod": resource}))
    hub = Hub()

    def wake():
        world.enforcer.wake()
        hub.wake()

    world.control = replace(world.control, authority=FakeAuthority(world.clock.now), wake=wake)
    request = await world.ask("alice")
    await approve(world.control, world.actor("carol"), request.id)
    await world.enforcer.tick()
    (grant,) = await world.grants(request_id=request.id)
    plane = LocalPlane(world.control, hub, blobs=KeptBlobs())
    return OnStore(plane, world.clock, world, grant.id)


async def fake_world() -> OnFake:
    """The fake of the gateways' tests."""
    clock = HandClock()
    return OnFake(FakePlane(clock), clock)
