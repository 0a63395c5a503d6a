"""The policy of the made-up company, version by version, as the files that lapse reads.

What every version offers comes from `areas`; versions differ in how long access lasts, and the last one has rules that
should not be there. Pure. Called by `run`, which puts them in force, and by `policy_tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from lapse.domain.durations import human_duration
from lapse.review.simulation.areas import SECURITY, Level, Offering

FILE = "access.yaml"
_HOUR = timedelta(hours=1)

Times = Mapping[Level, tuple[timedelta, timedelta]]
"""The longest grant and the longest contiguous time, by level."""

FIRST: Times = {
    Level.READ: (12 * _HOUR, 24 * _HOUR),
    Level.WRITE: (6 * _HOUR, 12 * _HOUR),
    Level.ADMIN: (4 * _HOUR, 8 * _HOUR),
    Level.TEST: (12 * _HOUR, 24 * _HOUR),
    Level.EMERGENCY: (4 * _HOUR, 4 * _HOUR),
    Level.AGENT: (2 * _HOUR, 4 * _HOUR),
}
TIGHTER: Times = {
    Level.READ: (8 * _HOUR, 24 * _HOUR),
    Level.WRITE: (4 * _HOUR, 8 * _HOUR),
    Level.ADMIN: (2 * _HOUR, 4 * _HOUR),
    Level.TEST: (8 * _HOUR, 24 * _HOUR),
    Level.EMERGENCY: (2 * _HOUR, 2 * _HOUR),
    Level.AGENT: (_HOUR, 4 * _HOUR),
}
"""Shorter in everything than the first: what it permits, the first permitted."""

WIDER: Times = {**TIGHTER, Level.WRITE: (4 * _HOUR, 12 * _HOUR)}
"""Writing may be extended for longer."""

WIDEST: Times = {**WIDER, Level.TEST: (10 * _HOUR, 24 * _HOUR)}
"""Tests may take longer, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One more offer or limit, as lines of YAML below its name."""

    name: str
    lines: tuple[str, ...]


def policy_files(
    offerings: Iterable[Offering], times: Times, more: Iterable[Rule] = (), limits: Iterable[Rule] = ()
) -> dict[str, str]:
    """The files of one version; `more` are further offers, `limits` further limits."""
    lines = ["version: 1", "offers:"]
    for offering in offerings:
        lines += _offer(offering, times)
    for rule in more:
        lines += [f"  - name: {rule.name}", *(f"    {line}" for line in rule.lines)]
    lines += ["limits:", *(f"  {line}" for line in _LIMITS)]
    for rule in limits:
        lines += [f"  - name: {rule.name}", *(f"    {line}" for line in rule.lines)]
    return {FILE: "\n".join(lines) + "\n"}


def asking(entitlements: Iterable[str], to: Iterable[str]) -> tuple[str, str]:
    """The lines that say what an offer is about, and to whom it is made."""
    return f"entitlements: [{', '.join(entitlements)}]", f"to: [{', '.join(to)}]"


def lasting(longest: timedelta, total: timedelta) -> tuple[str, str]:
    """The lines that say how long."""
    return f"max_duration: {human_duration(longest)}", f"max_total: {human_duration(total)}"


_LIMITS = (
    "- name: production-is-short",
    '  description: "Nothing in production lasts longer than three days, whatever an offer says."',
    "  entitlements: [tag:env=prod]",
    "  max_duration: 72h",
)


def _offer(offering: Offering, times: Times) -> Iterator[str]:
    yield f"  - name: {offering.name}"
    for line in (*asking(offering.entitlements, [f"group:{offering.group}"]), *lasting(*times[offering.level])):
        yield f"    {line}"
    if offering.level is Level.AGENT:
        yield "    kinds: [agent]"
        yield '    purpose: "look into alerts"'
    if offering.level is Level.EMERGENCY:
        yield f"    break_glass: {{review_within: 72h, reviewers: [group:{SECURITY}]}}"
    elif offering.stages:
        yield "    approvals:"
        yield from (f"      - {{from: [{', '.join(parties)}]}}" for parties in offering.stages)
    else:
        yield "    auto_approve: true"
