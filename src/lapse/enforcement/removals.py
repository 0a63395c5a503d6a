"""Carry out what reviewers decided to take away, read it back, and record it on the item.

Level-triggered: a removal is done when it says so, and not before the target was seen to refuse; so a crash or a target
that is away delays it and never loses it. What was standing access can be given back until its time is over. Called by
the server's clock for what is due, and right after a decision for one review.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lapse.domain.access import Applied, Assignment, Failed
from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError
from lapse.domain.grants import LIVE, GrantState
from lapse.domain.removals import GIVEN_BACK, MANUAL, OPEN, Removal, RemovalEvent, RemovalState
from lapse.domain.reviews import Item
from lapse.domain.targets import Drift, DriftKind
from lapse.enforcement.backoff import next_attempt
from lapse.enforcement.parts import ACTOR, Parts
from lapse.ledger.entry import changed
from lapse.ports import Reader, Transaction

_BATCH = 500


async def carry_out_due(parts: Parts) -> int:
    """Take the next step of every removal for which it is time; returns how many were worked on."""
    now = parts.clock.now()
    due = await parts.store.read(lambda reader: reader.removals_due(now, _BATCH))
    return len(await _steps(parts, due))


async def carry_out_review(parts: Parts, review_id: str) -> list[Removal]:
    """Take the next step now of everything that one review decided to take away at once; returns what became of it."""
    now = parts.clock.now()
    found = await parts.store.read(lambda reader: reader.removals())
    waiting = [one for one in found if one.review_id == review_id and one.state in OPEN and _at_once(one, now)]
    return await _steps(parts, waiting)


def _at_once(removal: Removal, now: datetime) -> bool:
    """Failures are tried again, however long they would wait; what is to come later is left alone."""
    return removal.due_at <= now or (removal.attempts > 0 and removal.state is not RemovalState.TAKEN)


async def _steps(parts: Parts, removals: Sequence[Removal]) -> list[Removal]:
    done = [await _follow_grant(parts, one) for one in removals if one.grant_id]
    standing = [one for one in removals if not one.grant_id]
    for state, step in _STEPS.items():
        for resource in sorted({one.resource for one in standing if one.state is state}):
            together = [one for one in standing if one.state is state and one.resource == resource]
            done += await step(parts, resource, together)
    return done


async def _follow_grant(parts: Parts, removal: Removal) -> Removal:
    """The enforcer ends the grant by itself; the removal is done when the grant is."""
    grant = await parts.store.read(lambda reader: reader.grant(removal.grant_id))
    if grant.state is GrantState.ENDED:
        return await _record(parts, removal, _settled, _Said("grant ended and read back", grant.ended_at, timed=True))
    why = grant.last_error or f"grant is {grant.state.replace('_', ' ')}"
    return await _record(parts, removal, _failed(why), _Said(why))


async def _take(parts: Parts, resource: str, removals: Sequence[Removal]) -> list[Removal]:
    catalog = await parts.store.read(lambda reader: reader.catalog())
    natives = _natives(catalog, resource)
    done = []
    for one in removals:
        note = _unmanaged(one, natives)
        if note:
            done.append(await _record(parts, one, _failed(note), _Said(note)))
        else:
            done.append(await _take_one(parts, one, natives))
    return done


def _unmanaged(removal: Removal, natives: dict[str, dict[str, str]]) -> str:
    """Why lapse cannot carry this out, if it cannot: the catalog does not know one of its roles (any more)."""
    if removal.role not in natives:
        return f"not managed by lapse on {removal.resource}: {MANUAL}"
    if removal.instead and removal.instead not in natives:
        return f"`{removal.instead}` is not managed by lapse on {removal.resource}: add it to the catalog, or undo this"
    return ""


async def _take_one(parts: Parts, removal: Removal, natives: dict[str, dict[str, str]]) -> Removal:
    """First what replaces it, then away with it. What it was is on record before, so that it can be given back."""
    connector = parts.connector(removal.resource)
    try:
        wide = _assignment(removal, natives[removal.role], parts.clock.now())
        narrow = [_assignment(removal, natives[removal.instead], parts.clock.now())] if removal.instead else []
        if removal.held is None:
            seen = [one.held for one in await connector.look([wide, *narrow])]
            removal = await _record(parts, removal, lambda one, _at: _looked(one, *seen), _Said())
        if narrow:
            given = await connector.apply(narrow)
            if isinstance(given[0], Failed):
                return await _record(parts, removal, _failed(given[0].error), _Said(f"failed: {given[0].error}"))
        outcome = (await connector.remove([wide]))[0]
    except LapseError as error:
        return await _record(parts, removal, _failed(error.message), _Said(f"failed: {error.message}"))
    parts.on_step("removal.taken")
    if isinstance(outcome, Failed):
        return await _record(parts, removal, _failed(outcome.error), _Said(f"failed: {outcome.error}"))
    return await _record(parts, removal, _taken, _Said("; ".join(outcome.proof), outcome.refused_at, timed=True))


def _looked(removal: Removal, held: bool, instead_held: bool | None = None) -> Removal:
    return removal.looked(held=held, instead_held=instead_held)


async def _settle(parts: Parts, _resource: str, removals: Sequence[Removal]) -> list[Removal]:
    return [await _record(parts, one, _settled, _Said()) for one in removals]


async def _give_back(parts: Parts, resource: str, removals: Sequence[Removal]) -> list[Removal]:
    natives = _natives(await parts.store.read(lambda reader: reader.catalog()), resource)
    return [await _give_back_one(parts, one, natives) for one in removals]


async def _give_back_one(parts: Parts, removal: Removal, natives: dict[str, dict[str, str]]) -> Removal:
    try:
        if removal.held and removal.taken_at is not None:
            native = natives.get(removal.role, {"role": removal.role})
            outcomes = await parts.connector(removal.resource).apply([_assignment(removal, native, parts.clock.now())])
            if not isinstance(outcomes[0], Applied):
                return await _record(parts, removal, _failed(outcomes[0].error), _Said())
        if removal.instead_held is False and not await _needed(parts, removal):
            native = natives.get(removal.instead, {"role": removal.instead})
            gone = await parts.connector(removal.resource).remove([_assignment(removal, native, parts.clock.now())])
            if isinstance(gone[0], Failed):
                return await _record(parts, removal, _failed(gone[0].error), _Said())
    except LapseError as error:
        return await _record(parts, removal, _failed(error.message), _Said())
    return await _record(parts, removal, _returned, _Said(GIVEN_BACK, timed=True))


async def _needed(parts: Parts, removal: Removal) -> bool:
    """Whether a grant gives the narrower role by now: then it is not taken away with the narrowing."""

    async def work(reader: Reader) -> bool:
        native = {
            e.name: e.native.get("role") for e in (await reader.catalog()).resource(removal.resource).entitlements
        }
        grants = await reader.grants_of_accounts(removal.resource, {removal.account})
        return any(one.state in LIVE and native.get(one.entitlement) == removal.instead for one in grants)

    return await parts.store.read(work)


def _natives(catalog: Catalog, resource: str) -> dict[str, dict[str, str]]:
    return {e.native.get("role", ""): dict(e.native) for e in catalog.resource(resource).entitlements}


def _assignment(removal: Removal, native: dict[str, str], now: datetime) -> Assignment:
    return Assignment(
        grant_id=removal.id, account=removal.account, native={**native, "mode": "membership"}, ends_at=now
    )


_Change = Callable[[Removal, datetime], Removal]


def _taken(removal: Removal, at: datetime) -> Removal:
    return removal.after(RemovalEvent.TAKE, at=at)


def _settled(removal: Removal, at: datetime) -> Removal:
    return removal.after(RemovalEvent.SETTLE, at=at)


def _returned(removal: Removal, at: datetime) -> Removal:
    return removal.after(RemovalEvent.RETURN, at=at)


def _failed(error: str) -> _Change:
    return lambda removal, at: removal.failed(error, again_at=next_attempt(at, removal.attempts))


@dataclass(frozen=True, slots=True)
class _Said:
    """What an item says afterwards; None leaves its `outcome`, without `timed` it keeps when it was carried out."""

    outcome: str | None = None
    at: datetime | None = None
    timed: bool = False


async def _record(parts: Parts, removal: Removal, change: _Change, said: _Said) -> Removal:
    """The removal after `change`, and on its item what came of it, in one transaction."""
    at = parts.clock.now()

    async def work(tx: Transaction) -> Removal:
        current = await tx.removal(removal.id)
        if current.state is not removal.state:
            return current
        after = change(current, at)
        await tx.save_removals([after])
        if after.state is not current.state:
            await tx.append([changed(f"removal.{after.state}", current, after, after.id, at=at, actor=ACTOR)])
        if after.state is RemovalState.RETURNED and after.held and not await _known(tx, after):
            await tx.put_drifts([_standing(after, at)])
        await _note(tx, after, said, at)
        return after

    return await parts.store.write(work)


async def _note(tx: Transaction, removal: Removal, said: _Said, at: datetime) -> None:
    """Nothing is written when the item says so already."""
    current: Item = await tx.item(removal.id)
    done = said.at if said.timed else current.carried_out_at
    outcome = current.outcome if said.outcome is None else said.outcome
    if (current.carried_out_at, current.outcome) == (done, outcome):
        return
    after = replace(current, carried_out_at=done, outcome=outcome, version=current.version + 1)
    kind = "review.carried_out" if after.carried_out_at else "review.not_carried_out"
    await tx.save_item(after)
    await tx.append([changed(kind, current, after, after.id, at=at, actor=ACTOR)])


async def _known(tx: Transaction, removal: Removal) -> bool:
    """Whether it is listed still: taken away and given back between two reads of the target."""
    listed = await tx.drifts(resource=removal.resource)
    return any((one.account, one.role) == (removal.account, removal.role) for one in listed)


def _standing(removal: Removal, at: datetime) -> Drift:
    """What was given back is known standing access again, not something that appeared out of nowhere."""
    return Drift(
        id=f"dft_{removal.id}",
        resource=removal.resource,
        kind=DriftKind.STANDING,
        account=removal.account,
        role=removal.role,
        first_seen=at,
        last_seen=at,
        detail=f"given back: review {removal.review_id} was undone",
    )


_STEPS: dict[RemovalState, Callable[[Parts, str, Sequence[Removal]], Awaitable[list[Removal]]]] = {
    RemovalState.RETURNING: _give_back,
    RemovalState.ASKED: _take,
    RemovalState.TAKEN: _settle,
}
