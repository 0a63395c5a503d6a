"""Who may assume a role, as its trust policy says: users and roles of the account, services, strangers.

Guarantee: whoever may be meant is named; a condition is told, a Deny takes somebody away only if it surely speaks of
him. Administrators are left out where all of an account are meant: they gain nothing. Called by `iam_rows`, `iam_ways`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.aws.iam_details import Holder
from lapse.review.sources.aws.iam_estate import Estate
from lapse.review.sources.aws.names import name_in, read_arn, session_name
from lapse.review.sources.iam_policies import Document, Statement, read_document

ANYONE = "(anyone)"
"""Whoever has any AWS account at all."""
ASSUME = "sts:AssumeRole"
_ASSUMING = ("sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity")


class Edge(NamedTuple):
    """A step by which whoever has `from_name` can get `to_name`."""

    from_name: str
    to_name: str
    how: str


@dataclass(slots=True)
class Trust:
    """Whom one role trusts: steps to it, the services that may assume it, and whether it trusts anybody else.

    `fault` is what could not be read.
    """

    edges: list[Edge] = field(default_factory=list)
    services: dict[str, str] = field(default_factory=dict)
    others: bool = False
    fault: str = ""

    @property
    def for_services_only(self) -> bool:
        """Whether only AWS services may assume the role."""
        return bool(self.services) and not self.others

    @property
    def is_open(self) -> bool:
        """Whether anybody may assume the role."""
        return bool(self.services) or self.others


def trust_of(role: Holder, estate: Estate) -> Trust:
    """Whom `role` trusts."""
    try:
        document = read_document(role.trust)
    except InvalidInput as error:
        return Trust(fault=error.message)
    trust = Trust(fault=next(iter(document.faults), ""))
    for statement in document.statements:
        if statement.allow and any(statement.actions.include(action) for action in _ASSUMING):
            _add(trust, statement, document, role, estate)
    trust.edges = list(dict.fromkeys(trust.edges))
    return trust


def conditional(text: str, conditions: Iterable[str]) -> str:
    """`text`, with the conditions under which it holds."""
    return "; ".join(dict.fromkeys(filter(None, [text, *conditions])))


def _add(trust: Trust, statement: Statement, document: Document, role: Holder, estate: Estate) -> None:
    conditions = [f"if {one}" for one in statement.conditions]
    conditions += [f"unless a Deny applies ({one})" for deny in _denies(document) for one in deny.conditions]
    if statement.others:
        trust.others = True
        but = ", ".join(shown(value) for _, value in statement.principals[:3])
        trust.edges.append(Edge(ANYONE, role.name, conditional(f"trusted: everybody except {but}", conditions)))
        return
    for kind, value in statement.principals:
        if _is_denied(document, kind, value):
            continue
        trust.others = trust.others or kind != "Service"
        if kind == "Service":
            trust.services[value] = conditional("", conditions)
        elif kind == "AWS":
            edges = _of_principal(value, conditions, role, estate)
            trust.edges += (one for one in edges if not _is_denied(document, "AWS", _arn_of(one.from_name, estate)))
        else:
            how = f"trusted: whom {shown(value, 120)} vouches for"
            trust.edges.append(Edge(value, role.name, conditional(how, conditions)))


def _of_principal(value: str, conditions: list[str], role: Holder, estate: Estate) -> Iterator[Edge]:
    number = estate.account.number
    arn = read_arn(value)
    if value == "*":
        yield Edge(ANYONE, role.name, conditional("trusted: everybody", conditions))
        yield from _everybody(role, estate, conditions)
    elif value == number or (arn is not None and arn.account == number and arn.rest == "root"):
        yield from _whoever_may(role, estate, conditions)
    elif arn is None:
        yield from _of_id(value, conditions, role, estate)
    else:
        session = session_name(arn.rest)
        how = f"trusted by name{f', in the session {shown(session)}' if session else ''}"
        name = name_in(number, arn)
        holder = estate.by_arn.get(value) or estate.account.holders.get(name)
        if holder is None or not estate.effect(holder).forbids(ASSUME, role.arn):
            yield Edge(name, role.name, conditional(how, conditions))


def _everybody(role: Holder, estate: Estate, conditions: list[str]) -> Iterator[Edge]:
    for holder in estate.actors:
        if holder is not role and not estate.effect(holder).forbids(ASSUME, role.arn):
            yield Edge(holder.name, role.name, conditional("trusted: everybody", conditions))


def _whoever_may(role: Holder, estate: Estate, conditions: list[str]) -> Iterator[Edge]:
    """Where the account is trusted, it is up to the policies of its users and roles."""
    for holder in estate.who_may(ASSUME):
        allowed = estate.effect(holder).may(ASSUME, role.arn)
        if allowed is not None and holder is not role:
            how = f"trusted: the account, and allowed {ASSUME}"
            yield Edge(holder.name, role.name, conditional(how, [*conditions, *filter(None, [allowed])]))


def _of_id(value: str, conditions: list[str], role: Holder, estate: Estate) -> Iterator[Edge]:
    """An AWS account by its number, or a user or role by its id, which stays where one was deleted."""
    if value.isdigit():
        yield Edge(f"arn:aws:iam::{value}:root", role.name, conditional("trusted by name", conditions))
        return
    holder = estate.by_id.get(value)
    how = "trusted by id" if holder else "trusted by an id that nobody here has: deleted, or of another account"
    yield Edge(holder.name if holder else value, role.name, conditional(how, conditions))


def _arn_of(name: str, estate: Estate) -> str:
    holder = estate.account.holders.get(name)
    return holder.arn if holder else name


def _denies(document: Document) -> Iterator[Statement]:
    return (one for one in document.statements if not one.allow)


def _is_denied(document: Document, kind: str, value: str) -> bool:
    actions = _ASSUMING[1:] if kind == "Federated" else _ASSUMING[:1]
    return any(
        not one.conditions and all(map(one.actions.include, actions)) and _speaks_of(one, kind, value)
        for one in _denies(document)
    )


def _speaks_of(deny: Statement, kind: str, value: str) -> bool:
    """Whether it surely is about the principal. The root of an account stands for everybody in it."""
    arn = read_arn(value) if kind == "AWS" else None
    same = {value, "*"} if kind == "AWS" else {value}
    if arn is not None:
        same |= {arn.account, f"arn:{arn.partition}:iam::{arn.account}:root"}
    return any(one == kind and named in same for one, named in deny.principals) != deny.others
