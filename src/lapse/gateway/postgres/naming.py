"""Names of the target's tables, for masks: results tell tables by their numbers only.

They are asked for on a connection of the gateway's own, with the session's account, when a result has a table that is
not known yet, and remembered for a minute. Called by `guards`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from lapse.domain.errors import Unavailable
from lapse.gateway.postgres.upstream import log_in, read_message
from lapse.ports import Upstream
from lapse.protocols.postgres import backend
from lapse.protocols.postgres.masking import TableNames, look_up, looked_up

REMEMBERED = 60.0
"""Seconds for which a table is taken to have the names that it had."""
_APPLICATION = "lapse: names for masks"
_Place = tuple[str, int, str]


@dataclass
class TableBook:
    """What is known of all targets' tables. One a process."""

    _known: dict[tuple[_Place, int], tuple[float, TableNames]] = field(default_factory=dict)

    async def look_up(self, upstream: Upstream, database: str, tables: Iterable[int]) -> dict[int, TableNames]:
        """The names of these tables, as far as the target has them.

        Raises:
            LapseError: the target does not say.
        """
        now, place = asyncio.get_running_loop().time(), (upstream.host, upstream.port, database)
        self._known = {key: kept for key, kept in self._known.items() if kept[0] > now}
        wanted = set(tables)
        found = {oid: self._known[place, oid][1] for oid in wanted if (place, oid) in self._known}
        if missing := wanted - found.keys():
            fresh = await _asked(upstream, database, missing)
            self._known |= {(place, oid): (now + REMEMBERED, names) for oid, names in fresh.items()}
            found |= fresh
        return found


async def _asked(upstream: Upstream, database: str, tables: set[int]) -> dict[int, TableNames]:
    server = await log_in(upstream, {"database": database, "application_name": _APPLICATION})
    try:
        await server.wire.write(look_up(tables))
        rows = []
        while (answer := await read_message(server.wire)).kind != backend.READY_FOR_QUERY:
            if answer.kind == backend.DATA_ROW:
                rows.append(backend.data_row_values(answer.body))
            elif answer.kind == backend.ERROR_RESPONSE:
                raise Unavailable("the target does not tell the names of its tables")
        return looked_up(rows)
    except OSError:
        raise Unavailable("the target does not tell the names of its tables") from None
    finally:
        server.wire.abort()
