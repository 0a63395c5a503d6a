"""Events of Teleport's audit log, and reading them."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

from support.aws_files import read_as, write

TAKEN = "2026-08-01T00:00:00Z"
ANN, BOB = "ann@example.com", "bob"
ZERO = "0001-01-01T00:00:00Z"
_ids = itertools.count(1)


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def event(kind, when="01T10:00:00", /, **more):
    return {
        "event": kind,
        "time": f"2026-07-{when}.123456111Z",
        "uid": f"uid-{next(_ids)}",
        "code": "T0000I",
        "ei": 0,
        "cluster_name": "main",
    } | more


def ssh(name, when="01T10:00:00", **more):
    about = {"sid": "s-1", "login": "root", "user": ANN, "server_id": "h-1", "server_hostname": "web-1"}
    return event(name, when, **(about | {"addr.remote": "198.51.100.7:51454"} | more))


def db(name, when="01T10:00:00", **more):
    about = {"sid": "d-1", "user": ANN, "db_service": "pg-prod", "db_protocol": "postgres", "db_name": "shop"}
    return event(name, when, **(about | {"db_user": "writer", "success": True} | more))


def request(name, when="01T10:00:00", **more):
    return event(f"access_request.{name}", when, **({"id": "r-1", "state": "PENDING"} | more))


def created(when="01T10:00:00", **more):
    about = {"user": ANN, "roles": ["admin"], "reason": "outage", "expires": "2026-07-01T18:00:00.5Z"}
    return request("create", when, **(about | {"max_duration": ZERO} | more))


def jsonl(*events):
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


def read(place, tmp_path, **options):
    return read_as("teleport", place, tmp_path, **({"taken_at": TAKEN} | options))


def read_events(tmp_path, *events, **options):
    write(tmp_path, events__log=jsonl(*events))
    return read(tmp_path / "events.log", tmp_path, **options)
