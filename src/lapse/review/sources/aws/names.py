"""How AWS accounts, users, roles and groups are called in evidence, the same whichever file they come from.

A user is `user/NAME`, a role `role/NAME`, a group `group/NAME`, without their paths: names are unique in an AWS account
without them, logs often leave them out, and they can change. A policy that is written into one of these is
`role/NAME:POLICY`; a managed one is its ARN. Who is of another AWS account is an ARN. Called by everything in `aws`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, shown
from lapse.review.sources.source import Options

ACCOUNT = "{account}"
RESOURCE_OPTION = {
    "resource": "name of the resource, `{account}` in it is the number of the AWS account (default `aws-{account}`); "
    "or NUMBER:NAME for each account, separated by spaces",
}
_NUMBER = re.compile(r"\d{12}", re.ASCII)
_KINDS = {"user": "user", "role": "role", "group": "group", "assumed-role": "role", "federated-user": "federated-user"}


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN in its parts; `account` may be empty."""

    partition: str
    service: str
    account: str
    rest: str


class ResourceNames:
    """Which resource an AWS account is, as the option `resource` says.

    Raises:
        InvalidInput: it is neither a name with `{account}` nor pairs of number and name.
    """

    def __init__(self, options: Options) -> None:
        text = options.get("resource", f"aws-{ACCOUNT}")
        self._names: dict[str, str] = {}
        self._template = f"aws-{ACCOUNT}"
        if ACCOUNT in text:
            self._template = text
        else:
            self._names = dict(_pair(part) for part in text.split())
        check_name(self.of("0" * 12), what="resource name")

    def of(self, account: str) -> str:
        """The resource that the AWS account with this number is."""
        return self._names.get(account) or self._template.replace(ACCOUNT, account)


def is_account(text: str | None) -> bool:
    """Whether this is the number of an AWS account: twelve digits."""
    return text is not None and _NUMBER.fullmatch(text) is not None


def read_arn(text: str) -> Arn | None:
    """The parts of `text`, if it is an ARN."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":  # noqa: PLR2004  the parts of an ARN
        return None
    return Arn(partition=parts[1], service=parts[2], account=parts[4], rest=parts[5])


def local_name(rest: str) -> str:
    """What the last part of an ARN of IAM or STS names: `user/a/b/ann` is `user/ann`; sessions are left out."""
    kind, slash, name = rest.partition("/")
    if not slash:
        return kind
    if kind == "assumed-role":
        return f"role/{name.partition('/')[0]}"
    return f"{_KINDS.get(kind, kind)}/{name.rpartition('/')[2]}"


def session_name(rest: str) -> str:
    """The session in the last part of the ARN of an assumed role, or empty."""
    kind, _, name = rest.partition("/")
    return name.partition("/")[2] if kind == "assumed-role" else ""


def name_in(account: str, arn: Arn) -> str:
    """How whom `arn` names is called in evidence about the AWS account `account`."""
    name = local_name(arn.rest)
    return name if arn.account == account else f"arn:{arn.partition}:iam::{arn.account}:{name}"


def inline_policy(holder: str, policy: str) -> str:
    """How a policy that is written into `holder` itself is called."""
    return f"{holder}:{policy}"


def _pair(text: str) -> tuple[str, str]:
    number, _, name = text.partition(":")
    if not is_account(number):
        raise InvalidInput(
            f"`{shown(text)}` does not name a resource for an AWS account",
            hint="give a name with `{account}` in it, or e.g. `111122223333:prod 444455556666:test`",
        )
    return number, check_name(name, what="resource name")
