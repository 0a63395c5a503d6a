"""What the rules of a role come to: rights as rows, powers, and whether they allow a certain thing.

Guarantee: wildcards are kept as such, never spelled out; a role with more rights than `MOST_RIGHTS` is cut, and said
to be. Objects are written `GROUP/RESOURCE`, `GROUP/RESOURCE/NAME` and `GROUP/RESOURCE/NAME/SUBRESOURCE`, with `core`
for the group without a name, and `*` for every one. Called by the kind of source `kubernetes-rbac`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple, TypeAlias

from lapse.review.sources.kubernetes.objects import Rule

ANY = "*"
CORE = "core"
MOST_RIGHTS = 20_000
"""Rights of one role."""
Right: TypeAlias = tuple[str, str]
"""Verb, object."""


class Ask(NamedTuple):
    """A thing that somebody may do: any of `verbs` on `resource` (`pods`, `pods/exec`) of `group`."""

    verbs: tuple[str, ...]
    resource: str
    group: str = ""


def rights_of(rules: Iterable[Rule]) -> tuple[list[Right], bool]:
    """The rights that `rules` give, in order, and whether they are all of them."""
    found: dict[Right, None] = {}
    for right in _rights(rules):
        found[right] = None
        if len(found) > MOST_RIGHTS:
            return sorted(found)[:MOST_RIGHTS], False
    return sorted(found), True


def is_everything(rules: Iterable[Rule]) -> bool:
    """Whether one of the rules allows every verb on every resource."""
    return any(
        ANY in (rule.verbs or [])
        and ANY in (rule.api_groups or [])
        and ANY in (rule.resources or [])
        and not rule.resource_names
        for rule in rules
    )


def allows(rules: Iterable[Rule], ask: Ask) -> bool:
    """Whether any of the rules allows it on every object of the resource."""
    return any(not rule.resource_names and _matches(rule, ask) for rule in rules)


def named(rules: Iterable[Rule], ask: Ask) -> list[str]:
    """The names of the objects on which the rules allow it, where they allow it on single ones."""
    return sorted({name for rule in rules if _matches(rule, ask) for name in rule.resource_names or []})


def _matches(rule: Rule, ask: Ask) -> bool:
    verbs, groups = rule.verbs or [], rule.api_groups or []
    return (
        (ANY in verbs or any(verb in verbs for verb in ask.verbs))
        and (ANY in groups or ask.group in groups)
        and _has_resource(rule.resources or [], ask.resource)
    )


def _has_resource(resources: Sequence[str], wanted: str) -> bool:
    """`*` is every resource and subresource, `*/scale` that subresource of every resource."""
    _, slash, sub = wanted.partition("/")
    return ANY in resources or wanted in resources or bool(slash and f"*/{sub}" in resources)


def _rights(rules: Iterable[Rule]) -> Iterator[Right]:
    for rule in rules:
        # A name that is there twice would only multiply the work.
        verbs, groups, resources = map(dict.fromkeys, (rule.verbs or [], rule.api_groups or [], rule.resources or []))
        names = dict.fromkeys(rule.resource_names or [""])
        for verb, group, resource, name in product(verbs, groups, resources, names):
            yield verb, _object(group, resource, name)
        for verb, url in product(verbs, dict.fromkeys(rule.urls or [])):
            yield verb, url


def _object(group: str, resource: str, name: str) -> str:
    if group == ANY and resource == ANY and not name:
        return ANY
    kind, slash, sub = resource.partition("/")
    base = f"{group or CORE}/{kind}"
    if slash:
        return f"{base}/{name or ANY}/{sub}"
    return f"{base}/{name}" if name else base
