"""What is known of findings after one more look. Pure; called by `look`.

What became of each is decided by `changes`, as from review to review: what was known before the look is the review
before. A finding that is not known (its detector or its target was not there) goes on where it was once it is found
again; only one that was fixed is back again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lapse.domain.looks import KnownChange, KnownFinding
from lapse.domain.reviews import Finding, FindingState
from lapse.domain.schedules import ReviewSchedule
from lapse.review.detection.changes import what_became
from lapse.review.model import PastReview

_KEPT = {FindingState.NEW: FindingState.OPEN, FindingState.BACK: FindingState.OPEN}
"""Whether one is new or back again follows from its times, so that a finding that stays is not written twice."""
_GONE = frozenset({FindingState.FIXED, FindingState.UNKNOWN})


def after_look(schedule: ReviewSchedule, known: Sequence[KnownFinding], now: PastReview) -> tuple[KnownChange, ...]:
    """What the look that saw `now` changes in what is `known`; findings in `now` are marked if they are accepted."""
    before = {one.finding.fingerprint: one for one in known}
    accepted = {f.fingerprint for f in now.findings if f.state is FindingState.ACCEPTED}
    became = {f.fingerprint: f for f in what_became(now, _past(known), accepted)}
    for one in known:
        if one.finding.state is not FindingState.FIXED and one.finding.fingerprint not in became:
            # Its resource is not looked at any more: that says nothing of the finding.
            became[one.finding.fingerprint] = replace(one.finding, state=FindingState.UNKNOWN)
    last = schedule.look.at if schedule.look else now.at
    steps = _Steps(schedule.name, now, last)
    changes = (KnownChange(before=before.get(key), after=steps.after(before.get(key), f)) for key, f in became.items())
    return tuple(change for change in changes if change.before != change.after)


def updated(known: Iterable[KnownFinding], changes: Iterable[KnownChange]) -> list[KnownFinding]:
    """`known` with `changes`."""
    after: Mapping[str, KnownFinding] = {one.id: one for one in known} | {c.after.id: c.after for c in changes}
    return list(after.values())


def _past(known: Sequence[KnownFinding]) -> list[PastReview]:
    """What is known as two reviews: everything ever seen, then what was not fixed."""
    last = [one for one in known if one.finding.state is not FindingState.FIXED]
    return [
        _review("seen", known),
        _review("last", last),
    ]


def _review(name: str, known: Sequence[KnownFinding]) -> PastReview:
    return PastReview(
        review_id=name,
        at=max((one.first_seen for one in known), default=datetime.min),  # noqa: DTZ901  no time is compared with it
        resources=tuple({one.finding.resource for one in known if one.covered}),
        findings=tuple(one.finding for one in known),
    )


class _Steps:
    """One finding after another, from what was known to what is known now."""

    def __init__(self, schedule: str, now: PastReview, last: datetime) -> None:
        self._schedule, self._at, self._last = schedule, now.at, last
        self._covered = frozenset(now.resources)

    def after(self, before: KnownFinding | None, finding: Finding) -> KnownFinding:
        """`before` after the look, in which `finding` came out with its state."""
        state = _KEPT.get(finding.state, finding.state)
        if before is None:
            return self._first(replace(finding, state=state, first_found=""))
        if state in _GONE:
            return self._gone(before, state)
        was = before.finding.state
        again = was is FindingState.FIXED
        after = replace(
            before,
            finding=replace(finding, state=state, first_found=""),
            since=self._at if again else before.since,
            changed_at=before.changed_at if was is state else self._at,
            last_seen=None,
            covered=finding.resource in self._covered,
        )
        return after if after == before else replace(after, version=before.version + 1)

    def _first(self, finding: Finding) -> KnownFinding:
        return KnownFinding(
            schedule=self._schedule,
            finding=finding,
            first_seen=self._at,
            since=self._at,
            changed_at=self._at,
            covered=finding.resource in self._covered,
        )

    def _gone(self, before: KnownFinding, state: FindingState) -> KnownFinding:
        if before.finding.state is state:
            return before
        return replace(
            before,
            finding=replace(before.finding, state=state),
            changed_at=self._at,
            last_seen=before.last_seen or self._last,
            version=before.version + 1,
        )
