"""What a proposal would do, and the files that are filed when somebody takes it up. Nothing is put in force here.

The functions that compute effects come from outside: they are those of any proposed policy. Called by `campaign` once
the proposals are there, and by the edge that files one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from lapse.domain.errors import Conflict, InvalidInput, LapseError, NotFound
from lapse.domain.names import shown
from lapse.policy.effects import Effects
from lapse.review.adjust.model import PolicyProposal
from lapse.review.model import Adjustments

Consequences = Callable[[PolicyProposal, datetime], Awaitable[Effects]]
"""What the patched policy would do, with a replay since a time; raises `LapseError` where that cannot be said."""

TIME_FOR_ALL = timedelta(minutes=3)
"""After which the remaining proposals are left without effects: filing one computes them anyway."""

_NO_TIME = "there was no time left for it; filing the proposal computes it"


async def with_effects(
    adjustments: Adjustments, consequences: Consequences | None, since: datetime, now: Callable[[], datetime]
) -> Adjustments:
    """`adjustments` whose proposals with a patch say what they would do, as far as there is time for it."""
    start, done = now(), list[PolicyProposal]()
    for proposal in adjustments.proposals:
        if not proposal.changed:
            done.append(proposal)
        elif consequences is None:
            done.append(replace(proposal, effects_missing="nobody computed it"))
        elif now() - start > TIME_FOR_ALL:
            done.append(replace(proposal, effects_missing=_NO_TIME))
        else:
            done.append(await _with_effects(proposal, consequences, since))
    return replace(adjustments, proposals=tuple(done))


async def _with_effects(proposal: PolicyProposal, consequences: Consequences, since: datetime) -> PolicyProposal:
    try:
        return replace(proposal, effects=await consequences(proposal, since))
    except LapseError as error:
        return replace(proposal, effects_missing=error.message)


def proposal_called(adjustments: Adjustments, proposal_id: str) -> PolicyProposal:
    """One proposal of a review.

    Raises:
        NotFound: there is none with this id.
        InvalidInput: it has no patch that could be filed.
    """
    found = next((one for one in adjustments.proposals if one.id == proposal_id), None)
    if found is None:
        raise NotFound(f"the review has no proposal `{shown(proposal_id)}`", hint="`lapse review proposals` lists them")
    if not found.changed:
        raise InvalidInput(
            f"proposal {found.id} changes no policy: {found.not_patched or 'it is advice'}",
            hint="what it advises is done by hand, or by the decisions on the review's items",
        )
    return found


def files_after(proposal: PolicyProposal, version: str, files: Mapping[str, str]) -> dict[str, str]:
    """The policy `files`, which are `version` and in force, with what the proposal changes.

    Raises:
        Conflict: another policy is in force than the one that the proposal was made for.
    """
    if version != proposal.base:
        raise Conflict(
            f"the policy has changed since the review was made, so proposal {proposal.id} is about rules of the past",
            hint="a new review proposes what fits today; or change the policy by hand with `lapse policy propose`",
        )
    after = {**files, **{name: text for name, text in proposal.changed.items() if text is not None}}
    return {name: text for name, text in after.items() if proposal.changed.get(name, text) is not None}
