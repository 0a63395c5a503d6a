"""Looks at new evidence between reviews: what is known of each finding, and how the last look of a schedule went.

A look asks nobody and takes nothing away. What it saw, and what became of every finding, is on record as one step.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lapse.domain.reviews import Finding, FindingState, Severity
from lapse.domain.times import Instant, format_time

THERE = frozenset({FindingState.NEW, FindingState.OPEN, FindingState.BACK})
"""Found, and accepted by nobody."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFinding:
    """One finding as the looks of one schedule know it.

    `finding` is as it was seen last. Its state is `OPEN`, `ACCEPTED`, `FIXED` or `UNKNOWN`: that one is new or back
    again follows from the times (`at_look`). `since` is when it was seen first without having been fixed since, and
    `changed_at` when its state changed last. `last_seen` None: the last look saw it, which is not written down anew
    each day. `covered`: its resource is one of those that were looked at, not only named in a file.
    """

    schedule: str
    finding: Finding
    first_seen: Instant
    since: Instant
    changed_at: Instant
    last_seen: Instant | None = None
    covered: bool = False
    version: int = 0

    @property
    def id(self) -> str:
        """Schedule and fingerprint."""
        return f"{self.schedule}/{self.finding.fingerprint}"

    def at_look(self, at: datetime) -> KnownFinding:
        """This with its state and the time it was seen last as they are after the look at `at`."""
        state = self.finding.state
        if state is FindingState.OPEN and self.since == at:
            state = FindingState.NEW if self.first_seen == at else FindingState.BACK
        return replace(self, finding=replace(self.finding, state=state), last_seen=self.last_seen or at)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownChange:
    """What one look changes in what is known of one finding; `before` None: it was never seen."""

    before: KnownFinding | None
    after: KnownFinding

    @property
    def on_record(self) -> bool:
        """Whether it goes into the ledger: another state or severity does, other words for the same do not."""
        if self.before is None:
            return True
        was, now = self.before, self.after
        return (was.finding.state, was.since, was.finding.severity) != (
            now.finding.state, now.since, now.finding.severity,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look that is on record: at evidence as of `at`, frozen under the hash `snapshot`.

    `counts` are findings by state (those fixed by this look only), `findings` is the hash of all that is known then
    (`known_hash`). `not_assessed` are detectors that lacked data; `unread` says which targets could not be read, and
    why: of what is there nothing is known, and nothing is taken for fixed.
    """

    id: str
    at: Instant
    snapshot: str
    findings: str
    counts: Mapping[str, int] = field(default_factory=dict)
    assessed: int = 0
    not_assessed: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def open(self) -> int:
        """How many findings are there, and accepted by nobody."""
        return sum(self.counts.get(state, 0) for state in THERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookFailure:
    """That the last look failed: for `tries` times now, last at `at`; it is tried again at `again_at`."""

    at: Instant
    reason: str
    tries: int
    again_at: Instant


def failed(before: LookFailure | None, reason: str, at: datetime) -> LookFailure:
    """One more failure, and a pause that grows with them."""
    tries = before.tries + 1 if before else 1
    pause = min(FIRST_PAUSE * (1 << min(tries - 1, 20)), LONGEST_PAUSE)
    return LookFailure(at=at, reason=reason, tries=tries, again_at=at + pause)


def current(known: Iterable[KnownFinding], at: datetime, *, fixed: bool = False) -> list[KnownFinding]:
    """What is there, accepted or not known after the look at `at`, worst first; with `fixed` also what was fixed."""
    order = list(Severity)
    shown = [one.at_look(at) for one in known if fixed or one.finding.state is not FindingState.FIXED]
    return sorted(shown, key=lambda one: (order.index(one.finding.severity), one.finding.detector, one.id))


def counts(known: Iterable[KnownFinding], at: datetime) -> dict[str, int]:
    """Findings by state after the look at `at`; of what is fixed only what that look saw fixed."""
    states = (
        one.at_look(at).finding.state
        for one in known
        if one.finding.state is not FindingState.FIXED or one.changed_at == at
    )
    return {str(state): number for state, number in sorted(Counter(states).items())}


def known_hash(known: Iterable[KnownFinding], at: datetime) -> str:
    """SHA-256 (hex) over a line `FINGERPRINT STATE SINCE` for each current finding, in order of fingerprints."""
    rows = sorted(current(known, at), key=lambda one: one.finding.fingerprint)
    lines = (f"{one.finding.fingerprint} {one.finding.state} {format_time(one.since)}\n" for one in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
