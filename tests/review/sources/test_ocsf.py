"""OCSF events as evidence: sign-ins, calls of APIs, accounts that were made, privileges that were given and taken."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lapse.review.sources.kinds.ocsf import ocsf_mapping
from support.aws_files import problems, read_as, write

TAKEN = "2026-08-01T00:00:00Z"
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
_ids = itertools.count(1)


def event(class_uid, activity_id=1, minutes=0, **more):
    return {
        "class_uid": class_uid,
        "activity_id": activity_id,
        "category_uid": class_uid // 1000,
        "type_uid": class_uid * 100 + activity_id,
        "time": int(NOON.timestamp() * 1000) + minutes * 60_000,
        "severity_id": 1,
        "status_id": 1,
        "metadata": {"uid": f"e-{next(_ids)}", "version": "1.3.0", "product": {"name": "portal"}},
        "user": {"name": "ann", "uid": "u-1", "email_addr": "ann@example.com", "type_id": 1},
        "actor": {"user": {"name": "boss"}, "session": {"uid": "s-9"}},
        "src_endpoint": {"ip": "198.51.100.7", "hostname": "laptop-7"},
    } | more


def read(place, tmp_path, **options):
    return read_as("ocsf", place, tmp_path, **({"taken_at": TAKEN} | options))


def read_events(tmp_path, *events, **options):
    write(tmp_path, log__jsonl=b"".join(json.dumps(one).encode() + b"\n" for one in events))
    return read(tmp_path / "log.jsonl", tmp_path, **options)


def known(row):
    return {key: value for key, value in row.items() if value is not None}


def test_a_sign_in_is_use_of_what_it_was_to(tmp_path):
    result = read_events(
        tmp_path, event(3002, dst_endpoint={"hostname": "vpn-1"}, service={"name": "vpn"}, session={"uid": "s-1"})
    )
    assert known(result.usage[0]) == {
        "resource": "vpn-1",
        "account": "ann",
        "started_at": NOON,
        "action": "logon",
        "source": "ocsf log.jsonl",
        "object": "vpn",
        "principal": "ann",
        "address": "198.51.100.7",
        "device": "laptop-7",
        "session_id": "s-1",
    }


def test_a_call_of_an_api_is_use_of_its_account_by_the_actor(tmp_path):
    result = read_events(
        tmp_path,
        event(
            6003,
            actor={"user": {"uid": "AIDA1", "email_addr": "ann@example.com"}, "session": {"uid": "s-2"}},
            api={"operation": "GetObject", "service": {"name": "s3.amazonaws.com"}},
            cloud={"account": {"uid": "111122223333"}},
            resources=[{"name": "logs", "uid": "arn:aws:s3:::logs"}],
            src_endpoint={"ip": "198.51.100.7"},
            http_request={"user_agent": "aws-cli/2"},
        ),
    )
    assert known(result.usage[0]) == {
        "resource": "111122223333",
        "account": "AIDA1",
        "started_at": NOON,
        "action": "GetObject",
        "source": "ocsf log.jsonl",
        "object": "logs",
        "principal": "ann",
        "address": "198.51.100.7",
        "device": "aws-cli/2",
        "session_id": "s-2",
    }


@pytest.mark.parametrize(
    ("class_uid", "given", "taken", "what", "roles"),
    [
        (3005, 1, 2, {"privileges": ["read", "write"]}, ["read", "write"]),
        (3005, 3, 4, {"iam_role": {"name": "admin"}}, ["admin"]),
        (3001, 7, 8, {"policy": {"uid": "p-1"}}, ["p-1"]),
        (3001, 7, 8, {"policies": [{"name": "p"}, {"name": "q"}]}, ["p", "q"]),
        (3007, 10, 11, {"policies": [{"name": "p"}]}, ["p"]),
        (3007, 14, 15, {"privileges": ["read"]}, ["read"]),
        (3007, 16, 17, {"iam_roles": [{"name": "admin"}]}, ["admin"]),
    ],
)
def test_what_was_given_and_taken_was_held_in_between(tmp_path, class_uid, given, taken, what, roles):
    result = read_events(tmp_path, event(class_uid, taken, 60, **what), event(class_uid, given, **what))
    rows = [(r["account"], r["role"], r["from_at"], r["to_at"], r["changed_by"]) for r in result.access_periods]
    end = NOON.replace(hour=13)
    assert rows == [("ann", role, NOON, end, "boss") for role in roles]
    assert {row["principal"] for row in result.access_periods} == {"ann"}


def test_an_account_that_was_made_was_seen(tmp_path):
    rows = read_events(tmp_path, event(3001), event(3007, resources=[{"name": "crm"}])).accounts
    assert [(row["resource"], row["account"], row["observed"], row["created_at"]) for row in rows] == [
        ("portal", "ann", True, NOON),
        ("crm", "ann", True, NOON),
    ]


def test_what_failed_what_was_denied_and_other_classes_are_skipped_with_the_reason(tmp_path):
    result = read_events(
        tmp_path,
        event(3002, status_id=2),
        event(6003, action_id=2),
        event(2004),
        event(3002, 2),
        event(3001, 5),
        {"no": "class"},
    )
    assert result.report.skipped == {
        "it failed": 1,
        "access was denied": 1,
        "an event of a class that is not read": 2,
        "a record that no rule of the mapping is about": 2,
    }


def test_copies_of_an_event_count_once(tmp_path):
    one = event(3002)
    result = read_events(tmp_path, one, one)
    assert (len(result.usage), result.report.skipped) == (1, {"seen already": 1})


def test_use_makes_windows_and_the_resource_can_be_given(tmp_path):
    result = read_events(tmp_path, event(3002), event(3002, minutes=30), resource="sso", complete="yes")
    assert [(row["resource"], row["complete"]) for row in result.coverage] == [("sso", True)]


def test_files_of_a_security_lake_are_read(tmp_path):
    pq.write_table(pa.Table.from_pylist([event(3002, status_id=1)]), tmp_path / "part-0.parquet")
    assert len(read(tmp_path / "part-0.parquet", tmp_path).usage) == 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"time": "noon"}, "`usage.started_at`"),
        ({"user": {}}, "`usage.account` is missing"),
        ({"user": {"name": ["ann"]}}, "`usage.account`: a list is no single value"),
        ({"time": 10**17}, "outside of the calendar"),
    ],
)
def test_an_event_that_cannot_be_read_is_rejected(tmp_path, more, why):
    result = read_events(tmp_path, event(3002, **more), event(3002))
    assert why in result.report.examples[0]
    assert (len(result.usage), problems(result)) == (1, {"records that could not be read": 1})


def test_the_mapping_that_comes_with_the_product_fills_what_the_kind_says():
    assert set(ocsf_mapping().tables) == {"usage", "accounts", "access_periods"}
