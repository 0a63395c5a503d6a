"""`ports.ControlPlane` beside the store. Served to gateways in this process, and over HTTP to those elsewhere.

Cuts are found by looking at the store, not by remembering what was said: a gateway that follows its orders is told of
every session that must end, whoever ended it and in whatever process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from lapse.control.context import Control
from lapse.control.credentials import authority_of
from lapse.control.gateways import beat, register_gateway
from lapse.control.holds import drop_hold, hold_statement
from lapse.control.plane.following import Following
from lapse.control.plane.hub import Hub
from lapse.control.sessions import Over, claim_of, finish_session, open_session, record_segment
from lapse.domain.access import Assignment
from lapse.domain.credentials import Credential
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.gateways import BEAT_EVERY
from lapse.domain.holds import Hold
from lapse.domain.recordings import Segment
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.ports import Admission, Attempt, Blobs, CancelQuery, Order, Reader, Upstream

LOOK_SECONDS = 0.1
"""How long a change by another process may go unseen."""


class LocalPlane:
    """Answers gateways from `control`'s store. `blobs` keeps what they ship; without it they ship nothing."""

    def __init__(self, control: Control, hub: Hub, *, blobs: Blobs | None = None) -> None:
        self._control, self._hub, self._blobs = control, hub, blobs

    async def register(self, gateway: str, protocols: Sequence[str] = ()) -> int:
        """See `ports.ControlPlane`."""
        return await register_gateway(self._control, gateway, protocols)

    async def ssh_user_ca(self) -> str:
        """See `ports.ControlPlane`."""
        return authority_of(self._control).ssh_public_key

    async def credential(self, login: str, protocol: str) -> Credential | None:
        """See `ports.ControlPlane`. A credential whose grant is not active is none."""

        async def work(reader: Reader) -> Credential | None:
            found = await reader.credential_by_login(login)
            if found is None:
                return None
            try:
                return (await claim_of(self._control, reader, found.id, protocol)).credential
            except Refused:
                return None

        return await self._control.store.read(work)

    async def admit(self, gateway: str, attempt: Attempt) -> Admission:
        """See `ports.ControlPlane`. The target is asked first, so that one that is down leaves no session behind."""
        upstream = await self._upstream(attempt)
        session, claim = await open_session(self._control, gateway, attempt)
        return Admission(
            session=session,
            native=claim.entitlement.native,
            guard=claim.entitlement.guard,
            rules=claim.rules,
            upstream=upstream,
            recording_key=recording_key(self._control, session.id),
        )

    async def finish(
        self, session_id: str, reason: SessionEnd, at: datetime, use: SessionUse, *, recorded: bool, by: str = ""
    ) -> None:
        """See `ports.ControlPlane`."""
        over = Over(reason=reason, at=at, use=use, recorded=recorded, by=by)
        await finish_session(self._control, session_id, over)

    async def sealed(self, segment: Segment) -> None:
        """See `ports.ControlPlane`."""
        await record_segment(self._control, segment)

    async def ship(self, place: str, offset: int, data: bytes) -> None:
        """See `ports.ControlPlane`."""
        if self._blobs is None:
            raise Refused("this lapse keeps no recordings of other machines")
        await self._blobs.append(place, offset, data)

    async def hold(self, session_id: str, statement: str, why: str) -> Hold:
        """See `ports.ControlPlane`."""
        held = await hold_statement(self._control, session_id, statement, why)
        session = await self._control.store.read(lambda reader: reader.session(session_id))
        self._hub.asked(session.gateway, held.id)
        return held

    async def drop(self, hold_id: str) -> None:
        """See `ports.ControlPlane`."""
        await drop_hold(self._control, hold_id)

    async def cancel_elsewhere(self, process: int, key: bytes) -> None:
        """See `ports.ControlPlane`."""
        self._hub.cancel(CancelQuery(process=process, key=key))

    async def orders(self, gateway: str) -> AsyncIterator[Order]:
        """See `ports.ControlPlane`."""
        seen_at: datetime | None = None
        with self._hub.follow(gateway) as follower:
            following = Following(self._control, follower)
            follower.number = await self._number(gateway)
            while True:
                now = self._control.now()
                if seen_at is None or now - seen_at >= BEAT_EVERY:
                    was_there = await beat(self._control, gateway)
                    for order in await following.first() if seen_at is None or not was_there else ():
                        yield order
                    seen_at = now
                for order in await following.due():
                    yield order
                await follower.woken(LOOK_SECONDS)

    async def _number(self, gateway: str) -> int:
        runs = await self._control.store.read(lambda reader: reader.gateway_runs(name=gateway))
        return runs[0].number if runs else 0

    async def _upstream(self, attempt: Attempt) -> Upstream:
        """How to log in on the target: its connector knows, and may have to see to it there."""
        control = self._control

        async def work(reader: Reader) -> tuple[Assignment, str]:
            claim = await claim_of(control, reader, attempt.credential_id, attempt.protocol)
            grant = claim.grant
            assignment = Assignment(
                grant_id=grant.id, account=grant.account, native=claim.entitlement.native, ends_at=claim.deadline
            )
            return assignment, grant.resource

        assignment, resource = await control.store.read(work)
        try:
            return await control.connector(resource).upstream(assignment, authority_of(control), attempt.public_key)
        except OSError as error:
            raise Unavailable(f"the target of `{resource}` cannot be used: {error}") from None


def recording_key(control: Control, session_id: str) -> bytes:
    """The key of one session's recording: derived again whenever it is needed, and kept nowhere."""
    return authority_of(control).derive("recording", session_id)
