"""What holds for every kind of source: old records are read, and of damaged ones nothing is lost without a word."""

from __future__ import annotations

import gzip
import json

import pytest

from lapse.review.sources.registry import all_sources
from support.read_sources import read_as

NAME = "j\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen"
ACCOUNT = "111122223333"
ARN = f"arn:aws:iam::{ACCOUNT}:user/{NAME}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJKbDs2b7sgGDYqCJ9DKvwfBK0bMJiLOnFyFAhWvAC4x"


def spelled(data):
    return json.dumps(data, ensure_ascii=False)


# As they were written ten years ago, or by the oldest version that is known: fields that came later are not there.
RECORDS = {
    "cloudtrail": (
        "t.json",
        {},
        spelled(
            {
                "Records": [
                    {
                        "eventVersion": "1.02", "eventTime": "2016-08-20T10:00:00Z", "eventSource": "s3.amazonaws.com",
                        "eventName": "GetObject", "awsRegion": "eu-west-1", "eventID": "e1",
                        "userIdentity": {"type": "IAMUser", "arn": ARN, "accountId": ACCOUNT, "principalId": "AIDA1",
                            "userName": NAME},
                    }
                ]
            }
        ),
    ),
    "aws-iam": (
        "i.json",
        {},
        spelled({"UserDetailList": [{"UserName": NAME, "UserId": "A", "Arn": ARN, "Path": "/"}], "Policies": []}),
    ),
    "postgresql-log": (
        "p.csv",
        {"resource": "pg"},
        (
            f'2016-07-01 10:00:00.123 UTC,"{NAME}","app",1234,"10.0.0.1:5000",57763f.4d2,1,"authentication",'
            f'2016-07-01 10:00:00 UTC,2/1,0,LOG,00000,"connection authorized: user={NAME} database=app",,,,,,,,\n'
        ),
    ),
    "pg-stat-statements": (
        "s.csv",
        {"resource": "pg", "since": "2016-07-01T00:00:00Z", "taken_at": "2016-08-01T00:00:00Z"},
        f"rolname,query,calls\n{NAME},select * from orders,3\n",
    ),
    "authorized-keys": ("web-1/deploy/authorized_keys", {}, f"{KEY} {NAME}@example.com\n"),
    "sshd-log": (
        "auth.log",
        {"timezone": "UTC", "year": "2016"},
        f"Jul  1 10:00:00 web-1 sshd[1234]: Accepted publickey for {NAME} from 10.0.0.1 port 22 ssh2\n",
    ),
    "kubernetes-rbac": (
        "r.json",
        {"cluster": "c"},
        spelled(
            {
                "kind": "ClusterRoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1beta1",
                "metadata": {"name": "x"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "User", "name": NAME}],
            }
        ),
    ),
    "kubernetes-audit": (
        "a.log",
        {"cluster": "c"},
        spelled(
            {
                "kind": "Event", "apiVersion": "audit.k8s.io/v1beta1", "auditID": "1", "stage": "ResponseComplete",
                "verb": "get", "requestURI": "/api/v1/pods", "user": {"username": NAME},
                "responseStatus": {"code": 200}, "stageTimestamp": "2018-07-01T10:00:00Z",
                "objectRef": {"resource": "pods"},
            }
        ),
    ),
    "teleport": (
        "e.log",
        {},
        spelled(
            {"event": "session.start", "time": "2018-07-01T10:00:00Z", "user": NAME, "login": "root",
                "server_id": "s1", "sid": "x"}
        ),
    ),
    "okta": (
        "o.json",
        {"org": "acme"},
        spelled(
            [
                {"uuid": "1", "published": "2017-07-01T10:00:00.000Z", "eventType": "user.session.start",
                    "outcome": {"result": "SUCCESS"},
                    "actor": {"id": "00u1", "type": "User", "alternateId": f"{NAME}@example.com"}}
            ]
        ),
    ),
    "ocsf": (
        "c.json",
        {},
        spelled(
            {"class_uid": 3002, "activity_id": 1, "status_id": 1, "time": 1_666_000_000_000,
                "metadata": {"version": "1.0.0", "product": {"name": "x"}}, "user": {"name": NAME},
                "dst_endpoint": {"hostname": "h"}}
        ),
    ),
}  # fmt: skip
DAMAGES = {
    "UTF-16": lambda text: text.encode("utf-16"),
    "Latin-1": lambda text: text.encode("latin-1"),
    "NUL bytes": lambda text: text.encode().replace(NAME.encode(), b"\0\0"),
    "cut off": lambda text: text.encode()[: len(text) // 2],
    "packed and cut off": lambda text: gzip.compress(text.encode(), mtime=0)[:-12],
    "packed and damaged": lambda text: gzip.compress(text.encode(), mtime=0)[:12] + b"\xff" * 40,
    "something else": lambda _text: bytes(range(256)) * 20,
}


def read(kind, folder, content, suffix=""):
    name, options, _ = RECORDS[kind]
    file = folder / "files" / (name + suffix)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return read_as(kind, folder / "files", folder, **options)


def test_every_kind_is_here():
    assert {*RECORDS, "mapped"} == set(all_sources())


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a mark of bytes"])
def test_an_old_record_is_read(tmp_path, kind, mark):
    result = read(kind, tmp_path, mark + RECORDS[kind][2].encode())
    assert (result.report.used, result.report.rejected) == (1, 0)
    assert any(getattr(result, table) for table in result.report.tables)


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_is_counted_or_read_all_the_same(tmp_path, kind, damage):
    suffix = ".gz" if damage.startswith("packed") and kind != "authorized-keys" else ""
    result = read(kind, tmp_path, DAMAGES[damage](RECORDS[kind][2]), suffix)
    told = result.report.rejected or result.report.skipped or result.problems
    assert told or (result.report.used, damage) == (1, "UTF-16")
    assert all("\n" not in example for example in result.report.examples)
