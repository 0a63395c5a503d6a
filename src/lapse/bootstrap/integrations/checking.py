"""Tries every integration out: looks a ticket up, asks who is on call, reads exports, sends a test notice.

Called by `lapse integration check` through the API. Nothing is changed, but with `send_to` somebody is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lapse.bootstrap.app import App
from lapse.bootstrap.integrations.setting_up import FILE, Integrations, Way
from lapse.domain.errors import LapseError, NotFound
from lapse.domain.names import shown
from lapse.domain.notices import Notice, NoticeKind, Posting
from lapse.domain.requests import Ticket
from lapse.domain.terms import Stage
from lapse.policy.patterns import ON_CALL
from lapse.policy.values import TicketStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """One thing that is set up, or should be: `part` is tickets, rotas or notices; `problem` why it cannot be used."""

    part: str
    name: str
    kind: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What trying one integration out showed."""

    part: str
    name: str
    ok: bool
    detail: str


def listed(integrations: Integrations) -> Sequence[Integration]:
    """Everything in the file of integrations."""
    settings = integrations.settings
    parts = (("tickets", settings.tickets), ("rotas", settings.rotas), ("notices", settings.ways))
    whole = [Integration(part="file", name=FILE, kind="yaml", problem=mistake) for mistake in integrations.mistakes]
    return whole + [
        Integration(part=part, name=one.name, kind=one.kind, problem=integrations.broken.get((part, one.name), ""))
        for part, named in parts
        for one in named
    ]


async def check(app: App, ticket: Ticket | None, *, send_to: str = "") -> Sequence[Checked]:
    """Try everything out. With `send_to`, a principal's name, a test notice goes out by every way.

    Raises:
        NotFound: `ticket` is of a system that is not set up.
    """
    found = app.integrations
    names = [one.name for one in found.settings.tickets]
    if ticket is not None and ticket.system not in names:
        raise NotFound(
            f"there is no ticket system `{shown(ticket.system)}`", hint="`lapse integration list` shows those set up"
        )
    whole = [Checked(part="file", name=FILE, ok=False, detail=problem) for problem in found.mistakes]
    systems = [_system(app, name, ticket) for name in names]
    rotas = [_rota(app, name) for name in found.rotas.names]
    ways = [_way(app, one.name, send_to) for one in found.settings.ways]
    return [*whole, *await asyncio.gather(*systems, *rotas, *ways), *await _missing(app)]


async def _missing(app: App) -> Sequence[Checked]:
    """Rotas and ticket systems that the policy in force names, and nobody set up."""
    version = await app.store.read(lambda reader: reader.active_policy())
    if version is None:
        return []
    policy, found = app.control.policies.parsed(version), app.integrations
    needs = [rule.needs for rule in policy.offers] + [rule.needs for rule in policy.limits]
    parties = {party for need in needs for stage in need.stages for party in _parties(stage)}
    rotas = {party.partition(":")[2] for party in parties if party.startswith(f"{ON_CALL}:")}
    systems = {
        name for need in needs if need.ticket is not None and need.ticket.checked for name in need.ticket.systems
    }
    absent = [("rotas", name) for name in sorted(rotas - set(found.rotas.names))]
    absent += [("tickets", name) for name in sorted(systems - set(found.tickets.systems))]
    detail = "the policy in force names it, and it is not set up"
    return [Checked(part=part, name=name, ok=False, detail=detail) for part, name in absent]


def _parties(stage: Stage) -> Sequence[str]:
    return [*stage.approvers, *(party for step in stage.escalations for party in step.approvers)]


async def _system(app: App, name: str, ticket: Ticket | None) -> Checked:
    lookups = app.integrations.tickets
    if ticket is not None and ticket.system == name:
        facts = await lookups.ask_now(ticket)
        said = f"`{shown(ticket.number)}` is {facts.status}" + (f" ({facts.detail})" if facts.detail else "")
        return Checked(part="tickets", name=name, ok=facts.status is not TicketStatus.UNREACHABLE, detail=said)
    try:
        return Checked(part="tickets", name=name, ok=True, detail=await lookups.summary(name))
    except LapseError as error:
        return Checked(part="tickets", name=name, ok=False, detail=error.message)


async def _rota(app: App, name: str) -> Checked:
    try:
        found = await app.integrations.rotas.ask_now(name, app.clock.now())
    except LapseError as error:
        return Checked(part="rotas", name=name, ok=False, detail=error.message)
    people = ", ".join(sorted(found.principals)) or "nobody"
    unknown = f"; not in the catalog: {', '.join(found.unknown)}" if found.unknown else ""
    return Checked(part="rotas", name=name, ok=not found.unknown, detail=f"on call now: {people}{unknown}")


async def _way(app: App, name: str, send_to: str) -> Checked:
    way = next((one for one in app.integrations.ways if one.name == name), None)
    if way is None:
        why = app.integrations.broken.get(("notices", name), "it is not set up")
        return Checked(part="notices", name=name, ok=False, detail=why)
    if not send_to:
        return Checked(part="notices", name=name, ok=True, detail="set up; `--send` sends a test")
    return await _sent(app, way, send_to)


async def _sent(app: App, way: Way, to: str) -> Checked:
    """Straight, not through the outbox: whoever checks wants to see now whether it works."""
    text = "If you can read this, notices of lapse reach you this way."
    notice = Notice(kind=NoticeKind.TEST, subject="test", to=(to,), text=text, at=app.clock.now())
    posting = Posting(id=app.control.new_id("not"), notice=notice, due_at=notice.at)
    places = way.places(notice, await app.store.read(lambda reader: reader.catalog()))
    if not places.reached:
        detail = f"no address of `{shown(to)}` is known"
        return Checked(part="notices", name=way.name, ok=False, detail=detail)
    try:
        for place in places.reached:
            await way.send(posting, place)
    except LapseError as error:
        return Checked(part="notices", name=way.name, ok=False, detail=error.message)
    return Checked(part="notices", name=way.name, ok=True, detail=f"sent to {', '.join(places.reached)}")
