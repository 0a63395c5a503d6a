"""Events of Okta's System Log, and reading them."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

from support.aws_files import read_as, write

TAKEN = "2026-08-01T00:00:00Z"
MISSING = "the log shows changes: what there was before it began is not in it"
_ids = itertools.count(1)


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def user(name, kind="User", **more):
    return {"id": f"00u-{name}", "type": kind, "alternateId": f"{name}@example.com", "displayName": name.title()} | more


def group(name, number="1"):
    return {"id": f"00g-{name}-{number}", "type": "UserGroup", "alternateId": "unknown", "displayName": name}


def app(name):
    return {"id": f"0oa-{name}", "type": "AppInstance", "alternateId": name, "displayName": name}


def event(kind, when="01T10:00:00", /, *targets, by="boss", result="SUCCESS", **more):
    return {
        "uuid": f"uuid-{next(_ids)}",
        "published": f"2026-07-{when}.123Z",
        "eventType": kind,
        "version": "0",
        "severity": "INFO",
        "actor": user(by) | {"detailEntry": None},
        "client": {
            "ipAddress": "198.51.100.7",
            "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Mac OS X", "browser": "FIREFOX"},
            "device": "Computer",
            "zone": "null",
        },
        "outcome": {"result": result, "reason": None},
        "target": list(targets) or None,
        "authenticationContext": {"externalSessionId": "102nZHzd", "authenticationStep": 0},
        "debugContext": {"debugData": {"requestId": "x", "threatSuspected": "false"}},
        "transaction": {"type": "WEB", "detail": {}},
    } | more


def admin(kind, when, who, granted):
    return event(kind, when, who, debugContext={"debugData": {"privilegeGranted": granted}})


def joins(name, where, when="01T10:00:00", **more):
    kind = "group" if where["type"] == "UserGroup" else "application"
    return event(f"{kind}.user_membership.add", when, user(name), where, **more)


def leaves(name, where, when="02T10:00:00", **more):
    kind = "group" if where["type"] == "UserGroup" else "application"
    return event(f"{kind}.user_membership.remove", when, user(name), where, **more)


def read(place, tmp_path, **options):
    return read_as("okta", place, tmp_path, **({"org": "acme", "taken_at": TAKEN} | options))


def read_events(tmp_path, *events, **options):
    write(tmp_path, log__json=json.dumps(events).encode())
    return read(tmp_path / "log.json", tmp_path, **options)


def periods(result):
    return sorted((r["account"].partition("@")[0], r["role"], r["from_at"], r["to_at"]) for r in result.access_periods)


def day(number):
    return at(f"{number:02}T10:00:00.123000")
