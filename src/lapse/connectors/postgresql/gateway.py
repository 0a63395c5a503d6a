"""How a gateway logs in as a grant's account: with a derived password, a client certificate, or a kept secret.

An ephemeral login gets a password that lapse derives again whenever it needs it; a login of the person's own is used
with a certificate of lapse's client CA, or with a secret that the entitlement's `gateway` names. Called by `connector`.
"""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path

from lapse.connectors.postgresql.ephemeral import logins, password_statement, where_to_log_in
from lapse.connectors.postgresql.native import CERTIFICATE, Mode, Native
from lapse.connectors.postgresql.probe import Where
from lapse.connectors.postgresql.server import Server
from lapse.domain.access import Assignment
from lapse.domain.errors import NotFound, Refused, Unavailable
from lapse.ports import Authority, Upstream

FRESH_SECONDS = 30.0
"""How long a login is taken to be as it was left: another process may have given it another password since."""

LONGEST_SECRET = 4_096
_MOST_KEPT = 10_000


@dataclass
class GatewayLogins:
    """Of one target: where it is, and which logins have the derived password, by when that was seen."""

    where: dict[str, Where] = field(default_factory=dict)
    prepared: dict[str, float] = field(default_factory=dict)

    def forget(self, account: str) -> None:
        """`account` got another password."""
        self.prepared.pop(account, None)

    def is_fresh(self, account: str) -> bool:
        """Whether `account` was left as it should be a moment ago."""
        seen = self.prepared.get(account)
        return seen is not None and time.monotonic() - seen < FRESH_SECONDS

    def note(self, account: str) -> None:
        """`account` is as it should be now."""
        if len(self.prepared) >= _MOST_KEPT:
            self.prepared.clear()
        self.prepared[account] = time.monotonic()


async def upstream(
    server: Server, kept: GatewayLogins, native: Native, assignment: Assignment, authority: Authority
) -> Upstream:
    """See `ports.Connector.upstream`."""
    if native.mode is Mode.EPHEMERAL:
        secret = derived_password(server.resource, assignment.account, authority)
        where = await _prepared(server, kept, assignment, secret)
        return _upstream(where, assignment, secret=secret)
    if not native.gateway:
        raise Refused(
            f"the gateway has nothing to log in with as `{assignment.account}` on `{server.resource}`",
            hint="give the entitlement `gateway: certificate`, or `gateway: file:PATH` with the password",
        )
    where = await _where(server, kept, assignment)
    if native.gateway == CERTIFICATE:
        certificate, key = authority.sign_tls(assignment.account, assignment.ends_at)
        return _upstream(where, assignment, certificate=certificate, private_key=key)
    return _upstream(where, assignment, secret=kept_secret(native.gateway))


def derived_password(resource: str, account: str, authority: Authority) -> str:
    """A password that only this installation can derive; a grant and its extension share account and password."""
    return urlsafe_b64encode(authority.derive("upstream", f"{resource}/{account}")).decode().rstrip("=")


def kept_secret(reference: str) -> str:
    """The secret behind `env:NAME` or `file:PATH`. Raises `Unavailable`, without repeating what was found."""
    kind, _, rest = reference.partition(":")
    if kind == "env":
        found = os.environ.get(rest, "")
        problem = f"the environment variable `{rest}` is not set for this process"
    else:
        try:
            with Path(rest).open(encoding="utf-8") as file:
                found = file.read(LONGEST_SECRET + 1).strip()
            problem = f"the file `{rest}` holds no secret"
        except (OSError, UnicodeDecodeError) as error:
            found = ""
            problem = f"the file `{rest}` cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}"
    if not found or len(found) > LONGEST_SECRET:
        raise Unavailable(f"the gateway's secret is not to be had: {problem}")
    return found


async def _prepared(server: Server, kept: GatewayLogins, assignment: Assignment, secret: str) -> Where:
    """Give the login the derived password, unless that was done a moment ago."""
    account = assignment.account
    if kept.is_fresh(account):
        return await _where(server, kept, assignment)
    async with server.connection() as connection:
        found = (await logins(connection, {account: assignment.ends_at})).get(account)
        if found is None or not found.ours:
            raise NotFound(f"`{account}` is not on the target", hint="wait until the grant is active")
        if not found.can_login:
            raise Refused(f"`{account}` has ended", hint="ask for access again")
        await connection.execute(password_statement(connection, account, secret))
        where = kept.where[_place(assignment)] = where_to_log_in(server, connection, assignment)
    kept.note(account)
    return where


async def _where(server: Server, kept: GatewayLogins, assignment: Assignment) -> Where:
    place = _place(assignment)
    if place not in kept.where:
        async with server.connection() as connection:
            kept.where[place] = where_to_log_in(server, connection, assignment)
    return kept.where[place]


def _place(assignment: Assignment) -> str:
    return assignment.native.get("database", "")


def _upstream(
    where: Where, assignment: Assignment, *, secret: str = "", certificate: str = "", private_key: str = ""
) -> Upstream:
    given = {"dbname": where.dbname, "sslmode": where.sslmode, "sslrootcert": where.sslrootcert}
    return Upstream(
        host=where.host,
        port=where.port,
        user=assignment.account,
        secret=secret,
        certificate=certificate,
        private_key=private_key,
        parameters={word: text for word, text in given.items() if text},
    )
