"""Recordings, read: by those who may see them, checked against what was recorded of them, each reading on record.

A recording is read from its first byte; a session that is still open can be followed. Called by entry points.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from lapse.control.context import Control
from lapse.control.credentials import authority_of
from lapse.control.guards import refuse_locked_actor
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json
from lapse.domain.errors import Corrupt, NotFound
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session, SessionState
from lapse.ledger.entry import Entry
from lapse.ports import Blobs, Reader, Transaction
from lapse.protocols.recording import Frame, Opener

CHUNK = 1 << 20
FOLLOW_SECONDS = 0.25
"""How often a session that is followed is looked at."""

_SEES = frozenset({Scope.ADMIN, Scope.AUDIT, Scope.REVIEW})


async def open_recording(control: Control, actor: Actor, session_id: str, *, why: str = "") -> Session:
    """The session whose recording `actor` is about to read; that they do is on record before this returns.

    Raises:
        NotFound: there is no such session, for this actor.
    """

    async def work(tx: Transaction) -> Session:
        await refuse_locked_actor(tx, actor)
        session, catalog = await tx.session(session_id), await tx.catalog()
        if not _may_read(session, actor, catalog):
            raise NotFound(f"there is no session `{session_id}`")
        context: dict[str, Json] = {"why": why} if why else {}
        entry = Entry(type="recording.read", at=control.now(), actor=actor.name, subject=session.id, context=context)
        await tx.append([entry])
        return session

    return await control.store.write(work)


async def read_frames(
    control: Control, blobs: Blobs, session: Session, *, follow: bool = False
) -> AsyncIterator[Frame]:
    """The frames of a recording in order; with `follow`, on until the session is over.

    Raises:
        NotFound: nothing was recorded, or it was removed since.
        Corrupt: it is not what was written, or not what the ledger says of it.
    """
    opener = Opener(authority_of(control).derive("recording", session.id), session.id)
    number = 0
    while True:
        opener.segment(number)
        reading = _Reading(control, blobs, session, number)
        async for data in reading.pieces(opener, follow=follow):
            for frame in opener.feed(data):
                yield frame
        if not await reading.goes_on(opener):
            return
        number += 1


@dataclass
class _Reading:
    """One segment of one recording."""

    control: Control
    blobs: Blobs
    session: Session
    number: int
    read: int = 0

    async def pieces(self, opener: Opener, *, follow: bool) -> AsyncIterator[bytes]:
        """Its bytes; at the end they are what was sealed, if it was."""
        digest = hashlib.sha256()
        while True:
            data = await self._more()
            if data:
                digest.update(data)
                self.read += len(data)
                yield data
                continue
            if opener.ended or not follow or await self._is_over():
                break
            await asyncio.sleep(FOLLOW_SECONDS)
        await self._check(digest.hexdigest(), torn=not opener.ended)

    async def goes_on(self, opener: Opener) -> bool:
        """Whether another segment follows."""
        if not opener.ended:
            return False
        known = await self._segment(self.number)
        if known is not None:
            return not known.last
        return bool(await self._there(self.number + 1))

    async def _more(self) -> bytes:
        try:
            return await self.blobs.read(self._place(self.number), self.read, CHUNK)
        except NotFound:
            known = await self._segment(self.number)
            if known is not None and known.removed_at is not None:
                raise NotFound(f"the recording of {self.session.id} was removed at {known.removed_at:%F %R}") from None
            if self.number or self.session.state is SessionState.OPEN:
                return b""
            raise NotFound(f"nothing was recorded of {self.session.id} here") from None

    async def _there(self, number: int) -> bytes:
        try:
            return await self.blobs.read(self._place(number), 0, 1)
        except NotFound:
            return b""

    async def _is_over(self) -> bool:
        """The session is over, and there is nothing more of this segment."""
        now = await self.control.store.read(lambda reader: reader.session(self.session.id))
        known = await self._segment(self.number)
        return now.state is not SessionState.OPEN and (known is None or known.bytes <= self.read)

    async def _check(self, digest: str, *, torn: bool) -> None:
        known = await self._segment(self.number)
        if known is None:
            return
        if known.sha256 != digest or (torn and not known.torn):
            raise Corrupt(
                f"piece {self.number} of the recording of {self.session.id} is not the one on record",
                hint="it was changed since it was sealed; the ledger has the hash of what was written",
            )

    async def _segment(self, number: int) -> Segment | None:
        async def work(reader: Reader) -> Segment | None:
            found = await reader.segments(self.session.id)
            return next((one for one in found if one.number == number), None)

        return await self.control.store.read(work)

    def _place(self, number: int) -> str:
        return f"{self.session.resource}/{self.session.id}/{number}"


def _may_read(session: Session, actor: Actor, catalog: Catalog) -> bool:
    """Whoever reviews or administers, the resource's owners, and those whose session it was."""
    if actor.scopes & _SEES or actor.name in catalog.everyone_behind(session.principal):
        return True
    resource = catalog.resources.get(session.resource)
    owners = catalog.persons_in(resource.owner) if resource is not None and resource.owner else frozenset[str]()
    return catalog.person_of(actor.name) in owners
