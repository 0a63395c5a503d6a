"""Lines of PostgreSQL's csvlog and jsonlog, written as the server writes them, and reading them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from support.read_sources import read_as

AT = "2026-07-01 10:00:00.000 UTC"
SESSION = "66827f20.1f4"


def csv_line(message, number=1, *, at=AT, session=SESSION, columns=26, **cells):
    """One record; texts that are None are left out as the server does, the others are quoted."""
    user, database = cells.get("user", "alice"), cells.get("database", "shop")
    application = cells.get("application", "psql")
    fields = [
        at,
        quoted(user),
        quoted(database),
        "500",
        quoted(cells.get("address", "10.0.0.7:50182") if user else None),
        session,
        str(number),
        quoted(cells.get("tag", "idle") if user else None),
        cells.get("began", at[:19] + at[23:]),
        cells.get("transaction", "3/1"),
        "0",
        cells.get("severity", "LOG"),
        cells.get("state", "00000"),
        quoted(message),
        "",
        "",
        "",
        "",
        quoted(cells.get("context")),
        quoted(cells.get("query")),
        "",
        "",
        quoted(application),
        quoted(cells.get("backend", "client backend" if user else "postmaster")),
        "",
        "0",
    ]
    return ",".join(fields[:columns]) + "\n"


def quoted(text):
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def json_line(message, number=1, *, at=AT, session=SESSION, **cells):
    """One object, without the keys that have no value."""
    found = {
        "timestamp": at,
        "user": cells.get("user", "alice"),
        "dbname": cells.get("database", "shop"),
        "pid": 500,
        "remote_host": "10.0.0.7",
        "remote_port": 50182,
        "session_id": session,
        "line_num": number,
        "ps": cells.get("tag", "idle"),
        "session_start": at[:19] + at[23:],
        "vxid": "3/1",
        "txid": 0,
        "error_severity": "LOG",
        "message": message,
        "application_name": cells.get("application", "psql"),
        "backend_type": "client backend",
        "query_id": 0,
    }
    return json.dumps({key: value for key, value in found.items() if value is not None}) + "\n"


def minute(number, zone="UTC"):
    """10:00 and so many minutes."""
    return f"2026-07-01 {10 + number // 60:02d}:{number % 60:02d}:00.000 {zone}"


def login(number=1, *, at=AT, application="psql", **cells):
    user = cells.get("user", "alice")
    name = f" application_name={application}" if application else ""
    message = f"connection authorized: user={user} database=shop{name}"
    return csv_line(message, number, at=at, application="", tag="authentication", **cells)


def end(number, *, at=AT, **cells):
    text = "disconnection: session time: 0:00:01.000 user=alice database=shop host=10.0.0.7 port=50182"
    return csv_line(text, number, at=at, **cells)


def statement(text, number=2, **cells):
    return csv_line(f"statement: {text}", number, **cells)


def audit(text, number=2, **cells):
    return csv_line(f"AUDIT: {text}", number, **cells)


def server(message, number=1, *, at=AT, backend="postmaster", session="66827f00.1"):
    """A line of the server's own processes."""
    return csv_line(message, number, at=at, session=session, user=None, database=None, application="", backend=backend)


START = datetime(2026, 7, 1, 10, tzinfo=UTC)
ANOTHER = "66827f21.1f5"


def after(minutes):
    return START + timedelta(minutes=minutes)


def read_log(tmp_path, *lines, rules=None, name="postgresql.csv", **options):
    """Everything that came of a log with these lines, which are texts or bytes."""
    file = tmp_path / name
    file.write_bytes(b"".join(line.encode() if isinstance(line, str) else line for line in lines))
    stated = {"resource": "pg", "taken_at": "2026-10-01T00:00:00Z"} | options
    return read_as("postgresql-log", file, tmp_path, rules, **stated)


def actions(result):
    """What was done, without the connections."""
    return [row for row in result.usage if row["action"] != "connect"]
