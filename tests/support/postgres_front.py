"""A gateway in front of a real PostgreSQL, in the test's process: what real clients are pointed at."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import psycopg

from lapse.gateway.postgres import PostgresServer
from lapse.ports import Upstream
from lapse.protocols.postgres.scram import Verifier
from support.live_gateway import LiveGateway, listening, live_gateway
from support.postgres import PASSWORD

SECRET = "opens-the-gateway"
LOGIN = "alice.pg-prod.x7k2m9"


@dataclass
class Front:
    """The gateway, its address, and what clients need."""

    gateway: LiveGateway
    server: PostgresServer
    host: str
    port: int
    dbname: str
    roots: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def allow(self, target, login: str = LOGIN, **more):
        """A credential for `login`, which leads to the target's `alice`."""
        given = psycopg.conninfo.conninfo_to_dict(target.dsn("alice"))
        upstream = Upstream(
            host=str(given["host"]),
            port=int(given["port"]),
            user=target.role("alice"),
            secret=PASSWORD,
            parameters={"dbname": target.dbname, "sslmode": "disable"},
        )
        fields = {"verifier": Verifier.of_password(SECRET).text, "upstream": upstream} | more
        return self.gateway.plane.allow(login, **fields)

    @property
    def plane(self):
        return self.gateway.plane

    def dsn(self, login: str = LOGIN, password: str = SECRET, **more: str) -> str:
        given = {"sslmode": "disable", "dbname": self.dbname} | self.options | more
        return psycopg.conninfo.make_conninfo(host=self.host, port=self.port, user=login, password=password, **given)

    async def connect(self, **more: str) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self.dsn(**more), autocommit=True)

    async def psql(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run psql through the gateway."""
        return await run_program("psql", self.dsn(), "-X", *arguments, stdin=stdin)

    async def over(self, number: int = 1):
        """Sessions that are over, once there are so many."""
        async with asyncio.timeout(15):
            while True:
                found = [one for one in self.plane.sessions.values() if one.ended_at is not None]
                if len(found) >= number:
                    return found
                self.plane.finished.clear()
                await self.plane.finished.wait()


async def run_program(name: str, *arguments: str, stdin: str = "", **environment: str):
    """Run a program of PostgreSQL to its end."""
    found = shutil.which(name) or f"/usr/lib/postgresql/15/bin/{name}"
    process = await asyncio.create_subprocess_exec(
        found,
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PGCONNECT_TIMEOUT": "20"} | environment,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate(stdin.encode())
    return subprocess.CompletedProcess(name, process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def front_of(target, **more) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(live_gateway(**more))
        server = PostgresServer(gateway.context)
        host, port = await stack.enter_async_context(listening(server, gateway.context))
        yield Front(gateway, server, host, port, target.dbname)
