"""Made-up files of CloudTrail for the benchmark: few busy roles, many quiet ones, events of S3, STS and EC2."""

from __future__ import annotations

import gzip
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

FIRST = datetime(2026, 7, 1, tzinfo=UTC)
A_FILE = 1_500
"""Records of one file."""
IDENTITIES = 4_000
AGENTS = (
    "Boto3/1.26.1 Python/3.9.11 Linux/5.10 exec-env/AWS_Lambda_python3.9 Botocore/1.29.1",
    "aws-sdk-go/1.44.0 (go1.19; linux; amd64)",
    "aws-cli/2.13.0 Python/3.11.4 Darwin/22.5.0 exe/x86_64 prompt/off command/s3.cp",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0",
)


class Somebody(NamedTuple):
    """A role of an account, in one session."""

    account: str
    role: str
    session: str
    key: str


def make_files(folder: Path, megabytes: int, seed: int) -> tuple[int, int]:
    """Write files of `megabytes` together, unpacked; how many records and bytes they have."""
    chance = random.Random(seed)
    crowd = [_somebody(chance) for _ in range(IDENTITIES)]
    records = size = number = 0
    while size < megabytes * 1_000_000:
        at = FIRST + timedelta(minutes=number)
        made = list(_records(chance, crowd, at))
        data = json.dumps({"Records": made}, separators=(",", ":")).encode()
        place = folder / f"AWSLogs/111122223333/CloudTrail/us-east-1/{at:%Y/%m/%d}"
        place.mkdir(parents=True, exist_ok=True)
        name = f"111122223333_CloudTrail_us-east-1_{at:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
        (place / name).write_bytes(gzip.compress(data, 6))
        records, size, number = records + len(made), size + len(data), number + 1
    return records, size


def _skewed(chance: random.Random, count: int) -> int:
    """A number below `count`, the small ones far more often."""
    return min(count - 1, int(count ** chance.random()) - 1)


def _somebody(chance: random.Random) -> Somebody:
    machine = chance.random() < 0.6
    session = f"i-{chance.getrandbits(60):017x}" if machine else f"user{_skewed(chance, 500)}@example.com"
    account = f"{111122223333 + _skewed(chance, 20):012d}"
    return Somebody(account, f"role-{_skewed(chance, 300)}", session, f"ASIA{chance.randrange(10**16):016d}")


def _records(chance: random.Random, crowd: list[Somebody], at: datetime) -> Iterator[dict[str, Any]]:
    for _ in range(A_FILE):
        at += timedelta(seconds=chance.expovariate(A_FILE / 60))
        who = crowd[_skewed(chance, len(crowd))]
        kind = chance.random()
        made = _data_event if kind < 0.4 else _assumed if kind < 0.55 else _described
        record = _common(chance, who, at) | made(chance, who)
        if chance.random() < 0.03:
            record |= {"errorCode": "AccessDenied", "errorMessage": "User is not authorized to perform this action"}
        yield record | {"managementEvent": kind >= 0.4, "eventCategory": "Data" if kind < 0.4 else "Management"}


def _common(chance: random.Random, who: Somebody, at: datetime) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "userIdentity": _identity(chance, who, at),
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "awsRegion": "us-east-1",
        "sourceIPAddress": f"10.{_skewed(chance, 4)}.{_skewed(chance, 255)}.{_skewed(chance, 255)}",
        "userAgent": AGENTS[_skewed(chance, len(AGENTS))],
        "requestID": str(uuid.UUID(int=chance.getrandbits(128))),
        "eventID": str(uuid.UUID(int=chance.getrandbits(128))),
        "readOnly": True,
        "eventType": "AwsApiCall",
        "recipientAccountId": who.account,
        "tlsDetails": {"tlsVersion": "TLSv1.2", "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256"},
    }


def _identity(chance: random.Random, who: Somebody, at: datetime) -> dict[str, Any]:
    if chance.random() < 0.15:
        name = f"user{_skewed(chance, 500)}"
        arn = f"arn:aws:iam::{who.account}:user/{name}"
        return {"type": "IAMUser", "arn": arn, "accountId": who.account, "accessKeyId": "AKIAX", "userName": name}
    issuer = {
        "type": "Role",
        "principalId": "AROAIDPPEZS35WEXAMPLE",
        "arn": f"arn:aws:iam::{who.account}:role/{who.role}",
        "accountId": who.account,
        "userName": who.role,
    }
    attributes = {"creationDate": f"{at:%Y-%m-%dT%H:%M:%SZ}", "mfaAuthenticated": "false"}
    return {
        "type": "AssumedRole",
        "principalId": f"AROAIDPPEZS35WEXAMPLE:{who.session}",
        "arn": f"arn:aws:sts::{who.account}:assumed-role/{who.role}/{who.session}",
        "accountId": who.account,
        "accessKeyId": who.key,
        "sessionContext": {"sessionIssuer": issuer, "webIdFederationData": {}, "attributes": attributes},
    }


def _data_event(chance: random.Random, who: Somebody) -> dict[str, Any]:
    bucket = f"bucket-{_skewed(chance, 100)}"
    key = f"data/{_skewed(chance, 1000)}/{chance.getrandbits(64):016x}.parquet"
    return {
        "eventSource": "s3.amazonaws.com",
        "eventName": chance.choice(("GetObject", "PutObject", "HeadObject")),
        "requestParameters": {"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com", "key": key},
        "responseElements": None,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "CipherSuite": "ECDHE-RSA-AES128-GCM-SHA256",
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": f"{chance.getrandbits(256):064x}",
            "bytesTransferredOut": chance.randrange(100_000),
        },
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
            {"accountId": who.account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"},
        ],
    }


def _assumed(chance: random.Random, who: Somebody) -> dict[str, Any]:
    role = f"arn:aws:iam::{who.account}:role/{who.role}"
    service = {"userIdentity": {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}}
    return (service if chance.random() < 0.8 else {}) | {
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "requestParameters": {"roleArn": role, "roleSessionName": who.session, "durationSeconds": 3600},
        "responseElements": {
            "credentials": {"accessKeyId": who.key, "sessionToken": f"{chance.getrandbits(1600):0400x}"},
            "assumedRoleUser": {"arn": f"arn:aws:sts::{who.account}:assumed-role/{who.role}/{who.session}"},
        },
        "resources": [{"accountId": who.account, "type": "AWS::IAM::Role", "ARN": role}],
    }


def _described(chance: random.Random, _: Somebody) -> dict[str, Any]:
    items = [{"instanceId": f"i-{chance.getrandbits(68):017x}"} for _ in range(3)]
    return {
        "eventSource": "ec2.amazonaws.com",
        "eventName": chance.choice(("DescribeInstances", "DescribeVolumes", "DescribeSecurityGroups")),
        "requestParameters": {"instancesSet": {"items": items}, "filterSet": {}},
        "responseElements": None,
    }
