"""What `integrations.yaml` can say, as values: ticket systems, rotas, and ways to tell people.

Secrets are named here, not held: `SecretRef` says where one is. Read by `language`, used by `setting_up`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from lapse.domain.notices import NoticeKind
from lapse.tickets.export import Columns
from lapse.tickets.http import Mapping as TicketMapping
from lapse.web.urls import UrlTemplate


class SecretKind(StrEnum):
    """Where a secret is: a variable of the environment, a file, or here, sealed by `lapse integration seal`."""

    ENV = "env"
    FILE = "file"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by where it is."""

    kind: SecretKind
    where: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who calls: a bearer token, or a user with a password."""

    bearer: SecretRef | None = None
    user: str = ""
    password: SecretRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """How a system is called. Headers are constants or secrets."""

    auth: Auth | None = None
    headers: Mapping[str, str | SecretRef] = field(default_factory=dict)
    seconds: int = 5
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """A ticket system's export in a file."""

    file: str
    open_states: frozenset[str]
    columns: Columns
    oldest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSystem:
    """One ticket system, under the name that requests and policies use."""

    name: str
    kind: str
    source: ExportSettings | TicketMapping
    web: Web = field(default_factory=Web)
    keep_for: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftSettings:
    """A rota in a file of shifts."""

    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSettings:
    """A rota as an iCalendar feed, in a file or at a URL."""

    timezone: str
    file: str = ""
    url: str | SecretRef | None = None
    fresh_for: timedelta = timedelta(minutes=5)
    believed_for: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """A rota that a web service knows."""

    url: UrlTemplate
    people: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaSettings:
    """One rota, under the name that `oncall:NAME` uses."""

    name: str
    kind: str
    source: ShiftSettings | CalendarSettings | ServiceSettings
    web: Web = field(default_factory=Web)
    people: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    keep_for: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """Notices posted to a URL: as signed JSON, or as chat systems take them."""

    url: str | SecretRef
    chat: bool = False
    key: SecretRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """Notices sent by mail."""

    server: str
    sender: str
    tls: str = "starttls"
    also_to: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaySettings:
    """One way to tell people; of `kinds` of notices, or of all."""

    name: str
    kind: str
    way: HookSettings | MailSettings
    web: Web = field(default_factory=Web)
    kinds: frozenset[NoticeKind] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationSettings:
    """The whole file."""

    tickets: tuple[TicketSystem, ...] = ()
    rotas: tuple[RotaSettings, ...] = ()
    ways: tuple[WaySettings, ...] = ()
    give_up_after: timedelta = timedelta(days=3)
