"""What a proposed policy would have said to everything that was asked: recorded questions in, one report out. Pure.

It is fed in the order of the ledger: a question, how it was decided, how long the access lasted. Only requests that are
open at the same time are kept, so that a million of them take no more memory than a thousand. Called by `control`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from lapse.domain.durations import human_duration
from lapse.domain.terms import Terms
from lapse.domain.times import Instant
from lapse.policy.memo import Answer, Memo
from lapse.policy.recorded import RecordedAsk
from lapse.policy.rules import Policy

EXAMPLES = 3
"""Examples kept of each group."""

MOST_OPEN = 100_000
"""Requests and grants followed at a time; beyond that the oldest is counted as it stands."""

_NOTHING = timedelta(0)
_MOST_EFFECTS = 100


class ReplayEffect(StrEnum):
    """What becomes of a request under the proposal."""

    DENIED = "denied"
    SHORTENED = "shortened"
    MORE_APPROVALS = "more approvals"
    FEWER_APPROVALS = "fewer approvals"
    OTHER_APPROVERS = "other approvers"
    AUTOMATIC = "automatic"
    BREAK_GLASS = "break-glass"
    ALLOWED = "newly allowed"
    UNKNOWN = "cannot be said"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayExample:
    """One request of a group, for people to look up: `subject` is its id (of a refusal, the entitlement)."""

    subject: str
    requester: str
    beneficiary: str
    entitlement: str
    duration: timedelta
    asked_at: Instant
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayGroup:
    """All requests that the proposal treats alike. `saved` is the privilege time that would not have been held."""

    effect: ReplayEffect
    requests: int
    persons: int
    saved: timedelta
    examples: tuple[ReplayExample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """A replay: `requests` were asked from `since` to `until`, of which `refused` were refused at once.

    `held` is all privilege time that was held, `saved` what of it the proposal would have denied or cut off. `open`
    requests and grants were not over; their time counts as promised. `unreadable` entries could not be read.
    """

    policy_version: str
    since: Instant
    until: Instant
    requests: int
    refused: int
    persons_affected: int
    held: timedelta
    saved: timedelta
    open: int
    groups: tuple[ReplayGroup, ...]
    unreadable: int = 0


@dataclass(slots=True)
class _Open:
    """A request whose access has not begun: its group, and the longest time that the proposal allows, if less."""

    group: _Group
    cap: timedelta | None


@dataclass(slots=True)
class _Held:
    """A grant that is not over."""

    request_id: str
    request: _Open
    promised: timedelta
    since: datetime | None = None


@dataclass(slots=True)
class _Group:
    requests: int = 0
    saved: timedelta = _NOTHING
    persons: set[str] = field(default_factory=set)
    examples: list[ReplayExample] = field(default_factory=list)


class Replay:
    """Feed what happened, in order, then read `report`."""

    def __init__(self, policy: Policy) -> None:
        self._memo = Memo(policy)
        self._policy_version = policy.version
        self._groups: dict[ReplayEffect, _Group] = {effect: _Group() for effect in ReplayEffect}
        self._open: dict[str, _Open] = {}
        self._grants: dict[str, _Held] = {}
        self._counts: Counter[str] = Counter()
        self._held = _NOTHING
        self._refused = 0

    @property
    def requests(self) -> int:
        """How many were asked so far."""
        return sum(group.requests for group in self._groups.values())

    @property
    def evaluated(self) -> int:
        """How many questions had to be evaluated; the others were asked before."""
        return self._memo.evaluated

    def asked(self, request_id: str, asked: RecordedAsk, terms: Terms | None) -> None:
        """A request that was made on `terms`, or (None) was refused; `request_id` of that is the entitlement."""
        answer, person = self._memo.answer(asked)
        effect = self._effect(terms, answer)
        group = self._groups[effect]
        group.requests += 1
        if effect is not ReplayEffect.UNCHANGED:
            group.persons.add(person)
            if len(group.examples) < EXAMPLES:
                group.examples.append(_example(request_id, asked, self._detail(asked, answer, terms)))
        if terms is None:
            self._refused += 1
            return
        cap = {ReplayEffect.DENIED: _NOTHING, ReplayEffect.SHORTENED: answer.shorter}.get(effect)
        if len(self._open) >= MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[request_id] = _Open(group, cap)

    def closed(self, request_id: str) -> None:
        """A request came to an end without access: denied, cancelled or expired."""
        self._open.pop(request_id, None)

    def granted(self, request_id: str, grant_id: str, duration: timedelta) -> None:
        """Access for `duration` was promised to a request; it may be one of several."""
        found = self._open.get(request_id)
        if found is None:
            return
        if len(self._grants) >= MOST_OPEN:
            oldest = self._grants.pop(next(iter(self._grants)))
            self._settle(oldest, oldest.promised)
            self._counts["open"] += 1
        self._grants[grant_id] = _Held(request_id, found, duration)

    def began(self, grant_id: str, at: datetime) -> None:
        """The access of a grant began."""
        found = self._grants.get(grant_id)
        if found is not None:
            found.since = at
            self._open.pop(found.request_id, None)

    def ended(self, grant_id: str, at: datetime) -> None:
        """The access of a grant is over, or never came about."""
        found = self._grants.pop(grant_id, None)
        if found is not None:
            self._open.pop(found.request_id, None)
            self._settle(found, at - found.since if found.since is not None else _NOTHING)

    def unreadable(self) -> None:
        """An entry could not be read."""
        self._counts["unreadable"] += 1

    def report(self, since: datetime, until: datetime) -> ReplayReport:
        """What was found; grants that are still open count for what was promised."""
        still_open = list(self._grants.values())
        self._grants.clear()
        for grant in still_open:
            self._settle(grant, grant.promised)
        groups = {effect: group for effect, group in self._groups.items() if group.requests}
        affected = set[str]().union(*(group.persons for group in groups.values()))
        return ReplayReport(
            policy_version=self._policy_version,
            since=since,
            until=until,
            requests=self.requests,
            refused=self._refused,
            persons_affected=len(affected),
            held=self._held,
            saved=sum((group.saved for group in groups.values()), _NOTHING),
            open=self._counts["open"] + len(still_open),
            groups=tuple(
                ReplayGroup(
                    effect=effect,
                    requests=group.requests,
                    persons=len(group.persons),
                    saved=group.saved,
                    examples=tuple(group.examples),
                )
                for effect, group in groups.items()
            ),
            unreadable=self._counts["unreadable"],
        )

    def _effect(self, before: Terms | None, answer: Answer) -> ReplayEffect:
        """The effect; the same two values are compared once."""
        known = answer.effects.get(id(before))
        if known is None or known[0] is not before:
            if len(answer.effects) >= _MOST_EFFECTS:
                answer.effects.clear()
            known = answer.effects[id(before)] = before, _effect(before, answer)
        effect: ReplayEffect = known[1]
        return effect

    def _detail(self, asked: RecordedAsk, answer: Answer, before: Terms | None) -> str:
        if answer.terms is None:
            longest = f"at most {human_duration(answer.shorter)}: " if answer.shorter is not None else ""
            return longest + self._memo.reason(asked)
        was = "it was refused" if before is None else f"it took {_approvals(before)}"
        return f"offer `{answer.terms.offer}` takes {_approvals(answer.terms)}; {was}"

    def _settle(self, grant: _Held, held: timedelta) -> None:
        self._held += held
        request = grant.request
        if request.cap is not None and held > request.cap:
            request.group.saved += held - request.cap


def _effect(before: Terms | None, answer: Answer) -> ReplayEffect:
    after = answer.terms
    if answer.lacking:
        return ReplayEffect.UNKNOWN
    if before is None:
        return ReplayEffect.UNCHANGED if after is None else ReplayEffect.ALLOWED
    if after is None:
        return ReplayEffect.DENIED if answer.shorter is None else ReplayEffect.SHORTENED
    return _effect_on_approval(before, after)


def _effect_on_approval(before: Terms, after: Terms) -> ReplayEffect:
    if before.stages == after.stages and before.break_glass == after.break_glass:
        return ReplayEffect.UNCHANGED
    if after.break_glass != before.break_glass:
        return ReplayEffect.BREAK_GLASS if after.break_glass else ReplayEffect.MORE_APPROVALS
    if after.automatic:
        return ReplayEffect.AUTOMATIC
    votes, wanted = _votes(before), _votes(after)
    if votes == wanted:
        return ReplayEffect.OTHER_APPROVERS
    return ReplayEffect.MORE_APPROVALS if wanted > votes else ReplayEffect.FEWER_APPROVALS


def _votes(terms: Terms) -> int:
    return sum(stage.quorum for stage in terms.stages)


def _approvals(terms: Terms) -> str:
    if terms.break_glass:
        return "a review afterwards"
    votes = _votes(terms)
    return f"{votes or 'no'} approval{'' if votes == 1 else 's'}"


def _example(request_id: str, asked: RecordedAsk, detail: str) -> ReplayExample:
    named = [msgspec.json.decode(part) for part in (asked.requester, asked.beneficiary, asked.entitlement)]
    requester, beneficiary, entitlement = (str(one.get("name", "")) for one in named)
    return ReplayExample(
        subject=request_id,
        requester=requester,
        beneficiary=beneficiary,
        entitlement=entitlement,
        duration=asked.duration,
        asked_at=asked.at,
        detail=detail,
    )
