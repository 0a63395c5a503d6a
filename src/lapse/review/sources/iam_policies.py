"""The policy language of AWS IAM: documents read, actions and resources matched, Allow less Deny.

Pure. What a document says is either read or named in `faults`; nothing is guessed. Where the outcome depends on what a
document alone does not say (conditions, variables), an Allow counts and a Deny does not, and the condition is told.
Called by `aws`, which reads accounts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.iam_wildcards import covers, is_wild, matches, overlaps

LONGEST_PATTERN = 2_048
"""Characters of an action or a resource; AWS allows no longer ARN."""
MOST_NAMES = 5_000
"""Statements, actions and resources of one policy; AWS allows 10,240 characters, which is far less."""
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DOLLAR = {"$": "$"}


@dataclass(frozen=True, slots=True)
class Patterns:
    """What an element names: everything that one of `names` stands for, or, `inverted`, everything else."""

    names: tuple[str, ...]
    inverted: bool = False

    def include(self, text: str) -> bool:
        """Whether `text`, which is no pattern, is among them."""
        return any(matches(name, text) for name in self.names) != self.inverted

    def include_all(self, pattern: str) -> bool:
        """Whether everything that `pattern` stands for surely is among them."""
        if self.inverted:
            return not any(overlaps(name, pattern) for name in self.names)
        return any(covers(name, pattern) for name in self.names)

    def include_some(self, pattern: str) -> bool:
        """Whether anything that `pattern` stands for may be among them."""
        if self.inverted:
            return not any(covers(name, pattern) for name in self.names)
        return any(overlaps(name, pattern) for name in self.names)

    @property
    def texts(self) -> tuple[str, ...]:
        """Patterns that stand for all of them, and perhaps for more: `*` where the element says what is left out."""
        return ("*",) if self.inverted else self.names


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. Actions are in lower case, `written` has them as the document does.

    `conditions` are texts such as `Bool aws:MultiFactorAuthPresent`. `principals` are (kind, value), e.g. (`AWS`, `*`)
    or (`Service`, `ec2.amazonaws.com`), in policies that name any; `others`: it is about everybody but those.
    """

    allow: bool
    actions: Patterns
    resources: Patterns
    written: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    principals: tuple[tuple[str, str], ...] = ()
    others: bool = False

    def covers(self, action: str, resource: str) -> bool:
        """Whether it surely speaks of everything that both patterns stand for; no if there is a condition."""
        return not self.conditions and self.actions.include_all(action) and self.resources.include_all(resource)

    def touches(self, action: str, resource: str) -> bool:
        """Whether it may speak of anything that both patterns stand for."""
        return self.actions.include_some(action) and self.resources.include_some(resource)


_ALL = Patterns(("*",))


@dataclass(frozen=True, slots=True)
class Document:
    """A policy that was read. `faults` says, in words, which of its statements could not be."""

    statements: tuple[Statement, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Privilege:
    """A right that a policy gives: action and resource as written, in words what else there is to know of it."""

    action: str
    resource: str
    wildcard: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What all policies of one holder come to. `bounds` None: no permissions boundary limits it."""

    allows: tuple[Statement, ...]
    denies: tuple[Statement, ...] = ()
    bounds: tuple[Statement, ...] | None = None
    _by_action: dict[str, Effect] = field(default_factory=dict, compare=False, repr=False)

    def may(self, action: str, resource: str) -> str | None:
        """Whether `action` on the one `resource` is allowed: None if not, else in words under which conditions."""
        return _decided(self._about(action.lower()), resource)

    def may_somewhere(self, action: str) -> str | None:
        """The same, on any resource at all."""
        about = self._about(action.lower())
        answers = (_decided(about, text) for one in about.allows for text in one.resources.texts)
        return min((answer for answer in answers if answer is not None), key=len, default=None)

    def names(self, action: str) -> bool:
        """Whether any Allow speaks of `action`; if not, it is not allowed anywhere."""
        return bool(self._about(action.lower()).allows)

    def forbids(self, action: str, resource: str) -> bool:
        """Whether a Deny without a condition takes `action` on `resource` away, whoever else gives it."""
        denies = (*self.denies, *(one for one in self.bounds or () if not one.allow))
        return any(one.covers(action.lower(), resource) for one in denies)

    @property
    def is_administrator(self) -> bool:
        """Whether every action on every resource is allowed, and no Deny takes away the power over rights itself."""
        return any(gives_all(one) for one in self.allows) and self.could_be_administrator

    @property
    def could_be_administrator(self) -> bool:
        """Whether it would be an administrator's if one more policy allowed everything."""
        bounds = (Statement(allow=True, actions=_ALL, resources=_ALL),) if self.bounds is None else self.bounds
        return any(gives_all(one) for one in bounds) and not any(map(takes_all, (*self.denies, *bounds)))

    def with_more(self, statements: Iterable[Statement]) -> Effect:
        """The effect if `statements` were added to the policies."""
        more = tuple(statements)
        allows = (*self.allows, *(one for one in more if one.allow))
        return Effect(allows, (*self.denies, *(one for one in more if not one.allow)), self.bounds)

    def _about(self, action: str) -> Effect:
        """The part that speaks of `action`: asked for once for each of many resources."""
        known = self._by_action.get(action)
        if known is None:
            allows = _speaking_of(action, self.allows)
            limits = _speaking_of(action, self.bounds or ())
            denies = (*_speaking_of(action, self.denies), *(one for one in limits if not one.allow))
            bounds = None if self.bounds is None else tuple(one for one in limits if one.allow)
            known = self._by_action[action] = Effect(allows, denies, bounds) if allows else _NONE
        return known


_NONE = Effect(())


def read_document(value: Any) -> Document:
    """The policy in `value`: an object, its JSON text, or that text URL-encoded.

    Raises:
        InvalidInput: it is no policy document at all.
    """
    found = _element(_as_object(value), "Statement")
    statements = found if isinstance(found, list) else [found]
    if found is None or len(statements) > MOST_NAMES:
        raise InvalidInput(f"a policy has 1 to {MOST_NAMES} statements")
    read: list[Statement] = []
    faults: list[str] = []
    for number, one in enumerate(statements, start=1):
        try:
            read.append(_statement(one))
        except InvalidInput as error:
            faults.append(f"statement {number}: {error.message}")
    if sum(len(one.actions.names) + len(one.resources.names) for one in read) > MOST_NAMES:
        raise InvalidInput(f"the policy names more than {MOST_NAMES} actions and resources")
    return Document(tuple(read), tuple(faults))


def effect_of(
    statements: Iterable[Statement], variables: Mapping[str, str], bounds: Iterable[Statement] | None = None
) -> Effect:
    """What `statements` come to for a holder of whom `variables` are known, e.g. `aws:username`."""
    known = [filled(one, variables) for one in statements]
    limits = None if bounds is None else tuple(filled(one, variables) for one in bounds)
    return Effect(tuple(one for one in known if one.allow), tuple(one for one in known if not one.allow), limits)


def privileges(statements: Sequence[Statement], most: int) -> tuple[Privilege, ...]:
    """What `statements` of one policy allow, less what they deny: every action on every resource that they name.

    From where there would be more than `most` of them, there is one an action, on `*`.
    """
    denies = [filled(one, {}) for one in statements if not one.allow]
    found: dict[tuple[str, str], Privilege] = {}
    for one in statements:
        for right in _pairs(one, most - len(found)) if one.allow else ():
            left = _less(right, denies)
            if left is not None:
                found.setdefault((left.action.lower(), left.resource), left)
    return tuple(found.values())


def gives_all(statement: Statement) -> bool:
    """Whether it allows every action on every resource (perhaps under a condition)."""
    actions, resources = statement.actions, statement.resources
    return statement.allow and actions.include_all("*:*") and any(covers(r, "arn:aws:*") for r in resources.texts)


def takes_all(statement: Statement) -> bool:
    """Whether it denies, without a condition, all that an administrator needs to change rights."""
    return not statement.allow and statement.covers("iam:*", "*")


def filled(statement: Statement, variables: Mapping[str, str]) -> Statement:
    """`statement` with `variables` in place of `${name}`; of one not known, an Allow means any value, a Deny none."""
    if not any("${" in name for name in (*statement.resources.names, *statement.actions.names)):
        return statement
    widen = statement.allow != statement.resources.inverted
    names = (_filled(name, variables, widen=widen) for name in statement.resources.names)
    return replace(statement, resources=replace(statement.resources, names=tuple(n for n in names if n is not None)))


def _filled(name: str, variables: Mapping[str, str], *, widen: bool) -> str | None:
    lost = False

    def value(found: re.Match[str]) -> str:
        nonlocal lost
        known = _DOLLAR.get(found[1]) or variables.get(found[1].partition(",")[0].strip().lower(), "*")
        lost = lost or is_wild(known)
        return known

    text = _VARIABLE.sub(value, name)
    return text if widen or not lost else None


def _decided(effect: Effect, resource: str) -> str | None:
    """Whether `effect`, which speaks of one action only, allows it on some of `resource`; if so, if what."""
    if any(not one.conditions and one.resources.include_all(resource) for one in effect.denies):
        return None
    given = _least(effect.allows, resource)
    bound = () if given is None or effect.bounds is None else _least(effect.bounds, resource)
    if given is None or bound is None:
        return None
    doubts = [one for one in effect.denies if one.conditions and one.resources.include_some(resource)]
    if not (given or bound or doubts):
        return ""
    unless = [f"unless a Deny applies ({condition})" for one in doubts for condition in one.conditions]
    return "; ".join(dict.fromkeys([*(f"if {one}" for one in (*given, *bound)), *unless]))


def _speaking_of(action: str, statements: Iterable[Statement]) -> tuple[Statement, ...]:
    return tuple(one for one in statements if one.actions.include(action))


def _least(statements: Iterable[Statement], resource: str) -> tuple[str, ...] | None:
    """The fewest conditions under which one of `statements` is about some of `resource`; None: none is."""
    best: tuple[str, ...] | None = None
    for one in statements:
        if (best is None or len(one.conditions) < len(best)) and one.resources.include_some(resource):
            best = one.conditions
            if not best:
                break
    return best


def _pairs(statement: Statement, most: int) -> Iterable[Privilege]:
    actions, resources = statement.actions, statement.resources
    notes = tuple(f"only if {one}" for one in statement.conditions)
    if actions.inverted:
        notes += (f"every action except {_listed(actions.names)}",)
    if resources.inverted:
        notes += (f"every resource except {_listed(resources.names)}",)
    written, objects = ("*",) if actions.inverted else statement.written, resources.texts
    if len(written) * len(objects) > most:
        notes += (f"{len(objects)} resources are listed as `*`",)
        objects = ("*",)
    for action in written:
        for resource in objects:
            wild = actions.inverted or resources.inverted or is_wild(action) or is_wild(resource) or "${" in resource
            yield Privilege(action=action, resource=resource, wildcard=wild, notes=notes)


def _less(right: Privilege, denies: Sequence[Statement]) -> Privilege | None:
    action, resource = right.action.lower(), _VARIABLE.sub("*", right.resource)
    if any(one.covers(action, resource) for one in denies):
        return None
    touching = [one for one in denies if one.touches(action, resource)]
    notes = [f"a Deny takes part of it away ({_about(one)})" for one in touching]
    return replace(right, notes=(*right.notes, *notes)) if notes else right


def _about(deny: Statement) -> str:
    what = f"{'all but ' if deny.actions.inverted else ''}{_listed(deny.actions.names)}"
    return f"{what} if {deny.conditions[0]}" if deny.conditions else what


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 60) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004  the three shown


def _as_object(value: Any) -> Mapping[str, Any]:
    found = value
    if isinstance(value, str):
        text = unquote(value) if value.lstrip()[:1] == "%" else value
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidInput("the policy document is no JSON") from None
    if not isinstance(found, Mapping):
        raise InvalidInput("the policy document is no JSON object")
    return found


def _statement(value: Any) -> Statement:
    if not isinstance(value, Mapping):
        raise InvalidInput("it is no JSON object")
    effect = _element(value, "Effect")
    if effect not in {"Allow", "Deny"}:
        raise InvalidInput(f"its effect is `{shown(str(effect))}`")
    actions = _patterns(value, "Action")
    trusts = _element(value, "Principal") is not None or _element(value, "NotPrincipal") is not None
    resources = _patterns(value, "Resource", absent=("*",) if trusts else None)
    return Statement(
        allow=effect == "Allow",
        actions=Patterns(tuple(name.lower() for name in actions.names), actions.inverted),
        resources=resources,
        written=actions.names,
        conditions=_conditions(_element(value, "Condition")),
        principals=_principals(value),
        others=_element(value, "NotPrincipal") is not None,
    )


def _patterns(statement: Mapping[str, Any], name: str, absent: tuple[str, ...] | None = None) -> Patterns:
    direct, inverted = _element(statement, name), _element(statement, f"Not{name}")
    if direct is None and inverted is None and absent is not None:
        return Patterns(absent)
    if (direct is None) == (inverted is None):
        raise InvalidInput(f"it has not exactly one of {name} and Not{name}")
    return Patterns(_texts(direct if inverted is None else inverted, name), inverted is not None)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput(f"{name} is neither a text nor a list of texts")
    if any(len(text) > LONGEST_PATTERN for text in texts):
        raise InvalidInput(f"{name} has a text of more than {LONGEST_PATTERN} characters")
    return tuple(dict.fromkeys(texts))


def _principals(statement: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = _element(statement, "Principal") or _element(statement, "NotPrincipal")
    if found is None:
        return ()
    if found == "*":
        return (("AWS", "*"),)
    if not isinstance(found, Mapping):
        raise InvalidInput("Principal is neither `*` nor an object")
    return tuple((kind, value) for kind, values in found.items() for value in _texts(values, "Principal"))


def _conditions(value: Any) -> tuple[str, ...]:
    if value is None or value == {}:
        return ()
    if not isinstance(value, Mapping) or not all(isinstance(keys, Mapping) for keys in value.values()):
        raise InvalidInput("Condition is no object of objects")
    return tuple(f"{shown(operator)} {shown(key)}" for operator, keys in value.items() for key in keys)


def _element(value: Mapping[str, Any], name: str) -> Any:
    """An element of a policy by its name, whose case does not matter."""
    if name in value:
        return value[name]
    wanted = name.lower()
    return next((found for key, found in value.items() if isinstance(key, str) and key.lower() == wanted), None)
