"""Build an `Ask` from the catalog. Called by `control` for each request and by whoever previews one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, to_data
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.principals import Principal, PrincipalKind
from lapse.domain.requests import Ticket
from lapse.policy.values import Ask, EntitlementFacts, History, PrincipalFacts, ResourceFacts, TicketFacts

_SECOND = timedelta(seconds=1)
_LONGEST = timedelta(days=999_999)
"""No policy allows as much: what is longer is refused like this, so that computing with it cannot overflow."""
_LARGEST = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8785, 3.2.2.3)."""


def ask_for(  # noqa: PLR0913  one argument a fact of the request; all but three have a default
    catalog: Catalog,
    *,
    requester: str,
    entitlement: str,
    duration: timedelta,
    at: datetime,
    beneficiary: str = "",
    total_duration: timedelta | None = None,
    is_extension: bool = False,
    break_glass: bool = False,
    justification: str = "",
    ticket: Ticket | None = None,
    starts_at: datetime | None = None,
    context: Mapping[str, object] | None = None,
    ticket_facts: TicketFacts | None = None,
    history: History | None = None,
) -> Ask:
    """The question with all facts as `catalog` has them; an empty beneficiary is the requester.

    Durations are rounded up to whole seconds (never in the asker's favour).

    Raises:
        NotFound: a name is not in the catalog.
        InvalidInput: the entitlement's name, or a context that does not fit into the ledger.
    """
    held = catalog.entitlement(entitlement)
    resource = catalog.resource(held.resource)
    asked = _whole_seconds(duration)
    facts = principal_facts(catalog, requester)
    return Ask(
        requester=facts,
        beneficiary=principal_facts(catalog, beneficiary) if beneficiary not in {"", requester} else facts,
        resource=ResourceFacts(
            name=resource.name,
            connector=resource.connector,
            title=resource.title,
            owner=resource.owner,
            tags=dict(resource.tags),
        ),
        entitlement=EntitlementFacts(name=held.name, role=held.role, title=held.title, tags=dict(held.tags)),
        duration=asked,
        total_duration=asked if total_duration is None else max(asked, _whole_seconds(total_duration)),
        at=at,
        is_extension=is_extension,
        break_glass=break_glass,
        justification=justification,
        ticket=ticket,
        starts_at=starts_at,
        context=_context_data(context or {}),
        ticket_facts=ticket_facts,
        history=history,
    )


def principal_facts(catalog: Catalog, name: str) -> PrincipalFacts:
    """What `catalog` says of the principal called `name`; `NotFound` if nothing."""
    principal = catalog.principal(name)
    person = catalog.root_of(name)
    humans = catalog.humans_behind(name)
    own = {name, person} if person else {name}
    groups = frozenset[str]().union(*map(catalog.groups_of, own))
    human_groups = groups.union(*map(catalog.groups_of, humans - own))
    return PrincipalFacts(
        name=principal.name,
        kind=str(principal.kind),
        person=person,
        display_name=principal.display_name,
        email=principal.email,
        groups=tuple(sorted(groups)),
        humans=tuple(sorted(humans)),
        human_groups=tuple(sorted(human_groups)),
        department=principal.department,
        title=principal.title,
        manager=principal.manager,
        sponsor=principal.sponsor,
        owner=principal.owner,
        active=_may_act(catalog, principal, person),
    )


def _may_act(catalog: Catalog, principal: Principal, person: str) -> bool:
    if not principal.active or not person or not catalog.principal(person).active:
        return False
    if principal.kind is PrincipalKind.AGENT:
        return catalog.person_of(principal.sponsor) is not None
    return True


def _whole_seconds(duration: timedelta) -> timedelta:
    return -(-max(-_LONGEST, min(duration, _LONGEST)) // _SECOND) * _SECOND


def _context_data(context: Mapping[str, object]) -> Mapping[str, Json]:
    try:
        data = to_data(context)
    except TypeError as error:
        raise InvalidInput(f"the context cannot be recorded: {error}") from None
    if not isinstance(data, dict):  # pragma: no cover  a mapping always becomes an object
        raise TypeError("a context is a mapping")
    for path, value in _walk("", data):
        if isinstance(value, float) or not path.isascii() or (isinstance(value, int) and abs(value) > _LARGEST):
            raise InvalidInput(
                f"the context has a value the ledger cannot hold at `{shown(path)}`",
                hint="use whole numbers, text, lists and objects with plain ASCII keys",
            )
    return data


def _walk(path: str, value: Json) -> Iterator[tuple[str, Json]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(f"{path}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(f"{path}[{index}]", item)
