"""Which rights of a role were used, by what telemetry calls actions and objects. Pure; one function a kind of target.

Guarantee: a right is only called unused where every use of it would have been recorded as such; what is recorded less
exactly than that keeps the right. Called by `check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from lapse.domain.wildcards import wildcard_match
from lapse.review.roles.model import Right, RightState


@dataclass(frozen=True, slots=True)
class Use:
    """Something that holders of a role did: `object` is None where the telemetry does not say to what."""

    action: str
    object: str | None
    last: datetime


Judge = Callable[[Sequence[Right], Sequence[Use]], list[Right]]
"""From the rights of a role and what its holders did, the rights with what is known of their use."""


def judge_by_name(rights: Sequence[Right], uses: Sequence[Use]) -> list[Right]:
    """Where what was done has the name of the right: wildcards match, and case does not matter in actions."""
    return [_judged(right, [use for use in uses if covers(right, use)]) for right in rights]


def covers(right: Right, use: Use) -> bool:
    """Whether `right` allows what was done."""
    if not wildcard_match(right.action.lower(), use.action.lower()):
        return False
    return use.object is None or right.object == "*" or wildcard_match(right.object, use.object)


def judge_kubernetes(rights: Sequence[Right], uses: Sequence[Use]) -> list[Right]:
    """As by name; a right on a resource is one on every object of it, and `GROUP/RESOURCE/*/SUB` on that of each."""
    return [_judged(right, [use for use in uses if _kubernetes_covers(right, use)]) for right in rights]


def _kubernetes_covers(right: Right, use: Use) -> bool:
    if not wildcard_match(right.action.lower(), use.action.lower()):
        return False
    if use.object is None or right.object == "*":
        return True
    if right.object.startswith("/") or use.object.startswith("/"):
        return wildcard_match(right.object, use.object)
    allowed, done = kubernetes_parts(right.object), kubernetes_parts(use.object)
    everything = allowed.resource == "*" and not allowed.sub
    same = allowed.resource in {"*", done.resource} and allowed.sub == done.sub
    return (everything or same) and allowed.group in {"*", done.group} and allowed.name in {"", "*", done.name}


class KubernetesObject(NamedTuple):
    """An object as evidence spells it; `name` is empty or `*` for every one, `sub` empty for the object itself."""

    group: str
    resource: str
    name: str
    sub: str


def kubernetes_parts(text: str) -> KubernetesObject:
    """The parts of `GROUP/RESOURCE`, `GROUP/RESOURCE/NAME` or `GROUP/RESOURCE/NAME/SUBRESOURCE`."""
    group, resource, name, sub = (*text.split("/", 3), "", "", "", "")[:4]
    return KubernetesObject(group, resource, name, sub)


def _judged(right: Right, uses: Iterable[Use]) -> Right:
    found = list(uses)
    if not found:
        return replace(right, state=RightState.UNUSED)
    exact = {(use.action, right.object if use.object is None else use.object) for use in found}
    return replace(
        right,
        state=RightState.USED,
        last_used=max(use.last for use in found),
        used_as=tuple(sorted(exact)) if right.wildcard else (),
    )
