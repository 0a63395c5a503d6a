"""`lapse connect`: a native client, through the gateway, with a fresh credential for one's own grant."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from lapse.domain.errors import NotFound, Refused
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.completing import resources
from lapse.entrypoints.cli.output import note, print_json, say, when
from lapse.entrypoints.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add this command. What follows `--` goes to the client."""
    command(app, "connect")(connect)


def connect(
    session: Session,
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", autocompletion=resources)],
    client: Annotated[list[str] | None, typer.Argument(metavar="[-- ARGUMENT…]", help="For the client.")] = None,
    role: Annotated[str, typer.Option(metavar="ROLE", help="Which, if you have several there.")] = "",
    print_dsn: Annotated[bool, typer.Option("--print-dsn", help="Print a URL for your client instead.")] = False,
    print_env: Annotated[bool, typer.Option("--print-env", help="Print variables for your shell instead.")] = False,
) -> None:
    """Open psql on a database that you have access to now.

    A fresh credential is given out for it. It ends with your access, and so does the session.
    """
    with session.api() as api:
        found = api.post("/connections", {"resource": resource, "role": role})
    if found["protocol"] != "postgresql":
        raise Refused(f"`{resource}` is not a database", hint="`lapse connect` is for databases")
    values = variables(found)
    if session.json:
        print_json(found | {"dsn": dsn(values)})
    elif print_dsn:
        say(dsn(values))
        note(f"it ends {when(found['expires_at'])}; shown once, and kept nowhere")
    elif print_env:
        for name, value in values.items():
            say(f"export {name}={_shell(value)}")
    else:
        _run(values, list(client or []), found)


def variables(found: dict[str, Any]) -> dict[str, str]:
    """The environment with which libpq connects (34.15)."""
    host, _, port = found["address"].rpartition(":")
    values = {
        "PGHOST": host.strip("[]"),
        "PGPORT": port,
        "PGUSER": found["login"],
        "PGPASSWORD": found["secret"],
        "PGDATABASE": found["database"],
        "PGSSLMODE": "require" if found["tls"] else "disable",
    }
    return {name: value for name, value in values.items() if value}


def dsn(values: dict[str, str]) -> str:
    """A URL as most clients take it (34.1.1.2)."""
    host = f"[{values['PGHOST']}]" if ":" in values["PGHOST"] else values["PGHOST"]
    who = f"{quote(values['PGUSER'], safe='')}:{quote(values['PGPASSWORD'], safe='')}"
    database = quote(values.get("PGDATABASE", ""), safe="")
    return f"postgresql://{who}@{host}:{values['PGPORT']}/{database}?sslmode={values['PGSSLMODE']}"


def _run(values: dict[str, str], arguments: list[str], found: dict[str, Any]) -> None:
    """Become psql. The password is in its environment, which other users cannot read; not among its arguments."""
    program = shutil.which("psql")
    if program is None:
        raise NotFound("psql is not installed here", hint="use --print-dsn, and your own client")
    note(f"{found['entitlement']} ends {when(found['expires_at'])}; the session is recorded")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    sys.stdout.flush()
    os.execve(program, ["psql", *arguments], kept | values)  # noqa: S606  the client itself, without a shell


def _shell(value: str) -> str:
    return shlex.quote(value)
