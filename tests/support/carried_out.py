"""A counter-example of a proof, carried out by the real use cases and the enforcer, on a fake target."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lapse.control.decisions import approve
from lapse.control.questions import NewRequest
from lapse.control.requests import create_request
from lapse.domain.catalog import Catalog
from lapse.domain.grants import Grant, GrantState
from lapse.domain.principals import Account, Principal
from lapse.domain.requests import Request
from lapse.domain.targets import Target
from lapse.policy.proof.results import CounterExample, Step
from support.world import World

HOUR = timedelta(hours=1)


@dataclass
class CarriedOut:
    """What really came of a counter-example: grants that were active on the target, and who agreed."""

    requests: list[Request]
    grants: list[Grant]
    persons: set[str]

    @property
    def contiguous(self) -> timedelta:
        """From the first beginning to the last end; nothing between may be a gap."""
        spans = sorted((grant.ends_at - grant.duration, grant.ends_at) for grant in self.grants)
        assert all(later[0] <= earlier[1] for earlier, later in itertools.pairwise(spans))
        return max(end for _, end in spans) - spans[0][0]


async def carried_out(example: CounterExample, policy: str) -> CarriedOut:
    """Ask, agree, wait and extend as `example` says; whatever is refused on the way raises."""
    steps, catalog = example.steps, with_accounts(example.catalog)
    world = await World.create(policy=policy, catalog=catalog)
    world.clock._now = steps[0].ask.at - HOUR
    for resource in catalog.resources:
        target = Target(
            resource=resource, connector="postgresql", dsn_ref="env:X", added_at=steps[0].ask.at, added_by="root"
        )
        await world.store.write(lambda tx, target=target: tx.put_target(target))
    done = CarriedOut([], [], set())
    for step in steps:
        await _carry_out(world, step, done)
    return done


def with_accounts(catalog: Catalog) -> Catalog:
    """The catalog as a target needs it: everybody has a login, and every role means something there."""
    resources = {
        name: replace(
            resource,
            entitlements=tuple(
                replace(one, native={"role": f"app_{one.role}", "mode": "membership"}) for one in resource.entitlements
            ),
        )
        for name, resource in catalog.resources.items()
    }
    people = {name: _with_logins(principal, resources) for name, principal in catalog.principals.items()}
    return replace(catalog, principals=people, resources=resources)


def _with_logins(principal: Principal, resources) -> Principal:
    accounts = tuple(Account(resource=resource, login=f"{principal.name}_login") for resource in resources)
    return replace(principal, accounts=accounts)


async def _carry_out(world: World, step: Step, done: CarriedOut) -> None:
    await _until(world, step.ask.at)
    request = await _ask(world, step, done)
    if step.held_from > step.ask.begins_at:
        await _until(world, step.held_from)
    for person in step.persons:
        request = await approve(world.control, world.actor(person), request.id)
        done.persons.add(person)
    await _until(world, max(step.held_from, step.ask.at))
    grant = await world.grant_of(request)
    assert grant.state is GrantState.ACTIVE, grant
    done.requests.append(request)
    done.grants.append(grant)


async def _until(world: World, at: datetime) -> None:
    """Let time pass; what is due on the way is done."""
    if at > world.clock.now():
        await world.clock.advance(at - world.clock.now())
    await world.enforcer.tick()


async def _ask(world: World, step: Step, done: CarriedOut) -> Request:
    ask, actor = step.ask, world.actor(step.ask.requester.name)
    wanted = NewRequest(
        entitlement=ask.entitlement.name,
        duration=ask.duration,
        justification=ask.justification,
        beneficiary=ask.beneficiary.name,
        ticket=ask.ticket,
        starts_at=ask.begins_at if ask.begins_at > ask.at and not ask.is_extension else None,
        extends=done.grants[-1].id if ask.is_extension else None,
        break_glass=step.break_glass,
    )
    return await create_request(world.control, actor, wanted)
