"""Which entitlements and which people a rule is about: patterns and parties, checked once, matched for each question.

`*` stands for any characters within one part of a name and `?` for one; matching cannot explode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, is_printable, shown
from lapse.domain.resources import Entitlement, Resource
from lapse.domain.wildcards import wildcard_match
from lapse.policy.values import Ask, PrincipalFacts

ANYONE = "anyone"
ON_CALL = "oncall"
_PART = re.compile(r"[a-z0-9*?](?:[a-z0-9._@+*?-]{0,126}[a-z0-9*?])?", re.ASCII)
_LONGEST_TAG = 256


@dataclass(frozen=True, slots=True)
class Pattern:
    """`resource/role` with `*` and `?`, or `tag:KEY=VALUE` (key empty for the former).

    A tag counts where the resource or the entitlement has it: the value may have `*` and `?`.
    """

    text: str
    tag: str
    left: str
    right: str

    def matches(self, ask: Ask) -> bool:
        """Whether `ask` is for such an entitlement."""
        if self.tag:
            return self._tagged(ask.resource.tags) or self._tagged(ask.entitlement.tags)
        return self._named(ask.resource.name, ask.entitlement.role)

    def covers(self, resource: Resource, entitlement: Entitlement) -> bool:
        """Whether this entitlement of the catalog is such a one."""
        if self.tag:
            return self._tagged(resource.tags) or self._tagged(entitlement.tags)
        return self._named(resource.name, entitlement.role)

    def _tagged(self, tags: Mapping[str, str]) -> bool:
        return self.tag in tags and wildcard_match(self.right, tags[self.tag])

    def _named(self, resource: str, role: str) -> bool:
        return wildcard_match(self.left, resource) and wildcard_match(self.right, role)


def parse_pattern(text: str) -> Pattern:
    """Read an entitlement pattern; `InvalidInput` if it is none."""
    if text.startswith("tag:"):
        return _tag_pattern(text)
    left, slash, right = text.partition("/")
    if not slash or not _PART.fullmatch(left) or not _PART.fullmatch(right):
        raise InvalidInput(
            f"`{shown(text)}` is not an entitlement or a pattern",
            hint="write it as `pg-prod/reader`, `pg-*/reader`, `*/*` or `tag:env=prod`",
        )
    return Pattern(text, "", left, right)


def _tag_pattern(text: str) -> Pattern:
    key, equals, value = text.removeprefix("tag:").partition("=")
    if not key or not equals or not value or len(text) > _LONGEST_TAG or not is_printable(text):
        raise InvalidInput(
            f"`{shown(text)}` is not a tag with a value",
            hint="write it as `tag:env=prod`, or `tag:pii=*`",
        )
    return Pattern(text, key, "", value)


def parse_party(text: str) -> str:
    """Read who may ask: `anyone`, `group:NAME` or a principal's name; `InvalidInput` if it is none of them."""
    kind, colon, group = text.partition(":")
    if not colon:
        return check_name(text, what="principal's name")
    if kind != "group":
        raise InvalidInput(f"`{shown(text)}` is nobody", hint="write `group:NAME`, a principal's name or `anyone`")
    return "group:" + check_name(group, what="group name")


def parse_approver(text: str) -> str:
    """Read who may approve: `group:NAME`, `owner`, `manager`, `oncall:ROTA` or a principal's name; never `anyone`."""
    kind, colon, rota = text.partition(":")
    if colon and kind == ON_CALL:
        return f"{ON_CALL}:{check_name(rota, what='name of a rota')}"
    if text == ANYONE:
        raise InvalidInput(
            "approval by anyone is no approval", hint="name a group, `owner` (of the resource) or `manager`"
        )
    return parse_party(text)


def may_be(facts: PrincipalFacts, parties: tuple[str, ...]) -> bool:
    """Whether the principal itself is one of `parties`: what an offer asks."""
    names = (facts.name, facts.person)
    return any(_is(party, names, facts.groups) for party in parties)


def touches(facts: PrincipalFacts, parties: tuple[str, ...]) -> bool:
    """Whether the principal, or a human behind it, is one of `parties`: what a limit asks, so that nobody slips by."""
    names = (facts.name, facts.person, *facts.humans)
    groups = (*facts.groups, *facts.human_groups)
    return any(_is(party, names, groups) for party in parties)


def _is(party: str, names: tuple[str, ...], groups: tuple[str, ...]) -> bool:
    if party == ANYONE:
        return True
    return party[6:] in groups if party.startswith("group:") else party in names
