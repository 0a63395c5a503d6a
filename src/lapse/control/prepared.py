"""Requests that are filled in already: from a template, or as one that was made before. What is given anew counts.

They are requests like any other: today's policy answers, with today's people, and several are a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lapse.control.context import Control
from lapse.control.guards import is_party_to
from lapse.control.questions import NewRequest
from lapse.control.requests import create_bundle
from lapse.control.templates import template_called
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Refused
from lapse.domain.requests import Recurrence, Request, Ticket
from lapse.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What is said this time; what is empty is as it was prepared. A ticket without a system is of the prepared one."""

    duration: timedelta | None = None
    justification: str = ""
    ticket: Ticket | None = None
    beneficiary: str = ""
    starts_at: datetime | None = None
    repeats: Recurrence | None = None
    break_glass: bool = False


async def ask_from_template(control: Control, actor: Actor, name: str, filling: Filling) -> Sequence[Request]:
    """Ask for everything a template names. Raises as `create_bundle`; `NotFound` for what is not the actor's."""
    actor.require(Scope.REQUEST)
    template = await control.store.read(lambda reader: template_called(reader, actor, name))
    wanted = [
        NewRequest(
            entitlement=entitlement,
            duration=filling.duration or template.duration,
            justification=filling.justification or template.justification,
            beneficiary=filling.beneficiary,
            ticket=_ticket(filling.ticket, template.ticket_system),
            starts_at=filling.starts_at,
            repeats=filling.repeats,
            break_glass=filling.break_glass,
        )
        for entitlement in template.entitlements
    ]
    return await create_bundle(control, actor, wanted)


async def ask_again(control: Control, actor: Actor, request_id: str, filling: Filling) -> Sequence[Request]:
    """Ask for the same as an earlier request, or its whole bundle, did.

    The same things, for the same time, for the same person, with the same ticket and words. A start that has passed is
    left out, more time for an old grant becomes a request of its own, and an emergency must be said to be one again.

    Raises:
        Refused: the actor had no part in the earlier request; and as `create_bundle`.
    """
    actor.require(Scope.REQUEST)
    now = control.now()

    async def earlier(reader: Reader) -> Sequence[Request]:
        found, catalog = await reader.request(request_id), await reader.catalog()
        if not is_party_to(found, actor, catalog):
            raise Refused(f"request {request_id} is not yours", hint="ask with `lapse request create`")
        return await reader.requests_in_bundle(found.bundle) if found.bundle else (found,)

    wanted = [_as_before(one, filling, now) for one in await control.store.read(earlier)]
    return await create_bundle(control, actor, wanted)


def _as_before(request: Request, filling: Filling, now: datetime) -> NewRequest:
    later = request.starts_at if request.starts_at is not None and request.starts_at > now else None
    system = request.ticket.system if request.ticket else ""
    return NewRequest(
        entitlement=request.entitlement,
        duration=filling.duration or request.requested_duration,
        justification=filling.justification or request.justification,
        beneficiary=filling.beneficiary or request.beneficiary,
        ticket=_ticket(filling.ticket, system) or request.ticket,
        starts_at=filling.starts_at or (None if filling.break_glass else later),
        repeats=filling.repeats or (None if filling.break_glass else request.repeats),
        break_glass=filling.break_glass,
    )


def _ticket(given: Ticket | None, system: str) -> Ticket | None:
    """A number alone is one of the system that was prepared."""
    return Ticket(system=given.system or system, number=given.number) if given is not None else None
