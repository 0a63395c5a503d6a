"""What every use case is given: the store, the clock, the connectors and a way to wake the enforcer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.errors import NotFound, Refused, Unavailable
from lapse.domain.names import shown
from lapse.policy import Policy, parse
from lapse.ports import Authority, Clock, Connector, PolicyVersion, Reader, Rotas, Store, TicketSource

_KEPT_POLICIES = 16


@dataclass
class PolicyBook:
    """Parsed policies by version; parsing costs more than evaluating, and a version never changes."""

    _parsed: dict[str, Policy] = field(default_factory=dict)

    def parsed(self, version: PolicyVersion) -> Policy:
        """The policy of `version`, parsed at most once while it is in use."""
        found = self._parsed.get(version.version)
        if found is None:
            found = parse(version.files)
            if len(self._parsed) >= _KEPT_POLICIES:
                self._parsed.pop(next(iter(self._parsed)))
            self._parsed[version.version] = found
        return found


@dataclass(frozen=True, kw_only=True)
class Control:
    """Everything a use case may use. `connector` gives the connector of a resource, or raises a `LapseError`.

    Without `tickets` no ticket can be looked up, without `rotas` nobody is on call, without `authority` no certificate
    is given out.
    """

    store: Store
    clock: Clock
    connector: Callable[[str], Connector]
    new_id: Callable[[str], str]
    wake: Callable[[], None] = lambda: None
    tickets: TicketSource | None = None
    rotas: Rotas | None = None
    authority: Authority | None = None
    policies: PolicyBook = field(default_factory=PolicyBook)

    def now(self) -> datetime:
        """The time of this use case."""
        return self.clock.now()

    async def policy(self, reader: Reader) -> Policy:
        """The policy in force; without one, nothing is allowed."""
        version = await reader.active_policy()
        if version is None:
            raise Refused(
                "no policy is active, so nothing is allowed",
                hint="activate one with `lapse policy apply FILE…`",
            )
        return self.policies.parsed(version)

    async def connector_for(self, reader: Reader, resource: str) -> Connector:
        """The connector of `resource`; `Refused` while it has no target."""
        try:
            await reader.target(resource)
        except NotFound:
            raise Refused(
                f"`{shown(resource)}` has no target yet, so nothing can be granted there",
                hint=f"an administrator adds it with `lapse target add {shown(resource)}`",
            ) from None
        try:
            return self.connector(resource)
        except OSError as error:
            raise Unavailable(f"the target of `{shown(resource)}` cannot be set up: {error}") from None
