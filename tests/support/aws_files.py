"""Small files of AWS, and reading them through the registry the way a review does."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow.parquet as pq

from lapse.review.collection.identities import Identities, Rules
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.scope import parse_scope
from lapse.review.sources.reading import Reading
from lapse.review.sources.registry import read_source, source_of

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ACCOUNT = "111122223333"
RULES = Rules(
    mails={"ann@example.com": frozenset({"ann"})}, logins={"ann": frozenset({"ann"}), "bob": frozenset({"bob"})}
)
_ids = itertools.count(1)


def read_as(kind, place, folder, **options):
    """Everything that came of reading `place`: `report`, `manifest`, `links`, and the rows of each table by name."""
    snapshots = folder / f"snapshot-{next(_ids)}"
    writer = SnapshotWriter(snapshots, parse_scope("all", "2026-Q3"), NOW)
    identities = Identities(RULES)
    reading = Reading(writer, kind, place.name, identities)
    read_source(source_of(kind), place, options, reading)
    report = reading.finish()
    writer.report(report)
    manifest = writer.finish(()).manifest
    tables = {
        table.table: pq.read_table(snapshots / table.file).to_pylist()
        for table in manifest.tables
        if table.file and table.table != "reconciliations"
    }
    assert report.records == report.used + report.rejected + sum(report.skipped.values())
    return SimpleNamespace(report=report, manifest=manifest, links=list(identities.rows()), **tables)


def problems(result):
    return {problem.what: problem.rows for problem in result.manifest.problems}


def event(name="GetObject", source="s3", at="2026-07-01T10:00:00Z", **more):
    """One record of CloudTrail; `who` is its `userIdentity`, an IAM user unless given."""
    return {
        "eventVersion": "1.11",
        "eventTime": at,
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.13.0",
        "requestParameters": None,
        "responseElements": None,
        "eventID": f"00000000-0000-4000-8000-{next(_ids):012d}",
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
        "userIdentity": user("ann"),
    } | more


def user(name, account=ACCOUNT, path="/"):
    return {
        "type": "IAMUser",
        "principalId": "AIDAJ45Q7YFFAREXAMPLE",
        "arn": f"arn:aws:iam::{account}:user{path}{name}",
        "accountId": account,
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "userName": name,
    }


def session(role, name, account=ACCOUNT, key="ASIAIOSFODNN7EXAMPLE"):
    return {
        "type": "AssumedRole",
        "principalId": f"AROAIDPPEZS35WEXAMPLE:{name}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        "accountId": account,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAIDPPEZS35WEXAMPLE",
                "arn": f"arn:aws:iam::{account}:role/team/{role}",
                "accountId": account,
                "userName": role,
            },
            "attributes": {"creationDate": "20131102T010628Z", "mfaAuthenticated": "false"},
        },
    }


def log(*events):
    return json.dumps({"Records": list(events)}).encode()


def write(folder, **files):
    """Write files; `__` in a name stands for a dot, `_S_` for a slash."""
    for name, content in files.items():
        file = folder / name.replace("_S_", "/").replace("__", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return folder


def lost(*_):
    """A process that runs this is gone, as if it had been killed."""
    os._exit(1)
