"""A session with a guard: what it is opened with on the target, and its flow. Called by `session`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lapse.domain.errors import Refused
from lapse.domain.guards import Guard
from lapse.gateway.context import GatewayContext
from lapse.gateway.live import LiveSession
from lapse.gateway.postgres.guarded import Asking, GuardedFlow
from lapse.gateway.postgres.naming import TableBook
from lapse.gateway.pump import Attachment
from lapse.gateway.pump.twin import TwinPump
from lapse.protocols.postgres.guarding import Guarding, check_setting
from lapse.protocols.postgres.judging import READ_ONLY, STRINGS, judges
from lapse.protocols.postgres.masking import Masks
from lapse.protocols.postgres.parser import check_parser

_KEY_SIZE = 32
_OPTIONS = "options"
_ROLES = frozenset({"role", "session_authorization"})


def guarded_parameters(guard: Guard, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a session on the target: what the guard stands on is set there too, last, whoever asks.

    PostgreSQL takes what a connection begins with as the values that RESET goes back to.

    Raises:
        Unavailable: the guard cannot be kept here.
        Refused: a parameter is a way around it.
    """
    if guard.idle:
        return dict(given)
    check_parser()
    if not judges(guard):
        return dict(given)
    fixed = {STRINGS: "on"} | ({READ_ONLY: "on"} if guard.read_only else {})
    names = {name.lower() for name in given}
    options = next((text for name, text in given.items() if name.lower() == _OPTIONS), "").lower()
    if names & _ROLES or any(role in options for role in _ROLES):
        raise Refused("a connection with a guard begins with no other role", hint="leave it out of the options")
    return {name: text for name, text in given.items() if name.lower() not in fixed} | fixed


def check_target(guard: Guard, parameters: Mapping[bytes, bytes]) -> None:
    """The target must say of itself what the guard stands on. Raises `GuardBroken`."""
    for name, value in parameters.items():
        check_setting(guard, name, value)


class Guards:
    """Opens guarded flows. One a process."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._pump, self._book = TwinPump(), TableBook()

    async def attach(
        self, session: LiveSession, attachment: Attachment, parameters: Mapping[bytes, bytes], database: str
    ) -> GuardedFlow:
        """Take over both connections, and keep the session's guard; `parameters` are what the server said."""
        guard, upstream, plane = session.admission.guard, session.admission.upstream, self._context.door.plane
        guarding = Guarding(
            guard=guard,
            token=f"lapse_refused_{secrets.token_hex(8)}",
            masks=Masks(guard.masks, key=secrets.token_bytes(_KEY_SIZE)),
            parameters=parameters,
        )
        asking = Asking(
            hold=lambda text, why: plane.hold(session.id, text, why),
            drop=plane.drop,
            look_up=lambda tables: self._book.look_up(upstream, database, tables),
            timeout=guard.approval_timeout,
            count=self._context.metrics.held,
        )
        flow = await self._pump.take(GuardedFlow(self._pump, attachment, guarding, asking))
        session.on_decided = flow.decided
        return flow

    async def close(self) -> None:
        """Cut every guarded flow without a word."""
        await self._pump.close()
