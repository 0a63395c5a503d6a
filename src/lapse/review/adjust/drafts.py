"""A proposal before it has a patch, and how it gets one: the policy's own files with one thing changed. Pure.

Called by the finders of this package.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lapse.domain.data import Json
from lapse.policy.editing import CannotEdit
from lapse.policy.rules import Offer
from lapse.review.adjust.model import NotProposed, PolicyProposal, ProposalKind
from lapse.review.in_force import InForce
from lapse.review.scope import ReviewScope

Edit = Callable[[InForce], Mapping[str, str]]
"""From the policy in force to its files with one thing changed; raises `CannotEdit` where that cannot be done."""

NO_POLICY = "no policy in force is on record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposal with the `edit` that would make its patch; without one, `not_patched` says why."""

    kind: ProposalKind
    subject: str
    title: str
    reason: str
    offers: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    current: timedelta | None = None
    proposed: timedelta | None = None
    covers: float | None = None
    samples: int = 0
    saved_hours: float = 0.0
    evidence: tuple[Mapping[str, Json], ...] = field(default=())
    edit: Edit | None = None
    not_patched: str = ""


@dataclass(slots=True)
class Found:
    """What a finder came to."""

    drafts: list[Draft] = field(default_factory=list)
    not_proposed: list[NotProposed] = field(default_factory=list)

    def skip(self, kind: ProposalKind, subject: str, reason: str) -> None:
        """Nothing is proposed for it, for this reason."""
        self.not_proposed.append(NotProposed(kind=kind, subject=subject, reason=reason))


def finished(draft: Draft, in_force: InForce | None) -> PolicyProposal:
    """The proposal, with the patch if there can be one."""
    changed: Mapping[str, str | None] = {}
    not_patched = draft.not_patched
    if draft.edit is not None and in_force is None:
        not_patched = NO_POLICY
    elif draft.edit is not None and in_force is not None:
        try:
            changed = _changed(in_force.files, draft.edit(in_force))
        except CannotEdit as error:
            not_patched = f"the files cannot be changed here: {error.message}"
    return PolicyProposal(
        id=f"adj_{hashlib.sha256(f'{draft.kind} {draft.subject}'.encode()).hexdigest()[:12]}",
        kind=draft.kind,
        subject=draft.subject,
        title=draft.title,
        reason=draft.reason,
        offers=draft.offers,
        entitlements=draft.entitlements,
        current=draft.current,
        proposed=draft.proposed,
        covers=draft.covers,
        samples=draft.samples,
        saved_hours=round(draft.saved_hours, 1),
        evidence=draft.evidence,
        base=in_force.version if in_force is not None and changed else "",
        changed=changed,
        patch="".join(_patch(in_force.files, changed)) if in_force is not None else "",
        not_patched=not_patched,
    )


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    names = sorted({*before, *after})
    return {name: after.get(name) for name in names if before.get(name) != after.get(name)}


def _patch(before: Mapping[str, str], changed: Mapping[str, str | None]) -> Iterator[str]:
    """A unified diff, file by file; `/dev/null` stands for a file that is not there."""
    for name, text in changed.items():
        old, new = before.get(name, ""), text or ""
        lines = difflib.unified_diff(
            old.splitlines(keepends=True),
            new.splitlines(keepends=True),
            f"a/{name}" if name in before else "/dev/null",
            f"b/{name}" if text is not None else "/dev/null",
        )
        for line in lines:
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def is_seen_whole(offer: Offer | None, scope: ReviewScope, resources: frozenset[str]) -> bool:
    """Whether all that an offer gives is in the review's scope, so that what was seen of it is all there was."""
    if scope.selector == "all":
        return True
    if offer is None or not offer.selector.entitlements:
        return False
    return all(not p.tag and not set("*?") & set(p.left) and p.left in resources for p in offer.selector.entitlements)
