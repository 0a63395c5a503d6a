"""A home whose Alice may read a real PostgreSQL through the gateway, when Bob says yes: for tests of whole programs."""

from __future__ import annotations

import psycopg

from support.program import Program, wait_for

CATALOG = """
principals:
  - name: alice
  - name: bob
  - name: olga
groups:
  - name: dba
    members: [bob]
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    gateway: {gateway}
    entitlements:
      - role: reader
        native: {{role: {prefix}_reader, mode: ephemeral, database: {dbname}}}
"""

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals:
      - from: [group:dba]
"""


def furnished(home, target, *, gateway: str = "{}", **settings: object) -> Program:
    """The home, with these settings of `[gateway]`."""
    program = Program(home, {"PROD_DSN": target.lapse_dsn})
    program.run("init")
    set_gateway(program, **settings)
    program.furnish(CATALOG.format(prefix=target.prefix, dbname=target.dbname, gateway=gateway), POLICY)
    program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")
    for who, scope in (("alice", "request"), ("bob", "approve"), ("olga", "approve")):
        program.environment[f"TOKEN_{who}"] = program.data("token", "create", who, "--scope", scope)["secret"]
    return program


def set_gateway(program: Program, **settings: object) -> None:
    """Change settings of `[gateway]`."""
    file = program.home / "lapse.toml"
    top, _, table = file.read_text().partition("[gateway]\n")
    lines = [line for line in table.splitlines() if line.partition(" ")[0] not in settings]
    for name, value in settings.items():
        text = str(value).lower() if isinstance(value, bool | int) else f'"{value}"'
        lines.append(f"{name} = {text}")
    file.write_text("\n".join([f"{top}[gateway]", *lines, ""]))


def as_(program: Program, who: str) -> tuple[str, str]:
    return "--token", program.environment[f"TOKEN_{who}"]


def granted(program: Program, duration: str = "1h") -> str:
    """Alice's access, once it is there."""
    asked = program.data(
        "request", "create", "pg-prod/reader", "--for", duration, "--because", "a task", *as_(program, "alice")
    )
    (grant,) = program.data("approve", asked["id"], *as_(program, "bob"))["grants"]
    wait_for(lambda: program.data("grant", "show", grant)["state"] == "active")
    return str(grant)


def dsn_of(program: Program) -> str:
    """What `lapse connect --print-dsn` says to Alice."""
    return program.run("connect", "pg-prod", "--print-dsn", *as_(program, "alice")).out.strip()


def connected(program: Program) -> psycopg.Connection:
    return psycopg.connect(dsn_of(program), autocommit=True)


def sessions(program: Program, *words: str) -> list[dict[str, object]]:
    found = program.data("session", "list", *words)
    assert isinstance(found, list)
    return found
