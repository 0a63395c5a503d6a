"""What a proposed policy changes, and what is odd about it, as lines that a second person reads.

They say so where the solver is not installed or ran out of time. Called by `bootstrap` for every proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from lapse.domain.catalog import Catalog
from lapse.policy.effects import DiffEffect
from lapse.policy.proof.outcomes import HOW_TO_INSTALL, installed
from lapse.policy.rules import Policy

if TYPE_CHECKING:
    from lapse.policy.proof.differences import PolicyDiff

_MISSING = f"the solver is not installed (`{HOW_TO_INSTALL}`)"
_MOST_LINES = 200


def diff_effect(old: Policy, new: Policy, *, timeout: timedelta, clock: Callable[[], float]) -> DiffEffect:
    """How the answers of `new` differ from those of `old`, within `timeout` on `clock`, which counts seconds."""
    if not installed():
        return DiffEffect(missing=_MISSING)
    from lapse.policy.proof.diff import compare

    found = compare(old, new, clock=clock, timeout=timeout.total_seconds())
    lines = tuple(_diff_lines(found))
    if len(lines) > _MOST_LINES:
        lines = (*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more lines: see `lapse policy diff`")
    return DiffEffect(equivalent=found.equivalent, widens=found.widens, lines=lines)


def _diff_lines(found: PolicyDiff) -> Iterator[str]:
    from lapse.policy.proof.words import detail_of, lines_of

    yield from found.notes
    for one in found.differences:
        before, after = detail_of(one.old, one.new)
        yield f"{one.kind}, by {one.rule}:"
        yield from (f"  {line}" for line in (*lines_of(one.ask), f"before: {before}", f"now: {after}"))
    yield from (one.words for one in found.unknown)


def oddities(
    policy: Policy, catalog: Catalog | None = None, *, timeout: timedelta, clock: Callable[[], float]
) -> tuple[str, ...]:
    """What is odd about `policy`, a sentence each, within `timeout` on `clock`, which counts seconds."""
    if not installed():
        return (f"nobody looked for rules without effect and access that nobody watches over: {_MISSING}",)
    from lapse.policy.proof.findings import analyse

    found = analyse(policy, catalog, clock=clock, timeout=timeout.total_seconds())
    return tuple(map(str, found))
