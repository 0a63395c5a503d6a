"""PostgreSQL at the gateway: `PostgresServer(context)` is its `ProtocolServer`.

A client logs in with a credential of lapse, gets a session from the door, and is joined with the target's server, where
the gateway has logged in as the grant's account. From then on the pump moves the bytes.
"""

from lapse.gateway.postgres.server import PostgresServer

__all__ = ["PostgresServer"]
