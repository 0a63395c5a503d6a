"""Principals (persons, services, agents), their accounts and groups, and who is which human.

Approvals count *persons*. `person_of` is the one place that says which person stands behind a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.times import Instant


class PrincipalKind(StrEnum):
    """What a principal is."""

    PERSON = "person"
    SERVICE = "service"
    AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A login on a target that belongs to a principal."""

    resource: str
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who may ask, decide or hold access.

    `alias_of` names the principal of which this is a second identity (an admin account, an old name).
    `sponsor` is the person an agent acts for; `owner` is the person answerable for a service.
    """

    name: str
    kind: PrincipalKind = PrincipalKind.PERSON
    display_name: str = ""
    email: str = ""
    alias_of: str = ""
    sponsor: str = ""
    owner: str = ""
    manager: str = ""
    department: str = ""
    title: str = ""
    active: bool = True
    left_at: Instant | None = None
    accounts: tuple[Account, ...] = ()

    def account_on(self, resource: str) -> str | None:
        """The login of this principal on `resource`, if it has one."""
        return next((a.login for a in self.accounts if a.resource == resource), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named set of principals and other groups."""

    name: str
    members: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    description: str = ""
