"""What the policies of an AWS account come to for each of its users, roles and groups.

Guarantee: a policy that is missing or cannot be read is told as a gap once, and counts as allowing nothing that it does
not show. Called by the rows, the ways and the trust of an AWS account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.review.sources.aws.iam_details import AwsAccount, Holder
from lapse.review.sources.aws.names import inline_policy
from lapse.review.sources.iam_policies import Document, Effect, Statement, effect_of, read_document

_EVERYTHING = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
KNOWN = {
    f"arn:{partition}:iam::aws:policy/AdministratorAccess": _EVERYTHING for partition in ("aws", "aws-cn", "aws-us-gov")
}
"""Policies of AWS itself that are known even where their text is not there."""


class Estate:
    """The policies of `account`, read. `missing` and `unreadable` are the names of policies, with what is wrong."""

    def __init__(self, account: AwsAccount, shared: Mapping[str, Any]) -> None:
        self.account = account
        self.missing: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self._shared = shared
        self._documents: dict[str, Document] = {}
        self._effects: dict[str, Effect] = {}
        self._could_be: dict[str, bool] = {}
        self._who_may: dict[str, list[Holder]] = {}

    @cached_property
    def policies(self) -> dict[str, Document]:
        """All policies that somebody here holds, and all others that were made here, by name."""
        for arn in self.account.policies:
            self._managed(arn)
        for holder in self.account.holders.values():
            for name in self.own(holder):
                self.document(name)
        return self._documents

    @cached_property
    def by_arn(self) -> dict[str, Holder]:
        """Users, roles and groups by their ARN."""
        return {holder.arn: holder for holder in self.account.holders.values()}

    @cached_property
    def by_id(self) -> dict[str, Holder]:
        """Users and roles by the id that AWS gave them."""
        return {holder.id: holder for holder in self.account.holders.values() if holder.id}

    @cached_property
    def actors(self) -> list[Holder]:
        """Users and roles that are not administrators, who would gain nothing by a step."""
        acting = (holder for holder in self.account.holders.values() if holder.kind != "group")
        return [holder for holder in acting if not self.effect(holder).is_administrator]

    def could_be_administrator(self, holder: Holder) -> bool:
        """Whether `holder` would be an administrator if one more policy gave everything."""
        found = self._could_be.get(holder.name)
        if found is None:
            found = self._could_be[holder.name] = self.effect(holder).could_be_administrator
        return found

    def who_may(self, action: str) -> list[Holder]:
        """Those of `actors` whose policies speak of `action`."""
        found = self._who_may.get(action)
        if found is None:
            found = self._who_may[action] = [one for one in self.actors if self.effect(one).names(action)]
        return found

    def document(self, name: str) -> Document:
        """The policy called `name`; one that is not known is empty."""
        return self._documents.get(name) or self._managed(name)

    def own(self, holder: Holder) -> list[str]:
        """Names of the policies that `holder` has itself."""
        names = list(holder.attached)
        for policy, text in holder.inline.items():
            name = inline_policy(holder.name, policy)
            names.append(name)
            if name not in self._documents:
                self._documents[name] = self._read(name, text)
        return names

    def groups(self, holder: Holder) -> Iterator[Holder]:
        """The groups that `holder` is in; one that is not there is told as missing."""
        for name in holder.groups:
            found = self.account.holders.get(name)
            if found is None:
                self.missing.setdefault(name, "a group that is not there")
            else:
                yield found

    def held(self, holder: Holder) -> list[str]:
        """Names of all policies that `holder` has, its groups' included."""
        through = (name for group in self.groups(holder) for name in self.own(group))
        return list(dict.fromkeys([*self.own(holder), *through]))

    def effect(self, holder: Holder) -> Effect:
        """What all policies of `holder` come to, within its permissions boundary."""
        found = self._effects.get(holder.name)
        if found is None:
            statements = [one for name in self.held(holder) for one in self.document(name).statements]
            bounds = self._bounds(holder)
            found = self._effects[holder.name] = effect_of(statements, variables_of(holder), bounds)
        return found

    def _bounds(self, holder: Holder) -> tuple[Statement, ...] | None:
        """A boundary of which the text is not there limits nothing that can be told."""
        if not holder.boundary:
            return None
        document = self.document(holder.boundary)
        return None if holder.boundary in self.missing else document.statements

    def _managed(self, arn: str) -> Document:
        found = self._documents.get(arn)
        if found is None:
            text = self.account.policies.get(arn) or self._shared.get(arn) or KNOWN.get(arn)
            if text is None:
                self.missing.setdefault(arn, "a policy whose text is not there")
            found = self._documents[arn] = Document() if text is None else self._read(arn, text)
        return found

    def _read(self, name: str, text: Any) -> Document:
        try:
            document = read_document(text)
        except InvalidInput as error:
            self.unreadable[name] = error.message
            return Document()
        if document.faults:
            self.unreadable[name] = document.faults[0]
        return document


def variables_of(holder: Holder) -> dict[str, str]:
    """Variables of policies that are known of `holder`."""
    if holder.kind != "user":
        return {}
    return {"aws:username": holder.login} | ({"aws:userid": holder.id} if holder.id else {})
