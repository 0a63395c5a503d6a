"""Fresh databases and protected targets on a private PostgreSQL, with names that nobody else uses."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from lapse.entrypoints.demo.private_postgres import PrivatePostgres

PASSWORD = "correct-horse-battery"
_numbers = itertools.count(1)


def unique_name(kind: str) -> str:
    return f"{kind}{os.getpid()}_{next(_numbers)}"


def run(dsn: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run one statement (or several without values) and return the rows of the last."""
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        answer = connection.execute(statement, values or None)
        return answer.fetchall() if answer.description else []


def name(text: str) -> str:
    """`text` quoted as an identifier."""
    return sql.Identifier(text).as_string(None)


@contextmanager
def fresh_database(server: PrivatePostgres, owner: str | None = None) -> Iterator[str]:
    dbname = unique_name("db")
    owned = f" OWNER {name(owner)}" if owner else ""
    run(server.dsn(), f"CREATE DATABASE {name(dbname)} TEMPLATE template0{owned}")
    try:
        yield dbname
    finally:
        run(server.dsn(), f"DROP DATABASE IF EXISTS {name(dbname)} WITH (FORCE)")


@dataclass(frozen=True)
class TargetDatabase:
    """A protected database with its own roles; every role name begins with `prefix`.

    Group roles: `<prefix>_reader` may read the table `orders`, `<prefix>_writer` may also write it and create
    tables, `<prefix>_owner` owns it. Logins: `<prefix>_alice` and `<prefix>_bob` may do nothing yet,
    `<prefix>_lapse` is prepared for lapse with the least rights. All passwords are `PASSWORD`.
    """

    server: PrivatePostgres
    dbname: str
    prefix: str

    def role(self, suffix: str) -> str:
        return f"{self.prefix}_{suffix}"

    def dsn(self, suffix: str) -> str:
        """How the login with this suffix connects."""
        return self.server.dsn(self.dbname, self.role(suffix), PASSWORD)

    @property
    def lapse_role(self) -> str:
        return self.role("lapse")

    @property
    def lapse_dsn(self) -> str:
        return self.dsn("lapse")

    @property
    def admin_dsn(self) -> str:
        """The superuser's connection to the protected database."""
        return self.server.dsn(self.dbname)

    def admin(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL as superuser."""
        return run(self.admin_dsn, statement, *values)

    def add_login(self, suffix: str) -> str:
        role = self.role(suffix)
        self.admin(f"CREATE ROLE {name(role)} LOGIN PASSWORD '{PASSWORD}'")
        return role

    def add_role(self, suffix: str) -> str:
        role = self.role(suffix)
        self.admin(f"CREATE ROLE {name(role)}")
        return role

    def holds(self, account: str, role: str) -> bool:
        """Whether `account` is a direct member of `role`, in the catalog's own words."""
        found = self.admin(
            "SELECT 1 FROM pg_auth_members WHERE member = to_regrole(%s) AND roleid = to_regrole(%s)",
            name(account),
            name(role),
        )
        return bool(found)

    def exists(self, role: str) -> bool:
        return bool(self.admin("SELECT 1 FROM pg_roles WHERE rolname = %s", role))


@contextmanager
def protected_target(server: PrivatePostgres) -> Iterator[TargetDatabase]:
    """Databases are cleared and used again, which is several times quicker than making new ones."""
    free = _free_databases.setdefault(str(server.folder), [])
    target = TargetDatabase(server, free.pop() if free else _new_database(server), unique_name("t"))
    try:
        _prepare(target)
        yield target
    finally:
        _clear(target)
        free.append(target.dbname)


_free_databases: dict[str, list[str]] = {}


def _new_database(server: PrivatePostgres) -> str:
    dbname = unique_name("db")
    run(server.dsn(), f"CREATE DATABASE {name(dbname)} TEMPLATE template0")
    return dbname


def _prepare(target: TargetDatabase) -> None:
    owner, reader, writer, lapse = (name(target.role(r)) for r in ("owner", "reader", "writer", "lapse"))
    logins = [name(target.role(r)) for r in ("alice", "bob")]
    target.admin(
        f"""
        CREATE ROLE {owner}; CREATE ROLE {reader}; CREATE ROLE {writer};
        {"".join(f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}';" for login in logins)}
        CREATE TABLE orders (id int PRIMARY KEY, item text);
        INSERT INTO orders VALUES (1, 'lamp'), (2, 'chair');
        ALTER TABLE orders OWNER TO {owner};
        GRANT SELECT ON orders TO {reader}, {writer};
        GRANT INSERT, UPDATE, DELETE ON orders TO {writer};
        GRANT CREATE ON SCHEMA public TO {writer}, {owner};
        CREATE ROLE {lapse} LOGIN PASSWORD '{PASSWORD}' CREATEROLE;
        GRANT {reader}, {writer}, {owner} TO {lapse} WITH ADMIN OPTION;
        GRANT pg_signal_backend, pg_read_all_stats TO {lapse};
        """
    )


def _clear(target: TargetDatabase) -> None:
    """Leave the database as a new one is, and no role of the target."""
    prefixes = [target.prefix + "_", f"lapse_{target.prefix}_"]
    with psycopg.connect(target.admin_dsn, autocommit=True) as admin:
        rows = admin.execute("SELECT rolname FROM pg_roles WHERE rolname ^@ ANY (%s)", [prefixes]).fetchall()
        roles = [row[0] for row in rows]
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND (usename = ANY (%s) OR datname = %s)",
            [roles, target.dbname],
        )
        schemas = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'")
        drops = "".join(f"DROP SCHEMA {name(schema)} CASCADE;" for (schema,) in schemas.fetchall())
        admin.execute(f"{drops} {_PUBLIC_SCHEMA}")
        if roles:
            listed = ", ".join(map(name, roles))
            admin.execute(f"DROP OWNED BY {listed}; DROP ROLE {listed}")


# As initdb of version 15 and newer makes it.
_PUBLIC_SCHEMA = "CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC"
