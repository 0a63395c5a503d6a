"""Where rules and the facts they ask for come from: versions of the policy, tickets, rotas, the directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lapse.domain.catalog import Catalog
from lapse.domain.requests import Ticket
from lapse.policy.values import TicketFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """An activated policy: `version` is the hash of its files, kept for ever so that decisions re-derive."""

    version: str
    files: Mapping[str, str]
    activated_at: datetime
    activated_by: str


class TicketSource(Protocol):
    """Where tickets live: an export, or a system that answers."""

    async def look_up(self, ticket: Ticket) -> TicketFacts:
        """What is known of `ticket`; a system that does not answer gives the status `unreachable`, not an error."""
        ...


class Rotas(Protocol):
    """Who is on call."""

    async def on_call(self, rota: str, at: datetime) -> frozenset[str]:
        """The principals on call at `at`; nobody in a gap of the rota.

        Raises:
            NotFound: there is no such rota.
            Unavailable: it cannot be read, so nobody may decide by it.
        """
        ...


class Directory(Protocol):
    """Where people, groups and who has left come from (a file now; OIDC and SCIM later)."""

    async def fetch(self) -> Catalog: ...
