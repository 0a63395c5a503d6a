"""Put a policy in force: the first one directly, every later one by two persons.

A change is proposed by one administrator, with what it would do, and activated by another. The files of a policy are
kept for ever under the hash that names them, so that old decisions re-derive.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from lapse.control.context import Control
from lapse.control.guards import acting_principal
from lapse.control.notices import post
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, to_data
from lapse.domain.errors import Conflict, InvalidInput, Refused
from lapse.domain.locks import covering_lock
from lapse.domain.names import check_text, shown
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.proposals import Proposal, ProposalEvent, ProposalState
from lapse.ledger.entry import Entry, changed, created
from lapse.policy import parse
from lapse.policy.effects import ClaimEffect, Effects, ProofOutcome, claims_of
from lapse.ports import PolicyVersion, Transaction


async def activate_policy(control: Control, actor: Actor, files: Mapping[str, str]) -> tuple[PolicyVersion, bool]:
    """Put the first policy in force; returns it and whether anything changed (not if it is in force already).

    Raises:
        InvalidInput: the files have errors; each is named with file, line and column.
        Refused: another policy is in force, so that this one must be proposed.
    """
    actor.require(Scope.ADMIN)
    policy = parse(files)

    async def work(tx: Transaction) -> tuple[PolicyVersion, bool]:
        current = await tx.active_policy()
        if current is not None and current.version == policy.version:
            return current, False
        if current is not None:
            raise Refused(
                f"policy {current.version[:19]} is in force, and a change of it takes two persons",
                hint="`lapse policy propose` shows what it would do, and another administrator activates it",
            )
        return await _put_in_force(tx, policy.version, files, actor, control.now(), first=True), True

    return await control.store.write(work)


async def propose_policy(
    control: Control, actor: Actor, files: Mapping[str, str], reason: str, *, base: str, effects: Effects
) -> Proposal:
    """Propose `files` instead of the policy `base`, for whose replacement `effects` were computed.

    Raises:
        InvalidInput: the files have errors, or there is no reason.
        Refused: the proposer is no active person of the catalog, is locked, or nothing would change.
        Conflict: another policy than `base` is in force by now.
    """
    actor.require(Scope.ADMIN)
    policy, reason = parse(files), _given(reason, "a proposal")

    async def work(tx: Transaction) -> Proposal:
        _, current = await _administrator(tx, actor), await tx.active_policy()
        if current is None:
            raise Refused("no policy is in force yet", hint="the first one is put in force with `lapse policy apply`")
        if current.version != base:
            raise Conflict("the policy in force changed meanwhile", hint="propose it again, to see what it does now")
        if current.version == policy.version:
            raise Refused("these files are in force already, so there is nothing to propose")
        proposal = Proposal(
            id=control.new_id("pro"),
            files=dict(files),
            policy_version=policy.version,
            base=base,
            reason=reason,
            proposed_by=actor.name,
            created_at=control.now(),
            effects=_as_object(effects),
        )
        await tx.add_proposal(proposal)
        entry = created(
            "policy.proposed",
            proposal,
            proposal.id,
            at=proposal.created_at,
            actor=actor.name,
            policy_version=base,
            via=actor.via,
        )
        await tx.append([entry])
        await post(control, tx, [_notice(proposal, await _other_administrators(tx, proposal))])
        return proposal

    return await control.store.write(work)


async def activate_proposal(
    control: Control, actor: Actor, proposal_id: str, *, reason: str = "", accept_unknown: str = ""
) -> tuple[Proposal, PolicyVersion]:
    """Put a proposed policy in force, as a second person.

    `accept_unknown` is the reason to go on although some claims are neither proved nor refuted.

    Raises:
        Refused: the actor proposed it, under whatever name; another policy than its base is in force; a claim is
            refuted, or unknown and not accepted; or the proposal is over.
    """
    actor.require(Scope.ADMIN)
    reason = check_text(reason, what="reason")
    accept_unknown = check_text(accept_unknown, what="reason to accept what is unknown")

    async def work(tx: Transaction) -> tuple[Proposal, PolicyVersion]:
        now, proposal = control.now(), await tx.proposal(proposal_id)
        activator, proposer = await _two_persons(tx, actor, proposal)
        after = proposal.after(ProposalEvent.ACTIVATE, by=actor.name, at=now, reason=reason)
        await _refuse_other_base(tx, proposal)
        unknown = _refuse_unproved(proposal, accept_unknown)
        await tx.save_proposal(after)
        version = await _put_in_force(
            tx,
            proposal.policy_version,
            proposal.files,
            actor,
            now,
            proposal=proposal.id,
            proposed_by=proposal.proposed_by,
            proposed_by_person=proposer,
            activated_by_person=activator,
            reason=reason,
            accepted_unknown=accept_unknown if unknown else "",
            unknown_claims=[claim.name for claim in unknown],
        )
        return after, version

    return await control.store.write(work)


async def reject_proposal(control: Control, actor: Actor, proposal_id: str, reason: str) -> Proposal:
    """Say no to a proposal, as a second person and with a reason."""
    actor.require(Scope.ADMIN)
    reason = _given(reason, "a rejection")

    async def work(tx: Transaction) -> Proposal:
        proposal = await tx.proposal(proposal_id)
        await _two_persons(tx, actor, proposal)
        return await _close(tx, proposal, ProposalEvent.REJECT, actor, control.now(), reason)

    return await control.store.write(work)


async def withdraw_proposal(control: Control, actor: Actor, proposal_id: str, reason: str = "") -> Proposal:
    """Take back a proposal: by the person who made it, under whatever name."""
    actor.require(Scope.ADMIN)
    reason = check_text(reason, what="reason")

    async def work(tx: Transaction) -> Proposal:
        proposal, catalog = await tx.proposal(proposal_id), await tx.catalog()
        if _who(catalog, actor.name) != _who(catalog, proposal.proposed_by):
            raise Refused(
                f"`{shown(actor.name)}` did not propose {proposal.id}",
                hint=f"`lapse policy reject {proposal.id} --reason TEXT` says no to it",
            )
        return await _close(tx, proposal, ProposalEvent.WITHDRAW, actor, control.now(), reason)

    return await control.store.write(work)


def stale(proposal: Proposal, in_force: PolicyVersion | None) -> bool:
    """Whether a pending proposal was made for another policy than the one in force, so that it comes too late."""
    return proposal.state is ProposalState.PENDING and (in_force is None or proposal.base != in_force.version)


async def _put_in_force(
    tx: Transaction, version: str, files: Mapping[str, str], actor: Actor, at: datetime, **context: object
) -> PolicyVersion:
    current = await tx.active_policy()
    policy = PolicyVersion(version=version, files=dict(files), activated_at=at, activated_by=actor.name)
    await tx.add_policy(policy)
    entry = Entry(
        type="policy.activated",
        at=at,
        actor=actor.name,
        subject=version,
        before={"version": current.version} if current else None,
        after={"version": version, "files": dict(files)},
        policy_version=version,
        context={**{name: to_data(value) for name, value in context.items()}, "via": actor.via},
    )
    await tx.append([entry])
    return policy


async def _close(
    tx: Transaction, proposal: Proposal, event: ProposalEvent, actor: Actor, at: datetime, reason: str
) -> Proposal:
    closed = proposal.after(event, by=actor.name, at=at, reason=reason)
    await tx.save_proposal(closed)
    kind = f"policy.{closed.state}"
    entry = changed(kind, proposal, closed, proposal.id, at=at, actor=actor.name, via=actor.via)
    await tx.append([entry])
    return closed


async def _administrator(tx: Transaction, actor: Actor) -> str:
    """The person who acts: known and active, so that two of them can be told apart, and not locked."""
    catalog = await tx.catalog()
    acting_principal(actor, catalog)
    person = catalog.person_of(actor.name)
    if person is None:
        raise Refused(
            f"`{shown(actor.name)}` is not an active person, and only persons change the policy",
            hint="`lapse token create NAME --scope admin` lets a person of the catalog do it",
        )
    locks = [lock for lock in await tx.locks() if lock.kind.value == "principal"]
    lock = covering_lock(locks, catalog, [actor.name], "")
    if lock is not None:
        raise Refused(f"`{shown(actor.name)}` is locked: {lock.reason}", hint=f"lock {lock.id} must be removed first")
    return person


async def _two_persons(tx: Transaction, actor: Actor, proposal: Proposal) -> tuple[str, str]:
    """The persons who act and who proposed, who are not the same human under any name."""
    catalog = await tx.catalog()
    second = await _administrator(tx, actor)
    first = _who(catalog, proposal.proposed_by)
    if first == second or second in catalog.humans_behind(proposal.proposed_by):
        raise Refused(
            f"`{shown(actor.name)}` proposed {proposal.id}, and a second person decides on it",
            hint="ask another administrator; your own proposal you can withdraw",
        )
    return second, first


def _who(catalog: Catalog, name: str) -> str:
    """The human behind a name, active or not; the name itself if the catalog no longer knows it."""
    humans = catalog.humans_behind(name)
    return min(humans) if len(humans) == 1 else name


async def _refuse_other_base(tx: Transaction, proposal: Proposal) -> None:
    current = await tx.active_policy()
    if current is None or current.version != proposal.base:
        raise Refused(
            f"another policy came into force since {proposal.id} was proposed, so what it shows no longer holds",
            hint="withdraw it and propose the files again",
        )


def _refuse_unproved(proposal: Proposal, accept_unknown: str) -> list[ClaimEffect]:
    """The claims that are unknown, all of them accepted; a refuted one cannot be."""
    claims = claims_of(parse(proposal.files), proposal.effects)
    refuted = [claim.name for claim in claims if claim.outcome is ProofOutcome.REFUTED]
    if refuted:
        raise Refused(
            f"the claim {', '.join(f'`{name}`' for name in refuted)} is refuted: the policy allows what must never be",
            hint="propose other rules, or a policy that no longer claims it",
        )
    unknown = [claim for claim in claims if claim.outcome is ProofOutcome.UNKNOWN]
    if unknown and not accept_unknown:
        raise Refused(
            f"nobody knows whether the claim {', '.join(f'`{claim.name}`' for claim in unknown)} holds",
            hint=f"if you accept that: `lapse policy activate {proposal.id} --accept-unknown REASON`",
        )
    return unknown


def _given(reason: str, what: str) -> str:
    reason = check_text(reason, what="reason")
    if not reason:
        raise InvalidInput(f"{what} needs a reason", hint="say in a few words why, with --reason")
    return reason


def _as_object(effects: Effects) -> dict[str, Json]:
    data = to_data(effects)
    if not isinstance(data, dict):  # pragma: no cover  a dataclass always becomes an object
        raise TypeError("effects are an object")
    return data


async def _other_administrators(tx: Transaction, proposal: Proposal) -> tuple[str, ...]:
    """The persons who could activate it: they hold a token for that, and are not the human who proposed."""
    catalog, now = await tx.catalog(), proposal.created_at
    able = [
        token.principal
        for token in await tx.tokens()
        if Scope.ADMIN in token.scopes and token.revoked_at is None and token.expires_at > now
    ]
    persons = {person for name in able if (person := catalog.person_of(name))}
    return tuple(sorted(persons - catalog.humans_behind(proposal.proposed_by)))


def _notice(proposal: Proposal, told: tuple[str, ...]) -> Notice:
    return Notice(
        kind=NoticeKind.POLICY_PROPOSED,
        subject=proposal.id,
        to=told,
        text=f"`{proposal.proposed_by}` proposes a change of the policy: {proposal.reason}",
        at=proposal.created_at,
    )
