"""One session: opened at the door, joined with the target's server, relayed, and over. Called by `server`.

Guarantees: nothing is opened on the target without an `Admission`; when the session is cut the client is told why, the
server's connection is closed and what it runs is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lapse.domain.errors import LapseError, Refused, Unavailable
from lapse.domain.guards import RecordParameters
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway.context import GatewayContext
from lapse.gateway.live import Ending, LiveSession
from lapse.gateway.postgres.cancels import Cancels
from lapse.gateway.postgres.client import PROTOCOL, Client
from lapse.gateway.postgres.guarded import GuardedFlow
from lapse.gateway.postgres.guards import Guards, check_target, guarded_parameters
from lapse.gateway.postgres.upstream import Server, cancel, log_in
from lapse.gateway.pump import Attachment, Counters, Ended, Farewells, Flow, FlowEnd, Pump
from lapse.gateway.telling import told_end, told_ending
from lapse.ports import Admission, Attempt, Cut, Upstream
from lapse.protocols.postgres import backend
from lapse.protocols.postgres.accepting import refusal
from lapse.protocols.postgres.backend import Report, SqlState
from lapse.protocols.postgres.connecting import ServerRefused
from lapse.protocols.postgres.startup import OPTION_PREFIX, CancelRequest

CANCELS_AT_ONCE = 16
"""Connections for cancel requests to targets at one time, of all sessions: each is a process there for a moment."""
LONGEST_APPLICATION = 63
"""PostgreSQL cuts `application_name` there."""

_OWN = frozenset({"user", "database", "application_name", "replication"})
_NO = frozenset({"", "0", "false", "off", "no"})
_ENDS = {
    FlowEnd.CLIENT: SessionEnd.CLIENT,
    FlowEnd.SERVER: SessionEnd.SERVER,
    FlowEnd.DEADLINE: SessionEnd.ELAPSED,
    FlowEnd.IDLE: SessionEnd.IDLE,
    FlowEnd.NOT_RECORDED: SessionEnd.NOT_RECORDED,
}
_WARNING = "01000"


@dataclass(frozen=True, kw_only=True)
class Relaying:
    """What all sessions of a process share."""

    context: GatewayContext
    pump: Pump
    cancels: Cancels
    guards: Guards
    cancelling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CANCELS_AT_ONCE))


async def run_session(shared: Relaying, client: Client, address: str) -> None:
    """Everything from the proof of who the client is to the end of its session. Errors are told to the client."""
    try:
        _refuse_replication(client)
        attempt = Attempt(
            credential_id=client.credential.id,
            protocol=PROTOCOL,
            client=address,
            program=client.startup.parameters.get("application_name", ""),
            place=client.startup.database,
        )
        async with shared.context.door.open(attempt) as session:
            await _Session(shared, client, session).run()
    except LapseError as error:
        shared.context.metrics.connection(PROTOCOL, "refused")
        shared.context.log.info("session refused", protocol=PROTOCOL, client=address, reason=error.message)
        await _say(client, _report(error))
    finally:
        client.wire.abort()


class _Session:
    def __init__(self, shared: Relaying, client: Client, session: LiveSession) -> None:
        self._shared, self._client, self._session = shared, client, session
        self._admission = session.admission

    async def run(self) -> None:
        """Until it is over; why is said in the session."""
        try:
            server = await self._connected()
        except LapseError as error:
            self._session.cut(Cut(session_id=self._session.id, reason=SessionEnd.FAILED))
            self._shared.context.log.warning(
                "target not reached", session=self._session.id, resource=self._admission.session.resource,
                reason=error.message,
            )  # fmt: skip
            raise
        try:
            if self._session.cut_by is not None:
                await _say(self._client, _farewell(self._session.cut_by))
                return
            check_target(self._admission.guard, server.login.parameters)
            await self._relayed(server)
        finally:
            server.wire.abort()

    async def _connected(self) -> Server:
        upstream = self._admission.upstream
        limit = self._shared.context.limits.connect_timeout.total_seconds()
        with self._shared.context.traces.span("upstream connect", resource=self._admission.session.resource):
            try:
                async with asyncio.timeout(limit):
                    return await log_in(upstream, self._parameters(upstream))
            except TimeoutError:
                raise Unavailable(f"the target does not answer within {limit:g} s", hint="look at the target") from None

    def _parameters(self, upstream: Upstream) -> dict[str, str]:
        """What the client asked for, under the name of who it is, in the database that it may use."""
        given = self._client.startup.parameters
        passed = {name: text for name, text in given.items() if name not in _OWN and not name.startswith(OPTION_PREFIX)}
        own = {
            "database": self._database(upstream),
            "application_name": application_name(self._admission),
        }
        return guarded_parameters(self._admission.guard, own | passed)

    def _database(self, upstream: Upstream) -> str:
        return _database(self._client.startup.database, self._admission.native, upstream)

    async def _relayed(self, server: Server) -> None:
        upstream, session = self._admission.upstream, self._session
        key = server.login.key
        cancelled = CancelRequest(key.process, key.key) if key else None
        flow: Flow | None = None

        async def cancel_upstream() -> None:
            if isinstance(flow, GuardedFlow) and flow.cancel_hold():
                return
            if cancelled is not None:
                async with self._shared.cancelling:
                    await cancel(upstream, cancelled)

        mine = self._shared.cancels.add(key.process if key else 0, self._client.startup.minor, cancel_upstream)
        try:
            await self._client.wire.write(_welcome(server, self._client, mine.told))
            flow = await self._attached(server)
            self._follow(flow)
            ended = await _over(flow)
            session.use = _use(ended.counters, flow)
            reason = _ENDS.get(ended.end, SessionEnd.FAILED)
            if ended.end is not FlowEnd.CUT or session.cut_by is None:
                session.cut(Cut(session_id=session.id, reason=reason))
            if ended.busy and ended.end not in {FlowEnd.CLIENT, FlowEnd.SERVER}:
                await cancel_upstream()
        finally:
            self._shared.cancels.discard(mine)

    async def _attached(self, server: Server) -> Flow:
        session, rules = self._admission.session, self._admission.rules
        client_leg, from_client = self._client.wire.release()
        server_leg, from_server = server.wire.release()
        attachment = Attachment(
            client=client_leg,
            server=server_leg,
            from_client=from_client,
            from_server=from_server,
            recording=self._session.recording,
            ends_in=session.deadline - self._shared.context.clock.now(),
            idle=rules.idle_timeout,
            redact=rules.parameters is RecordParameters.REDACT,
            farewells=_farewells(session.id),
        )
        if self._admission.guard.idle:
            return await self._shared.pump.attach(attachment)
        database = self._database(self._admission.upstream)
        return await self._shared.guards.attach(self._session, attachment, server.login.parameters, database)

    def _follow(self, flow: Flow) -> None:
        """The session's ends and warnings reach the flow; its counters reach the session."""

        def warn(ending: Ending) -> None:
            flow.insert(Report("WARNING", _WARNING, told_ending(ending)).notice())

        self._session.counting = lambda: _use(flow.counters, flow)
        self._session.on_warning = warn
        self._session.when_cut(lambda cut: flow.cut(_farewell(cut).error()))


async def _over(flow: Flow) -> Ended:
    """The flow's end; who is cancelled meanwhile cuts it."""
    try:
        return await asyncio.shield(flow.done)
    except asyncio.CancelledError:
        flow.cut()
        await asyncio.shield(flow.done)
        raise


def _welcome(server: Server, client: Client, key: backend.BackendKeyData) -> bytes:
    """What a server says after a login: the target's own words, with the gateway's key.

    Drivers expect to be told the application's name that they gave; the target has the one that names the grant.
    """
    notices = b"".join(report.notice() for report in server.login.notices)
    own = client.startup.parameters.get("application_name", "").encode(errors="surrogateescape")
    statuses = {**server.login.parameters, b"application_name": own}
    return notices + backend.parameter_statuses(statuses) + key.encode() + backend.ready_for_query()


def application_name(admission: Admission) -> str:
    """What the target sees in `pg_stat_activity`: whose session it is, by which grant, with which program."""
    session = admission.session
    name = f"lapse:{session.principal}:{session.grant_id}:{session.program}"
    return name.encode()[:LONGEST_APPLICATION].decode(errors="ignore")


def _database(asked: str, native: Mapping[str, str], upstream: Upstream) -> str:
    """The database of the session. An entitlement that names one leads to no other."""
    named = native.get("database", "")
    if named and asked and asked != named:
        raise Refused(f"this access is to the database `{named}`", hint=f"connect with dbname={named}")
    return named or asked or upstream.parameters.get("dbname", "") or upstream.user


def _refuse_replication(client: Client) -> None:
    if client.startup.parameters.get("replication", "").strip().lower() not in _NO:
        raise Refused("replication is not possible through the gateway", hint="it could not be recorded")


def _farewells(session_id: str) -> Farewells:
    def words(reason: SessionEnd) -> bytes:
        return _farewell(Cut(session_id=session_id, reason=reason)).error()

    return Farewells(deadline=words(SessionEnd.ELAPSED), idle=words(SessionEnd.IDLE), broken=words(SessionEnd.FAILED))


def _farewell(cut: Cut) -> Report:
    return Report("FATAL", SqlState.ADMIN_SHUTDOWN, told_end(cut))


def _report(error: LapseError) -> Report:
    """An error as the client is told it. A server's own words are passed on with its own code."""
    if isinstance(error, ServerRefused):
        return replace(error.report, severity="FATAL", message=f"the target refuses: {error.report.message}")
    unreached = isinstance(error, Unavailable)
    return refusal(error, SqlState.CANNOT_CONNECT if unreached else SqlState.INVALID_AUTHORIZATION)


async def _say(client: Client, report: Report) -> None:
    try:
        await client.wire.write(report.error())
        await client.wire.hang_up()
    except OSError:
        return


def _use(counters: Counters, flow: Flow) -> SessionUse:
    return SessionUse(
        bytes_in=counters.bytes_in,
        bytes_out=counters.bytes_out,
        statements=counters.statements,
        rows=counters.rows,
        errors=counters.errors,
        refused=flow.refused if isinstance(flow, GuardedFlow) else 0,
    )
