"""Connectors: observe, grant and revoke on one kind of target each. `connect` chooses by kind.

Called by `bootstrap`. Every connector passes the contract in `tests/contract/test_connector.py`.
"""

from __future__ import annotations

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.ports import Authority, Clock, Connector

KINDS = ("postgresql", "ssh")


def connect(
    kind: str, resource: str, dsn: str, *, clock: Clock | None = None, authority: Authority | None = None
) -> Connector:
    """A connector for `resource`; nothing is contacted yet.

    Raises:
        InvalidInput: there is no connector of that kind, or the DSN cannot be read (it is not repeated).
    """
    if kind == "postgresql":
        from lapse.connectors.postgresql import PostgresConnector

        return PostgresConnector(resource, dsn, clock=clock)
    if kind == "ssh":
        if authority is None:
            raise InvalidInput("an ssh target needs the installation's authority", hint="use it with a home folder")
        from lapse.connectors.ssh import SshConnector

        return SshConnector(resource, dsn, authority=authority, clock=clock)
    raise InvalidInput(f"`{shown(kind)}` is not a kind of target", hint=f"known kinds: {', '.join(KINDS)}")
