"""Small values of the gateway: credentials, sessions, segments, holds and runs, as tests need them."""

from __future__ import annotations

from lapse.domain.credentials import Credential, CredentialKind
from lapse.domain.gateways import GatewayRun
from lapse.domain.holds import Hold
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session
from support.stores import HOUR, NOW


def a_credential(key="cre_1", **fields):
    given = {
        "grant_id": "gra_1",
        "resource": "pg-prod",
        "granted_to": "ann",
        "kind": CredentialKind.SCRAM,
        "login": f"ann.pg-prod.{key}",
        "verifier": "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy",
        "created_at": NOW,
        "expires_at": NOW + HOUR,
    }
    return Credential(id=key, **(given | fields))


def a_session(key="ses_1", **fields):
    given = {
        "grant_id": "gra_1",
        "credential_id": "cre_1",
        "resource": "pg-prod",
        "entitlement": "pg-prod/reader",
        "principal": "ann",
        "account": "ann_login",
        "protocol": "postgresql",
        "gateway": "gw-1",
        "client": "192.0.2.7:50123",
        "started_at": NOW,
        "deadline": NOW + HOUR,
        "program": "psql",
        "place": "orders",
    }
    return Session(id=key, **(given | fields))


def a_segment(key="seg_1", **fields):
    given = {
        "session_id": "ses_1",
        "resource": "pg-prod",
        "number": 0,
        "sha256": "ab" * 32,
        "bytes": 4711,
        "frames": 12,
        "first_at": NOW,
        "last_at": NOW,
        "sealed_at": NOW,
        "place": f"pg-prod/ses_1/{key}",
        "keep_until": NOW + 24 * HOUR,
    }
    return Segment(id=key, **(given | fields))


def a_hold(key="hol_1", **fields):
    given = {
        "session_id": "ses_1",
        "grant_id": "gra_1",
        "resource": "pg-prod",
        "entitlement": "pg-prod/reader",
        "principal": "ann",
        "statement": "DELETE FROM orders",
        "sha256": "cd" * 32,
        "why": "statements of class `delete` need approval",
        "approvers": ("olga",),
        "asked_at": NOW,
        "expires_at": NOW + HOUR / 12,
    }
    return Hold(id=key, **(given | fields))


def a_run(key="gwr_1", **fields):
    given = {"name": "gw-1", "number": 1, "first_seen": NOW, "last_seen": NOW, "protocols": ("postgresql", "ssh")}
    return GatewayRun(id=key, **(given | fields))
