"""Observe, grant and revoke on PostgreSQL, by membership of an existing login or by a login made for one grant.

`docs/connectors/postgresql.md` says which rights lapse needs on a server and what it does there.
"""

from __future__ import annotations

from lapse.connectors.postgresql.connector import PostgresConnector
from lapse.connectors.postgresql.server import Limits

__all__ = ["Limits", "PostgresConnector"]
