"""Request templates: keep, show and remove what is asked often. A template gives nothing and needs no approval.

A person's own templates are theirs, under every name they have; shared ones are kept by administrators and seen by all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from lapse.control.context import Control
from lapse.control.guards import acting_principal
from lapse.control.requests import check_bundle
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, to_data
from lapse.domain.durations import check_duration
from lapse.domain.errors import NotFound, Refused
from lapse.domain.names import check_name, check_text, shown
from lapse.domain.templates import Template
from lapse.ledger.entry import Entry
from lapse.ports import Reader, Transaction

MOST_OWN = 100
"""How many templates one person keeps."""

_LONGEST_DESCRIPTION = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTemplate:
    """What is kept. A `shared` one is for everybody."""

    name: str
    entitlements: tuple[str, ...]
    duration: timedelta
    justification: str = ""
    ticket_system: str = ""
    description: str = ""
    shared: bool = False


async def put_template(control: Control, actor: Actor, wanted: NewTemplate) -> Template:
    """Keep a template, or change one's own.

    Raises:
        Refused: the name is somebody else's, or the actor keeps too many; shared ones take an administrator.
        NotFound: an entitlement is not in the catalog.
    """
    actor.require(Scope.ADMIN if wanted.shared else Scope.REQUEST)

    async def work(tx: Transaction) -> Template:
        catalog = await tx.catalog()
        template = _made(control, actor, wanted, catalog)
        known = {one.name: one for one in await tx.templates()}
        before = known.get(template.name)
        _refuse_taken(before, template, catalog)
        if before is None:
            _refuse_too_many(known.values(), template, catalog)
        kept = template if before is None else replace(template, created_at=before.created_at)
        await tx.put_template(kept)
        await tx.append([_entry(before, kept, control, actor)])
        return kept

    return await control.store.write(work)


async def list_templates(control: Control, actor: Actor) -> list[Template]:
    """The actor's own and the shared ones; for auditors and administrators all."""
    actor.require(Scope.REQUEST, Scope.AUDIT, Scope.ADMIN)

    async def work(reader: Reader) -> list[Template]:
        catalog = await reader.catalog()
        return [one for one in await reader.templates() if _sees(actor, one, catalog)]

    return await control.store.read(work)


async def template_called(reader: Reader, actor: Actor, name: str) -> Template:
    """The template that the actor means by `name`; one that is not theirs does not exist for them."""
    found = await reader.template(name)
    if not _sees(actor, found, await reader.catalog()):
        raise NotFound(f"there is no template `{shown(name)}`", hint="`lapse template list` shows yours")
    return found


async def remove_template(control: Control, actor: Actor, name: str) -> Template:
    """Keep a template no longer. Requests that came from it are untouched."""
    actor.require(Scope.REQUEST, Scope.ADMIN)

    async def work(tx: Transaction) -> Template:
        found = await template_called(tx, actor, name)
        if Scope.ADMIN not in actor.scopes and not _owns(actor.name, found, await tx.catalog()):
            raise Refused(f"template `{name}` is shared", hint="an administrator can remove it")
        await tx.remove_template(name)
        await tx.append([_entry(found, None, control, actor)])
        return found

    return await control.store.write(work)


def _made(control: Control, actor: Actor, wanted: NewTemplate, catalog: Catalog) -> Template:
    check_bundle(wanted.entitlements)
    owner = "" if wanted.shared else acting_principal(actor, catalog).name
    return Template(
        name=check_name(wanted.name, what="template name"),
        owner=owner,
        entitlements=tuple(catalog.entitlement(name).name for name in wanted.entitlements),
        duration=check_duration(wanted.duration),
        created_by=actor.name,
        created_at=control.now(),
        justification=check_text(wanted.justification, what="justification"),
        ticket_system=check_text(wanted.ticket_system, what="ticket system", longest=64),
        description=check_text(wanted.description, what="description", longest=_LONGEST_DESCRIPTION),
    )


def _refuse_taken(before: Template | None, template: Template, catalog: Catalog) -> None:
    if before is None:
        return
    same = before.owner == template.owner == "" or (template.owner and _owns(template.owner, before, catalog))
    if not same:
        raise Refused(f"the name `{template.name}` is taken", hint="choose another name")


def _refuse_too_many(known: Iterable[Template], template: Template, catalog: Catalog) -> None:
    own = [one for one in known if template.owner and _owns(template.owner, one, catalog)]
    if len(own) >= MOST_OWN:
        raise Refused(f"you keep {MOST_OWN} templates already", hint="remove one with `lapse template remove NAME`")


def _owns(name: str, template: Template, catalog: Catalog) -> bool:
    return bool(template.owner) and template.owner in catalog.names_of(name)


def _sees(actor: Actor, template: Template, catalog: Catalog) -> bool:
    everything = bool(actor.scopes & {Scope.AUDIT, Scope.ADMIN})
    return everything or not template.owner or _owns(actor.name, template, catalog)


def _entry(before: Template | None, after: Template | None, control: Control, actor: Actor) -> Entry:
    what = "added" if before is None else "removed" if after is None else "changed"
    named = after or before
    return Entry(
        type=f"template.{what}",
        at=control.now(),
        actor=actor.name,
        subject=f"template:{named.name if named else ''}",
        before=_data(before),
        after=_data(after),
    )


def _data(template: Template | None) -> dict[str, Json] | None:
    data = to_data(template)
    return data if isinstance(data, dict) else None
