"""The narrower role in the languages that its target and lapse understand. Pure; called by `check`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name
from lapse.policy.editing import CannotEdit, OfferText
from lapse.review.roles import aws_policy, kubernetes_role, postgresql_sql
from lapse.review.roles.lapse_yaml import Narrowed, catalog_of, offer_of
from lapse.review.roles.matching import Judge, judge_by_name, judge_kubernetes
from lapse.review.roles.model import Right, RightState, Spelling
from lapse.review.roles.postgresql import judge as judge_postgresql

POSTGRESQL, AWS, KUBERNETES = "postgresql", "aws", "kubernetes"
_CALLED = {"postgresql": POSTGRESQL, "aws": AWS, "aws_iam": AWS, "aws-iam": AWS, "kubernetes": KUBERNETES}
_JUDGES: Mapping[str, Judge] = {POSTGRESQL: judge_postgresql, KUBERNETES: judge_kubernetes}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleNames:
    """What a role is called: on its target, and in lapse if it is an entitlement; `offer` gives that."""

    resource: str
    connector: str
    native: str
    entitlement: str = ""
    mode: str = ""
    offer: OfferText | None = None


def kind_of(connector: str) -> str:
    """The language of a connector; the connector itself where none is known."""
    return _CALLED.get(connector, connector)


def judge_of(connector: str) -> Judge:
    """How use is compared with rights on targets of this kind."""
    return _JUDGES.get(kind_of(connector), judge_by_name)


def spell(names: RoleNames, rights: Sequence[Right], taken: Collection[str]) -> tuple[tuple[Spelling, ...], list[str]]:
    """The narrower role, and what to mind; `taken` are the native roles that there are already."""
    spellings: list[Spelling] = []
    notes: list[str] = []
    new = _free(names, taken)
    for write in (_native, _lapse):
        try:
            spellings += write(names, new, rights, notes)
        except (InvalidInput, CannotEdit) as error:
            notes.append(f"by hand: {error.message}")
    return tuple(spellings), notes


def _native(names: RoleNames, new: str, rights: Sequence[Right], notes: list[str]) -> Iterator[Spelling]:
    kind = kind_of(names.connector)
    needed = [right for right in rights if right.state is not RightState.UNUSED and not right.wildcard]
    unused = [right for right in rights if right.state is RightState.UNUSED]
    if kind == POSTGRESQL:
        title = "Take away what nobody used, from everybody who holds the role"
        yield Spelling(format=kind, title=title, text=postgresql_sql.take_away(names.native, unused))
        made = postgresql_sql.new_role(new, needed, names.native)
        yield Spelling(format=kind, title="Or make a narrower role beside it, and offer that", text=made)
    elif kind == AWS:
        policy = aws_policy.policy_of(rights)
        notes += [aws_policy.CONDITIONS, *([aws_policy.TOO_LONG] if aws_policy.is_too_long(policy) else [])]
        yield Spelling(format="aws-iam", title="A policy with exactly what was used", text=policy)
    elif kind == KUBERNETES:
        text = kubernetes_role.manifest_of(names.native, new, rights)
        yield Spelling(format=kind, title="A role with exactly what was used", text=text)


def _lapse(names: RoleNames, new: str, _rights: Sequence[Right], notes: list[str]) -> Iterator[Spelling]:
    if not names.entitlement:
        notes.append("the role is no entitlement of the catalog: what is not granted through lapse has no offer")
        return
    role = names.entitlement.partition("/")[2]
    narrowed = Narrowed(
        resource=names.resource,
        connector=names.connector,
        role=role,
        new_role=check_name(f"{role}-narrow", what="role name"),
        native=names.native,
        new_native=_new_native(names, new),
        mode=names.mode,
    )
    yield Spelling(format="lapse", title="The entitlement for the catalog", text=catalog_of(narrowed))
    if names.offer is None:
        notes.append("no offer gives the role today, so there are no terms to take over")
        return
    yield Spelling(format="lapse", title="The offer for the policy", text=offer_of(narrowed, names.offer))


def _new_native(names: RoleNames, new: str) -> str:
    if kind_of(names.connector) == KUBERNETES:
        role, namespace, _ = kubernetes_role.parts_of_role(names.native)
        return f"role/{namespace}/{new}" if role == "Role" else f"clusterrole/{new}"
    return new


def _free(names: RoleNames, taken: Collection[str]) -> str:
    """A name for the narrower role, with a number behind it if there is such a role."""
    kind, name = kind_of(names.connector), names.native
    if kind == KUBERNETES:
        name = f"{name.rpartition('/')[2].partition('@')[0]}-narrow"
    elif kind == AWS:
        name = f"{name.rpartition('/')[2].rpartition(':')[2]}-narrow"
    else:
        name = f"{name}_narrow"
    number, found = 2, name
    while found in taken:
        found, number = f"{name}{number}", number + 1
    return found
