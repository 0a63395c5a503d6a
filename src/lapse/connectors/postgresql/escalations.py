"""Ways to more rights on PostgreSQL that no membership shows. Pure; called by `observe`.

From the manual: chapter "Predefined Roles" on the roles that reach the server's files and programs, and the notes of
CREATE ROLE on what CREATEROLE allowed before version 16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lapse.domain.access import ObservedAccount, ObservedEscalation

SUPERUSER, CREATEROLE = "(superuser)", "(createrole)"
CREATEROLE_BOUND_SINCE = 160000
"""From this version on CREATEROLE reaches only roles that one has the admin option for."""

_REACHING_OUT = {
    "pg_execute_server_program": "runs programs as the server's own user",
    "pg_write_server_files": "writes the server's own files",
    "pg_read_server_files": "reads the server's own files, secrets among them",
}


def escalations(accounts: Iterable[ObservedAccount], version: int) -> Iterator[ObservedEscalation]:
    """The steps on a server of `version` (as in `server_version_num`) with these accounts."""
    for role, how in _REACHING_OUT.items():
        yield ObservedEscalation(from_name=role, to_name=SUPERUSER, how=how)
    if version >= CREATEROLE_BOUND_SINCE:
        return
    known = sorted(accounts, key=lambda account: account.name)
    if any("createrole" in account.powers for account in known):
        for account in known:
            if "superuser" not in account.powers:
                how = "CREATEROLE may join any role that is no superuser"
                yield ObservedEscalation(from_name=CREATEROLE, to_name=account.name, how=how)
        for role in _REACHING_OUT:
            yield ObservedEscalation(from_name=CREATEROLE, to_name=role, how="CREATEROLE may join any role")
