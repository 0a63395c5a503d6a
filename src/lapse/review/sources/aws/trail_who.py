"""Who made a request, as CloudTrail's `userIdentity` says it, in the names that all evidence about AWS uses.

Guarantee: an identity of another AWS account never gets the name of one in this account. Called by `trail_rows`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from lapse.review.sources.aws.names import local_name, name_in, read_arn, session_name
from lapse.review.sources.aws.trail_records import Identity, Record


class Who(NamedTuple):
    """An account of an AWS account (`number`), and what says which person it is."""

    number: str
    account: str
    login: str = ""
    session: str = ""


class _Issuer(msgspec.Struct, frozen=True):
    arn: str = ""


class _Session(msgspec.Struct, rename="camel"):
    session_issuer: _Issuer = _Issuer()


class _OnBehalf(msgspec.Struct, rename="camel"):
    user_id: str = ""


class RoleRequest(msgspec.Struct, rename="camel"):
    """What is asked of STS when a role is assumed."""

    role_arn: str = ""
    role_session_name: str = ""


_T = TypeVar("_T")
_SERVICE = "AWSService"
_TOKEN_USERS = {"SAMLUser", "WebIdentityUser"}


def part_of(raw: msgspec.Raw, kind: type[_T]) -> _T:
    """A part of a record that is read only where it is needed; what is not as expected is as if it were not there."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return kind()


def read_role(asked: RoleRequest, number: str) -> Who | None:
    """The role that is asked for, if it is one of the AWS account `number`."""
    arn = read_arn(asked.role_arn)
    if arn is None or arn.account != number:
        return None
    return Who(number, local_name(arn.rest), session=asked.role_session_name)


def who_made(record: Record, number: str) -> Who | None:
    """Who made the request of `record`, in the AWS account `number`; None: an AWS service itself, or nobody.

    A role that a service assumes is used by that: then it is the role.
    """
    identity = record.user_identity
    if identity is None:
        return None
    if identity.type == _SERVICE or identity.type in _TOKEN_USERS:
        return _assumed(record, number, identity)
    if identity.type == "Root":
        return Who(number, "root")
    if identity.type == "FederatedUser":
        return _federated(identity, number)
    if identity.arn:
        return _of_arn(identity.arn, number)
    return _without_arn(identity, number)


def _of_arn(text: str, number: str) -> Who | None:
    arn = read_arn(text)
    if arn is None:
        return Who(number, text)
    name = name_in(number, arn)
    kind, _, login = local_name(arn.rest).partition("/")
    return Who(number, name, login if kind == "user" and arn.account == number else "", session_name(arn.rest))


def _without_arn(identity: Identity, number: str) -> Who | None:
    if identity.type == "AWSAccount":
        return Who(number, f"account/{identity.account_id}") if identity.account_id else None
    if identity.type == "IdentityCenterUser":
        user = part_of(identity.on_behalf_of, _OnBehalf).user_id
        return Who(number, f"identity-center/{user}") if user else None
    name = identity.user_name or identity.principal_id
    if not name:
        return None
    if identity.type == "IAMUser":
        return Who(number, f"user/{name}", login=name)
    return Who(number, f"{identity.type.lower() or 'unknown'}/{name}")


def _federated(identity: Identity, number: str) -> Who | None:
    """A federated user has rights of the user that asked for its token."""
    issuer = read_arn(part_of(identity.session_context, _Session).session_issuer.arn)
    token = read_arn(identity.arn or "")
    if issuer is None:
        return _of_arn(identity.arn, number) if identity.arn else _without_arn(identity, number)
    return Who(number, name_in(number, issuer), session=token.rest.partition("/")[2] if token else "")


def _assumed(record: Record, number: str, identity: Identity) -> Who | None:
    """The role that is assumed by somebody who has no other name here."""
    if record.event_name.startswith("AssumeRole"):
        role = read_role(part_of(record.request_parameters, RoleRequest), number)
        if role is not None:
            return role
    if identity.type == _SERVICE or not identity.user_name:
        return None
    return Who(number, f"{identity.type.lower()}/{identity.user_name}", session=identity.user_name)
